"""Faults staged on a real API server, with its real scheduler and controllers: each is named first, with its object."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.diagnosis.take import take
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from tests import needs
from tests.control_plane import harness, played
from tests.control_plane.harness import ControlPlane
from tests.faults import staging

pytestmark = pytest.mark.control_plane
CASES = [case for family in ("scheduling", "admission", "routing", "rollout") for case in staging.cases(family)]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with played nodes on which every case was begun."""
    folder = tmp_path_factory.mktemp("faults")
    with harness.running(folder, needs.control_plane()) as plane, played.playing(plane, "healthy"):
        staging.stage(plane, CASES)
        staging.go_on(plane, CASES)
        yield plane


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.namespace}")
async def test_the_fault_is_named_first(faulty: ControlPlane, case: staging.Case) -> None:
    """The diagnosis names fault and object, finds nothing else in the namespace, and leaves nothing unexplained."""

    async def looked() -> Diagnosis:
        async with Cluster.from_kubeconfig(str(faulty.kubeconfig())) as cluster:
            return diagnose(await take(cluster, [case.namespace]), Incident(case.words, (case.namespace,)))

    found = await staging.until(looked, partial(_named, case))

    assert [(item.fault, str(item.object)) for item in found.findings] == [(case.fault, case.finds)]
    assert found.unknown == ()


def _named(case: staging.Case, found: Diagnosis) -> bool:
    return [item.fault for item in found.findings] == [case.fault] and not found.unknown
