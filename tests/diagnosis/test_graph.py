"""Objects and the references between them."""

from skyflo_runbooks.diagnosis.graph import Edge, Graph, selector
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from tests.diagnosis import world


def test_references_of_a_workload() -> None:
    """Owner, selection, node and environment are edges of one graph."""
    found = world.oom_killed()
    pod = found.objects["Pod"][0]
    pod["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    pod["spec"]["volumes"] = [{"configMap": {"name": "files"}}, {"secret": {"secretName": "not-read"}}]
    found.objects["ConfigMap"] = [
        {"kind": "ConfigMap", "metadata": world.meta(name, "checkout")} for name in ("settings", "files")
    ]
    edges = set(Graph(found).edges())

    this = ObjectRef("Pod", "payment-service-r2-0", "checkout")
    replica_set = ObjectRef("ReplicaSet", "payment-service-r2", "checkout")
    assert Edge(ObjectRef("Deployment", "payment-service", "checkout"), "owns", replica_set) in edges
    assert Edge(replica_set, "owns", this) in edges
    assert Edge(ObjectRef("Service", "payment-service", "checkout"), "selects", this) in edges
    assert Edge(this, "runs-on", ObjectRef("Node", "node-a")) in edges
    assert Edge(this, "env-from", ObjectRef("ConfigMap", "settings", "checkout")) in edges
    assert Edge(this, "mounts", ObjectRef("ConfigMap", "files", "checkout")) in edges
    assert not any(edge.target.kind == "Secret" for edge in edges)


def test_an_ingress_routes_and_an_autoscaler_scales() -> None:
    """Both ends must have been read."""
    found = world.healthy()
    backend = {"service": {"name": "payment-service"}}
    found.objects["Ingress"] = [
        {
            "kind": "Ingress",
            "metadata": world.meta("shop", "checkout"),
            "spec": {
                "defaultBackend": backend,
                "rules": [{"http": {"paths": [{"backend": {"service": {"name": "x"}}}]}}],
            },
        }
    ]
    found.objects["HorizontalPodAutoscaler"] = [
        {
            "kind": "HorizontalPodAutoscaler",
            "metadata": world.meta("scaler", "checkout"),
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "payment-service"}},
        }
    ]
    relations = {(edge.source.kind, edge.relation, str(edge.target)) for edge in Graph(found).edges()}

    assert ("Ingress", "routes", "Service/checkout/payment-service") in relations
    assert ("HorizontalPodAutoscaler", "scales", "Deployment/checkout/payment-service") in relations
    assert not any(target.endswith("/x") for _, _, target in relations)


def test_revisions_are_ordered_by_number_and_not_by_age() -> None:
    """A revision that was rolled back to keeps its age and gets a new number."""
    found = world.oom_killed()
    first, second = found.objects["ReplicaSet"]
    first["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "10"
    graph = Graph(found)

    assert graph.revisions(found.objects["Deployment"][0]) == [first, second]
    assert graph.previous(found.objects["Deployment"][0]) is second


def test_a_pod_without_a_controller_is_its_own_workload() -> None:
    """Nothing above it was read, so nothing above it is assumed."""
    pod: Json = {"kind": "Pod", "metadata": world.meta("solo", "checkout"), "spec": {}, "status": {}}
    graph = Graph(world.snapshot([pod]))

    assert graph.workload(pod) is pod
    assert graph.pods(pod) == [pod]


def test_objects_with_nothing_in_them_break_nothing() -> None:
    """Half-written objects, null members and missing status are read as empty."""
    bare: list[Json] = [
        {"kind": kind, "metadata": {"name": "x", "namespace": "checkout", "labels": None}}
        for kind in ("Pod", "Deployment", "ReplicaSet", "Service", "EndpointSlice", "Event", "Ingress", "Job")
    ]
    graph = Graph(world.snapshot(bare))

    assert list(graph.edges()) == []
    assert graph.pods(bare[1]) == []
    assert selector(bare[3]) == {}
