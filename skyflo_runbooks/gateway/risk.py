"""How risky a change is, with reasons. Pure. The highest level that any rule gives stands."""

from skyflo_runbooks.diagnosis.pods import each, name_of, whole
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact, Risk
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.model.request import Request

# By their names, and whatever begins with `kube-` or ends with `-system`.
_SYSTEM = {"argocd", "cert-manager", "ingress-nginx", "linkerd", "rook-ceph", "vault", "velero"}
_ORDER: tuple[Risk, ...] = ("low", "medium", "high")
# Kinds whose deletion loses what no manifest holds.
_LOST = {
    "Namespace": "everything in it",
    "CustomResourceDefinition": "every object of that kind",
}
# Kinds that hold data. By the reclaim policy it is deleted or stays on a volume that is Released: what is made again
# under the name is not bound to it (https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming).
_HOLDING = ("PersistentVolume", "PersistentVolumeClaim")
# So many are named at most.
_MOST_CLAIMS = 100
# Kinds that running pods use, however it is that they do.
_USED = ("Service", "Ingress", "NetworkPolicy", "ConfigMap", "Secret")


def one_way(request: Request, before: Json | None, after: Json | None) -> str:
    """Return why there is no way back from `before` to `after`, where that can be told; else nothing.

    A claim's storage can only grow
    (https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims), and an
    ephemeral container stays in its pod
    (https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/#what-is-an-ephemeral-container). What held
    an object back is not put back: a pod's scheduling gate, a finalizer of what is being deleted. A volume that is no
    longer kept for the claim it belonged to is bound to another, which writes on it. A StatefulSet may delete the
    claims of the pods that it no longer has
    (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention).
    """
    ref = request.target
    if request.verb == "delete":
        claims = at(before, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted")
        lost = "the data of its claims" if ref.kind == "StatefulSet" and claims == "Delete" else _LOST.get(ref.kind)
        if not lost and ref.kind in _HOLDING:
            return f"a {ref.kind} that is made again does not have the data of {ref} by itself"
        return f"{lost} is gone with {ref} and stored nowhere" if lost else ""
    if request.verb == "evict" and not any(
        one.get("controller") for one in at(before, "metadata", "ownerReferences", default=[])
    ):
        return f"no controller makes {ref} again"
    if request.verb == "run":
        return f"what was run in {ref} cannot be taken back"
    if request.subresource == "ephemeralcontainers":
        return f"an ephemeral container stays in {ref} as long as the pod lives"
    if before is None or after is None:
        return ""
    if held := _let_go(before, after):
        return f"{held} cannot be put back to {ref}"
    if claims := scaled_away(before, after):
        return (
            f"{ref} deletes the claims {', '.join(claims)} with their pods, and what is made again has not their data"
        )
    if ref.kind == "PersistentVolume" and (lost := _given_away(before, after)):
        return lost
    if ref.kind != "PersistentVolumeClaim":
        return ""
    path = ("spec", "resources", "requests", "storage")
    was, will = at(before, *path, default="0"), at(after, *path, default="0")
    return f"a claim cannot shrink from {will} to {was} again" if parse_quantity(will) > parse_quantity(was) else ""


def scaled_away(before: Json, after: Json) -> list[str]:
    """Return the claims that a StatefulSet deletes because it will have fewer pods: by its policy `whenScaled`."""
    policy = at(after, "spec", "persistentVolumeClaimRetentionPolicy", "whenScaled")
    if before.get("kind") != "StatefulSet" or policy != "Delete":
        return []
    start, will = whole(before, "spec", "ordinals", "start"), whole(after, "spec", "replicas", default=1)
    was = min(whole(before, "spec", "replicas", default=1), will + _MOST_CLAIMS)
    templates = [name_of(one) for one in each(before, "spec", "volumeClaimTemplates")]
    return [f"{one}-{name_of(before)}-{start + place}" for place in range(will, was) for one in templates]


def _given_away(before: Json, after: Json) -> str:
    """Return what is lost where a volume belongs to another claim than before, to any that comes, or goes itself."""
    was, will = at(before, "spec", "claimRef", default={}), at(after, "spec", "claimRef", default={})
    owner, other = ((one.get("namespace"), one.get("name")) for one in (was, will))
    policy = ("spec", "persistentVolumeReclaimPolicy")
    if at(before, "status", "phase") == "Released" and at(after, *policy) == "Delete" != at(before, *policy):
        return "the volume is Released, so with the reclaim policy Delete it is deleted at once, and its data"
    if not was or (owner == other and was.get("uid") == will.get("uid")):
        return ""
    to = f"the claim {other[0]}/{other[1]}" if will else "any claim that comes"
    return f"{to} may have the data of {owner[0]}/{owner[1]}, and what it writes over it cannot be taken back"


def system(namespace: str) -> bool:
    """Return whether what the cluster itself runs on lives in this namespace."""
    return namespace in _SYSTEM or namespace.startswith("kube-") or namespace.endswith("-system")


def _let_go(before: Json, after: Json) -> str:
    """Return what held the object back and no longer does."""
    gates = [str(one.get("name")) for one in at(before, "spec", "schedulingGates", default=[])]
    kept = [one.get("name") for one in at(after, "spec", "schedulingGates", default=[])]
    gone = [f"scheduling gate {gate}" for gate in gates if gate not in kept and before.get("kind") == "Pod"]
    if at(before, "metadata", "deletionTimestamp"):
        left = at(after, "metadata", "finalizers", default=[])
        gone += [f"finalizer {one}" for one in at(before, "metadata", "finalizers", default=[]) if one not in left]
    return ", ".join(gone)


def assess(
    requests: tuple[Request, ...],
    *,
    before: tuple[Json | None, ...],
    after: tuple[Json | None, ...],
    impacts: tuple[Impact, ...],
    irreversible: str,
) -> tuple[Risk, tuple[str, ...]]:
    """Return the level and every reason that raised it above low."""
    raised: list[tuple[Risk, str]] = []
    if irreversible:
        raised.append(("high", f"irreversible: {irreversible}"))
    for request, was, will, impact in zip(requests, before, after, impacts, strict=True):
        raised += _reasons(request, was, will, impact)
    level: Risk = max((risk for risk, _ in raised), key=_ORDER.index, default="low")
    return level, tuple(dict.fromkeys(reason for _, reason in raised)) or ("it changes no running pod",)


def _reasons(request: Request, was: Json | None, will: Json | None, impact: Impact) -> list[tuple[Risk, str]]:
    ref: ObjectRef = request.target
    found: list[tuple[Risk, str]] = []
    if request.verb == "delete":
        found.append(("high", f"it deletes {ref}"))
    if request.preview == "none":
        found.append(("high", f"nothing can show beforehand what it does to {ref}"))
    if request.verb == "run":
        found.append(("high", f"it runs a program in {ref}"))
    if system(ref.namespace or (ref.name if ref.kind == "Namespace" else "")):
        found.append(("high", f"{ref.namespace or ref.name} is a system namespace"))
    if not ref.namespace:
        found.append(("high", f"a {ref.kind} concerns the whole cluster"))
    if ref.kind in _USED and was is not None:
        found.append(("medium", f"running pods use this {ref.kind}"))
    found += impact.risks
    return found
