"""What a change touches, in sentences: blast radius and ownership, from reads of the cluster.

Rules:
  1. A read that fails is said under `unknown`; nothing is guessed from its absence.
  2. Whether pods restart follows from the request: the pod template differs, or it does not.
  3. The lowest number available follows from maxUnavailable and maxSurge as the deployment controller rounds them
     (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment): maxUnavailable
     down, maxSurge up.
"""

import asyncio
import math
from decimal import Decimal
from typing import Protocol

from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact
from skyflo_runbooks.model.quantity import format_cpu, format_memory, parse_quantity

_NEAR = ("Service", "EndpointSlice", "HorizontalPodAutoscaler", "PodDisruptionBudget", "ResourceQuota")
Objects = dict[str, list[Json]]


class Lister(Protocol):
    """What is read here: lists of one kind in one namespace."""

    async def items(self, kind: str, namespace: str) -> list[Json]:
        """Return the raw objects."""


class Scene:
    """The objects around the one that changes, and what could not be read."""

    def __init__(self, around: Objects, unknown: tuple[str, ...]) -> None:
        self.around = around
        self.unknown = unknown

    @classmethod
    async def read(cls, lister: Lister, namespace: str) -> "Scene":
        """Read the kinds that a workload's change can touch, side by side."""
        if not namespace:
            return cls({}, ())
        answers = await asyncio.gather(*(_list(lister, kind, namespace) for kind in _NEAR))
        around = {kind: items for kind, (items, _) in zip(_NEAR, answers, strict=True) if items is not None}
        return cls(around, tuple(problem for _, problem in answers if problem))

    def of(self, kind: str) -> list[Json]:
        """Return the objects of one kind; none where they could not be read."""
        return self.around.get(kind, [])


async def _list(lister: Lister, kind: str, namespace: str) -> tuple[list[Json] | None, str]:
    try:
        return await lister.items(kind, namespace), ""
    except SkyfloError as error:
        return None, f"{kind} could not be read: {error.message}"


def assess(ref: ObjectRef, before: Json | None, after: Json | None, scene: Scene) -> Impact:
    """Return what changing `before` into `after` does."""
    live = before or after or {}
    touched = [*_services(live, scene), *_autoscalers(ref, scene), *_budgets(live, scene)]
    return Impact(
        while_it_runs=_meanwhile(ref, before, after, scene),
        also_touched=(*touched, *_quota(before, after, scene)) or ("Nothing else that was found",),
        ownership=ownership(live),
        unknown=scene.unknown,
    )


def ownership(manifest: Json) -> tuple[str, ...]:
    """Return who manages the object and will revert a change by hand."""
    labels = at(manifest, "metadata", "labels", default={})
    notes = at(manifest, "metadata", "annotations", default={})
    found = []
    if labels.get("app.kubernetes.io/managed-by") == "Helm" or "meta.helm.sh/release-name" in notes:
        release = notes.get("meta.helm.sh/release-name", "unknown")
        found.append(f"Helm release {release}: the next upgrade reverts this; change its values to make it last")
    argo = notes.get("argocd.argoproj.io/tracking-id") or labels.get("argocd.argoproj.io/instance")
    if argo:
        found.append(f"Argo CD application {argo.split(':')[0]}: a sync reverts this; change it in git to make it last")
    for prefix in ("kustomize", "helm"):
        name = labels.get(f"{prefix}.toolkit.fluxcd.io/name")
        if name:
            found.append(
                f"Flux {prefix} {name}: the next reconciliation reverts this; change it in git to make it last"
            )
    for owner in at(manifest, "metadata", "ownerReferences", default=[]):
        if owner.get("controller"):
            found.append(f"{owner.get('kind')} {owner.get('name')} controls this object and may revert it")
    return tuple(found) or ("Not managed by Helm, Argo CD or Flux",)


def restarts_pods(before: Json | None, after: Json | None) -> bool:
    """Return whether the pods of a workload are replaced."""
    template = at(before, "spec", "template")
    return template is not None and template != at(after, "spec", "template")


