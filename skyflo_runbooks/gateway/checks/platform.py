"""The checks of what workloads stand on, each observed once: nodes, quotas, autoscalers, claims, certificates.

What the server does not say (a status that is not written yet, a measurement that failed) is `unknown`, never `yes`.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

from skyflo_mcp.kubernetes.certificates import certificates

from skyflo_runbooks.gateway.checks.view import Seen, View, name_of, seen
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import parse_quantity

_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
_MIRROR = "kubernetes.io/config.mirror"


async def node_ready(view: View, *, name: str, schedulable: bool, window: str) -> Seen:
    """https://kubernetes.io/docs/reference/node/node-status/#condition: of a lost node Ready is Unknown, not True."""
    node = await view.get("Node", name, "")
    said = _conditions(node)
    if "Ready" not in said:
        return "unknown", f"node {name} has not said whether it is Ready", ()
    wrong = [f"{kind} {said[kind]}" for kind in _PRESSURES if said.get(kind, "False") != "False"]
    if said["Ready"] != "True":
        wrong.insert(0, f"Ready {said['Ready']}")
    takes = not at(node, "spec", "unschedulable", default=False)
    if takes != schedulable:
        wrong.append("it is cordoned" if schedulable else "it is not cordoned")
    return seen(not wrong, "; ".join(wrong) or f"Ready, {'takes pods' if takes else 'cordoned'}", *_lines(said))


async def node_drained(view: View, *, name: str) -> Seen:
    """What a drain leaves: pods of DaemonSets and static pods. A pod that finds no other place is not drained well."""
    node = await view.get("Node", name, "")
    pods = await view.list("Pod", "")
    left = [_place(pod) for pod in pods if at(pod, "spec", "nodeName") == name and not _stays(pod)]
    since = view.since.replace(microsecond=0)  # the API server tells times by the second
    waiting = [_place(pod) for pod in pods if _waits(pod) and _made(pod, since) >= since]
    cordoned = bool(at(node, "spec", "unschedulable", default=False))
    said = f"{'cordoned' if cordoned else 'not cordoned'}, {len(left)} pods left, {len(waiting)} newer ones wait"
    evidence = (*(f"{one} is still there" for one in left), *(f"{one} has no node" for one in waiting))
    return seen(cordoned and not left and not waiting, said, *evidence)


async def quota_kept(view: View, *, name: str, namespace: str) -> Seen:
    """The controller copies `spec.hard` to the status when it has counted; until then the figures are of before."""
    quota = await view.get("ResourceQuota", name, namespace)
    hard, used = at(quota, "status", "hard", default={}), at(quota, "status", "used", default={})
    if not hard or set(hard) - set(used):
        return "unknown", f"quota {name} has not been counted yet", ()
    wanted: Json = at(quota, "spec", "hard", default={})
    stale = [key for key, value in wanted.items() if parse_quantity(value) != parse_quantity(hard.get(key, "-1"))]
    if stale:
        return seen(False, f"not counted by its present limits yet: {', '.join(sorted(stale))}")
    lines = [f"{key}: {used[key]} of {hard[key]}" for key in sorted(hard)]
    over = [line for key, line in zip(sorted(hard), lines, strict=True) if _more(used[key], hard[key])]
    return seen(not over, "; ".join(over or lines), *lines)


async def below_maximum(view: View, *, name: str, namespace: str) -> Seen:
    """An autoscaler that cannot measure holds what it has, which looks like a load that it can bear.

    It says TooManyReplicas until it has looked again: what it wanted before the maximum was raised is below it, too.
    """
    scaler = await view.get("HorizontalPodAutoscaler", name, namespace)
    said = _conditions(scaler)
    most, wants = at(scaler, "spec", "maxReplicas"), at(scaler, "status", "desiredReplicas")
    if said.get("ScalingActive") != "True" or not isinstance(most, int) or not isinstance(wants, int):
        return "unknown", f"it does not measure (ScalingActive {said.get('ScalingActive', 'not said')})", _lines(said)
    limited = any(
        one.get("type") == "ScalingLimited" and one.get("status") == "True" and one.get("reason") == "TooManyReplicas"
        for one in at(scaler, "status", "conditions", default=[])
    )
    more = ", and more were wanted when it last looked" if limited else ""
    return seen(wants < most and not limited, f"{wants} wanted, {most} allowed{more}", *_lines(said))


