"""What the server allocates is left out of a creation's digest and diff only where the manifest leaves it open."""

from pathlib import Path
from typing import Any

import pytest

from skyflo_runbooks.gateway.shown import sides
from skyflo_runbooks.model.digest import allocated, body_state, sha256
from skyflo_runbooks.model.json import Json
from tests.gateway.world import world

PATHS = [("clusterIP", "10.96.0.50"), ("clusterIPs", ["10.96.0.50"]), ("healthCheckNodePort", 30001), ("nodeName", "a")]


def service(**spec: object) -> Json:
    """Return a Service."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [], **spec}}


def bound(left: Json, sent: object) -> str:
    """Return the digest of a creation's body."""
    return sha256(body_state(left, created=True, sent=sent))


@pytest.mark.parametrize(("name", "value"), PATHS)
def test_a_path_that_the_manifest_names_is_bound(name: str, value: Any) -> None:
    """And one that it leaves open is not: the server gives another one each time."""
    one, other = service(**{name: value}), service(**{name: "another"})
    assert bound(one, one) != bound(other, one)
    assert bound(one, service()) == bound(other, service())
    assert bound(one, service(**{name: ""})) == bound(other, service(**{name: ""}))
    assert ("spec", name) not in allocated(one)


def test_a_headless_service_is_bound_to_be_one() -> None:
    """`None` is somebody's wish."""
    headless = service(clusterIP="None")
    assert bound(headless, headless) != bound(service(clusterIP="10.96.0.1"), headless)


@pytest.mark.parametrize(("name", "value"), PATHS[:2])
def test_the_diff_shows_what_was_asked_for(name: str, value: Any) -> None:
    """And not what the server gave by itself."""
    asked = service(**{name: value})
    assert str(value) in str(sides(None, asked, asked)[1])
    assert str(value) not in str(sides(None, asked, service())[1])


async def test_a_service_with_an_address_of_its_own_is_proposed_and_applied(tmp_path: Path) -> None:
    """Its card shows the address."""
    manifest = service(clusterIP="10.96.200.7", selector={"app": "x"}, ports=[{"port": 80}])
    async with world(tmp_path) as here:
        row = await here.propose("k8s_create", {"manifest": manifest, "namespace": "checkout"})
        assert "10.96.200.7" in row.proposal.diff
        assert (await here.approve(row)).state == "executed"
