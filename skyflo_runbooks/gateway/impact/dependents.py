"""What a deletion takes with it, and what can never come back. Pure.

Rules:
  1. What belongs to an object is what names its uid as an owner, and what belongs to that in turn
     (https://kubernetes.io/docs/concepts/architecture/garbage-collection/). With the policy Orphan it stays, and nobody
     looks after it.
  2. A namespace takes everything in it, a definition all its objects: the number of each kind is said.
  3. Data goes with a claim whose volume has the reclaim policy Delete; with Retain it stays on the volume. A creation
     brings the claim back, not the data.
"""

from collections.abc import Iterable, Iterator

from skyflo_runbooks.diagnosis.pods import each, finished, name_of
from skyflo_runbooks.gateway.impact.change import Change, listed, plural, some
from skyflo_runbooks.gateway.impact.ownership import owners_of
from skyflo_runbooks.gateway.impact.scene import EVERYTHING, Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact

_MADE = {
    "Deployment": ("ReplicaSet", "Pod"),
    "ReplicaSet": ("Pod",),
    "ReplicationController": ("Pod",),
    "StatefulSet": ("Pod", "PersistentVolumeClaim"),
    "DaemonSet": ("Pod",),
    "Job": ("Pod",),
    "CronJob": ("Job", "Pod"),
}
# What operators make for their custom resources. Secrets are not listed.
_OPERATED = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "Job",
    "CronJob",
    "Pod",
    "Service",
    "ConfigMap",
    "PersistentVolumeClaim",
    "Ingress",
    "HorizontalPodAutoscaler",
)
_CLAIM, _VOLUME, _DEFINITION = "PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition"


def needs(change: Change) -> Iterable[Need]:
    """What may belong to the object."""
    if change.request.verb != "delete":
        return
    made = _OPERATED if custom(change) else _MADE.get(change.kind, ())
    yield from (Need(kind, change.namespace) for kind in made)
    if change.kind in (_CLAIM, "StatefulSet"):
        yield Need(_VOLUME)
    if change.kind == _CLAIM:
        yield Need("Pod", change.namespace)
    if change.kind == "Namespace":
        yield Need(EVERYTHING, change.name, count=True)
    if change.kind == _DEFINITION:
        yield Need(_defined(change), count=True)
    if change.kind == "Node":
        yield Need("Pod")


def said(change: Change, scene: Scene) -> Impact:
    """Say what goes with the object."""
    if change.request.verb != "delete":
        return Impact()
    lines = [*_waiting(change), *_owned(change, scene)]
    lost: list[str] = []
    for text, gone in (*_counted(change, scene), *_stored(change, scene)):
        lines.append(text)
        lost += [gone] if gone else []
    return Impact(
        while_it_runs=(f"{change.kind} {change.name} is deleted",),
        also_touched=tuple(lines),
        irreversible=tuple(lost),
        risks=(("high", f"it deletes {change.ref}"),),
        unknown=_unread(change, scene),
    )


def custom(change: Change) -> bool:
    """Return whether the object is of a kind that is not Kubernetes' own."""
    group = (change.ref.api_version or str(at(change.live, "apiVersion", default=""))).rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def orphans(change: Change) -> bool:
    """Return whether what belongs to the object stays."""
    body = change.request.body
    return at(body, "propagationPolicy") == "Orphan" or at(body, "orphanDependents") is True


def belonging(change: Change, scene: Scene) -> list[Json]:
    """Return what belongs to the object, directly or through others, by rule 1."""
    around = [item for need in needs(change) if not need.count for item in scene.of(need.kind, need.namespace)]
    found: list[Json] = []
    wanted = {str(at(change.was, "metadata", "uid", default=""))} - {""}
    while wanted:
        made = [one for one in around if wanted & set(owners_of(one)) and one not in found]
        found += made
        wanted = {str(at(one, "metadata", "uid", default="")) for one in made} - {""}
    return found


def _owned(change: Change, scene: Scene) -> Iterator[str]:
    kinds: dict[str, list[str]] = {}
    for one in belonging(change, scene):
        kinds.setdefault(str(one.get("kind")), []).append(name_of(one))
    if not kinds:
        return
    what = "; ".join(f"{plural(len(names), kind)} ({some(names, 3)})" for kind, names in kinds.items())
    if orphans(change):
        yield f"Stays, and nothing looks after it any more: {what}"
    else:
        yield f"Deleted with it: {what}"


