"""Requests to a subresource: the object that it is about is what is compared, shown and led back."""

from pathlib import Path

import pytest

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import JSON_PATCH, MERGE_PATCH, Request
from tests.gateway import requests as make
from tests.gateway.world import OPERATOR, world

REF = ObjectRef("Deployment", "payment-service", "checkout", "apps/v1")
PATH = "/apis/apps/v1/namespaces/checkout/deployments/payment-service"
OPERATIONS: list[Json] = [
    {"op": "test", "path": "/spec/replicas", "value": 3},
    {"op": "replace", "path": "/spec/replicas", "value": 5},
]


@pytest.mark.parametrize(
    ("body", "form"),
    [(OPERATIONS, JSON_PATCH), ({"spec": {"replicas": 5}}, MERGE_PATCH)],
    ids=["json patch", "merge patch"],
)
async def test_scale_is_about_the_workload_and_leads_back(tmp_path: Path, body: object, form: str) -> None:
    """The server answers with a Scale; the diff is of the Deployment."""
    request = Request("patch", REF, f"{PATH}/scale", body, form)
    async with world(tmp_path, tools=make.tool([request])) as gate:
        row = await gate.propose("t", {})
        assert "-  replicas: 3" in row.proposal.diff
        assert "+  replicas: 5" in row.proposal.diff
        assert "template" not in row.proposal.diff
        assert row.proposal.binding.requests[0].subresource == "scale"
        assert ((await gate.approve(row)).state, await gate.replicas()) == ("executed", 5)
        way = await gate.gateway.roll_back(row.proposal.id, OPERATOR)
        assert ((await gate.approve(way)).state, await gate.replicas()) == ("executed", 3)


async def test_a_foreign_change_of_the_workload_voids_its_scaling(tmp_path: Path) -> None:
    """Not only of its replicas."""
    request = Request("patch", REF, f"{PATH}/scale", {"spec": {"replicas": 5}}, MERGE_PATCH)
    async with world(tmp_path, tools=make.tool([request])) as gate:
        row = await gate.propose("t", {})
        theirs = Request("patch", REF, PATH, {"spec": {"minReadySeconds": 5}}, MERGE_PATCH)
        await gate.gateway.cluster.send(theirs, dry_run=False, field_manager="somebody")
        assert ((await gate.approve(row)).state, await gate.replicas()) == ("void", 3)


@pytest.mark.parametrize(
    ("path", "kind", "said"),
    [
        ("/api/v1/namespaces/shop/pods/web-0/eviction", "Pod", ("shop", "web-0", "eviction")),
        ("/api/v1/namespaces/shop/pods", "Pod", ("shop", "", "")),
        ("/apis/apps/v1/namespaces/shop/deployments/deployments", "Deployment", ("shop", "deployments", "")),
        ("/api/v1/namespaces/shop", "Namespace", ("", "shop", "")),
        ("/api/v1/namespaces/shop/finalize", "Namespace", ("", "shop", "finalize")),
        ("/api/v1/nodes/node-a", "Node", ("", "node-a", "")),
        ("/apis/example.com/v1/widgets/a/scale", "Widget", ("", "a", "scale")),
    ],
)
def test_a_path_says_namespace_name_and_subresource(path: str, kind: str, said: tuple[str, str, str]) -> None:
    """Whatever an object is called."""
    assert Request("patch", ObjectRef(kind, "x"), path, []).place == said


async def test_a_status_is_never_written(tmp_path: Path) -> None:
    """It is what controllers report."""
    request = Request("patch", REF, f"{PATH}/status", {"status": {}}, MERGE_PATCH)
    async with world(tmp_path, tools=make.tool([request])) as gate:
        with pytest.raises(BadInput, match="not written"):
            await gate.propose("t", {})
