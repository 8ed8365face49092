"""Endpoints and EndpointSlices: which pods a Service reaches, ready and not yet ready.

Source: k8s.io/kubernetes/pkg/controller/{endpoint,endpointslice}. A Service without a selector is left alone.
"""

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.controllers.common import MANAGER, is_ready, owner_reference
from skyflo_runbooks.practice.kinds import ENDPOINTS, POD, SERVICE, SLICE, Kind
from skyflo_runbooks.practice.selectors import labels_of, plain_selects
from skyflo_runbooks.practice.store import Store, clone


def reconcile(store: Store, service: Json) -> None:
    """Write both objects of one Service."""
    selector = at(service, "spec", "selector", default={})
    if not selector:
        return
    pods = [pod for pod in store.list(POD, service["metadata"]["namespace"]) if _reached(pod, selector)]
    _put(store, ENDPOINTS, _endpoints(service, pods))
    _put(store, SLICE, _slice(service, pods))


def _reached(pod: Json, selector: dict[str, str]) -> bool:
    gone = pod["metadata"].get("deletionTimestamp") or at(pod, "status", "phase") in {"Succeeded", "Failed"}
    return bool(at(pod, "status", "podIP")) and not gone and plain_selects(selector, labels_of(pod))


def target_port(port: Json, pod: Json) -> int | None:
    """Return the number of the pod's port that a Service's port leads to; None for a name the pod lacks."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    for container in at(pod, "spec", "containers", default=[]):
        for declared in container.get("ports", []):
            if declared.get("name") == target:
                return int(declared["containerPort"])
    return None


def _ports(service: Json, pods: list[Json]) -> list[Json]:
    out = []
    for port in at(service, "spec", "ports", default=[]):
        number = next((found for pod in pods if (found := target_port(port, pod)) is not None), None)
        if number is None and isinstance(port.get("targetPort"), int):
            number = port["targetPort"]
        if number is not None:
            shown: Json = {"port": number, "protocol": port["protocol"]}
            out.append({"name": port["name"], **shown} if port.get("name") else shown)
    return out


def _target(pod: Json) -> Json:
    meta = pod["metadata"]
    return {"kind": "Pod", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]}


def _endpoints(service: Json, pods: list[Json]) -> Json:
    subset: Json = {}
    for field, want in (("addresses", True), ("notReadyAddresses", False)):
        listed = [
            {"ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": _target(pod)}
            for pod in pods
            if is_ready(pod) is want
        ]
        if listed:
            subset[field] = listed
    made: Json = {"metadata": {"name": service["metadata"]["name"], "namespace": service["metadata"]["namespace"]}}
    if labels := labels_of(service):
        made["metadata"]["labels"] = dict(labels)
    if subset:
        made["subsets"] = [{**subset, "ports": _ports(service, pods)}]
    return made


def _slice(service: Json, pods: list[Json]) -> Json:
    name = service["metadata"]["name"]
    ports = [{"name": "", **port} for port in _ports(service, pods)]
    return {
        "metadata": {
            "name": f"{name}-{service['metadata']['uid'][:5]}",
            "namespace": service["metadata"]["namespace"],
            "labels": {
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
            "ownerReferences": [owner_reference(SERVICE, service)],
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": is_ready(pod), "serving": is_ready(pod), "terminating": False},
                "nodeName": pod["spec"]["nodeName"],
                "targetRef": _target(pod),
            }
            for pod in pods
        ],
        "ports": ports,
    }


def _put(store: Store, kind: Kind, made: Json) -> None:
    meta = made["metadata"]
    held = store.find(kind, meta["namespace"], meta["name"])
    if held is None:
        store.create(kind, made, MANAGER)
        return
    content = {key: value for key, value in held.items() if key not in {"metadata", "apiVersion", "kind"}}
    wanted = {key: value for key, value in made.items() if key != "metadata"}
    if content != wanted:
        changed: Json = {"metadata": clone(held["metadata"]), **wanted}
        store.update(kind, changed, MANAGER)
