"""The standing cluster is served as an API server would: by kind, by namespace, page by page."""

from __future__ import annotations

import json

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.incident import Incident
from tests.benchmarks import fleet, scaling
from tests.benchmarks.figures import Figure

MADE = fleet.objects(200)


def asked(target: str) -> dict[str, object]:
    """What is answered."""
    body = fleet.Lists(MADE).answer(target)
    assert body is not None
    return dict(json.loads(body))


def test_it_is_as_big_as_it_was_asked_for() -> None:
    """Ten pods a Deployment, a hundred a node and a namespace."""
    counted = {kind: len(items) for kind, items in MADE.items() if items}

    assert counted == {
        "Pod": 200, "Event": 200, "Service": 20, "Node": 2, "ConfigMap": 20, "Namespace": 2, "Deployment": 20,
        "ReplicaSet": 20, "EndpointSlice": 20,
    }  # fmt: skip
    assert all(len(json.dumps(pod)) > 2500 for pod in MADE["Pod"])


def test_one_thing_is_wrong_in_it() -> None:
    """The Deployment that cannot pull its image, and nothing else."""
    found = diagnose(Snapshot(time=fleet.NOW, objects=MADE, elsewhere=()), Incident("something does not start"))

    assert [(one.fault, str(one.object)) for one in found.findings] == [("IMG-01", f"Deployment/team-0/{fleet.BROKEN}")]
    assert found.unknown == ()


def test_lists_come_page_by_page() -> None:
    """Until no token is left, and nothing twice."""
    names: list[str] = []
    token = ""
    while True:
        page = asked(f"/api/v1/pods?limit=75{f'&continue={token}' if token else ''}")
        items, meta = page["items"], page["metadata"]
        assert isinstance(items, list)
        assert isinstance(meta, dict)
        names += [item["metadata"]["name"] for item in items]
        token = meta.get("continue", "")
        if not token:
            break
    assert len(names) == len(set(names)) == 200


def test_a_namespace_is_read_alone() -> None:
    """Only what is in it."""
    items = asked("/apis/apps/v1/namespaces/team-1/deployments")["items"]

    assert isinstance(items, list)
    assert {item["metadata"]["namespace"] for item in items} == {"team-1"}


@pytest.mark.parametrize("target", ["/api/v1/secrets", "/apis/apps/v1/namespaces/team-1/pods", "/healthz"])
def test_what_is_not_there_is_not_answered(target: str) -> None:
    """No kind that it does not serve."""
    assert fleet.Lists(MADE).answer(target) is None


def test_growth_is_drawn() -> None:
    """One point a size, in the order of the figure."""
    drawn = scaling.plot([Figure("diagnosis_5000_pods", 1.0, "s", "", None, {"1000_pods_s": 0.5, "5000_pods_s": 2.0})])

    assert 'x-axis "pods" ["1000", "5000"]' in drawn
    assert "line [0.50, 2.00]" in drawn
