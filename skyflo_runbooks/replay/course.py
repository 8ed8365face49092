"""The course of one run: what each cell came to, and whether the next one is reached.

Rules:
  1. What a cell is, is decided by the grammar over its source, and what happened by the gateway. An output only names
     the proposal or the verdict; a verdict counts as VERIFIED when the gateway's ledger has it at that place.
  2. The run stops at the first change that is undecided (after `wait` seconds) or refused, at an error, and at a
     change whose outcome was bad: then its verify steps still run, and nothing else does.
  3. A superseded proposal is followed to the one that replaced it.
  4. Every record is in `metadata.skyflo.run`, keyed by cell id: papermill inserts cells, so indexes shift.
"""

import threading
import time
from collections.abc import Callable, Collection

import msgspec
from skyflo_kernel.gateway import OPEN, WAIT, Gateway

from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.notebook import render
from skyflo_runbooks.notebook.cell import Classified
from skyflo_runbooks.replay.status import CellRecord, CellStatus, ProposalRecord, conclude

REST = 1.0
# How often is looked how far a change of several requests is.
STEP = 2.0
# What is approved is applied within seconds, and a lost answer settled within half a minute: even a run that does not
# wait for people waits for that.
GRACE = 45.0
_REFUSED: dict[str, CellStatus] = {
    "rejected": "rejected",
    "expired": "expired",
    "superseded": "rejected",
    "void": "rejected",
}
_DONE: dict[str, CellStatus] = {"executed": "passed", "in_place": "in_place", "failed": "failed"}
_WOULD: dict[str, CellStatus] = {"change": "would_change", "in_place": "in_place", "not_applicable": "inconclusive"}
_VERDICTS: dict[str, CellStatus] = {"VERIFIED": "passed", "FAILED": "failed", "INCONCLUSIVE": "inconclusive"}

# What only a change or a verify cell shows: a cell that the grammar takes for neither must not pass for a mere read.
_STEPS = (render.PROPOSAL, render.RECEIPT, render.WOULD, render.VERDICT)
_OUTSIDE = "a cell outside the grammar asked for a change or a verdict; 'skyflo-runbooks lint' says what to mend"


class Options(msgspec.Struct, frozen=True):
    """How to run: seconds to wait at a change for its decision, whether to rehearse only, and the run's id."""

    run: str
    wait: float = 0.0
    replay: bool = False


