"""Faults staged on a real API server with its own scheduler and controllers: each is named, and its plan repairs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.diagnosis.take import take
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan, VerifyStep, bind, defaults
from skyflo_runbooks.planning import plan
from tests import needs
from tests.control_plane import harness, played
from tests.control_plane.harness import ControlPlane
from tests.faults import staging
from tests.planning.staged import dry_run_on, send
from tests.planning.tries import prose_of

pytestmark = pytest.mark.control_plane
# A case that needs a node cordoned comes before the one whose repair is to uncordon it.
FAMILIES = ("added", "reach", "scheduling", "admission", "routing", "rollout")
CASES = [case for family in FAMILIES for case in staging.cases(family)]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with played nodes on which every case was begun."""
    folder = tmp_path_factory.mktemp("repaired")
    with harness.running(folder, needs.control_plane()) as plane, played.playing(plane, "healthy"):
        staging.stage(plane, CASES)
        staging.go_on(plane, CASES)
        yield plane


@pytest.fixture
async def cluster(faulty: ControlPlane) -> AsyncIterator[Cluster]:
    """The cluster as its administrator: which role may repair what is not the question here."""
    async with Cluster.from_kubeconfig(str(faulty.kubeconfig("admin"))) as opened:
        yield opened


async def diagnosed(cluster: Cluster, case: staging.Case) -> Diagnosis:
    """Return what the diagnosis says of a case's namespace."""
    return diagnose(await take(cluster, [case.namespace]), Incident(case.words, (case.namespace,)))


async def planned(cluster: Cluster, case: staging.Case, found: Diagnosis) -> Plan:
    """Return the plan for a diagnosis, with real dry runs."""
    snapshot = await take(cluster, [case.namespace])
    made = await plan(found, Incident(case.words, (case.namespace,)), snapshot, dry_run_on(cluster))
    assert made is not None
    return made


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.fault}-{case.namespace}")
async def test_the_fault_is_named_and_repaired(cluster: Cluster, case: staging.Case) -> None:
    """The diagnosis names fault and object and nothing else; the plan's change leaves nothing wrong."""

    def named(found: Diagnosis) -> bool:
        return [item.fault for item in found.findings] == [case.fault] and not found.unknown

    found = await staging.until(partial(diagnosed, cluster, case), named)
    assert [(item.fault, str(item.object)) for item in found.findings] == [(case.fault, case.finds)]
    assert found.unknown == ()

    made = await planned(cluster, case, found)
    changes = [step for step in made.steps if isinstance(step, ChangeStep)]
    assert len(changes) == (0 if case.repair == "advice" else 1)
    assert changes or "Advice" in prose_of(made)
    for change in changes:
        assert next(step for step in made.steps if isinstance(step, VerifyStep)).checks
        arguments: Json = dict(bind(change.arguments, defaults(made)))  # type: ignore[call-overload]  # an object
        await send(cluster, change.tool, arguments, dry_run=False)

    if case.repair == "change":
        after = await staging.until(partial(diagnosed, cluster, case), well, within=60)
        assert [(item.fault, item.title) for item in after.findings] == []
        assert after.unknown == ()


def well(found: Diagnosis) -> bool:
    """Return whether nothing is wrong and nothing unknown."""
    return not found.findings and not found.unknown
