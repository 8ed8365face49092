"""Judges a verify step: looks until the windows are over, and records one verdict.

Rules (the verdict itself is decided in `model.verdict`, what a check came to in `watch`):
  1. One verdict per verify step over its changes' attempts. It is recorded in the ledger before anyone hears of it.
  2. Each round also reads the changed objects. If one is not as our attempt left it, somebody else changed it in the
     window: the looking ends and the verdict is INCONCLUSIVE.
  3. Windows run in the cluster's time. A gateway that stops in a window begins a new one when it starts again; it
     never stitches two together.
"""

import asyncio
from datetime import datetime

import msgspec
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway import prepare, watch
from skyflo_runbooks.gateway.checks.observe import observe
from skyflo_runbooks.gateway.checks.view import View
from skyflo_runbooks.gateway.owned import in_its_wake
from skyflo_runbooks.gateway.proposer import Proposer
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.store import Row, Store, rfc3339
from skyflo_runbooks.gateway.watch import Series
from skyflo_runbooks.model.check import Check, Outcome
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json, at, canonical
from skyflo_runbooks.model.lifecycle import State
from skyflo_runbooks.model.quantity import format_duration, parse_duration
from skyflo_runbooks.model.verdict import Judgement, LedgerPlace, judge


class Task(msgspec.Struct, frozen=True):
    """One verify step to judge: its checks over the proposals `changes`."""

    step: str
    changes: tuple[str, ...]
    checks: tuple[Check, ...]
    within: str = "10m"
    runbook: str = ""
    run: str = ""

    @property
    def key(self) -> str:
        """What makes two tasks the same verify step over the same attempts."""
        # As JSON, so that no name of a run or a step can be written to look like another task's.
        over: list[str] | str = sorted(self.changes) or self.run
        return canonical([self.runbook, self.step, over]).decode()