async def claim_bound(view: View, *, name: str, namespace: str) -> Seen:
    """Bound, and the volume's capacity is at least the request."""
    claim = await view.get("PersistentVolumeClaim", name, namespace)
    phase, volume = str(at(claim, "status", "phase", default="")), at(claim, "spec", "volumeName", default="")
    if not phase:
        return "unknown", f"claim {name} has no phase yet", ()
    asked = str(at(claim, "spec", "resources", "requests", "storage", default="0"))
    holds = str(at(claim, "status", "capacity", "storage", default="0"))
    said = f"{phase}{f' to {volume}' if volume else ''}, {holds} of {asked}"
    return seen(phase == "Bound" and not _more(asked, holds), said)


async def eviction_allowed(view: View, *, name: str, namespace: str) -> Seen:
    """A drain takes what is allowed at once: while a pod is away, the budget must want fewer than there should be."""
    budget = await view.get("PodDisruptionBudget", name, namespace)
    names = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    counts = [at(budget, "status", key) for key in names]
    if not all(isinstance(one, int) for one in counts):
        return "unknown", f"budget {name} has not been counted yet", ()
    allowed, healthy, least, expected = counts
    said = f"{allowed} may be evicted: {healthy} of {expected} healthy, {least} needed"
    if at(budget, "status", "observedGeneration") != at(budget, "metadata", "generation"):
        return seen(False, f"not counted by its present rule yet; {said}")
    return seen(expected > 0 and (allowed > 0 or least <= healthy < expected), said)


async def certificate_valid(view: View, *, secret: str, namespace: str, days: int) -> Seen:
    """By the cluster's clock. The key is not looked at, and no client's trust in the issuer is judged."""
    found = certificates(await view.get("Secret", secret, namespace))
    ends = [f"{one.subject} until {one.ends:%Y-%m-%d %H:%M} UTC" for one in found]
    late = [line for one, line in zip(found, ends, strict=True) if not one.valid(view.now, days)]
    least = min(one.days_left(view.now) for one in found)
    return seen(not late, f"{least:.1f} days left" if not late else "; ".join(late), *ends)


OBSERVERS: dict[str, Callable[..., Awaitable[Seen]]] = {
    function.__name__: function
    for function in (
        node_ready,
        node_drained,
        quota_kept,
        below_maximum,
        claim_bound,
        eviction_allowed,
        certificate_valid,
    )
}


def _conditions(manifest: Json) -> dict[str, str]:
    return {str(c.get("type")): str(c.get("status")) for c in at(manifest, "status", "conditions", default=[])}


def _lines(said: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{kind}={status}" for kind, status in said.items())


def _place(pod: Json) -> str:
    return f"Pod/{at(pod, 'metadata', 'namespace', default='')}/{name_of(pod)}"


def _stays(pod: Json) -> bool:
    owners = at(pod, "metadata", "ownerReferences", default=[])
    of_daemon_set = any(owner.get("kind") == "DaemonSet" and owner.get("controller") for owner in owners)
    return of_daemon_set or _MIRROR in at(pod, "metadata", "annotations", default={}) or _ended(pod)


def _ended(pod: Json) -> bool:
    return at(pod, "status", "phase") in ("Succeeded", "Failed")


def _waits(pod: Json) -> bool:
    return not at(pod, "spec", "nodeName") and not _ended(pod) and not at(pod, "metadata", "deletionTimestamp")


def _made(pod: Json, otherwise: datetime) -> datetime:
    said = at(pod, "metadata", "creationTimestamp", default="")
    return datetime.fromisoformat(said) if said else otherwise


def _more(one: object, other: object) -> bool:
    return parse_quantity(str(one)) > parse_quantity(str(other))
