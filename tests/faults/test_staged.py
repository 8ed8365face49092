"""Faults staged on a real API server with its own scheduler and controllers: each is named, and its plan repairs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from skyflo_mcp.kubernetes.client import Cluster

from tests import needs
from tests.control_plane import harness, played
from tests.control_plane.harness import ControlPlane
from tests.faults import staging
from tests.faults.repairing import Outcome, judge, outcome

pytestmark = pytest.mark.control_plane
# A case that needs a node cordoned comes before the one whose repair is to uncordon it.
FAMILIES = ("added", "reach", "scheduling", "admission", "routing", "rollout")
CASES = [case for family in FAMILIES for case in staging.cases(family)]
OF_THE_CLUSTER = [case for family in staging.WIDE for case in staging.cases(family)]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with played nodes on which every case was begun."""
    folder = tmp_path_factory.mktemp("repaired")
    with harness.running(folder, needs.control_plane()) as plane, staging.playing(plane, staging.world()):
        staging.stage(plane, CASES)
        staging.go_on(plane, CASES)
        yield plane


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome | BaseException]:
    """What came of each case that is of the whole cluster, by its namespace; or what broke it.

    They are repaired together: what waits for a back-off, or for a node to be given up, takes its time.
    """
    folder = tmp_path_factory.mktemp("wide")
    with harness.running(folder, needs.control_plane()) as plane, staging.playing(plane, staging.world(wide=True)):
        played.measure(plane)
        staging.stage(plane, OF_THE_CLUSTER)
        staging.go_on(plane, OF_THE_CLUSTER)
        found = asyncio.run(all_outcomes(plane))
    return {case.namespace: each for case, each in zip(OF_THE_CLUSTER, found, strict=True)}


async def all_outcomes(plane: ControlPlane) -> list[Outcome | BaseException]:
    """See every case through, a few at a time."""
    gate = asyncio.Semaphore(6)
    async with administered(plane) as cluster:

        async def one(case: staging.Case) -> Outcome:
            async with gate:
                return await outcome(cluster, case)

        return list(await asyncio.gather(*map(one, OF_THE_CLUSTER), return_exceptions=True))


@asynccontextmanager
async def administered(plane: ControlPlane) -> AsyncIterator[Cluster]:
    """The cluster as its administrator: which role may repair what is not the question here."""
    async with Cluster.from_kubeconfig(str(plane.kubeconfig("admin"))) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.namespace}")
async def test_the_fault_is_named_and_repaired(faulty: ControlPlane, case: staging.Case) -> None:
    """The diagnosis names fault and object and nothing else; the plan's change leaves nothing wrong."""
    async with administered(faulty) as cluster:
        judge(case, await outcome(cluster, case))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("case", OF_THE_CLUSTER, ids=lambda case: f"{case.fault}-{case.namespace}")
def test_what_is_of_the_whole_cluster_is_named_and_repaired(
    outcomes: dict[str, Outcome | BaseException], case: staging.Case
) -> None:
    """So it is on a plane that measures, where other namespaces have none of it."""
    seen = outcomes[case.namespace]
    if isinstance(seen, BaseException):
        raise seen
    judge(case, seen)
