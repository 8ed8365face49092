"""Decisions from a terminal: `approvals`, `show`, `approve`, `reject`, `modify`, `rollback`.

Rules:
  1. A card is always shown before it is approved; `--yes` skips the question and nothing else: not the name of what
     is deleted, not a value that is waited for, not a passkey.
  2. What is signed is the digest that was shown. A gateway that names another one is refused.
  3. The exit code is that of the outcome: 0 executed, 11 failed, 12 not known, 13 refused, 10 nobody decided.
"""

import re
from typing import Annotated, TypeAlias

import typer

from skyflo_runbooks.cli import card, client, deciding, operator, values
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.deciding import code_of
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.operator import Operator
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.text import clock, columns, listed
from skyflo_runbooks.model.errors import BadInput, ExitCode, worst
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import ID_PATTERN

Id: TypeAlias = Annotated[str, typer.Argument(metavar="ID", help="As 'skyflo-runbooks approvals' lists it.")]


def approvals(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are decided.")] = False,
    as_json: AsJson = False,
) -> ExitCode:
    """List the proposals that wait for a decision."""
    screen = Screen(as_json)
    views = client.find(current()).get("/api/v1/proposals")
    shown = [view for view in views if everything or view["state"] == "proposed"]
    screen.json(shown)
    if not shown:
        screen.line("Nothing waits for a decision.")
        return ExitCode.DONE
    rows = [[*(str(view.get(name) or "") for name in ("id", "state", "risk", "title", "requester")),
             clock(str(view.get("expires") or "")), _waits_for(view)] for view in shown]  # fmt: skip
    for line in columns(rows, ("id", "state", "risk", "change", "asked by", "expires", "waits for")):
        screen.line(line)
    screen.line()
    screen.line("Look with 'skyflo-runbooks show ID', decide with 'approve ID' or 'reject ID --reason …'.", "dim")
    return ExitCode.DONE


def _waits_for(view: Json) -> str:
    if view["state"] != "proposed":
        return ""
    approved = len(view.get("approvers") or ())
    return "a value" if view.get("entries") else f"more than {listed(view['approvers'])}" if approved else "a decision"


def show(id_: Id, as_json: AsJson = False) -> ExitCode:
    """Show one proposal: its card while it waits, its receipt afterwards."""
    screen, id_ = Screen(as_json), check_id(id_)
    view = client.find(current()).proposal(id_)
    screen.lines(card.card(view))
    if view["state"] != "proposed":
        screen.line()
        screen.lines(card.receipt(view))
    screen.json(view)
    return ExitCode.DONE


def approve(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Proposals, each shown before you are asked.")],
    reason: Annotated[str, typer.Option("--reason", help="Stands in the record beside your name.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, for the ids named here.")] = False,
    confirm: Annotated[
        list[str] | None, typer.Option("--confirm", metavar="NAME", help="The name of what a deletion deletes.")
    ] = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Approve proposals, after showing each. An approval holds for exactly what was shown, once.

    Several are applied in the order in which they are named; the first that fails ends it. A value that a proposal
    waits for is asked for first, without an echo.
    """
    gateway, who, screen = _session(as_json)
    views = [gateway.proposal(check_id(id_)) for id_ in dict.fromkeys(ids)]
    views = [deciding.typed_values(gateway, view, screen) for view in views]
    for view in views:
        screen.line()
        screen.lines(card.card(view))
    typed = deciding.names(views, confirm or [], screen, ask=not yes)
    if not yes and not agreed(screen, f"\nApprove {', '.join(view['id'] for view in views)} as {who.name}? [y/N] "):
        screen.note("Nothing was approved. To approve without the question, add --yes; 'reject ID' says no.")
        return ExitCode.WAITING
    after = deciding.in_order(gateway, who, views, typed, reason, screen)
    screen.json(after)
    return worst([code_of(str(view["state"])) for view in after])


def enter(id_: Id, as_json: AsJson = False) -> ExitCode:
    """Type the values that a proposal waits for. Nothing is echoed; a pipe is read one value a line.

    The proposal that comes of it holds references to them, takes the place of this one, and waits for its own approval.
    """
    gateway, _, screen = _session(as_json)
    view = gateway.proposal(check_id(id_))
    if not view.get("entries"):
        raise BadInput(f"{id_} waits for no value.", next_step=f"Look at it with 'skyflo-runbooks show {id_}'.")
    after = deciding.typed_values(gateway, view, screen)
    screen.lines(card.card(after))
    screen.line()
    screen.line(f"It waits: skyflo-runbooks approve {after['id']}", "yellow")
    screen.json(after)
    return ExitCode.DONE


def reject(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="As 'skyflo-runbooks approvals' lists them.")],
    reason: Annotated[str, typer.Option("--reason", help="Why not; stands in the record.")],
    as_json: AsJson = False,
) -> ExitCode:
    """Reject proposals. The exit code is 0: the rejection is done."""
    gateway, who, screen = _session(as_json)
    views = [gateway.proposal(check_id(id_)) for id_ in dict.fromkeys(ids)]
    after = [deciding.carry_out(gateway, who, view, "reject", reason, screen) for view in views]
    screen.json(after)
    return ExitCode.DONE


def modify(
    id_: Id,
    sets: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="For example limits.memory=1Gi.")],
    as_json: AsJson = False,
) -> ExitCode:
    """Propose the same change with other values. The new proposal replaces this one and waits for its own decision."""
    gateway, who, screen = _session(as_json)
    view = gateway.proposal(check_id(id_))
    after = propose_modified(gateway.using(who.session), view, values.pairs(sets))
    screen.lines(card.card(after))
    screen.line()
    screen.line(f"It replaces {id_} and waits: skyflo-runbooks approve {after['id']}", "yellow")
    screen.json(after)
    return ExitCode.DONE


def rollback(id_: Id, as_json: AsJson = False) -> ExitCode:
    """Propose the way back of an executed change. It waits for an approval of its own."""
    gateway, who, screen = _session(as_json)
    after = gateway.using(who.session).post(f"/api/v1/proposals/{check_id(id_)}/rollback", {})
    screen.lines(card.card(after))
    screen.line()
    screen.line(f"The way back waits: skyflo-runbooks approve {after['id']}", "yellow")
    screen.json(after)
    return ExitCode.DONE


def check_id(text: str) -> str:
    """Return a proposal's id, or raise `BadInput`."""
    if not re.fullmatch(ID_PATTERN, text):
        raise BadInput(
            f"{text[:40]!r} is not the id of a proposal.",
            next_step="Expected ap- and six characters; 'skyflo-runbooks approvals' lists them.",
        )
    return text


def agreed(screen: Screen, question: str) -> bool:
    """Ask, and tell whether the answer is yes; no answer is no."""
    return (screen.read_line(question) or "").strip().lower() in ("y", "yes")


def propose_modified(gateway: Gateway, view: Json, given: dict[str, str]) -> Json:
    """Return the proposal that replaces `view` with the given values, typed by the present ones."""
    wanted = values.typed(given, values.flatten(view["arguments"]), what="value")
    after: Json = gateway.post(f"/api/v1/proposals/{view['id']}/modify", {"set": wanted})
    return after


def _session(as_json: bool) -> tuple[Gateway, Operator, Screen]:
    environment = current()
    gateway = client.find(environment)
    who = operator.for_gateway(environment, gateway)
    return gateway.using(who.session), who, Screen(as_json)
