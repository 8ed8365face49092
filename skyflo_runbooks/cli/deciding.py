"""What happens between a card in a terminal and its receipt: values typed unseen, names typed, signed, applied, told.

Rules:
  1. A value that a proposal waits for is typed without an echo, or read from standard input, one a line. It goes to the
     gateway in the body of one call, and the proposal that comes of it is shown like any other.
  2. A deletion is approved by its object's name: typed, or given with `--confirm`. `--yes` does not replace it.
  3. Several are decided in the order in which they are named; the first that is not applied ends it. One that waits
     for another approver ends it too, but for those that need another approver themselves.
  4. While a change of several requests is applied, what is done and what is waited for is said. Ctrl-C ends the
     waiting alone: the change goes on, and how to look at it is said.
"""

import getpass
import shlex
import sys
import time
from collections.abc import Sequence

from skyflo_runbooks.cli import card, operator
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.operator import DecisionKind, Operator
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.entry import key
from skyflo_runbooks.model.errors import BadInput, ExitCode, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.part import parts, standing

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
# Each pod of a drain may wait two minutes for its disruption budget.
_APPLY_SECONDS = 3600
_LONGEST_VALUE = 1 << 20


def code_of(state: str) -> ExitCode:
    """Return the exit code of a proposal's state; rejected, expired, superseded and void are 13."""
    return _CODES.get(state, ExitCode.REFUSED)


def typed_values(gateway: Gateway, view: Json, screen: Screen) -> Json:
    """Ask for what the proposal waits for, and return the proposal that carries references in its place (rule 1)."""
    pointers = [str(pointer) for pointer in view.get("entries") or ()]
    if not pointers:
        return view
    screen.note(f"{view['id']} waits for {len(pointers)} value{'s' if len(pointers) > 1 else ''}; nothing is echoed.")
    values = {pointer: _secret(key(pointer)) for pointer in pointers}
    after: Json = gateway.post(f"/api/v1/proposals/{view['id']}/entry", {"values": values})
    screen.note(f"{after['id']} takes the place of {view['id']}.")
    return after


def _secret(name: str) -> str:
    said = getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.readline(_LONGEST_VALUE).rstrip("\n")
    if not said:
        raise BadInput(f"No value was given for {name}.", next_step="Nothing was changed. Type it, or one a line.")
    return said


def names(views: Sequence[Json], given: Sequence[str], screen: Screen, *, ask: bool) -> dict[str, str]:
    """Return by id the name that approves each deletion among `views`, by rule 2; empty where none is needed."""
    found: dict[str, str] = {}
    for view in views:
        id_, name = str(view["id"]), str(view.get("confirm") or "")
        found[id_] = name if name in given else ""
        if not name or found[id_]:
            continue
        if not ask:
            raise BadInput(
                f"{id_} is approved by the name of what it deletes.",
                next_step=f"Nothing was approved. Add --confirm {shlex.quote(name)}",
            )
        said = (screen.read_line(f"Type {name} to approve {id_}: ") or "").strip()
        if said != name:
            raise BadInput(f"That is not {name}.", next_step=f"Nothing was approved; {id_} waits on.")
        found[id_] = name
    return found


def in_order(
    gateway: Gateway, who: Operator, views: Sequence[Json], typed: dict[str, str], reason: str, screen: Screen
) -> list[Json]:
    """Approve one after the other by rule 3, and return the views of those that were decided."""
    after: list[Json] = []
    waits = False
    try:
        for view in views:
            name = typed.get(str(view["id"]), "")
            done = carry_out(gateway, who, view, "approve", reason, screen, typed=name, waits=waits)
            after.append(done)
            waits = waits or done["state"] == "proposed"
            if code_of(str(done["state"])) not in (ExitCode.DONE, ExitCode.WAITING):
                break
    except SkyfloError:
        # What was applied before it is said; the error itself is told where every error is.
        screen.json(after)
        _tell_rest(views[len(after) :], screen)
        raise
    _tell_rest(views[len(after) :], screen, stopped=str(after[-1]["id"]))
    return after


def _tell_rest(rest: Sequence[Json], screen: Screen, stopped: str = "") -> None:
    at_ = stopped or (str(rest[0]["id"]) if rest else "")
    later = [str(view["id"]) for view in (rest if stopped else rest[1:])]
    if later:
        screen.note(f"Stopped at {at_}: not approved: {', '.join(later)}.")


def carry_out(
    gateway: Gateway,
    who: Operator,
    view: Json,
    decision: DecisionKind,
    reason: str,
    screen: Screen,
    *,
    typed: str = "",
    waits: bool = False,
) -> Json:
    """Decide one proposal, wait until it is applied, say what became of it, and return its view.

    `waits` says that one before it waits for another approver, so that this one may not be applied yet.
    """
    id_ = str(view["id"])
    operator.decide(gateway, who, view=view, decision=decision, reason=reason, typed=typed, waits=waits)
    after = gateway.proposal(id_)
    if after["state"] in ("approved", "executing"):
        with screen.progress(f"{id_} is approved; applying it…"):
            after = settled(gateway, id_, screen)
    screen.line()
    if decision == "approve" and after["state"] == "proposed":
        screen.line(f"✓ Your approval of {id_} stands. It waits for another approver.", "yellow")
    elif decision == "approve" and (after.get("receipt") or {}).get("operator"):
        screen.lines(card.approved(after))
    screen.lines(card.receipt(after))
    return after


def settled(gateway: Gateway, id_: str, screen: Screen) -> Json:
    """Wait until a change is applied, by rule 4, and return its view."""
    told: set[str] = set()
    until = time.monotonic() + _APPLY_SECONDS
    try:
        view = gateway.proposal(id_, wait=1)
        while view["state"] in ("approved", "executing") and time.monotonic() < until:
            _tell_progress(view, told, screen)
            view = gateway.proposal(id_, wait=2)
    except KeyboardInterrupt:
        screen.note(f"{id_} goes on without this terminal. Look at it: skyflo-runbooks show {id_}")
        raise
    return view


def _tell_progress(view: Json, told: set[str], screen: Screen) -> None:
    """Say what is done by now, and once for each request what it waits for."""
    for one, line in zip(standing(view), card.progress(view), strict=True):
        mark = f"{one.part.object} {one.state}"
        if one.state in ("done", "waits") and len(parts(view)) > 1 and mark not in told:
            told.add(mark)
            screen.lines([line])
