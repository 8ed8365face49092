"""CON-08 and CON-09: a container that its probe ends again and again is ready in between, and not well."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names

NAMES = Names()
REFUSED = (
    'Liveness probe failed: Get "http://10.0.0.4:8080/healthz": dial tcp 10.0.0.4:8080: connect: connection refused'
)


def ready_now(*, started: str, finished: str, restarts: int = 3, message: str = REFUSED) -> Snapshot:
    """Return a workload whose pod is ready, and was ended by its liveness probe before."""
    probe: Json = {"httpGet": {"path": "/healthz", "port": 8080}}
    spec = world.container(NAMES, "payment-svc:v2.4.1", livenessProbe=probe)
    last = {"exitCode": 0, "reason": "Completed", "startedAt": started, "finishedAt": finished}
    status: Json = {
        "state": {"running": {"startedAt": finished}},
        "lastState": {"terminated": last},
        "restartCount": restarts,
    }
    pod = world.pod(NAMES, spec, status, serves=True)
    sets = [world.replica_set(NAMES, spec, 2, replicas=1)]
    made = world.snapshot([world.deployment(NAMES, spec, replicas=1, available=1), *sets, pod, world.service(NAMES)])
    killing = f"Container {NAMES.container} failed liveness probe, will be restarted"
    made.objects["Event"] = [scenes.event(pod, "Unhealthy", message), scenes.event(pod, "Killing", killing)]
    return made


def faults(found: Snapshot) -> list[str]:
    """Return what is found."""
    return [one.fault for one in diagnose(found, Incident("?")).findings]


def test_a_container_that_is_ended_each_minute_is_found_while_it_is_ready() -> None:
    """It runs no longer yet than it did before its last end."""
    assert faults(ready_now(started="2026-05-04T10:20:00Z", finished="2026-05-04T10:21:00Z")) == ["CON-09"]


@pytest.mark.parametrize(
    "found",
    [
        ready_now(started="2026-05-04T10:10:00Z", finished="2026-05-04T10:11:00Z"),
        ready_now(started="2026-05-04T10:20:00Z", finished="2026-05-04T10:21:00Z", restarts=0),
        ready_now(
            started="2026-05-04T10:20:00Z", finished="2026-05-04T10:21:00Z", message="Readiness probe failed: 503"
        ),
    ],
)
def test_one_that_runs_longer_since_or_was_ended_by_nothing_is_well(found: Snapshot) -> None:
    """What it was ended for is over; and a readiness probe ends nothing."""
    assert faults(found) == []