def _waiting(change: Change) -> Iterator[str]:
    finalizers = [str(one) for one in listed(change.was, "metadata", "finalizers")]
    if finalizers and change.kind != _CLAIM:
        yield f"It stays in deletion until its finalizers are done: {some(finalizers)}"


def _defined(change: Change) -> str:
    """Return the kind that a definition defines, with its group."""
    names, group = at(change.live, "spec", "names", "plural", default=""), at(change.live, "spec", "group", default="")
    return f"{names}.{group}"


def _counted(change: Change, scene: Scene) -> Iterator[tuple[str, str]]:
    """Say what a namespace or a definition takes with it, by rule 2."""
    if change.kind == "Namespace":
        counts = scene.counts(EVERYTHING, change.name)
        what = ", ".join(f"{number} {kind}" for kind, number in counts.items())
        yield (
            f"Everything in it is deleted: {what or 'nothing that could be counted'}",
            (f"everything in the namespace {change.name} is deleted; creating it again brings nothing back"),
        )
    if change.kind == _DEFINITION:
        kind, number = str(at(change.live, "spec", "names", "kind", default="object")), "all"
        if scene.has([Need(_defined(change), count=True)]):
            number = str(sum(scene.counts(_defined(change)).values()))
        lost = f"the objects of the kind {kind} ({number}) are deleted with their definition"
        yield f"Deleted with it: {number} {kind} of the whole cluster", lost if number != "0" else ""


def _stored(change: Change, scene: Scene) -> Iterator[tuple[str, str]]:
    """Say what becomes of data, by rule 3."""
    if change.kind == _CLAIM:
        using = [
            name_of(pod)
            for pod in scene.of("Pod", change.namespace)
            if not finished(pod)
            and any(at(v, "persistentVolumeClaim", "claimName") == change.name for v in each(pod, "spec", "volumes"))
        ]
        if using:
            yield (
                f"{some(using)} {'uses' if len(using) == 1 else 'use'} it: it is deleted when no pod does any more",
                "",
            )
        yield from _volume(change.was, scene)
    if change.kind == _VOLUME:
        bound = at(change.was, "spec", "claimRef", "name")
        where = f" of the claim {at(change.was, 'spec', 'claimRef', 'namespace')}/{bound}" if bound else ""
        yield f"The volume{where} is no longer known to the cluster", "what the volume holds may be lost"
    if change.kind == "StatefulSet":
        yield from _claims(change, scene)


def _volume(claim: Json, scene: Scene) -> Iterator[tuple[str, str]]:
    volume = scene.one(_VOLUME, str(at(claim, "spec", "volumeName", default="")))
    policy = at(volume, "spec", "persistentVolumeReclaimPolicy")
    if policy == "Delete":
        yield (
            f"The data of {name_of(claim)} is deleted with its volume (reclaim policy Delete)",
            (f"the data of the claim {name_of(claim)} is deleted"),
        )
    elif policy == "Retain":
        yield (
            f"The data stays on the volume {name_of(volume or {})} (reclaim policy Retain), which is Released then: "
            "it is bound again when somebody takes its claimRef away",
            "",
        )


def _claims(change: Change, scene: Scene) -> Iterator[tuple[str, str]]:
    templates = [name_of(one) for one in each(change.was, "spec", "volumeClaimTemplates")]
    starts = tuple(f"{name}-{change.name}-" for name in templates)
    claims = [one for one in scene.of(_CLAIM, change.namespace) if starts and name_of(one).startswith(starts)]
    if not claims:
        return
    names = some(map(name_of, claims))
    if at(change.was, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted") == "Delete":
        yield f"Its claims are deleted too (retention policy): {names}", f"the data of the claims {names} is deleted"
    else:
        yield f"Its claims stay, with their data: {names}", ""


def _unread(change: Change, scene: Scene) -> tuple[str, ...]:
    bound = at(change.was, "spec", "volumeName")
    if change.kind == _CLAIM and bound and scene.one(_VOLUME, str(bound)) is None:
        return (f"What becomes of the data on the volume {bound} is not known: its reclaim policy was not found",)
    if custom(change):
        return (f"What the controller of {change.kind} does when this one is deleted is not known here",)
    return ()