class Verifier:
    """Judges verify steps on one cluster; `tick` is the time between two rounds in real seconds."""

    def __init__(
        self, *, cluster: Cluster, store: Store, proposer: Proposer, redactor: Redactor, tick: float = 1.0
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._proposer = proposer
        self._redactor = redactor
        self.tick = tick
        self._running: dict[str, asyncio.Task[Judgement]] = {}
        self.progress: dict[str, tuple[Outcome, ...]] = {}

    def recorded(self, task: Task) -> Judgement | None:
        """Return the verdict that was recorded for this step and these changes."""
        row = self._store.one("SELECT body FROM verdicts WHERE key = ?", (task.key,))
        return None if row is None else msgspec.json.decode(_bytes(row[0]), type=Judgement)

    def provisional(self, task: Task) -> Judgement:
        """Return what can be said while a change is undecided: INCONCLUSIVE, and not recorded."""
        states = self._states(task)
        verdict, reasons = judge(changes=states, outcomes=())
        return Judgement(verdict=verdict, step=task.step, changes=task.changes, checks=(), reasons=reasons)

    def start(self, task: Task) -> asyncio.Task[Judgement]:
        """Begin judging, or return the judging that is under way."""
        running = self._running.get(task.key)
        if running is None:
            running = asyncio.create_task(self._judge(task), name=f"verify {task.step}")
            self._running[task.key] = running
            running.add_done_callback(lambda _: self._running.pop(task.key, None))
        return running

    def under_way(self, task: Task) -> Judgement:
        """Return what the checks show so far: INCONCLUSIVE, and not recorded."""
        checks = self.progress.get(task.key, ())
        waits = ("the checks are still being observed",)
        return Judgement(verdict="INCONCLUSIVE", step=task.step, changes=task.changes, checks=checks, reasons=waits)

    def _states(self, task: Task) -> dict[str, State]:
        return {id_: self._store.get(id_).state for id_ in task.changes}

    async def _judge(self, task: Task) -> Judgement:
        found = self.recorded(task)
        if found is not None:
            return found
        started = rfc3339(self._store.now())
        states = self._states(task)
        outcomes: tuple[Outcome, ...] = ()
        disturbed: tuple[str, ...] = ()
        if all(state in ("executed", "in_place") for state in states.values()):
            outcomes, disturbed = await self._watch(task)
        self.progress.pop(task.key, None)
        verdict, reasons = judge(changes=self._states(task), outcomes=outcomes, disturbed=disturbed)
        windows = [Series(check).window for check in task.checks]
        return self._record(
            task,
            Judgement(
                verdict=verdict,
                step=task.step,
                changes=task.changes,
                checks=outcomes,
                started=started,
                finished=rfc3339(self._store.now()),
                window=format_duration(max(windows, default=0.0)),
                reasons=tuple(self._redactor.error(reason) for reason in reasons),
            ),
        )

    async def _watch(self, task: Task) -> tuple[tuple[Outcome, ...], tuple[str, ...]]:
        series = [Series(check) for check in task.checks]
        rows = [self._store.get(id_) for id_ in task.changes]
        begin: datetime | None = None
        start: datetime | None = None
        disturbed: tuple[str, ...] = ()
        late = False
        last: datetime | None = None
        patience = asyncio.get_running_loop().time() + parse_duration(task.within) + watch.PATIENCE
        while True:
            told = await self._now()
            if told is not None:
                now = last = watch.after(told, last)
                start = start or now
                held = watch.settled(series)
                disturbed = await self._round(series, rows, now, start)
                if begin is None and held and watch.settled(series):
                    begin = now
                over = (now - start).total_seconds() >= parse_duration(task.within) + _longest(series)
                failed = any(watch.broken(one, begin) for one in series)
                done = begin is not None and all(watch.complete(one, begin) for one in series)
                waiting = begin is None and not watch.settled(series)
                late = waiting and (now - start).total_seconds() >= parse_duration(task.within)
                self.progress[task.key] = self._outcomes(series, begin, over=False)
                if disturbed or failed or done or late or over:
                    break
            elif asyncio.get_running_loop().time() >= patience:
                break
            await asyncio.sleep(self.tick)
        return self._outcomes(series, begin, over=True, late=late), disturbed

    async def _round(self, series: list[Series], rows: list[Row], now: datetime, start: datetime) -> tuple[str, ...]:
        view = View(self._cluster, now=now, since=min((_applied_at(row, start) for row in rows), default=start))
        try:
            seen = await asyncio.gather(*(observe(one.check, view) for one in series))
            disturbances = await asyncio.gather(*(self._disturbance(row) for row in rows))
        finally:
            await view.close()
        for one, observation in zip(series, seen, strict=True):
            one.seen.append(observation)
        return tuple(said for each in disturbances for said in each)

    async def _now(self) -> datetime | None:
        try:
            return await self._cluster.now()
        except SkyfloError:
            return None

    async def _disturbance(self, row: Row) -> list[str]:
        """Return what somebody else changed in the objects of a proposal since our attempt."""
        if row.attempt is None:
            return []
        found = []
        for sealed, left in zip(self._proposer.sealed(row.proposal.id), row.attempt.after, strict=False):
            try:
                live = await prepare.live(self._cluster, sealed.request)
            except SkyfloError:
                # Not known now; the checks that read this object are unknown as well.
                continue
            ignored = (*sealed.ignored, *in_its_wake(sealed.request))
            state = prepare.state_of(live, ignored=ignored, secret_key=self._proposer.secret_key)
            if disturbed(left, live, state):
                found.append(f"{sealed.request.target} was changed by somebody else in the window{_who(live)}")
        return found

    def _outcomes(
        self, series: list[Series], begin: datetime | None, *, over: bool, late: bool = False
    ) -> tuple[Outcome, ...]:
        made = (watch.outcome(one, begin, over=over, late=late) for one in series)
        return tuple(self._said(one) for one in made)

    def _said(self, outcome: Outcome) -> Outcome:
        """Return an outcome with secrets masked: what was observed is in the words of the cluster and of its pods."""
        return msgspec.structs.replace(
            outcome,
            check=self._redactor.text(outcome.check),
            expected=self._redactor.text(outcome.expected),
            observed=self._redactor.error(outcome.observed),
            evidence=tuple(map(self._redactor.error, outcome.evidence)),
        )

    def _record(self, task: Task, judgement: Judgement) -> Judgement:
        body = {**msgspec.to_builtins(judgement), "runbook": task.runbook, "run": task.run}
        entry = self._store.record("verdict", body)
        placed = msgspec.structs.replace(judgement, ledger=LedgerPlace(entry.seq, entry.hash))
        with self._store.transaction() as db:
            db.execute("INSERT OR IGNORE INTO verdicts VALUES (?, ?)", (task.key, msgspec.json.encode(placed)))
        return placed


def disturbed(left: Json, live: Json | None, state: str) -> bool:
    """Return whether a live object is not what our request left.

    What was deleted may still be going, and a controller may make it again: only one that nobody owns came from
    somebody else.
    """
    gone = left.get("gone")
    if gone is None:
        return bool(left.get("desired_state") not in (None, state))
    made_again = live is not None and at(live, "metadata", "uid") != gone
    return made_again and not at(live, "metadata", "ownerReferences", default=[])


def _longest(series: list[Series]) -> float:
    return max((one.window for one in series), default=0.0) + watch.PATIENCE


def _applied_at(row: Row, fallback: datetime) -> datetime:
    """Return when the change was applied, in the cluster's time as its own answer said it."""
    times = [str(one.get("at")) for one in (row.attempt.applied if row.attempt else []) if one.get("at")]
    return datetime.fromisoformat(min(times)) if times else fallback


def _who(live: Json | None) -> str:
    entries = [e for e in at(live, "metadata", "managedFields", default=[]) if e.get("subresource") != "status"]
    last = max(entries, key=lambda entry: str(entry.get("time", "")), default=None)
    return "" if last is None else f" (last writer: {last.get('manager')})"


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
