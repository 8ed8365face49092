"""What a proposal says of its surroundings, read from a cluster: real proposals on the practice cluster."""

from pathlib import Path

import pytest
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway.impact import Need, Scene
from skyflo_runbooks.gateway.impact.reads import ClusterLister
from skyflo_runbooks.gateway.impact.scene import EVERYTHING, MOST
from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json
from tests.gateway import requests as make
from tests.gateway.world import RAISE, world
from tests.tools.apiserver import Asked, Reply, Scripted

FLAGSHIP = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}


async def test_the_flagships_card(tmp_path: Path) -> None:
    """Pods that restart, the Service with its endpoints, autoscaler, budget, room, ownership: all of it known."""
    async with world(tmp_path) as gate:
        impact = (await gate.propose(arguments=RAISE)).proposal.impact
        assert impact.while_it_runs[0].startswith("3 pods restart one after another; ")
        said = "\n".join(impact.also_touched)
        for text in ("Service payment-service (", "No HorizontalPodAutoscaler", "No PodDisruptionBudget", "Room for "):
            assert text in said
        assert impact.ownership == ("Not managed by Helm, Argo CD, Flux or an owner",)
        assert impact.unknown == ()


async def test_no_pod_left(tmp_path: Path) -> None:
    """Scaling to nothing says what goes away with it."""
    async with world(tmp_path, "healthy") as gate:
        row = await gate.propose("k8s_scale", {**FLAGSHIP, "replicas": 0})
        assert row.proposal.impact.while_it_runs == ("3 pods stop: 3 → 0 replicas",)
        assert row.proposal.assessment.risk == "high"
        assert "Deployment/checkout/payment-service would run no pod" in row.proposal.assessment.reasons


async def test_a_deletion_names_what_goes_with_it(tmp_path: Path) -> None:
    """The ReplicaSets and their pods, by their owner's uid."""
    async with world(tmp_path) as gate:
        row = await gate.propose("k8s_delete", FLAGSHIP)
        assert any(
            line.startswith("Deleted with it: 2 ReplicaSets (payment-service-") and "; 3 Pods (" in line
            for line in row.proposal.impact.also_touched
        )
        assert row.proposal.diff.startswith("@@ Deployment checkout/payment-service (deleted)")


async def test_a_namespace_is_counted_by_kind(tmp_path: Path) -> None:
    """Everything that lives in it, and there is no way back."""
    async with world(tmp_path) as gate:
        row = await gate.propose("k8s_delete", {"kind": "Namespace", "name": "checkout"})
        said = "\n".join(row.proposal.impact.also_touched)
        assert "Everything in it is deleted: " in said
        assert "5 Pod, " in said
        assert row.proposal.assessment.irreversible
        assert row.proposal.assessment.risk == "high"


async def test_a_created_object_shows_what_was_written(tmp_path: Path) -> None:
    """Through the whole gate: no default, no uid, no time."""
    async with world(tmp_path, tools=make.tool([make.create()])) as gate:
        assert (await gate.propose("t", {})).proposal.diff.splitlines() == [
            "@@ ConfigMap checkout/settings (new)",
            "+apiVersion: v1",
            "+data:",
            "+  mode: slow",
            "+kind: ConfigMap",
            "+metadata:",
            "+  labels:",
            "+    app: shop",
            "+  name: settings",
            "+  namespace: checkout",
        ]


async def test_a_kind_that_is_not_served_has_no_objects_and_costs_no_call(tmp_path: Path) -> None:
    """KEDA is not installed: that is known."""
    async with world(tmp_path) as gate:
        lister = ClusterLister(gate.gateway.cluster)
        assert await lister.items("ScaledObject", "checkout") == []
        numbers, failed = await lister.counts("Pod", "checkout")
        assert (numbers, failed) == ({"Pod": 5}, {})
        everything, failed = await lister.counts(EVERYTHING, "checkout")
        assert everything["Deployment"] >= 1
        assert "Event" not in everything
        assert failed == {}


def served(pods: int, *, forbidden: str = "") -> Scripted:
    """An API server of pods and secrets that pages and counts."""
    kinds = [{"name": name, "kind": kind, "namespaced": True, "verbs": ["list"]} for name, kind in
             (("pods", "Pod"), ("secrets", "Secret"))]  # fmt: skip

    def answer(asked: Asked) -> Reply:
        if asked.path == "/api":
            return Reply(body={"kind": "APIVersions", "versions": ["v1"]})
        if asked.path == "/apis":
            return Reply(body={"kind": "APIGroupList", "groups": []})
        if asked.path == "/api/v1":
            return Reply(body={"kind": "APIResourceList", "groupVersion": "v1", "resources": kinds})
        if forbidden and asked.path.endswith(forbidden):
            return Reply(403, {"kind": "Status", "reason": "Forbidden", "code": 403, "message": "not yours"})
        begin = int(asked.query.get("continue", "0"))
        end = min(pods, begin + int(asked.query["limit"]))
        metadata: Json = {"continue": str(end), "remainingItemCount": pods - end} if end < pods else {}
        items = [{"metadata": {"name": f"p{number}", "namespace": "shop"}} for number in range(begin, end)]
        return Reply(body={"kind": "List", "metadata": metadata, "items": items})

    return Scripted(answer)


@pytest.mark.parametrize(("pods", "known"), [(MOST, True), (MOST + 1, False)])
async def test_a_list_that_is_too_long_is_not_known(pods: int, known: bool) -> None:
    """Reading goes on to a bound; what has more is no number at all."""
    async with served(pods).cluster() as cluster:
        scene = await _scene(cluster, Need("Pod", "shop"))
        assert scene.knows("Pod", "shop") is known
        assert len(scene.of("Pod", "shop")) == (pods if known else 0)
        assert scene.problems([Need("Pod", "shop")]) == (
            () if known else (f"Pod of shop could not be read: there are more than {MOST}",)
        )


async def test_counting_asks_for_metadata_of_one_object() -> None:
    """No Secret is read to count Secrets; a kind that may not be listed is said."""
    api = served(7, forbidden="secrets")
    async with api.cluster() as cluster:
        need = Need(EVERYTHING, "shop", count=True)
        scene = await _scene(cluster, need)
        assert scene.counts(EVERYTHING, "shop") == {"Pod": 7}
        (problem,) = scene.problems([need])
        assert problem.startswith("The contents of shop could not be counted: Secret: ")
        assert "403: not yours" in problem
        asked = [one for one in api.asked if "/namespaces/shop/" in one.path]
        assert all(one.query["limit"] == "1" for one in asked)
        assert all("PartialObjectMetadataList" in one.headers["accept"] for one in asked)


async def _scene(cluster: Cluster, *needs: Need) -> Scene:
    scene = Scene(ClusterLister(cluster))
    await scene.read(needs)
    return scene


async def test_what_fails_is_raised_by_nobody() -> None:
    """A read that fails is a problem of the scene, not of the proposal."""

    class Broken:
        async def items(self, kind: str, namespace: str) -> list[Json]:
            raise Unknown(f"{kind}: the server is on fire")

        async def counts(self, kind: str, namespace: str) -> tuple[dict[str, int], dict[str, str]]:
            raise Unknown("no")

    scene = Scene(Broken())
    await scene.read([Need("Pod"), Need("*", "shop", count=True), Need("Pod")])
    assert not scene.has([Need("Pod")])
    assert not scene.has([Need("*", "shop", count=True)])
    assert scene.problems([Need("Pod")]) == ("Pod could not be read: Pod: the server is on fire",)
