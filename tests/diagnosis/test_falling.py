"""A container that ends again and again is ready for a moment after each start, and not well."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.world import Names

NAMES = Names()


def ready_since(started: str, restarts: int, log: str = "panic: unexpected EOF") -> Snapshot:
    """Return a workload whose pod is ready since then, after runs of five seconds that ended badly."""
    spec = world.container(NAMES, "payment-svc:v2.4.1")
    ended = {
        "exitCode": 2,
        "reason": "Error",
        "startedAt": "2026-05-04T10:20:00Z",
        "finishedAt": "2026-05-04T10:20:05Z",
    }
    status: Json = {
        "state": {"running": {"startedAt": started}},
        "lastState": {"terminated": ended},
        "restartCount": restarts,
    }
    pod = world.pod(NAMES, spec, status, serves=True)
    made = [world.deployment(NAMES, spec, replicas=1, available=1), world.replica_set(NAMES, spec, 2, replicas=1), pod]
    said = Log(NAMES.namespace, pod["metadata"]["name"], NAMES.container, True, log)
    return world.snapshot([*made, world.service(NAMES)], logs=(said,))


def faults(found: Snapshot) -> list[str]:
    """Return what is found."""
    return [one.fault for one in diagnose(found, Incident("?")).findings]


def test_what_crashes_is_found_in_the_moment_in_which_it_is_ready() -> None:
    """It was started two seconds ago, for the fifth time."""
    assert faults(ready_since("2026-05-04T10:21:58Z", 5)) == ["CON-05"]
    full = "write /data/a: no space left on device"
    assert faults(ready_since("2026-05-04T10:21:58Z", 5, full)) == ["CON-20"]


@pytest.mark.parametrize(("started", "restarts"), [("2026-05-04T10:21:40Z", 5), ("2026-05-04T10:21:58Z", 1)])
def test_what_runs_longer_than_before_or_ended_once_is_well(started: str, restarts: int) -> None:
    """A server that was not there yet when it started is no fault of the present."""
    assert faults(ready_since(started, restarts)) == []
