"""Every scenario of the practice cluster, from the operator's words to a repair that lasts."""

import pytest

from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.practice import load, names
from tests.planning.staged import stage
from tests.planning.tries import change_of, checks_of, value_of

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
        "window": "30s",
    }
    assert [item.title for item in made.alternatives] == ["Roll back to revision 1 (payment-svc:v2.4.0)"]


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
