"""How risky a change is, with reasons. Pure. The highest level that any rule gives stands."""

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact, Risk
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.model.request import Request

_SYSTEM = {"kube-system", "kube-public", "kube-node-lease", "istio-system", "argocd", "cert-manager"}
_ORDER: tuple[Risk, ...] = ("low", "medium", "high")
_WIDE = {"Node", "Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "StorageClass"}


def one_way(before: Json | None, after: Json | None) -> str:
    """Return why there is no way back from `before` to `after`, where that can be told from the object; else nothing.

    A claim's storage can only grow
    (https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims).
    """
    if (before or {}).get("kind") != "PersistentVolumeClaim":
        return ""
    path = ("spec", "resources", "requests", "storage")
    was, will = at(before, *path, default="0"), at(after, *path, default="0")
    return f"a claim cannot shrink from {will} to {was} again" if parse_quantity(will) > parse_quantity(was) else ""


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
    if ref.namespace in _SYSTEM:
        found.append(("high", f"{ref.namespace} is a system namespace"))
    if ref.kind in _WIDE:
        found.append(("high", f"a {ref.kind} concerns the whole cluster"))
    if ref.kind in ("Service", "Ingress", "NetworkPolicy", "ConfigMap", "Secret"):
        found.append(("medium", f"running pods use this {ref.kind}"))
    found += impact.risks
    return found
