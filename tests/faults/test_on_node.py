"""Faults staged on one real node, all at once: a kubelet tells each, it is named, and its plan repairs.

The repairs are begun together, because a rollout on a real node takes its time; each case is judged alone.
"""

from __future__ import annotations

import asyncio

import pytest
from skyflo_mcp.kubernetes.client import Cluster

from tests import needs
from tests.control_plane.harness import ControlPlane
from tests.faults import kubelets, staging
from tests.faults.repairing import Outcome, judge, outcome
from tests.faults.staging import Case
from tests.real_node import node

pytestmark = [pytest.mark.real_node, pytest.mark.timeout(900)]
FAMILY = kubelets.load(kubelets.families())
CASES = list(FAMILY.cases)
_AT_ONCE = 6


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome | BaseException]:
    """What came of each case, by its namespace; or what broke it."""
    binaries = needs.real_node()
    with node.running(tmp_path_factory.mktemp("n"), binaries, FAMILY.stock) as made:
        staging.stage(made.plane, CASES)
        staging.go_on(made.plane, CASES)
        found = asyncio.run(_all(made.plane))
    return {case.namespace: each for case, each in zip(CASES, found, strict=True)}


async def _all(plane: ControlPlane) -> list[Outcome | BaseException]:
    gate = asyncio.Semaphore(_AT_ONCE)
    async with Cluster.from_kubeconfig(str(plane.kubeconfig("admin"))) as cluster:

        async def one(case: Case) -> Outcome:
            async with gate:
                return await outcome(cluster, case)

        return list(await asyncio.gather(*map(one, CASES), return_exceptions=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.namespace}")
def test_the_fault_is_named_and_repaired(outcomes: dict[str, Outcome | BaseException], case: Case) -> None:
    """The diagnosis names fault and object and nothing else; the plan's change leaves nothing wrong."""
    seen = outcomes[case.namespace]
    if isinstance(seen, BaseException):
        raise seen
    judge(case, seen)
