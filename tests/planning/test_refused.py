"""A practice cluster that refuses: what is not known is said, and nothing is called healthy."""

import httpx
import pytest
from skyflo_mcp.kubernetes import Cluster

from skyflo_runbooks.diagnosis import investigate
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.practice import PracticeCluster

WORDS = Incident("payment-service pods are crash-looping", namespaces=("checkout",))


class Refusing(httpx.AsyncBaseTransport):
    """The practice cluster's API, which answers 403 for lists of some resources."""

    def __init__(self, practice: PracticeCluster, resources: frozenset[str]) -> None:
        self.inner = httpx.ASGITransport(practice.app)
        self.resources = resources

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Refuse as an API server does, or pass on."""
        resource = request.url.path.rpartition("/")[2]
        if resource not in self.resources:
            return await self.inner.handle_async_request(request)
        message = f'{resource} is forbidden: User "reader" cannot list resource "{resource}"'
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "message": message}
        return httpx.Response(403, json={**status, "code": 403}, request=request)


async def looked(scenario: str, *refused: str) -> Diagnosis:
    """Return the diagnosis of a scenario by a reader who may not list these resources."""
    client = httpx.AsyncClient(
        transport=Refusing(PracticeCluster(scenario), frozenset(refused)), base_url="http://practice"
    )
    async with Cluster(client) as cluster:
        return (await investigate(cluster, WORDS))[1]


@pytest.mark.parametrize("resource", ["pods", "deployments", "services", "nodes"])
async def test_a_refused_list_is_unknown_on_a_healthy_cluster(resource: str) -> None:
    """Exit code 4 and not 3: the answer depends on what was not read."""
    found = await looked("healthy", resource)

    assert found.healthy == ()
    assert any(f'cannot list resource "{resource}"' in text for text in found.unknown)


async def test_the_cause_is_named_in_spite_of_refusals_beside_it() -> None:
    """What the pods' status says stands, whatever else was refused."""
    found = await looked("oomkilled-payment", "events", "configmaps", "resourcequotas")

    assert [item.fault for item in found.findings] == ["CON-07"]
    assert any("Event in namespace checkout could not be read" in text for text in found.unknown)
    assert any("ConfigMap in namespace checkout could not be read" in note for note in found.notes)


async def test_without_pods_nothing_is_blamed() -> None:
    """The Service has pods that nobody may see: it is unknown, and no selector is called wrong."""
    found = await looked("oomkilled-payment", "pods")

    assert found.findings == ()
    assert not any("selects no pod" in text for text in found.unknown)
    assert any("cannot list resource" in text for text in found.unknown)
