"""Hand-made snapshots of admission, of delivery, of a mesh and of gateways: kinds that not every cluster serves."""

import copy

import msgspec

from skyflo_runbooks.diagnosis.snapshot import Snapshot
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.scenes import Scene, beside, client_of, event, serving
from tests.diagnosis.world import Names


def webhook(name: str, kind: str = "MutatingWebhookConfiguration", **hook: object) -> Json:
    """Return a configuration with one webhook that matches the creation of pods."""
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    held: Json = {"name": f"{name}.example.com", "rules": [rule], "timeoutSeconds": 10, **hook}
    return {"kind": kind, "metadata": world.meta(name), "webhooks": [held]}


def late_webhooks(names: Names) -> Snapshot:
    """Three webhooks that may take 35 seconds together keep the pods from being made in time."""
    made = serving(names, 0)
    made[0]["spec"]["replicas"] = made[1]["spec"]["replicas"] = 2
    said = event(
        made[1],
        "FailedCreate",
        "Error creating: Timeout: request did not complete within requested timeout - context deadline exceeded",
    )
    hooks = [webhook(f"guard-{number}") for number in range(2)] + [webhook("slow", timeoutSeconds=15)]
    return world.snapshot([*made, said, *hooks])


def rewritten(names: Names) -> Snapshot:
    """The pod has an image that its template does not say, and it cannot be pulled; a decoy is for other namespaces."""
    made = serving(names, 1)
    stuck = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "mirror.example/app: not found"}}}
    other = copy.deepcopy(made[0]["spec"]["template"]["spec"]["containers"][0]) | {"image": "mirror.example/app:v2.4.0"}
    pod = world.pod(names, other, stuck, number=1)
    elsewhere = {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}
    decoy = webhook("decoy", namespaceSelector=elsewhere)
    found = world.snapshot([*made[:2], pod, webhook("mirror"), decoy, world.service(names)])
    made[0]["status"]["availableReplicas"] = 0
    return found


def release(names: Names, version: int, status: str, modified: int) -> Json:
    """Return one revision of a Helm release, as its Secret's labels tell of it."""
    labels = {"owner": "helm", "name": "shop", "version": str(version), "status": status, "modifiedAt": str(modified)}
    name = f"sh.helm.release.v1.shop.v{version}"
    return {"kind": "Secret", "metadata": world.meta(name, names.namespace, labels=labels, managedFields=[])}


def pending_release(names: Names) -> Snapshot:
    """An upgrade of an hour ago never ended; the revision before it is deployed."""
    held = [release(names, 1, "superseded", 1777700000), release(names, 2, "deployed", 1777800000)]
    return world.snapshot(
        [*serving(names), world.service(names), *held, release(names, 3, "pending-upgrade", 1777886520)]
    )


def degraded(names: Names) -> Snapshot:
    """A canary was aborted by its analysis; the stable revision runs."""
    made = serving(names)
    rollout, stable = made[0] | {"kind": "Rollout"}, made[1]
    stable["metadata"]["ownerReferences"][0]["kind"] = "Rollout"
    stable["metadata"]["labels"] = {"rollouts-pod-template-hash": "r1"}
    rollout = copy.deepcopy(rollout)
    rollout["spec"]["template"]["spec"]["containers"][0]["image"] = f"{names.image}:v2.5.0"
    rollout["status"] = {
        "phase": "Degraded",
        "abort": True,
        "message": "RolloutAborted: metric success-rate assessed Failed",
        "stableRS": "r1",
    }
    run: Json = {
        "kind": "AnalysisRun",
        "metadata": world.meta("canary-1", names.namespace, ownerReferences=world.owned("Rollout", names.workload)),
        "status": {
            "phase": "Failed",
            "metricResults": [{"name": "success-rate", "phase": "Failed", "message": "0.71"}],
        },
    }
    return world.snapshot([rollout, *made[1:], run, world.service(names)])


# Mesh -----------------------------------------------------------------------------------------------------------------


def meshed(item: Json) -> None:
    """Give a pod the proxy of the mesh."""
    item["spec"]["containers"] = [*item["spec"]["containers"], {"name": "istio-proxy", "image": "proxyv2:1.24"}]


def in_mesh(names: Names, *policies: Json, client: bool = False) -> Snapshot:
    """A Service whose pods have the proxy, a client of it, and policies; the root namespace was read and is empty."""
    made, asking = serving(names), client_of(names)
    for item in (*made[2:], *(asking[2:] if client else ())):
        meshed(item)
    fronts = [world.service(names), world.service(beside(names, "shopfront"))]
    found = world.snapshot([*made, *asking, *fronts, *policies])
    return msgspec.structs.replace(found, namespaces=(names.namespace, "istio-system"))


def policy(names: Names, kind: str, name: str, spec: Json) -> Json:
    """Return a policy of the mesh."""
    return {"kind": kind, "metadata": world.meta(name, names.namespace), "spec": spec}


def strict(names: Names) -> Snapshot:
    """The namespace wants mutual TLS, and the client has no proxy."""
    return in_mesh(names, policy(names, "PeerAuthentication", "default", {"mtls": {"mode": "STRICT"}}))


def not_allowed(names: Names) -> Snapshot:
    """Only another identity is admitted."""
    other = [{"from": [{"source": {"principals": ["cluster.local/ns/billing/sa/batch"]}}]}]
    chosen = {"matchLabels": {names.label: names.workload}}
    held = policy(names, "AuthorizationPolicy", "only-batch", {"selector": chosen, "rules": other})
    return in_mesh(names, held, client=True)


def lost_subset(names: Names) -> Snapshot:
    """Requests go to a subset of nearly the right name."""
    destination = {"host": names.service, "subset": "stabel"}
    route = policy(names, "VirtualService", "orders", {"http": [{"route": [{"destination": destination}]}]})
    rule = policy(names, "DestinationRule", "orders", {"host": names.service, "subsets": [{"name": "stable"}]})
    return world.snapshot([*serving(names), world.service(names), route, rule])


# Gateways -------------------------------------------------------------------------------------------------------------


def gateway(names: Names, of: str = "edge") -> list[Json]:
    """Return a Gateway of a class, and the class `edge`."""
    held = policy(names, "Gateway", "front", {"gatewayClassName": of, "listeners": []})
    return [held, {"kind": "GatewayClass", "metadata": world.meta("edge")}]


def no_gateway_class(names: Names) -> Snapshot:
    """The Gateway names a class that nobody made."""
    return world.snapshot([*serving(names), world.service(names), *gateway(names, "edges")])


def route(names: Names, backend: Json, parent: str = "front") -> Json:
    """Return an HTTPRoute with one backend."""
    return policy(
        names, "HTTPRoute", "orders", {"parentRefs": [{"name": parent}], "rules": [{"backendRefs": [backend]}]}
    )


def wrong_port(names: Names) -> Snapshot:
    """The route sends to a port that the Service does not have."""
    held = route(names, {"name": names.service, "port": 8080})
    return world.snapshot([*serving(names), world.service(names), *gateway(names), held])


ADDED_SCENES: dict[str, tuple[Scene, str, str]] = {
    "ADM-07": (late_webhooks, "MutatingWebhookConfiguration", "slow"),
    "ADM-08": (rewritten, "MutatingWebhookConfiguration", "mirror"),
    "DLV-01": (pending_release, "Secret", "sh.helm.release.v1.shop.v3"),
    "DLV-02": (degraded, "Rollout", "workload"),
    "MES-01": (strict, "PeerAuthentication", "default"),
    "MES-02": (lost_subset, "VirtualService", "orders"),
    "GWY-01": (no_gateway_class, "Gateway", "front"),
}
