"""What the kubelet says of the pods that it evicted.

It says it in the pod's status (reason Evicted, and the message), and in an event with the same message
(k8s.io/kubernetes/pkg/kubelet/eviction/eviction_manager.go). Where the process ends well as soon as it is asked to, the
status that stays can be the one of a container that finished: phase Succeeded, and no word of the eviction. Then the
event alone tells.
"""

from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.pods import condition
from skyflo_runbooks.diagnosis.rules.base import event_time, evidence
from skyflo_runbooks.model.finding import Evidence
from skyflo_runbooks.model.json import Json, at

_EVICTED = "Evicted"


class Eviction(msgspec.Struct, frozen=True):
    """One pod that its kubelet evicted: what it said, when (RFC 3339; the reading, if nothing tells), and where."""

    pod: Json
    said: str
    when: str
    where: str

    def cited(self, text: str = "") -> Evidence:
        """Return it as evidence: the part of what was said that matters, else all of it."""
        return evidence(self.pod, self.where, self.when, text or self.said or _EVICTED)


def evictions(graph: Graph) -> Iterator[Eviction]:
    """Yield the evictions that pods or events tell of: one for each pod that is there, in the order they were read."""
    told = set()
    for pod in graph.ailing:
        if at(pod, "status", "reason") == _EVICTED:
            told.add(id(pod))
            when = str(condition(pod, "DisruptionTarget").get("lastTransitionTime") or graph.snapshot.time)
            yield Eviction(pod, str(at(pod, "status", "message", default="")), when, "status.message")
    for pod, event in graph.told("Pod", _EVICTED):
        if id(pod) not in told:
            told.add(id(pod))
            yield Eviction(pod, str(event.get("message", "")), event_time(event), f"event {_EVICTED}")


__all__ = ["Eviction", "evictions"]
