"""What a cluster wants, compared: every wish counts, and what controllers write down beside it does not."""

import httpx

from skyflo_runbooks.model.json import Json
from tests.scoreboard import state

APP: Json = {
    "metadata": {
        "name": "web",
        "namespace": "shop",
        "uid": "1",
        "resourceVersion": "7",
        "annotations": {"deployment.kubernetes.io/revision": "2", "owner": "team-a"},
    },
    "spec": {"replicas": 2, "containers": [{"name": "web", "image": "web:v1"}, {"name": "side", "image": "side:v1"}]},
    "status": {"readyReplicas": 2},
}


def test_fields_are_wishes_by_path() -> None:
    """Statuses, versions and booked annotations are none; entries of lists go by their name."""
    assert state.fields(APP) == {
        "metadata.name": "'web'",
        "metadata.namespace": "'shop'",
        "metadata.annotations.owner": "'team-a'",
        "spec.replicas": "2",
        "spec.containers[web].name": "'web'",
        "spec.containers[web].image": "'web:v1'",
        "spec.containers[side].name": "'side'",
        "spec.containers[side].image": "'side:v1'",
    }


def test_that_a_volume_was_bound_is_no_wish() -> None:
    """The volume controller notes it in the volume and in its claim when it gets to it; for whom it is, is a wish."""
    kept: Json = {"namespace": "shop", "name": "data"}
    volume: Json = {"metadata": {"name": "v"}, "spec": {"claimRef": kept}}
    bound: Json = {"metadata": {"name": "v"}, "spec": {"claimRef": {**kept, "uid": "1", "resourceVersion": "7"}}}
    claim: Json = {"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}

    assert state.fields(volume) == state.fields(bound)
    assert state.fields(claim) == state.fields({**claim, "spec": {**claim["spec"], "volumeName": "v"}})
    assert state.fields(volume) != state.fields({**volume, "spec": {"claimRef": {**kept, "name": "other"}}})


def test_each_difference_is_a_line() -> None:
    """Created, deleted, changed and removed; a namespace can be asked for alone."""
    before: state.State = {"Service/shop/a": {"x": "1", "y": "2"}, "Service/shop/b": {}, "Node/n": {"z": "1"}}
    after: state.State = {"Service/shop/a": {"x": "3"}, "Service/shop/c": {}, "Node/n": {"z": "2"}}

    assert state.differences(before, after) == [
        "Node/n: z",
        "Service/shop/a: x",
        "Service/shop/a: y (removed)",
        "created Service/shop/c",
        "deleted Service/shop/b",
    ]
    assert "Node/n: z" not in state.differences(before, after, within="shop")


def test_what_a_controller_owns_is_no_wish() -> None:
    """A Job that a CronJob made is left out, and so are kinds that are only derived."""
    owned = {"metadata": {"name": "nightly-1", "ownerReferences": [{"controller": True}]}, "spec": {}}

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/apis":
            return httpx.Response(200, json={"groups": []})
        if path == "/api/v1":
            names = ("configmaps", "pods", "pods/log", "events")
            listed = [{"name": name, "verbs": ["list"]} for name in names]
            return httpx.Response(200, json={"resources": listed})
        own = {"metadata": {"name": "settings", "namespace": "shop"}, "data": {"a": "1"}}
        return httpx.Response(200, json={"kind": "ConfigMapList", "items": [own, owned]})

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://api") as client:
        paths = state.collections(client)
        read = state.read(client, paths)

    assert paths == ["/api/v1/configmaps"]
    assert list(read) == ["ConfigMap/shop/settings"]


def test_replicas_that_an_autoscaler_gives_are_its_own() -> None:
    """Those of another workload are wished for; so is every other field of the one that is scaled."""
    scaler = {"spec.scaleTargetRef.kind": "'Deployment'", "spec.scaleTargetRef.name": "'web'"}
    before = {
        "HorizontalPodAutoscaler/shop/by-cpu": scaler,
        "Deployment/shop/web": {"spec.replicas": "2", "spec.paused": "False"},
        "Deployment/shop/api": {"spec.replicas": "2"},
        "Deployment/other/web": {"spec.replicas": "2"},
    }
    after = {
        "HorizontalPodAutoscaler/shop/by-cpu": scaler,
        "Deployment/shop/web": {"spec.replicas": "3", "spec.paused": "True"},
        "Deployment/shop/api": {"spec.replicas": "3"},
        "Deployment/other/web": {"spec.replicas": "3"},
    }

    assert state.differences(before, after) == [
        "Deployment/other/web: spec.replicas",
        "Deployment/shop/api: spec.replicas",
        "Deployment/shop/web: spec.paused",
    ]
