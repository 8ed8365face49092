"""What a monitoring system reads of the gateway, in Prometheus' text form.

Rules:
  1. What the record knows is counted from the record when it is asked for, so that a restart forgets nothing.
  2. Labels are words of our own: a state, a decision, an outcome, a registered tool. No name, object, value or person.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from skyflo_runbooks.gateway.events import Event
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.lifecycle import STATES

if TYPE_CHECKING:
    from prometheus_client.core import Metric

TYPE = "text/plain; version=0.0.4; charset=utf-8"
OUTCOMES = {
    "succeed": "executed",
    "fail": "failed",
    "lose": "unknown",
    "settle_executed": "found_executed",
    "settle_failed": "found_failed",
    "settle_void": "found_void",
}
DECISIONS = ("approve", "reject")
# A local control plane answers within 300 ms (design, section 12); a slow webhook takes up to half a minute.
BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """The figures of one gateway. `hear` is told every event."""

    def __init__(self, store: Store) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram

        self._store = store
        self.registry = CollectorRegistry()
        self._applied = Histogram(
            "skyflo_approve_to_applied_seconds",
            "From the decision to the API server's answer.",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._tools = Counter("skyflo_tool_calls", "Read tools that were called.", ["tool"], registry=self.registry)
        self._alarms = Counter("skyflo_alarms", "Approvals that were not dispatched in time.", registry=self.registry)
        self.registry.register(Counted(store))

    def hear(self, event: Event) -> None:
        """Count an event."""
        if event.kind == "tool":
            self._tools.labels(tool=str(event.data["tool"])).inc()
        elif event.kind == "alarm" and not event.data["over"]:
            self._alarms.inc()
        elif event.kind == "attempt" and event.data["state"] == "executed":
            self._observe(str(event.data["id"]))

    def text(self) -> bytes:
        """Return everything in Prometheus' text form."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)

    def _observe(self, id_: str) -> None:
        try:
            row = self._store.get(id_)
        except SkyfloError:
            return  # A record that cannot be read now must not stop what it tells of.
        if row.decision is not None and row.attempt is not None and row.attempt.ended:
            took = datetime.fromisoformat(row.attempt.ended) - datetime.fromisoformat(row.decision.at)
            self._applied.observe(max(0.0, took.total_seconds()))


class Counted:
    """What is counted from the record, by rule 1: a collector of prometheus-client's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> list["Metric"]:
        """Return nothing, so that registering asks for no figures."""
        return []

    def collect(self) -> Iterator["Metric"]:
        """Yield each figure as it is now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        counts = self._store.counts()
        proposals = GaugeMetricFamily("skyflo_proposals", "Proposals by state.", labels=["state"])
        for state in STATES:
            proposals.add_metric([state], counts.get(state, 0))
        yield proposals
        kinds = self._store.told_of((*DECISIONS, *OUTCOMES))
        decisions = CounterMetricFamily("skyflo_decisions", "Decisions in the ledger.", labels=["decision"])
        for kind in DECISIONS:
            decisions.add_metric([kind], kinds.get(kind, 0))
        yield decisions
        attempts = CounterMetricFamily("skyflo_attempts", "Attempts by what they came to.", labels=["outcome"])
        for kind, outcome in OUTCOMES.items():
            attempts.add_metric([outcome], kinds.get(kind, 0))
        yield attempts
        waiting = self._store.waiting()
        yield GaugeMetricFamily("skyflo_approved_not_dispatched", "Approved, not dispatched.", value=len(waiting))
        yield GaugeMetricFamily(
            "skyflo_approved_not_dispatched_seconds",
            "For how long the oldest approval waits to be dispatched.",
            value=max(waiting.values(), default=0.0),
        )
        yield GaugeMetricFamily("skyflo_ledger_entries", "Entries of the ledger.", value=self._store.length())
        unsigned = self._store.book.unsigned_for(self._store.now()) or 0.0
        yield GaugeMetricFamily("skyflo_unsigned_seconds", "Age of the oldest unsigned entry.", value=unsigned)
