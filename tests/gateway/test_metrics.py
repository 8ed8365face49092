"""What is measured for a monitoring system: it agrees with the record, survives a restart, and names nobody."""

import asyncio
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from skyflo_runbooks.gateway.alarm import Alarm
from skyflo_runbooks.gateway.metrics import Metrics
from tests.gateway.shapes import limited
from tests.gateway.test_restored import approved
from tests.gateway.world import KERNEL, OPERATOR, World, world


def figures(metrics: Metrics) -> dict[str, float]:
    """Return each sample by its name and labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def lived(here: World) -> None:
    """One applied, one rejected, one waiting; two reads."""
    gateway = here.gateway
    assert (await here.approve(await here.propose())).state == "executed"
    row = await here.propose(arguments=limited("300Mi"), step="rejected")
    await gateway.decide(row.proposal.id, here.ballot(row, "reject", "no"), OPERATOR)
    await here.propose(arguments=limited("310Mi"), step="waiting")
    for _ in range(2):
        await here.gate.read("k8s_get", {"kind": "Pod", "namespace": "checkout"}, KERNEL)


async def test_the_figures_agree_with_what_happened(tmp_path: Path) -> None:
    """By state, decision, outcome and tool; the time from approval to applied is observed once."""
    async with world(tmp_path) as here:
        await lived(here)
        async with asyncio.timeout(10):  # The attempt's own task tells of its end a moment later.
            while not figures(here.gateway.metrics)["skyflo_approve_to_applied_seconds_count"]:
                await here.gateway.events.changed(0.2)
        said = figures(here.gateway.metrics)
        assert said["skyflo_proposals{state=executed}"] == 1
        assert said["skyflo_proposals{state=rejected}"] == 1
        assert said["skyflo_proposals{state=proposed}"] == 1
        assert said["skyflo_proposals{state=void}"] == 0
        assert said["skyflo_decisions_total{decision=approve}"] == 1
        assert said["skyflo_decisions_total{decision=reject}"] == 1
        assert said["skyflo_attempts_total{outcome=executed}"] == 1
        assert said["skyflo_tool_calls_total{tool=k8s_get}"] == 2
        assert said["skyflo_approve_to_applied_seconds_count"] == 1
        assert 0 < said["skyflo_approve_to_applied_seconds_sum"] < 60
        assert said["skyflo_ledger_entries"] == len(list(here.gateway.store.entries()))
        assert said["skyflo_approved_not_dispatched"] == 0


async def test_a_restart_forgets_nothing_of_the_record(tmp_path: Path) -> None:
    """A new gateway on the same record counts the same decisions and attempts."""
    async with world(tmp_path) as here:
        await lived(here)
    async with world(tmp_path) as again:
        said = figures(again.gateway.metrics)
        assert said["skyflo_decisions_total{decision=approve}"] == 1
        assert said["skyflo_attempts_total{outcome=executed}"] == 1
        assert "skyflo_tool_calls_total{tool=k8s_get}" not in said


async def test_what_waits_is_a_figure_and_an_alarm(tmp_path: Path) -> None:
    """Approved and not dispatched: how many, for how long, and how often it was alarming."""
    async with world(tmp_path) as here:
        for task in here.gateway._tasks:
            task.cancel()
        await approved(here)
        Alarm(store=here.gateway.store, events=here.gateway.events, after=-1.0).look()
        said = figures(here.gateway.metrics)
        assert said["skyflo_approved_not_dispatched"] == 1
        assert said["skyflo_approved_not_dispatched_seconds"] > 0
        assert said["skyflo_alarms_total"] == 1


async def test_nobody_and_nothing_is_named(tmp_path: Path) -> None:
    """No operator, object, namespace, runbook, id or token."""
    async with world(tmp_path) as here:
        await lived(here)
        text = here.gateway.metrics.text().decode()
        ids = [row.proposal.id for row in here.gateway.store.find()]
        for name in ("on-call", "payment-service", "checkout", "rb-test", "notebook", "512Mi", *ids):
            assert name not in text
