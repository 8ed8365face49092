"""The gateway: what a client may ask of it, put together from its parts.

Everything that applies a change goes through `decide`: a signed decision is recorded, the approval is dispatched, the
attempt is journaled, and where a verify step is attached its verdict is measured. Nothing else reaches the executor.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway import identity, reach
from skyflo_runbooks.gateway.alarm import Alarm
from skyflo_runbooks.gateway.approvals import Approvals
from skyflo_runbooks.gateway.decisions import Ballot
from skyflo_runbooks.gateway.events import Events
from skyflo_runbooks.gateway.executor import Executor
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.metrics import Metrics
from skyflo_runbooks.gateway.passkeys import Site
from skyflo_runbooks.gateway.patrol import Patrol
from skyflo_runbooks.gateway.permissions import admit_change, admit_operator, admit_proposal
from skyflo_runbooks.gateway.policy.compose import Rules, compose
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.gateway.proposer import Admit, Proposer, Rehearsal, Render, Wish
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.step import PATIENCE, Patience
from skyflo_runbooks.gateway.store import Row, Store
from skyflo_runbooks.gateway.verifier import Task, Verifier
from skyflo_runbooks.gateway.view import view
from skyflo_runbooks.model.check import Check, build
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import bind, parameters_in, place_of
from skyflo_runbooks.model.proposal import Origin, Verification
from skyflo_runbooks.model.quantity import parse_duration
from skyflo_runbooks.model.verdict import Judgement

LONGEST_WATCH = 86_400.0
_PENDING = frozenset({"proposed", "approved", "executing", "unknown"})
_BUSY = frozenset({"proposed", "approved", "executing"})
log = logging.getLogger(__name__)


class Gateway:
    """One cluster behind the gate. Use as an asynchronous context manager: entering finishes what was left behind.

    `rules` are the policy in force; without any, what a laptop has. `origin` is the gateway's own, for passkeys.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        render: Render,
        redactor: Redactor,
        life: timedelta,
        tick: float = 1.0,
        patience: Patience = PATIENCE,
        rules: Rules | None = None,
        origin: str = "http://localhost",
    ) -> None:
        self.cluster = cluster
        self.store = store
        self.redactor = redactor
        self.events = Events(secrets.token_hex(4))
        self.rules = rules or compose(PolicyFile())
        self.policy = self.rules.policy
        self.approvals = Approvals(cluster=cluster, store=store, rules=self.rules, site=Site(origin))
        self.proposer = Proposer(
            cluster=cluster, store=store, render=render, redactor=redactor, policy=self.policy.name, life=life
        )
        self._executor = Executor(
            cluster=cluster,
            store=store,
            proposer=self.proposer,
            redactor=redactor,
            approvals=self.approvals,
            patience=patience,
        )
        self.verifier = Verifier(cluster=cluster, store=store, proposer=self.proposer, redactor=redactor, tick=tick)
        self.alarm = Alarm(store=store, events=self.events)
        self.metrics = Metrics(store)
        self.events.listeners.append(self.metrics.hear)
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for row in self.store.find(states=frozenset({"executed"})):
            if row.proposal.verification is not None:
                self._spawn(self._judge(row), f"judge {row.proposal.id}")
        patrol = Patrol(
            cluster=self.cluster,
            store=self.store,
            resume=self._executor.resume,
            moved=self._moved,
            policy=self.policy.name,
        )
        self._spawn(patrol.walk(), "patrol")
        self._spawn(self.alarm.watch(), "alarm")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.cluster.aclose()
        self.store.close()

    # Proposals

    async def propose(self, wish: Wish, who: Identity | None = None) -> Row:
        """Return the proposal for a wish, made now or still open. Where `who` asks, it must be theirs to ask."""
        row = await self._proposed(self._with_verification(wish), who)
        self._tell(row)
        return row

    async def rehearse(self, wish: Wish, who: Identity) -> Rehearsal:
        """Say what a wish would do; it must be one that `who` could ask for."""
        await reach.admit(self.cluster, who, wish.tool, wish.arguments)
        return await self.proposer.rehearse(wish, admit=self._admitting(who))

    async def modify(self, id_: str, changes: Json, who: Identity) -> Row:
        """Return the new proposal that replaces `id_`."""
        admit_change(self.rules.roles, who, self.store.get(id_).proposal)
        changes = self._placed(self.store.get(id_), changes)
        wish = self._with_values(self.proposer.modified(id_, changes, requester=str(who)))
        row = await self._proposed(wish, who, supersedes=id_)
        self._tell(row)
        self._tell(self.store.get(id_))
        return row

    async def enter(self, id_: str, values: Mapping[str, str], who: Identity) -> Row:
        """Return the new proposal that carries what an operator typed, as references, in place of its open entries."""
        admit_operator(who, "types a value")
        admit_change(self.rules.roles, who, self.store.get(id_).proposal)
        wish = self.proposer.entered(id_, values, requester=str(who))
        row = await self._proposed(wish, who, supersedes=id_)
        self._tell(row)
        self._tell(self.store.get(id_))
        return row

    async def again(self, id_: str, changes: Json, who: Identity) -> Row:
        """Return a new proposal of a change that was made before, with other values. It is `who` that asks for it."""
        row = self.store.get(id_)
        wish = self._with_values(self.proposer.wish_with(row, self._placed(row, changes), requester=str(who)))
        row = await self._proposed(wish, who)
        self._tell(row)
        return row

    async def roll_back(self, id_: str, who: Identity) -> Row:
        """Return the proposal of the way back. Only an operator asks for it."""
        admit_operator(who, "asks for a way back")
        admit_proposal(self.rules.roles, who, self.store.get(id_).proposal.requests)
        row = await self.proposer.roll_back(id_, requester=str(who))
        self._tell(row)
        return row

    async def decide(self, id_: str, ballot: Ballot, who: Identity) -> Row:
        """Record a signed decision; an approval is dispatched at once, and this returns before it ends."""
        decision = await self.approvals.decide(id_, ballot, who)
        row = self.store.get(id_)
        self.events.publish("decision", {"id": id_, "decision": decision.kind, "operator": decision.operator})
        self._tell(row)
        if row.state == "approved":
            self._spawn(self._finish(row), f"finish {id_}")
        return self.store.get(id_)

    async def settled(self, id_: str, seconds: float) -> Row:
        """Return a proposal when nothing more is under way for it, or after so many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (row := self.store.get(id_)).state in _BUSY and (left := until - loop.time()) > 0:
            await self.events.changed(min(left, 1.0))
        return row

    def view(self, row: Row) -> Json:
        """Return what clients see of a proposal."""
        judgement = self._judgement_of(row)
        told = self.store.told(row.proposal.id) if row.decisions else []
        seen = view(row, judgement, self.store.waited(row), told=told)
        return {**seen, "conditions": self.approvals.conditions(row.proposal)}

    # Verdicts

    async def verify(self, task: Task, after: tuple[str, ...], seconds: float) -> tuple[Judgement, bool]:
        """Return the judgement of a verify step and whether it is final.

        While a change is undecided the checks are attached to it and the answer is INCONCLUSIVE at once; afterwards
        the judging is waited for, at most so many seconds.
        """
        measurable(task.checks, task.within)
        rows = [self.store.get(id_) for id_ in task.changes]
        given = Verification(step=task.step, checks=task.checks, within=task.within, after=after)
        for row in rows:
            if takes_checks(row):
                self.store.attach(row.proposal.id, msgspec.json.encode(given))
        task = with_approved(task, tuple(r.proposal.verification for r in rows if r.proposal.verification))
        if any(row.state in _PENDING for row in rows):
            return self.verifier.provisional(task), False
        running = self.verifier.start(task)
        self._spawn(self._announce(task), f"announce {task.step}")
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(running), seconds), True
        return self.verifier.under_way(task), False

    def undecided(self, ids: tuple[str, ...]) -> list[str]:
        """Return which of these proposals wait for a person."""
        return [id_ for id_ in ids if self.store.get(id_).state == "proposed"]

    def register(self, id_: str, body: Json) -> None:
        """Keep a runbook's steps, so that a card can show what will be verified."""
        if not id_.startswith("rb-") or len(id_) > 80:
            raise BadInput(f"{id_[:80]!r} is not a runbook's id.", next_step="Ids look like rb-7f3k9x2m.")
        known = self.runbook(id_) or {}
        if body.get("digest") and known.get("digest") == body["digest"]:
            # The same digest is the same runbook: nobody exchanges its checks under it.
            return
        with self.store.transaction() as db:
            db.execute("INSERT OR REPLACE INTO runbooks VALUES (?, ?)", (id_, msgspec.json.encode(body)))

    def runbook(self, id_: str) -> Json | None:
        """Return a registered runbook."""
        row = self.store.one("SELECT body FROM runbooks WHERE id = ?", (id_,))
        return None if row is None or not isinstance(row[0], bytes) else msgspec.json.decode(row[0], type=dict)

    def lease(self, key: str, seconds: float) -> bool:
        """Grant `key` to the first who asks, until its time is over."""
        until = (self.store.now() + timedelta(seconds=max(0.0, min(seconds, 86_400.0)))).isoformat()
        with self.store.transaction() as db:
            db.execute("DELETE FROM leases WHERE until < ?", (self.store.now().isoformat(),))
            return db.execute("INSERT OR IGNORE INTO leases VALUES (?, ?)", (key[:400], until)).rowcount == 1

    # Behind the scenes

    async def _proposed(self, wish: Wish, who: Identity | None, *, supersedes: str = "") -> Row:
        """Return the proposal of a wish that is for `who` to ask: by its arguments, and by what they come to."""
        if who is None:
            return await self.proposer.propose(wish, supersedes=supersedes)
        await reach.admit(self.cluster, who, wish.tool, wish.arguments)
        return await self.proposer.propose(wish, supersedes=supersedes, admit=self._admitting(who))

    def _admitting(self, who: Identity) -> Admit:
        """Return what raises where the objects of a change are not for `who` to ask for."""
        return partial(admit_proposal, self.rules.roles, who)

    def _with_verification(self, wish: Wish) -> Wish:
        """Take the verify step from the registered runbook, with the run's parameters, where the wish brings none."""
        known = self.runbook(wish.origin.runbook) if wish.origin.runbook else None
        if known is None:
            return wish
        origin = msgspec.structs.replace(
            wish.origin,
            runbook_digest=str(known.get("digest", "")),
            generator=wish.origin.generator or str(known.get("generator", "")),
        )
        for step in known.get("steps", []):
            if wish.verification is None and step.get("kind") == "verify" and wish.origin.step in step.get("after", []):
                given = {"step": step["id"], **{name: step[name] for name in ("checks", "within", "after")}}
                verification = msgspec.convert(bind(given, wish.parameters), Verification)
                measurable(verification.checks, verification.within)
                return msgspec.structs.replace(wish, origin=origin, verification=verification)
        return msgspec.structs.replace(wish, origin=origin)

    def _with_values(self, wish: Wish) -> Wish:
        """Let parameters follow argument values that a person changed, and what is verified follow the parameters.

        Where the runbook's step says `{"$param": "memory_limit"}` and the argument there is another value now, that
        value is the parameter's in this proposal.
        """
        step = self._change_step(wish.origin)
        if step is None:
            return wish
        values = {**wish.parameters, **parameters_in(step["arguments"], wish.arguments)}
        return self._with_verification(msgspec.structs.replace(wish, parameters=values, verification=None))

    def _placed(self, row: Row, changes: Json) -> Json:
        """Let a person name a value by the runbook's parameter as well as by its place among the arguments."""
        template = (self._change_step(row.proposal.origin) or {}).get("arguments", {})
        known = row.proposal.arguments
        return {name if name in known else place_of(template, name) or name: value for name, value in changes.items()}

    def _change_step(self, origin: Origin) -> Json | None:
        """Return the registered runbook's change step that an origin names."""
        known = self.runbook(origin.runbook) if origin.runbook else None
        steps = (known or {}).get("steps", [])
        return next((s for s in steps if s.get("id") == origin.step and s.get("kind") == "change"), None)

    async def _finish(self, row: Row) -> None:
        """Dispatch an approved proposal and see it through to its verdict."""
        id_ = row.proposal.id
        self.events.publish("attempt", {"id": id_, "state": "executing"})
        done = await self._executor.dispatch(id_)
        self.events.publish("attempt", {"id": id_, "state": done.state})
        self._tell(done)
        await self._judge(done)

    async def _judge(self, row: Row) -> None:
        """Measure the verdict of the verify step that waits for this change, once all its changes are done."""
        verification = row.proposal.verification
        if verification is None or row.state not in ("executed", "failed"):
            return
        task = self._task(row, verification)
        if task is not None and self.verifier.recorded(task) is None:
            self.verifier.start(task)
            await self._announce(task)

    def _task(self, row: Row, verification: Verification) -> Task | None:
        """Return the verify task over all changes that the step names, or None while one of them is not done."""
        origin = row.proposal.origin
        ids = [row.proposal.id]
        for step in verification.after:
            if step == origin.step:
                continue
            same = [
                other
                for other in self.store.find(place=(origin.runbook, origin.run, step))
                if other.state != "superseded"
            ]
            if not same or same[0].state in _PENDING:
                return None
            ids.append(same[0].proposal.id)
        return Task(
            step=verification.step,
            changes=tuple(ids),
            checks=verification.checks,
            within=verification.within,
            runbook=origin.runbook,
            run=origin.run,
        )

    async def _announce(self, task: Task) -> None:
        judgement = await self.verifier.start(task)
        self.events.publish("verdict", {"step": task.step, "runbook": task.runbook, **msgspec.to_builtins(judgement)})

    def _judgement_of(self, row: Row) -> Judgement | None:
        verification = row.proposal.verification
        task = self._task(row, verification) if verification and row.state in ("executed", "failed") else None
        if task is None:
            return None
        return self.verifier.recorded(task) or self.verifier.under_way(task)

    def _moved(self, row: Row) -> None:
        """Tell what the patrol has settled, and judge it."""
        if row.attempt is not None:
            self.events.publish("attempt", {"id": row.proposal.id, "state": row.state})
        self._tell(row)
        self._spawn(self._judge(row), f"judge {row.proposal.id}")

    def _tell(self, row: Row) -> None:
        self.events.publish("proposal", {"id": row.proposal.id, "state": row.state, "step": row.proposal.origin.step})

    def _spawn(self, coroutine: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        """Let go of a task; one that a defect ended is told of, because nobody waits for it."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s ended: %s", task.get_name(), type(error).__name__)


def measurable(checks: tuple[Check, ...], within: str) -> None:
    """Raise `BadInput` where a check is not of the catalogue's form or a time is none: it would never be judged."""
    for check in checks:
        made = build(check.name, [], check.arguments)
        for name, value in made.arguments.items():
            if not isinstance(value, str | int | float | None):
                raise BadInput(f"{check.name}: {name} is one value, got {type(value).__name__}.")
    for text in (within, *(str(check.arguments.get("window") or "0s") for check in checks)):
        if not 0 <= parse_duration(text) <= LONGEST_WATCH:
            raise BadInput(f"A verify step watches for at most 24 h, got {text[:40]!r}.")


def takes_checks(row: Row) -> bool:
    """Return whether checks may be attached to a proposal: the first ones, and not after its decision.

    Then it would look as if the card had shown them.
    """
    return row.proposal.verification is None and row.state in ("proposed", "in_place")


def with_approved(task: Task, approved: tuple[Verification, ...]) -> Task:
    """Return the task with the checks that its changes' cards showed.

    Whatever the cell says by now, they are judged: instead of the cell's own where the step is the same, and besides
    them where another step names the same changes.
    """
    if not approved:
        return task
    same = next((one for one in approved if one.step == task.step), None)
    wanted = [check for one in approved for check in one.checks] + ([] if same else list(task.checks))
    checks = tuple(check for place, check in enumerate(wanted) if check not in wanted[:place])
    return msgspec.structs.replace(task, checks=checks, within=same.within if same else task.within)


def open_store(data_dir: Path, witness: Path | None = None) -> Store:
    """Open the record, or raise `BadInput` where another gateway has it or the place cannot be written.

    `witness` is the file outside the data directory that has seen how far the record had come.
    """
    try:
        return Store(data_dir, witness=witness)
    except OSError as error:
        raise BadInput(
            f"The data directory {data_dir} cannot be used: {error.strerror}.", next_step="Choose another --data-dir."
        ) from error


def new_link(
    store: Store,
    origin: str,
    path: str = "",
    *,
    maker: str = identity.GATEWAY,
    rank: identity.Rank = "admin",
    operator: str = "",
) -> str:
    """Return a fresh one-time link; `maker` is the operator who asked for it, or the gateway itself.

    `rank` is the highest that it gives, `operator` the one name that it serves, empty for any that is free.
    """
    token = identity.issue(store, "link", maker, identity.LINK_LIFE, rank=rank, owner=operator)
    return f"{origin}/login/{token}" + (f"?next={path}" if path else "")
