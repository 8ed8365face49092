"""The steps of a runbook, as its cells call them.

Rules:
  1. Before a step everything that it rests on is checked: the parameters' types and names, and its own arguments.
  2. `read` and `gather` ask the gateway's read tools. A read that was refused or failed is *not known*: it is shown as
     that, and the runbook goes on; the gateway judges without it.
  3. `change` proposes and returns at once. Nothing here decides, waits for a decision, or writes.
  4. `verify` asks the gateway for its verdict and shows it as it came. It never makes up one of its own, but where a
     change was only rehearsed there is nothing to measure, and it says that.
  5. `rollback` proposes nothing: only an operator's own click or command does.
"""

from __future__ import annotations

import functools
import os
import secrets
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import msgspec

from skyflo_kernel import parameters
from skyflo_kernel.follow import follow
from skyflo_kernel.gateway import WAIT, Gateway
from skyflo_kernel.place import Place, caller
from skyflo_kernel.show import Shown, framed, in_notebook, show
from skyflo_kernel.values import Change, Result, Results, Verdict
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.errors import BadInput, SkyfloError, Unknown
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.quantity import parse_duration
from skyflo_runbooks.notebook import render
from skyflo_runbooks.notebook.cell import CLUSTER_NAME, ID_NAME, step_id

REPLAY = "SKYFLO_REPLAY"
RUN = "SKYFLO_RUN"
# How long a verdict may take beyond the step's own `within` and the longest window.
GRACE = 120.0

P = ParamSpec("P")
R = TypeVar("R")


