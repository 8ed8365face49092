"""How a kind may be named, and that no name leads out of its place in a path."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes import NotFound, Resource
from skyflo_mcp.kubernetes.resources import find, preferring

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from tests.tools.apiserver import DISCOVERY, Asked, Reply, Scripted, status, with_discovery
from tests.tools.worlds import World

SERVICE = Resource("Service", "services", "", "v1", True, singular="service", short=("svc",))
KNATIVE = Resource("Service", "services", "serving.knative.dev", "v1", True, singular="service", short=("ksvc",))
DEPLOYMENT = Resource("Deployment", "deployments", "apps", "v1", True, singular="deployment", short=("deploy",))
NODE = Resource("Node", "nodes", "", "v1", False, singular="node", short=("no",))
ROLE = Resource("ClusterRole", "clusterroles", "rbac.authorization.k8s.io", "v1", False)
KNOWN = (SERVICE, NODE, DEPLOYMENT, KNATIVE, ROLE)


@pytest.mark.parametrize(
    "said", ["Deployment", "deployment", "deployments", "deploy", "DEPLOY", "deployments.apps", "Deployment.v1.apps"]
)
def test_a_kind_is_found_by_every_name_that_people_use(said: str) -> None:
    """Kind, plural, singular, short name, and the dotted forms."""
    assert find(KNOWN, said) is DEPLOYMENT


def test_the_core_group_comes_first() -> None:
    """A Service is the cluster's own, unless its group is said."""
    assert find(KNOWN, "Service") is SERVICE
    assert find(KNOWN, "services.serving.knative.dev") is KNATIVE
    assert find(KNOWN, "Service", "serving.knative.dev/v1") is KNATIVE
    assert find(KNOWN, "ksvc") is KNATIVE


def test_an_older_version_of_a_group_still_finds_it() -> None:
    """Objects keep the apiVersion they were written with."""
    assert find(KNOWN, "Deployment", "apps/v1beta2") is DEPLOYMENT


def test_a_kind_is_taken_in_the_version_that_is_asked_for() -> None:
    """Where its group serves it in several; the one that comes first is preferred, and stands for one that is gone."""
    scaler = Resource("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", "v2", True, short=("hpa",))
    known = tuple(preferring([scaler, DEPLOYMENT, msgspec.structs.replace(scaler, version="v1")]))
    assert [one.kind for one in known] == ["HorizontalPodAutoscaler", "Deployment"]
    asked = {"": "v2", "autoscaling/v2": "v2", "autoscaling/v1": "v1", "autoscaling/v2beta2": "v2"}
    assert {said: find(known, "hpa", said).version for said in asked} == asked
    assert find(known, "hpa", "autoscaling/v1").collection("shop").startswith("/apis/autoscaling/v1/")


@pytest.mark.parametrize("said", ["deploymnt", "Deploymentt"])
def test_an_unknown_kind_says_the_nearest(said: str) -> None:
    """A typing error is corrected in words, never silently."""
    with pytest.raises(NotFound, match="serves no kind") as caught:
        find(KNOWN, said)
    assert "Deployment" in caught.value.next_step


@pytest.mark.parametrize("said", ["", "x" * 500, "Widget"])
def test_a_kind_that_is_like_nothing_says_how_to_look(said: str) -> None:
    """The way to the list of kinds is in the message."""
    with pytest.raises(NotFound) as caught:
        find(KNOWN, said)
    assert "CustomResourceDefinition" in caught.value.next_step
    assert len(caught.value.message) < 250


def test_paths_are_those_of_the_api() -> None:
    """Core and named groups, with and without a namespace."""
    assert SERVICE.path("shop", "web") == "/api/v1/namespaces/shop/services/web"
    assert DEPLOYMENT.collection() == "/apis/apps/v1/deployments"
    assert DEPLOYMENT.collection("shop") == "/apis/apps/v1/namespaces/shop/deployments"
    assert NODE.path("shop", "node-a") == "/api/v1/nodes/node-a"
    assert ROLE.path(None, "system:node").endswith("/clusterroles/system:node")


def test_an_object_of_a_namespace_needs_one() -> None:
    """The default namespace is nobody's guess."""
    with pytest.raises(BadInput, match="namespace") as caught:
        SERVICE.path("", "web")
    assert "namespace=" in caught.value.next_step


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_no_name_and_no_namespace_leaves_its_place_in_the_path(namespace: str, name: str) -> None:
    """A path has exactly its own segments, or there is none."""
    try:
        path = SERVICE.path(namespace, name)
    except BadInput:
        return
    assert path.split("/") == ["", "api", "v1", "namespaces", namespace, "services", name]
    assert path.isascii()
    assert not set(path) & set("?#%\\ \n\r\t")


@pytest.mark.parametrize(
    "bad", ["../x", "a/b", "a\n", "a b", "-a", "A", "ä", "a?x=1", "a#b", "a%2fb", ".", "..", "a\0"]
)
def test_names_that_kubernetes_refuses_never_reach_a_path(bad: str) -> None:
    """Neither as a name nor as a namespace."""
    with pytest.raises(BadInput):
        SERVICE.path("shop", bad)
    with pytest.raises(BadInput):
        SERVICE.path(bad, "web")


async def test_discovery_is_read_once() -> None:
    """The second question is answered from memory."""
    server = with_discovery(lambda _: Reply(body={"items": []}))
    cluster = server.cluster()
    await cluster.list("Pod")
    asked = len(server.asked)
    await cluster.list("po", "shop")
    assert [one.path for one in server.asked[asked:]] == ["/api/v1/namespaces/shop/pods"]


async def test_discovery_in_the_aggregated_form_takes_two_requests() -> None:
    """That is what API servers since 1.30 answer."""
    entry: Json = {
        "resource": "deployments",
        "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "scope": "Namespaced",
        "singularResource": "deployment",
        "shortNames": ["deploy"],
        "verbs": ["get", "patch"],
        "subresources": [{"subresource": "scale"}],
    }
    versions = [{"version": "v1", "resources": [entry]}, {"version": "v1beta1", "resources": [entry]}]
    groups: Json = {
        "kind": "APIGroupDiscoveryList",
        "items": [{"metadata": {"name": "apps"}, "versions": versions}],
    }
    core: Json = {"kind": "APIGroupDiscoveryList", "items": []}
    server = Scripted(lambda asked: Reply(body=groups if asked.path == "/apis" else core))
    found = await server.cluster().resource("deploy")
    assert (found.api_version, found.subresources, found.verbs) == ("apps/v1", ("scale",), ("get", "patch"))
    assert len(server.asked) == 2


async def test_a_group_whose_server_is_down_hides_only_itself() -> None:
    """metrics-server may be away; pods are still pods."""

    def answer(asked: Asked) -> Reply:
        if asked.path == "/apis/apps/v1":
            return status(503, "the server is currently unable to handle the request")
        return Reply(body=DISCOVERY[asked.path])

    cluster = Scripted(answer).cluster()
    assert (await cluster.resource("Pod")).plural == "pods"
    with pytest.raises(NotFound):
        await cluster.resource("Deployment")


async def test_custom_resources_are_found_on_a_real_server(world: World) -> None:
    """Every kind that the server lists can be named."""
    kinds = await world.cluster.kinds()
    assert {"Pod", "Deployment", "Event", "Node"} <= {one.kind for one in kinds}
    for one in kinds:
        dotted = f"{one.plural}.{one.group}" if one.group else one.plural
        assert (await world.cluster.resource(dotted)).plural == one.plural
