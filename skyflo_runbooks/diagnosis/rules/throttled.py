"""Family C, containers that wait for CPU: CON-21.

Source of the evidence: the kubelet's counters of the periods in which a container wanted to run and of those in which
its limit was used up (cAdvisor, cfs_periods and cfs_throttled_periods), beside what it uses now. Some waiting is usual
for a process in bursts: a quarter of all periods, while it uses nearly all of its limit, is not.
"""

from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import amount, containers, leaving, name_of, namespace_of
from skyflo_runbooks.diagnosis.pointed import NEARLY
from skyflo_runbooks.diagnosis.rules.base import Rule, culprit, evidence, outdated, services
from skyflo_runbooks.diagnosis.snapshot import Throttle, Usage
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef

# Periods are of 100 ms: less than half a minute of them says little.
_ENOUGH = 300
_MUCH = 0.25

Held = tuple[Json, Throttle, Usage, str]


def throttled(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container of a workload that its CPU limit keeps waiting."""
    waits = {(one.namespace, one.pod, one.container): one for one in graph.snapshot.throttled}
    found: dict[tuple[ObjectRef, str], list[Held]] = {}
    for pod in graph.all("Pod") if waits else ():
        uses = {use.container: use for use in graph.usage(pod)}
        for container in containers(pod) if not leaving(pod) else ():
            one = waits.get((namespace_of(pod), name_of(pod), container.name))
            limit, use = amount(container.spec, "limits", "cpu"), uses.get(container.name)
            if one is None or one.periods < _ENOUGH or one.share <= _MUCH or not limit:
                continue
            busy = use is not None and use.cpu is not None and use.cpu >= NEARLY * float(limit)
            workload = culprit(graph, pod)
            if use is not None and busy and not outdated(graph, workload, pod):
                text = str(container.spec["resources"]["limits"]["cpu"])
                found.setdefault((ref(workload), container.name), []).append((pod, one, use, text))
    for (owner, name), held in found.items():
        workload_found = graph.get(owner)
        if workload_found is not None:
            yield _finding(graph, workload_found, name, held)


def _finding(graph: Graph, workload: Json, name: str, held: list[Held]) -> Finding:
    worst = max(held, key=lambda item: item[1].share)
    share, limit, now = worst[1].share, worst[3], graph.snapshot.time
    return Finding(
        fault="CON-21",
        title=f"{name} of {ref(workload)} waits for CPU: its limit of {limit} is used up in {share:.0%} of its periods",
        object=ref(workload),
        confidence=0.9,
        evidence=(
            *(_waited(pod, one, now) for pod, one, _, _ in held[:3]),
            *(_used(pod, use, now) for pod, _, use, _ in held[:1]),
            evidence(workload, f"template of container {name}", now, f"resources.limits.cpu is {limit}"),
        ),
        facts={"container": name, "limit": limit, "share": f"{share:.2f}"},
        related=(*(ref(pod) for pod, _, _, _ in held), *services(graph, workload)),
        advice="Raise the CPU limit or take it away: a request alone shares the node's CPU fairly.",
    )


def _waited(pod: Json, one: Throttle, now: str) -> Evidence:
    text = f"throttled in {one.throttled} of {one.periods} periods ({one.share:.0%})"
    return evidence(pod, f"CPU periods of container {one.container}", now, text)


def _used(pod: Json, use: Usage, now: str) -> Evidence:
    return evidence(pod, f"usage of container {use.container}", use.at or now, f"{use.cpu or 0:.3f} cores")


ABOUT = r"(?i)\bslow|latenc|throttl"

RULES = (Rule(fault="CON-21", needs=("Pod",), find=throttled, wants=("Usage", "Throttling"), about=ABOUT),)

__all__ = ["RULES"]
