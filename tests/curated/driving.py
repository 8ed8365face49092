"""Goes through a shipped notebook's steps at a gateway in this process, as a kernel would, without a kernel."""

from __future__ import annotations

import json

import msgspec

from skyflo_runbooks.cli import shelf
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.gateway.verifier import Task
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import (
    ChangeStep,
    GatherStep,
    Plan,
    ReadCall,
    ReadStep,
    RollbackStep,
    VerifyStep,
    bind,
    bind_check,
    missing,
)
from skyflo_runbooks.model.proposal import Origin, Verification
from skyflo_runbooks.model.verdict import Judgement
from skyflo_runbooks.notebook.parse import parse
from tests.gateway.world import KERNEL, Gated

Value = str | int | float | bool
SETTLE = "30s"


def shipped(name: str) -> Json:
    """Return a shipped notebook."""
    found: Json = json.loads((shelf.folder() / f"{name}.ipynb").read_text())
    return found


class Course(msgspec.Struct):
    """One run of a notebook with values for its parameters."""

    gate: Gated
    plan: Plan
    values: dict[str, Value]

    @classmethod
    def of(cls, gate: Gated, book: str, /, **values: Value) -> Course:
        """Begin a run; every required parameter is given, and the window is short."""
        plan = parse(shipped(book)).plan
        assert not missing(plan.parameters, values)
        known = {item.name: item.default for item in plan.parameters}
        assert set(values) <= set(known)
        short = {"settle": SETTLE} if "settle" in known else {}
        return cls(gate, plan, {**known, **short, **values})

    async def reads(self) -> dict[str, Json]:
        """Make every read, and return what each answered; one that is refused fails the test."""
        found: dict[str, Json] = {}
        for step in self.plan.steps:
            calls = {step.id: ReadCall(step.tool, step.arguments)} if isinstance(step, ReadStep) else {}
            for name, call in (step.reads if isinstance(step, GatherStep) else calls).items():
                arguments = bind(call.arguments, self.values)
                assert isinstance(arguments, dict)
                answer = await self.gate.gate.read(call.tool, arguments, KERNEL)
                assert isinstance(answer.result, dict), name
                found[name] = answer.result
        return found

    async def propose(self) -> Row:
        """Propose the change, with the verify step that belongs to it."""
        (change,) = (step for step in self.plan.steps if isinstance(step, ChangeStep))
        arguments = bind(change.arguments, self.values)
        assert isinstance(arguments, dict)
        verify = self._verify()
        checks = tuple(bind_check(check, self.values) for check in verify.checks)
        origin = Origin(requester=str(KERNEL), runbook=self.plan.id, step=change.id, run="run-curated")
        said = Verification(step=verify.id, checks=checks, within=verify.within, after=verify.after)
        return await self.gate.gateway.propose(Wish(change.tool, arguments, origin, change.why, said))

    async def judge(self, *rows: Row, wait: float = 60.0) -> Judgement:
        """Measure the verify step over these changes."""
        verify = self._verify()
        checks = tuple(bind_check(check, self.values) for check in verify.checks)
        changes = tuple(row.proposal.id for row in rows)
        task = Task(verify.id, changes, checks, verify.within, self.plan.id, "run-curated")
        judgement, final = await self.gate.gateway.verify(task, verify.after, wait)
        assert final, judgement
        return judgement

    async def through(self) -> tuple[Row, Judgement]:
        """Look, propose, approve and measure: the whole runbook."""
        await self.reads()
        row = await self.gate.approve(await self.propose())
        return row, await self.judge(row)

    def _verify(self) -> VerifyStep:
        (verify,) = (step for step in self.plan.steps if isinstance(step, VerifyStep))
        backs = [step.of for step in self.plan.steps if isinstance(step, RollbackStep)]
        assert tuple(backs) == verify.after
        return verify