def _step(method: Callable[P, R]) -> Callable[P, R]:
    """Let an error of ours show as its two sentences, without the traceback of this package."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except SkyfloError as error:
            lines = [f"{type(error).__name__}: {error.message}", *([error.next_step] if error.next_step else [])]
            error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]  # IPython's hook for short errors
            raise

    return call


class Runbook:
    """The steps. One object per kernel; `run` names this kernel's execution in the ledger."""

    def __init__(self, gateway: Gateway | None = None, *, run: str = "") -> None:
        self._gateway = gateway or Gateway()
        self.run = run or os.environ.get(RUN, "") or f"run-{secrets.token_hex(6)}"

    @_step
    def read(self, tool: str, /, **arguments: object) -> Result:
        """Call a read-only tool, show what it answered, and return it."""
        place = caller()
        parameters.check(place.namespace)
        step = place.name or step_id("read", tool=tool)
        result = self._read(place, step, tool, arguments)
        if result.unknown:
            show(render.unknown_bundle(step, tool, result.unknown))
        else:
            show(render.result_bundle(step, tool, result.value, at=result.at))
        return result

    @_step
    def gather(self, **reads: tuple[str, Json]) -> Results:
        """Call several read-only tools side by side, show what they answered, and return it by name."""
        from concurrent.futures import ThreadPoolExecutor

        place = caller()
        parameters.check(place.namespace)
        step = place.name or step_id("gather")
        for name, pair in reads.items():
            if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], dict)):
                raise BadInput(f"The read {name!r} is not of its form.", next_step='Write name=("tool", {…}).')
        with ThreadPoolExecutor(max_workers=min(16, max(1, len(reads)))) as pool:
            asked = {name: pool.submit(self._read, place, step, *pair) for name, pair in reads.items()}
            results = {name: future.result() for name, future in asked.items()}
        parts = {name: (found.tool, found.unknown or found.value, found.at) for name, found in results.items()}
        unknown = {name for name, found in results.items() if found.unknown}
        show(render.gather_bundle(step, parts, unknown=unknown))
        return Results(results)

    @_step
    def change(self, tool: str, /, *, why: str = "", **arguments: object) -> Change:
        """Propose a change and show its card. It returns at once; a person decides on the gateway's own page."""
        place = caller()
        values = parameters.check(place.namespace)
        step = place.name or step_id("change", tool=tool)
        body = {
            **self._origin(place, step),
            "tool": tool,
            "arguments": arguments,
            "why": why,
            "cluster": place.own(CLUSTER_NAME),
            "parameters": values,
        }
        if os.environ.get(REPLAY) == "1":
            answer = self._gateway.propose({**body, "replay": True})
            show(render.would_bundle(step, tool, answer))
            return Change(step, {}, self._gateway, would=str(answer.get("would", "unknown")))
        view = self._gateway.propose(body)
        change = Change(step, view, self._gateway)
        frame = framed()
        shown = show(render.change_bundle(view, frame=frame))
        if change.open and in_notebook():
            follow(change, shown, frame=frame)
        else:
            change.settled.set()
        return change

    @_step
    def verify(self, *checks: Check, after: Sequence[Change] = (), within: str = "10m") -> Verdict:
        """Ask the gateway to measure the checks after the changes, show its verdict, and return it."""
        place = caller()
        parameters.check(place.namespace)
        step = place.name or step_id("verify")
        _check_verify(checks, after, within)
        rehearsed = [change for change in after if change.would]
        if any(change.would != "in_place" for change in rehearsed):
            said = ", ".join(f"{change.step} ({change.would.replace('_', ' ')})" for change in rehearsed)
            show(render.note_bundle(f"Not measured: this is a replay, and nothing was changed by {said}."))
            return Verdict({"verdict": "INCONCLUSIVE", "step": step, "checks": [], "reasons": ["replay"]})
        body = {
            **self._origin(place, step),
            "changes": [change.refresh().id for change in after if not change.would],
            "after": [change.step for change in after],
            "checks": [msgspec.to_builtins(check) for check in checks],
            "within": within,
        }
        # While a person has not decided there is nothing to wait for: the gateway says INCONCLUSIVE, once.
        undecided = any(change.state == "proposed" for change in after)
        longest = 0.0 if undecided else _longest(checks, within)
        return self._judge(body, show(render.note_bundle(f"{step}: measuring …")), longest)

    @_step
    def rollback(self, step: Change, /) -> None:
        """Say how the way back is proposed. Running this cell proposes nothing."""
        if not isinstance(step, Change):
            raise BadInput(f"rollback takes the name of a change step, got {type(step).__name__}.")
        if step.id:
            step.refresh()
        where = f" Its change is {step.id} ({step.state})." if step.id else ""
        command = f"skyflo-runbooks rollback {step.id}" if step.id else "skyflo-runbooks rollback ID"
        show(
            render.note_bundle(
                f"The way back is proposed only by an operator: a click on the gateway's page, or '{command}'. "
                f"It needs an approval of its own.{where}"
            )
        )

    @_step
    def record(self) -> None:
        """Show the ledger's entries of this run."""
        show(render.record_bundle(self._gateway.record(self.run)))

    def __repr__(self) -> str:
        return f"<runbook {self.run}>"

    def _origin(self, place: Place, step: str) -> Json:
        return {"runbook": place.own(ID_NAME), "step": step, "run": self.run}

    def _read(self, place: Place, step: str, tool: str, arguments: Json) -> Result:
        try:
            answer = self._gateway.read(tool, {**self._origin(place, step), "arguments": arguments})
        except Unknown as error:
            return Result(tool, None, unknown=str(error) or "the read failed")
        return Result(tool, answer.get("result"), str(answer.get("at", "")))

    def _judge(self, body: Json, shown: Shown, longest: float) -> Verdict:
        """Ask in slices until the verdict is final, or a person has to decide first."""
        import time

        ends = time.monotonic() + longest
        try:
            while True:
                judgement = self._gateway.verdict(body, wait=WAIT)
                final = judgement.pop("final", True)
                undecided = judgement.pop("undecided", [])
                if final or undecided or time.monotonic() > ends:
                    break
                shown.replace(render.progress_bundle(judgement))
        except KeyboardInterrupt:
            shown.replace(render.note_bundle(f"{body['step']}: interrupted, no verdict. Run the cell again."))
            raise
        shown.replace(render.verdict_bundle(judgement))
        return Verdict(judgement)


def _check_verify(checks: Sequence[object], after: Sequence[object], within: str) -> None:
    for check in checks:
        if not isinstance(check, Check):
            raise BadInput(f"verify takes checks, got {type(check).__name__}.", next_step="Write check.…(…).")
    for change in after:
        if not isinstance(change, Change):
            raise BadInput(
                f"after=[…] takes change steps, got {type(change).__name__}.",
                next_step="Run the change cell first.",
            )
    parse_duration(within)


def _longest(checks: Sequence[Check], within: str) -> float:
    windows = [str(check.arguments["window"]) for check in checks if check.arguments.get("window")]
    return parse_duration(within) + max([parse_duration(window) for window in windows], default=0.0) + GRACE
