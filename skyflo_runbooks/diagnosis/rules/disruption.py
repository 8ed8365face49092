"""Family H, disruption: AUT-05, a budget that lets no pod be evicted although every pod is well.

Source of the evidence: the status of the PodDisruptionBudget (`disruptionsAllowed`, `currentHealthy`,
`desiredHealthy`), and a cordoned node with pods under it, which is what a drain leaves that cannot go on: the API
answers its evictions with 429. A budget that allows nothing while nobody drains is somebody's wish, unless the
incident's words speak of a drain; one that allows nothing because pods are not ready is a consequence of what ails
them.
"""

from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import labels_of, leaving, name_of, namespace_of, ready, replicas, whole
from skyflo_runbooks.diagnosis.rules.base import INTENDED, INTENT, UNSAID, Rule, evidence
from skyflo_runbooks.diagnosis.rules.routing import matches
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at

BUDGET = "PodDisruptionBudget"


def no_eviction_allowed(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each budget that lets no pod go though all are well: certain where a node is to be emptied.

    Elsewhere a drain that was refused and given up leaves no trace: only the incident's words tell of it.
    """
    cordoned = {name_of(node): node for node in graph.all("Node") if at(node, "spec", "unschedulable", default=False)}
    for budget in graph.all(BUDGET):
        if not _holds_all(budget):
            continue
        held = [pod for pod in _under(graph, budget) if ready(pod) and not leaving(pod)]
        kept = [pod for pod in held if str(at(pod, "spec", "nodeName")) in cordoned]
        if kept:
            yield _kept(graph, budget, kept, [cordoned[str(at(pod, "spec", "nodeName"))] for pod in kept])
        elif held:
            yield _kept(graph, budget, held, [])


def _holds_all(budget: Json) -> bool:
    """Return whether a budget allows no disruption while as many pods are healthy as it counts."""
    counted, healthy = whole(budget, "status", "expectedPods"), whole(budget, "status", "currentHealthy")
    none = whole(budget, "status", "disruptionsAllowed") == 0 and whole(budget, "status", "desiredHealthy") <= healthy
    return bool(at(budget, "spec", "selector")) and counted > 0 and none and healthy >= counted


def _under(graph: Graph, budget: Json) -> Iterator[Json]:
    chosen, here = at(budget, "spec", "selector"), namespace_of(budget)
    for pod in graph.all("Pod"):
        mine = namespace_of(pod) == here and matches(chosen, labels_of(pod))
        if mine and graph.workload(pod).get("kind") != "DaemonSet":
            yield pod


def _kept(graph: Graph, budget: Json, kept: list[Json], nodes: list[Json]) -> Finding:
    now, workload = graph.snapshot.time, graph.workload(kept[0])
    spec = at(budget, "spec", default={})
    rule = next((f"{key} {spec[key]}" for key in ("minAvailable", "maxUnavailable") if key in spec), "no rule")
    names = ", ".join(dict.fromkeys(name_of(node) for node in nodes))
    where = f"leave {names}, which is to be emptied" if nodes else "be evicted, so that no drain gets past them"
    return Finding(
        fault="AUT-05",
        title=f"{ref(budget)} ({rule}) lets no pod of {ref(workload)} {where}",
        object=ref(budget),
        confidence=0.92 if nodes else INTENDED,
        evidence=(
            evidence(budget, "spec", now, f"{rule}; the workload wants {replicas(workload)} pods"),
            evidence(
                budget,
                "status",
                now,
                f"disruptionsAllowed 0, {whole(budget, 'status', 'currentHealthy')} healthy, "
                f"{whole(budget, 'status', 'desiredHealthy')} needed",
            ),
            *(evidence(node, "spec.unschedulable", now, "true") for node in nodes[:1]),
            *(evidence(pod, "spec.nodeName", now, str(at(pod, "spec", "nodeName"))) for pod in kept[:3]),
        ),
        facts=_facts(graph, budget, workload) | ({} if nodes else {INTENT: "spec", UNSAID: "status"}),
        related=(ref(workload), *(ref(pod) for pod in kept)),
        explains=tuple(dict.fromkeys(ref(node) for node in nodes)),
        advice="More pods, or a budget that allows one disruption, let the drain go on; the budget itself stays."
        if replicas(workload) > 1
        else "It has one pod: with another one the drain goes on, or somebody agrees that it is away for a while.",
    )


def _facts(graph: Graph, budget: Json, workload: Json) -> dict[str, str]:
    """Return what a repair may set: more pods than now, so that one may go, or the budget that allows one to.

    One pod alone is never let go by the budget: nothing would be left.
    """
    least, facts = at(budget, "spec", "minAvailable"), {"workload": str(ref(workload))}
    scaled = any(
        (at(item, "spec", "scaleTargetRef", "name"), namespace_of(item)) == (name_of(workload), namespace_of(workload))
        for item in graph.all("HorizontalPodAutoscaler")
    )
    grows = isinstance(least, int) and least + 1 > replicas(workload)
    if grows and workload.get("kind") in ("Deployment", "StatefulSet") and not scaled:
        facts["replicas"] = str(least + 1)
    if replicas(workload) > 1:
        facts["allow"] = "1"
    return facts


RULES = (Rule(fault="AUT-05", needs=("Node", "Pod"), find=no_eviction_allowed),)

__all__ = ["RULES"]
