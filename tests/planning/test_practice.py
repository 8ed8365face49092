"""Every scenario of the practice cluster, from the operator's words to a repair that lasts."""

import msgspec
import pytest

from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.practice import Scenario, load, names
from tests.planning.staged import send, stage
from tests.planning.tries import change_of, checks_of, prose_of, value_of

BROKEN = sorted(name for name in names() if load(name).expect.fault)


@pytest.mark.parametrize("name", BROKEN)
async def test_the_cause_is_found_and_its_repair_lasts(name: str) -> None:
    """The scenario's fault is the first finding and the only one; the change that was planned removes it."""
    async with stage(name) as staged:
        expected = staged.practice.scenario.expect
        _, before = await staged.look()
        made = await staged.planned()

        assert [(item.fault, str(item.object)) for item in before.findings] == [(expected.fault, expected.object)]
        assert expected.text in str(before.findings[0])
        assert before.unknown == ()
        assert made is not None
        await staged.apply(made)
        await staged.practice.advance(400)
        _, after = await staged.look()

    assert after.findings == ()
    assert after.unknown == ()
    assert after.healthy


async def test_the_flagship() -> None:
    """As the story says: 14 restarts, 22 minutes, 256Mi to 512Mi, and HTTP on /checkout."""
    async with stage("oomkilled-payment") as staged:
        snapshot, diagnosis = await staged.look()
        made = await staged.planned()

    (finding,) = diagnosis.findings
    assert snapshot.namespaces == ("checkout",)
    assert finding.facts["restarts"] == "14"
    assert any("deployed 22 minutes before" in item.text for item in finding.evidence)
    assert any("500 errors on checkout" in text for text in finding.consequences)
    assert made is not None
    assert change_of(made).id == "raise_memory"
    assert value_of(made, "memory_limit") == "512Mi"
    assert checks_of(made)["http_ok"] == {
        "service": "payment-service",
        "namespace": {"$param": "namespace"},
        "path": "/checkout",
        "port": None,
        "window": {"$param": "settle"},
    }
    assert [item.title for item in made.alternatives] == ["Roll back to revision 1 (payment-svc:v2.4.0)"]


async def test_a_limit_that_is_still_too_small_is_found_again() -> None:
    """After 300Mi the same cause is named at the new limit, and the next doubling of that is proposed."""
    async with stage("oomkilled-payment") as staged:
        made = await staged.planned()
        assert made is not None
        await staged.apply(made, memory_limit="300Mi")
        await staged.practice.advance(300)
        _, again = await staged.look()
        retry = await staged.planned()

    assert again.findings[0].fault == "CON-07"
    assert again.findings[0].facts["limit"] == "300Mi"
    assert retry is not None
    assert value_of(retry, "memory_limit") == "600Mi"


async def test_the_alternative_repairs_too() -> None:
    """Rolling back, which stands beside the raise, also leaves nothing to find."""
    async with stage("oomkilled-payment") as staged:
        made = await staged.planned()
        assert made is not None
        (other,) = made.alternatives
        await send(staged.cluster, other.tool, other.arguments, dry_run=False)
        await staged.practice.advance(120)
        _, after = await staged.look()

    assert after.findings == ()
    assert after.healthy


def _together(first: str, second: str) -> Scenario:
    """Return one scenario with the incidents of two, in their own namespaces."""
    one, other = load(first), load(second)
    steps = sorted([*one.history, *other.history], key=lambda step: step.ago, reverse=True)
    return msgspec.structs.replace(
        one, images=(*one.images, *other.images), history=tuple(steps), incident="two things are wrong at once"
    )


@pytest.mark.parametrize(
    ("first", "second"), [("oomkilled-payment", "wrong-image-tag"), ("missing-env", "service-selector")]
)
async def test_two_faults_at_once_are_both_named(first: str, second: str) -> None:
    """Each with its own object; one of them is repaired, the other named in the plan."""
    wanted = {load(name).expect.fault for name in (first, second)}
    async with stage(_together(first, second)) as staged:
        _, diagnosis = await staged.look()
        made = await staged.planned()

    assert {item.fault for item in diagnosis.findings} == wanted
    assert diagnosis.unknown == ()
    assert made is not None
    assert diagnosis.findings[1].fault in prose_of(made)


async def test_a_healthy_cluster_gives_no_plan() -> None:
    """Nothing is found, and what is well is said."""
    async with stage("healthy") as staged:
        _, diagnosis = await staged.look()
        made = await staged.planned()

    assert diagnosis.findings == ()
    assert diagnosis.unknown == ()
    assert diagnosis.healthy
    assert made is None


async def test_without_a_namespace_in_the_words_the_whole_cluster_is_read() -> None:
    """The failing workload is found all the same."""
    async with stage("oomkilled-payment") as staged:
        snapshot, diagnosis = await staged.look(Incident("customers cannot pay"))

    assert snapshot.namespaces == ()
    assert [str(item.object) for item in diagnosis.findings] == ["Deployment/checkout/payment-service"]