def surge_and_unavailable(manifest: Json) -> tuple[int, int]:
    """Return maxSurge and maxUnavailable as numbers of pods, by rule 3."""
    replicas = int(at(manifest, "spec", "replicas", default=1))
    if at(manifest, "spec", "strategy", "type") == "Recreate":
        return 0, replicas
    rolling = at(manifest, "spec", "strategy", "rollingUpdate", default={})
    surge = _portion(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = _portion(rolling.get("maxUnavailable", "25%"), replicas, up=False)
    return surge, unavailable if surge or unavailable else 1


def _portion(value: str | int, replicas: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    share = Decimal(value.rstrip("%")) * replicas / 100
    return math.ceil(share) if up else math.floor(share)


def _meanwhile(ref: ObjectRef, before: Json | None, after: Json | None, scene: Scene) -> tuple[str, ...]:
    if before is None or after is None:
        return (f"{ref.kind} {ref.name} is {'created' if before is None else 'deleted'}",)
    was, will = at(before, "spec", "replicas"), at(after, "spec", "replicas")
    said = []
    if isinstance(was, int) and isinstance(will, int) and was != will:
        said.append(f"{abs(will - was)} pods {'start' if will > was else 'stop'}: {was} → {will} replicas")
    if restarts_pods(before, after):
        said.append(_rolling(ref, before, bool(scene.of("PodDisruptionBudget"))))
    return tuple(said) or ("No pod restarts",)


def _rolling(ref: ObjectRef, before: Json, budgets: bool) -> str:
    replicas = int(at(before, "spec", "replicas", default=1))
    ready = int(at(before, "status", "readyReplicas", default=0))
    if ref.kind == "DaemonSet":
        return f"The pods on all {at(before, 'status', 'desiredNumberScheduled', default='?')} nodes restart in turn"
    if ref.kind == "StatefulSet":
        return f"{replicas} pods restart one after another, last ordinal first"
    surge, unavailable = surge_and_unavailable(before)
    floor = max(0, replicas - unavailable)
    now = f"; {ready} of {replicas} are ready now" if ready < replicas else ""
    budget = "" if budgets else ", no PodDisruptionBudget"
    stay = f"at least {floor} stay available" if ready >= floor else f"what is ready now ({ready}) stays up"
    return f"{replicas} pods restart one after another; {stay} (surge {surge}, unavailable {unavailable}{budget}){now}"


def _labels(live: Json) -> dict[str, str]:
    found: dict[str, str] = at(live, "spec", "template", "metadata", "labels", default={})
    return found


def _matches(selector: dict[str, str] | None, labels: dict[str, str]) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())


def _services(live: Json, scene: Scene) -> list[str]:
    said = []
    for service in scene.of("Service"):
        name = at(service, "metadata", "name", default="")
        own = live.get("kind") == "Service" and name == at(live, "metadata", "name")
        if own or _matches(at(service, "spec", "selector"), _labels(live)):
            slices = [
                s
                for s in scene.of("EndpointSlice")
                if at(s, "metadata", "labels", "kubernetes.io/service-name") == name
            ]
            points = [point for item in slices for point in item.get("endpoints") or []]
            ready = sum(at(point, "conditions", "ready", default=True) is not False for point in points)
            said.append(f"Service {name} ({ready} of {len(points)} endpoints ready)")
    return said


def _autoscalers(ref: ObjectRef, scene: Scene) -> list[str]:
    found = [
        f"HorizontalPodAutoscaler {at(item, 'metadata', 'name')} scales it and will set replicas again"
        for item in scene.of("HorizontalPodAutoscaler")
        if at(item, "spec", "scaleTargetRef", "kind") == ref.kind
        and at(item, "spec", "scaleTargetRef", "name") == ref.name
    ]
    known = "HorizontalPodAutoscaler" in scene.around
    return found or (["No HorizontalPodAutoscaler"] if known and ref.kind in ("Deployment", "StatefulSet") else [])


def _budgets(live: Json, scene: Scene) -> list[str]:
    return [
        f"PodDisruptionBudget {at(item, 'metadata', 'name')} "
        f"(disruptions allowed now: {at(item, 'status', 'disruptionsAllowed', default='unknown')})"
        for item in scene.of("PodDisruptionBudget")
        if _matches(at(item, "spec", "selector", "matchLabels"), _labels(live))
    ]


def _quota(before: Json | None, after: Json | None, scene: Scene) -> list[str]:
    if not restarts_pods(before, after) or before is None or after is None:
        return []
    surge, _ = surge_and_unavailable(before) if before.get("kind") == "Deployment" else (0, 0)
    pods = int(at(after, "spec", "replicas", default=1))
    said = []
    for quota in scene.of("ResourceQuota"):
        hard = at(quota, "status", "hard", default={})
        used = at(quota, "status", "used", default={})
        for key in ("limits.memory", "requests.memory", "limits.cpu", "requests.cpu"):
            group, resource = key.split(".")
            delta = _ask(after, group, resource) - _ask(before, group, resource)
            if key not in hard or delta <= 0:
                continue
            peak = parse_quantity(used.get(key, "0")) + delta * pods + _ask(after, group, resource) * surge
            show = format_memory if resource == "memory" else format_cpu
            fits = "fits" if peak <= parse_quantity(hard[key]) else "DOES NOT FIT"
            name = at(quota, "metadata", "name")
            said.append(f"Quota {name}: {key} up to {show(peak)} of {hard[key]} during the rollout, {fits}")
    return said


def _ask(workload: Json, group: str, resource: str) -> Decimal:
    containers = at(workload, "spec", "template", "spec", "containers", default=[])
    return sum((parse_quantity(at(c, "resources", group, resource, default="0")) for c in containers), Decimal(0))
