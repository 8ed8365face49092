"""k8s_taint and k8s_untaint: a node's taints, one at a time.

A taint is known by key and effect, as the API server knows it; setting one that is there changes its value.
"""

from typing import Literal

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.change.metadata import label_key, label_value
from skyflo_mcp.kubernetes.change.operations import Operation, Path, Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import label
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Rendered

Effect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
_PATH: Path = ("spec", "taints")


async def k8s_taint(cluster: Cluster, *, name: str, key: str, effect: Effect, value: str = "") -> Rendered:
    """Taint a node, so that only pods which tolerate it are placed there (NoExecute: may stay there)."""
    label_key(key)
    label_value(value, key)
    found = await target.read(cluster, "Node", "", name)
    taint = {"key": key, "effect": effect} | ({"value": value} if value else {})
    said = f"{key}={value}:{effect}" if value else f"{key}:{effect}"
    notes = await _leave(cluster, name, taint) if effect == "NoExecute" else ()
    return found.render(
        _add(found, taint),
        title=f"{found.kubectl_name}: taint {said}",
        equivalent=found.kubectl("taint", "--overwrite", "node", name, said),
        notes=notes,
    )


async def k8s_untaint(cluster: Cluster, *, name: str, key: str, effect: Effect | None = None) -> Rendered:
    """Take a taint off a node: of one effect, or of every effect."""
    label_key(key)
    found = await target.read(cluster, "Node", "", name)
    places = [
        (place, one)
        for place, one in enumerate(at(found.manifest, *_PATH, default=[]))
        if one.get("key") == key and effect in (None, one.get("effect"))
    ]
    changes: list[Operation] = []
    for place, one in reversed(places):  # from the back, so that a removal does not move the next
        changes += [operations.holds((*_PATH, place), one)]
        changes += [{"op": "remove", "path": operations.pointer((*_PATH, place))}]
    said = f"{key}:{effect}" if effect else key
    return found.render(
        changes,
        title=f"{found.kubectl_name}: without taint {said}",
        equivalent=found.kubectl("taint", "node", name, f"{said}-"),
        notes=() if places else (f"{found.ref} has no taint {said}.",),
    )


def tolerates(toleration: Json, taint: Json) -> bool:
    """Return whether a pod with this toleration bears the taint, as the scheduler decides it."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def _add(found: Target, taint: Json) -> list[Operation]:
    known = at(found.manifest, *_PATH, default=[])
    for place, one in enumerate(known):
        if (one.get("key"), one.get("effect")) == (taint["key"], taint["effect"]):
            if one.get("value", "") == taint.get("value", ""):
                return []
            path = (*_PATH, place)
            return [operations.holds(path, one), {"op": "replace", "path": operations.pointer(path), "value": taint}]
    if not known:
        return [{"op": "add", "path": operations.pointer(_PATH), "value": [taint]}]
    return [operations.holds(_PATH, known), {"op": "add", "path": operations.pointer((*_PATH, "-")), "value": taint}]


async def _leave(cluster: Cluster, node: str, taint: Json) -> tuple[str, ...]:
    """Return which pods a NoExecute taint drives from the node."""
    pods = (await cluster.list("Pod", field_selector=f"spec.nodeName={node}")).items
    leave = [
        label(pod)
        for pod in pods
        if not any(tolerates(one, taint) for one in at(pod, "spec", "tolerations", default=[]))
    ]
    if not leave:
        return ("No pod on it has to leave.",)
    more = f" and {len(leave) - 10} more" if len(leave) > 10 else ""
    pods_ = "pod on it does not tolerate it and is" if len(leave) == 1 else "pods on it do not tolerate it and are"
    return (f"{len(leave)} {pods_} deleted: {', '.join(leave[:10])}{more}.",)
