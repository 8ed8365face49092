"""Decisions from a terminal: `approvals`, `show`, `approve`, `reject`, `modify`, `rollback`.

Rules:
  1. A card is always shown before it is approved; `--yes` skips the question and nothing else.
  2. What is signed is the digest that was shown. A gateway that names another one is refused.
  3. The exit code is that of the outcome: 0 executed, 11 failed, 12 not known, 13 refused, 10 nobody decided.
"""

import re
from typing import Annotated, Literal

import typer

from skyflo_runbooks.cli import card, client, operator, values
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.operator import Operator
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.text import columns
from skyflo_runbooks.model.errors import BadInput, ExitCode, worst
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import ID_PATTERN

_CODES: dict[str, ExitCode] = {
    "executed": ExitCode.DONE,
    "in_place": ExitCode.DONE,
    "rolled_back": ExitCode.DONE,
    "failed": ExitCode.FAILED,
    "unknown": ExitCode.INCONCLUSIVE,
    "proposed": ExitCode.WAITING,
    "approved": ExitCode.WAITING,
    "executing": ExitCode.WAITING,
}
_LISTED = ("id", "step", "runbook", "tool", "risk", "state", "diff", "digest", "expires", "requester")
_APPLY_SECONDS = 120


def code_of(state: str) -> ExitCode:
    """Return the exit code of a proposal's state; rejected, expired, superseded and void are 13."""
    return _CODES.get(state, ExitCode.REFUSED)


def approvals(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are decided.")] = False,
    as_json: AsJson = False,
) -> ExitCode:
    """List the proposals that wait for a decision."""
    screen = Screen(as_json)
    views = client.find(current()).get("/api/v1/proposals")
    shown = [view for view in views if everything or view["state"] == "proposed"]
    screen.json([{name: view.get(name) for name in _LISTED} for view in shown])
    if not shown:
        screen.line("Nothing waits for a decision.")
        return ExitCode.DONE
    rows = [[str(view.get(key) or "") for key in ("id", "state", "risk", "title", "requester")] for view in shown]
    for line in columns(rows, ("id", "state", "risk", "change", "asked by")):
        screen.line(line)
    screen.line()
    screen.line("Look with 'skyflo-runbooks show ID', decide with 'approve ID' or 'reject ID --reason …'.", "dim")
    return ExitCode.DONE


def show(id_: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> ExitCode:
    """Show one proposal: its card while it waits, its receipt afterwards."""
    screen = Screen(as_json)
    view = client.find(current()).proposal(check_id(id_))
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
    as_json: AsJson = False,
) -> ExitCode:
    """Approve proposals, after showing each diff. An approval holds for exactly what was shown, once."""
    gateway, who, screen = _session(as_json)
    views = [gateway.proposal(check_id(id_)) for id_ in dict.fromkeys(ids)]
    for view in views:
        screen.line()
        screen.lines(card.card(view))
    if not yes and not agreed(screen, f"\nApprove {', '.join(view['id'] for view in views)} as {who.name}? [y/N] "):
        screen.note("Nothing was approved. To approve without the question, add --yes; 'reject ID' says no.")
        return ExitCode.WAITING
    after = [carry_out(gateway, who, view, "approve", reason, screen) for view in views]
    screen.json(after)
    return worst([code_of(str(view["state"])) for view in after])


def reject(
    ids: Annotated[list[str], typer.Argument(metavar="ID…")],
    reason: Annotated[str, typer.Option("--reason", help="Why not; stands in the record.")],
    as_json: AsJson = False,
) -> ExitCode:
    """Reject proposals. The exit code is 0: the rejection is done."""
    gateway, who, screen = _session(as_json)
    views = [gateway.proposal(check_id(id_)) for id_ in dict.fromkeys(ids)]
    after = [carry_out(gateway, who, view, "reject", reason, screen) for view in views]
    screen.json(after)
    return ExitCode.DONE


def modify(
    id_: Annotated[str, typer.Argument(metavar="ID")],
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


def rollback(id_: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> ExitCode:
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


def carry_out(
    gateway: Gateway,
    who: Operator,
    view: Json,
    decision: Literal["approve", "reject"],
    reason: str,
    screen: Screen,
) -> Json:
    """Decide one proposal, wait until it is applied, say what became of it, and return its view."""
    id_ = str(view["id"])
    operator.decide(gateway, who, view=view, decision=decision, reason=reason)
    after = gateway.proposal(id_)
    if after["state"] in ("approved", "executing"):
        with screen.progress(f"{id_} is approved; applying it…"):
            after = _settled(gateway, id_)
    screen.line()
    if decision == "approve" and (after.get("receipt") or {}).get("operator"):
        screen.lines(card.approved(after))
    screen.lines(card.receipt(after))
    return after


def _settled(gateway: Gateway, id_: str) -> Json:
    waited = 0
    view = gateway.proposal(id_)
    while view["state"] in ("approved", "executing") and waited < _APPLY_SECONDS:
        view = gateway.proposal(id_, wait=30)
        waited += 30
    return view


def _session(as_json: bool) -> tuple[Gateway, Operator, Screen]:
    environment = current()
    gateway = client.find(environment)
    who = operator.for_gateway(environment, gateway)
    return gateway.using(who.session), who, Screen(as_json)
