"""Every plan: one change that passed its dry run, checks after it, a way back; or no change and the reason."""

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Gap, diagnose
from skyflo_runbooks.model.check import CATALOGUE
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.plan import (
    ChangeStep,
    GatherStep,
    Plan,
    ReadStep,
    RecordStep,
    RollbackStep,
    VerifyStep,
    bind,
    defaults,
)
from skyflo_runbooks.notebook.compile import compile_plan
from skyflo_runbooks.planning import DryRun, plan
from tests.diagnosis import world
from tests.diagnosis.world import FAULTS, RENAMED, Names
from tests.planning.tries import WORDS, Tries, change_of, planned, prose_of

CHANGES = {
    "CON-07": ("raise_memory", "k8s_set_resources"),
    "CON-04": ("add_variable", "k8s_set_env"),
    "IMG-01": ("set_image", "k8s_set_image"),
    "NET-01": ("set_selector", "k8s_patch"),
    "SCH-02": ("lower_request", "k8s_set_resources"),
}


@pytest.mark.parametrize("names", [Names(), RENAMED], ids=["as-usual", "renamed"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_plan_reads_changes_verifies_and_knows_the_way_back(fault: str, names: Names) -> None:
    """The steps come in that order, the verify judges the change, and the roll-back is of it."""
    made = await planned(FAULTS[fault](names), incident=Incident("something is wrong"))

    change = change_of(made)
    assert (change.id, change.tool) == CHANGES[fault]
    assert change.why
    order = [type(step) for step in made.steps if isinstance(step, GatherStep | ChangeStep | VerifyStep | RollbackStep)]
    assert order == [GatherStep, ChangeStep, VerifyStep, RollbackStep]
    verify = next(step for step in made.steps if isinstance(step, VerifyStep))
    assert verify.after == (change.id,)
    assert len(verify.checks) >= 2
    assert next(step.of for step in made.steps if isinstance(step, RollbackStep)) == change.id
    assert isinstance(made.steps[-1], RecordStep)
    assert made.target.namespaces == (names.namespace,)


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_a_plan_binds_and_compiles(fault: str) -> None:
    """Every parameter that a step uses is there, every check is in the catalogue, and the notebook can be written."""
    made = await planned(FAULTS[fault](Names()))

    values = defaults(made)
    for step in made.steps:
        if isinstance(step, ReadStep | ChangeStep):
            assert "$param" not in str(bind(step.arguments, values))
        if isinstance(step, VerifyStep):
            assert {check.name for check in step.checks} <= set(CATALOGUE)
    cells = compile_plan(made)["cells"]
    assert any("runbook.verify(" in cell["source"] for cell in cells)


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_the_change_was_tried_exactly_as_it_stands(fault: str) -> None:
    """What the dry run was asked is what the plan's defaults give."""
    tries = Tries()
    made = await planned(FAULTS[fault](Names()), tries)

    change = change_of(made)
    assert (change.tool, bind(change.arguments, defaults(made))) in tries.asked


async def test_a_change_that_was_refused_is_left_out_and_the_next_way_taken() -> None:
    """The plan says what the API server said, and offers the way that passed."""
    refused = Tries({"k8s_set_resources": DryRun(ok=False, message="exceeded quota: small")})
    made = await planned(world.oom_killed(), refused)

    assert change_of(made).id == "roll_back"
    assert "refused in the dry run: exceeded quota: small" in prose_of(made)
    assert made.alternatives == ()


async def test_where_every_change_was_refused_the_plan_only_reads() -> None:
    """No change cell, no verify cell; the reasons stand in words."""
    no = DryRun(ok=False, message="denied by policy")
    made = await planned(world.oom_killed(), Tries({"k8s_set_resources": no, "k8s_rollout_undo": no}))

    assert not any(isinstance(step, ChangeStep | VerifyStep | RollbackStep) for step in made.steps)
    assert any(isinstance(step, GatherStep) for step in made.steps)
    assert "No safe change follows" in prose_of(made)
    assert prose_of(made).count("denied by policy") == 2


async def test_what_is_in_place_already_is_no_change() -> None:
    """A dry run with an empty diff shows that the repair was made meanwhile."""
    made = await planned(world.wrong_selector(), Tries({"k8s_patch": DryRun(ok=True, in_place=True)}))

    assert not any(isinstance(step, ChangeStep) for step in made.steps)
    assert "already in place" in prose_of(made)


async def test_alternatives_are_complete_calls_that_passed() -> None:
    """An alternative needs no parameter of the plan: an operator can propose it as it is."""
    made = await planned(world.oom_killed())

    (other,) = made.alternatives
    assert other.tool == "k8s_rollout_undo"
    assert other.arguments == {
        "kind": "Deployment",
        "namespace": "checkout",
        "name": "payment-service",
        "to_revision": 1,
    }


async def test_several_causes_one_plan() -> None:
    """The first is repaired, the others are named."""
    first, second = world.oom_killed(), world.wrong_image(Names(workload="otter", service="otter"))
    kinds = {**first.objects, **second.objects}
    both = {kind: [*first.objects.get(kind, []), *second.objects.get(kind, [])] for kind in kinds}
    made = await planned(msgspec.structs.replace(first, objects=both))

    assert change_of(made).id == "raise_memory"
    assert [item.fault for item in made.findings] == ["CON-07", "IMG-01"]
    assert "Not repaired by this runbook" in prose_of(made)
    assert "IMG-01" in prose_of(made)


async def _made(found: Gap | None, *, insist: bool) -> Plan | None:
    healthy = world.healthy()
    seen = msgspec.structs.replace(healthy, gaps=(found,) if found else ())
    return await plan(diagnose(seen, WORDS), WORDS, seen, Tries(), insist=insist)


@pytest.mark.parametrize("gap", [None, Gap("Pod", "checkout", "forbidden")], ids=["healthy", "unknown"])
async def test_without_a_finding_there_is_no_plan_unless_insisted(gap: Gap | None) -> None:
    """Healthy and unknown give no plan; asked for one, it only reads and says what was found."""
    assert await _made(gap, insist=False) is None

    made = await _made(gap, insist=True)

    assert made is not None
    assert not any(isinstance(step, ChangeStep | VerifyStep) for step in made.steps)
    assert any(isinstance(step, GatherStep) for step in made.steps)
    said = "could not be read: forbidden" if gap else "3 of 3 replicas available"
    assert said in prose_of(made)
    assert compile_plan(made)["cells"]


async def test_the_id_is_the_same_for_the_same_words_and_time() -> None:
    """A plan made twice from one snapshot is one plan."""
    first, again = await planned(world.oom_killed()), await planned(world.oom_killed())
    other = await planned(world.oom_killed(), incident=Incident("payment-service is broken"))

    assert first == again
    assert first.id != other.id


async def test_text_of_the_cluster_stays_text() -> None:
    """What an API server or a log says is escaped in prose, whatever it holds."""
    nasty = "<script>alert(1)</script> [x](javascript:y) ```"
    made = await planned(world.oom_killed(), Tries({"k8s_rollout_undo": DryRun(ok=False, message=nasty)}))

    assert "<script>" not in prose_of(made)
    assert "[x](javascript" not in prose_of(made)
    assert "```" not in prose_of(made)
