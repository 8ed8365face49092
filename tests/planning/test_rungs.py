"""The practice cluster, a real control plane and a real node give the same findings and the same plan."""

import pytest
from skyflo_mcp.kubernetes import Cluster

from skyflo_runbooks.diagnosis import investigate
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan
from skyflo_runbooks.planning import plan
from skyflo_runbooks.practice import load, names
from tests.control_plane.fixtures import Stage
from tests.control_plane.stage import Staged
from tests.planning.staged import dry_run_on, stage

BROKEN = sorted(name for name in names() if load(name).expect.fault)


def _said(made: Plan | None) -> list[tuple[str, str, Json]]:
    """Return the plan's change and alternatives, as far as they do not depend on measured figures."""
    assert made is not None
    changes = [(step.id, step.tool, step.arguments) for step in made.steps if isinstance(step, ChangeStep)]
    return changes + [(item.title, item.tool, item.arguments) for item in made.alternatives]


def _named(found: Diagnosis) -> list[tuple[str, str]]:
    return [(item.fault, str(item.object)) for item in found.findings]


async def _agree(real: Staged, name: str) -> None:
    """Show that both name one cause and plan one change, which the more real server's dry run accepts."""
    async with stage(name) as staged:
        _, practised = await staged.look()
        expected = await staged.planned()
    incident = Incident(real.scenario.incident)

    async with Cluster.from_kubeconfig(str(real.plane.kubeconfig("operator"))) as cluster:
        snapshot, diagnosis = await investigate(cluster, incident)
        made = await plan(diagnosis, incident, snapshot, dry_run_on(cluster))

    assert _named(diagnosis) == _named(practised)
    assert _said(made) == _said(expected)


@pytest.mark.control_plane
@pytest.mark.parametrize("name", BROKEN)
async def test_a_real_control_plane_agrees(name: str, stage_on_control_plane: Stage) -> None:
    """Real API server, controllers and scheduler; the pods are played."""
    await _agree(stage_on_control_plane(name), name)


@pytest.mark.real_node
@pytest.mark.parametrize("name", ["oomkilled-payment", "missing-env"])
async def test_a_real_node_agrees(name: str, stage_on_real_node: Stage) -> None:
    """Nothing is played: the kernel kills, the kubelet reports."""
    await _agree(stage_on_real_node(name), name)