class Course:
    """The state of one run over the cells of one notebook; `say` takes a line of progress."""

    def __init__(
        self,
        options: Options,
        gateway: Gateway,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.cells: dict[str, CellRecord] = {}
        self.proposals: list[ProposalRecord] = []
        self.verdicts: list[Json] = []
        self._gateway = gateway
        self._say = say
        self._clock = clock
        self._stopped = ""
        # Changes that ended badly: their verify steps are still reached.
        self._bad: set[str] = set()

    def expect(self, id_: str, cell: Classified) -> None:
        """Note a code cell before anything runs."""
        self.cells[id_] = CellRecord(cell.kind)

    def reaches(self, cell: Classified) -> bool:
        """Whether a cell is to be run now."""
        return not self._stopped or (cell.kind == "verify" and bool(self._bad & set(cell.after)))

    def note(self, id_: str, status: CellStatus, reason: str = "", error: str = "") -> None:
        """Record how a cell stands."""
        self.cells[id_] = CellRecord(self.cells[id_].kind, status, reason, error)

    def stop(self, reason: str) -> None:
        """Reach no further cell."""
        self._stopped = self._stopped or reason

    @property
    def stopped(self) -> str:
        """Why no further cell is reached; empty while the run goes on."""
        return self._stopped

    def finish(self, id_: str, cell: Classified, outputs: list[Json]) -> None:
        """Record how a cell ended that raised nothing; at a change this may wait for the decision."""
        if cell.kind == "rollback":
            self.note(id_, "skipped", "only an operator's own click or command proposes a roll-back")
        elif cell.kind == "change":
            self._finish_change(id_, cell, outputs)
        elif cell.kind == "verify":
            self._finish_verify(id_, outputs)
        elif cell.kind == "read" and (unknown := _unknown(outputs)):
            self.note(id_, "inconclusive", unknown)
        elif data_of(outputs, _STEPS) is not None:
            self.note(id_, "error", _OUTSIDE, "BadInput")
            self.stop(_OUTSIDE)
        else:
            self.note(id_, "passed")

    def record(self, **facts: str) -> Json:
        """Return the run's record for the notebook's metadata, with further `facts`."""
        outcome = conclude(tuple(self.cells.values()), tuple(self.verdicts))
        return {
            "id": self.options.run,
            "replay": self.options.replay,
            "status": outcome.status,
            "exit_code": int(outcome.exit_code),
            "message": outcome.message,
            "cells": {id_: msgspec.to_builtins(cell) for id_, cell in self.cells.items()},
            "proposals": [msgspec.to_builtins(proposal) for proposal in self.proposals],
            "verdicts": list(self.verdicts),
            **facts,
        }

    def _finish_change(self, id_: str, cell: Classified, outputs: list[Json]) -> None:
        would = data_of(outputs, (render.WOULD,))
        if would is not None:
            self.note(id_, _WOULD.get(str(would.get("would")), "inconclusive"), str(would.get("message", "")))
            return
        named = data_of(outputs, (render.PROPOSAL, render.RECEIPT))
        if named is None:
            self.note(id_, "error", "the cell named no proposal")
            self.stop("the change before it named no proposal")
            return
        try:
            view = self._settled(str(named.get("id", "")))
        except SkyfloError as error:
            self.note(id_, "inconclusive", str(error), type(error).__name__)
            self.stop("the gateway could not say how the change before it ended")
            return
        for output in outputs:
            if at(output, "data", render.PROPOSAL) is not None:
                output["data"] = render.change_bundle(view, frame=False)
        self._settle(id_, cell, view)

    def _settle(self, id_: str, cell: Classified, view: Json) -> None:
        proposal, state = str(view.get("id", "")), str(view.get("state", ""))
        self.proposals.append(ProposalRecord(proposal, cell.step, state, str(view.get("tool", ""))))
        if state in ("proposed", "approved", "executing"):
            self.note(id_, "awaiting_approval", f"{proposal} waits for a decision")
            self.stop(f"{proposal} waits for a decision")
            return
        if state in _REFUSED:
            self.note(id_, _REFUSED[state], f"{proposal} is {state}")
            self.stop(f"{proposal} is {state}")
            return
        status = _DONE.get(state, "inconclusive")
        self.note(id_, status, "" if status in ("passed", "in_place") else f"{proposal} is {state}")
        if status not in ("passed", "in_place"):
            self._bad.add(cell.step)
            self.stop(f"{proposal} is {state}")

    def _settled(self, id_: str) -> Json:
        """Return the proposal's view as it is, or after waiting as long as the run may."""
        begun = self._clock()
        told, lines = "", set[str]()
        wait = 0.0
        while True:
            view = self._gateway.proposal(id_, wait=wait)
            state, successor = str(view.get("state", "")), view.get("superseded_by")
            if state == "superseded" and successor:
                id_, wait = str(successor), 0.0
                continue
            patience = self.options.wait if state == "proposed" else max(self.options.wait, GRACE)
            left = begun + patience - self._clock()
            if state not in OPEN or left <= 0:
                return view
            if state == "proposed" and told != id_:
                self._say(f"{id_} waits for a decision: {view.get('url', '')} or 'skyflo-runbooks approve {id_}'")
                told = id_
            if state == "unknown":
                threading.Event().wait(min(REST, left))
            for line in how_far(view):
                if line not in lines:
                    self._say(line)
                lines.add(line)
            wait = min(STEP if state == "executing" else WAIT, left)

    def _finish_verify(self, id_: str, outputs: list[Json]) -> None:
        judgement = data_of(outputs, (render.VERDICT,))
        if judgement is None:
            known = self.options.replay
            self.note(id_, "skipped" if known else "inconclusive", "not measured" + (": a replay" if known else ""))
            return
        verdict = str(judgement.get("verdict", ""))
        if verdict == "VERIFIED" and not self._in_ledger(judgement):
            judgement = {**judgement, "verdict": "INCONCLUSIVE"}
            self.note(id_, "inconclusive", "the gateway's ledger has no such verdict")
        else:
            reasons = "; ".join(str(reason) for reason in judgement.get("reasons") or [])
            self.note(id_, _VERDICTS.get(verdict, "inconclusive"), reasons)
        self.verdicts.append(judgement)

    def _in_ledger(self, judgement: Json) -> bool:
        """Whether the ledger has this verdict at the place that it names; another run may have recorded it first."""
        place = judgement.get("ledger") or {}
        seq, hash_ = place.get("seq"), place.get("hash")
        if not isinstance(seq, int) or not isinstance(hash_, str):
            return False
        try:
            entry = self._gateway.entry(seq)
        except SkyfloError:
            return False
        body = entry.get("body") or {}
        same = all(at(body, name) == judgement.get(name) for name in ("verdict", "step", "changes"))
        return same and entry.get("kind") == "verdict" and entry.get("hash") == hash_


def how_far(view: Json) -> list[str]:
    """Return how far a change of several requests is, and what the next one waits for; nothing of others."""
    done, of = at(view, "progress", "done", default=0), at(view, "progress", "of", default=0)
    if of < 2:
        return []
    waits = at(view, "progress", "waits", "said", default="")
    said = [f"{view.get('id')}: {done} of {of} requests are done"] if done else []
    return [*said, f"{view.get('id')}: the next one waits: {waits}"] if waits else said


def data_of(outputs: list[Json], types: Collection[str]) -> Json | None:
    """Return our own data of the last output that has one of the MIME `types`."""
    for output in reversed(outputs):
        for type_ in types:
            found = at(output, "data", type_)
            if isinstance(found, dict):
                return found
    return None


def _unknown(outputs: list[Json]) -> str:
    found = data_of(outputs, (render.RESULT,)) or {}
    results = found.get("results")
    parts = list(results.values()) if isinstance(results, dict) else [found]
    return "; ".join(str(part["unknown"]) for part in parts if isinstance(part, dict) and part.get("unknown"))
