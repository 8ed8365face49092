"""A finding rests on its evidence: taking that away changes it; what does not matter does not."""

import copy
from collections.abc import Callable

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.world import FAULTS, Names

WORDS = Incident("something is wrong")


def changed(found: Snapshot, kind: str, change: Callable[[Json], None]) -> Diagnosis:
    """Return the diagnosis after `change` was made to every object of a kind."""
    objects = copy.deepcopy(found.objects)
    for item in objects[kind]:
        change(item)
    return diagnose(msgspec.structs.replace(found, objects=objects), WORDS)


def _exit_well(item: Json) -> None:
    for status in item["status"]["containerStatuses"]:
        status["lastState"]["terminated"] |= {"reason": "Completed", "exitCode": 0}


def _other_message(item: Json) -> None:
    for status in item["status"]["containerStatuses"]:
        if "waiting" in status["state"]:
            status["state"]["waiting"]["message"] = "dial tcp: lookup registry: no such host"


def _right_selector(item: Json) -> None:
    item["spec"]["selector"] = {"app": "payment-service"}


def _other_reason(item: Json) -> None:
    for said in item["status"]["conditions"]:
        said["message"] = "0/1 nodes are available: 1 node(s) were unschedulable."


MUTATIONS = {
    "CON-07": ("Pod", _exit_well),
    "CON-04": ("Pod", _exit_well),
    "IMG-01": ("Pod", _other_message),
    "NET-01": ("Service", _right_selector),
    "SCH-02": ("Pod", _other_reason),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_without_its_evidence_there_is_no_finding(fault: str) -> None:
    """The cause is named for what the cluster says, so it goes when that goes."""
    kind, change = MUTATIONS[fault]

    assert fault not in [item.fault for item in changed(FAULTS[fault](Names()), kind, change).findings]


def test_without_the_log_a_missing_variable_is_less_certain() -> None:
    """The log names the variable; without it the difference between the revisions alone speaks."""
    found = world.missing_variable()

    certain = diagnose(found, WORDS).findings[0]
    doubtful = diagnose(msgspec.structs.replace(found, logs=()), WORDS).findings[0]

    assert (certain.fault, doubtful.fault) == ("CON-04", "CON-04")
    assert doubtful.confidence < 0.6 < certain.confidence


def _noise(count: int) -> list[Json]:
    names = Names(namespace="checkout", label="tier")
    spec = world.container(names, "noise:v1")
    made: list[Json] = []
    for index in range(count):
        other = Names(namespace="checkout", workload=f"noise-{index}", service=f"noise-{index}", label="tier")
        pod = world.pod(other, spec, world.running(), number=1, serves=True)
        event: Json = {
            "kind": "Event",
            "metadata": world.meta(f"event-{index}", "checkout"),
            "involvedObject": {"kind": "Pod", "namespace": "checkout", "name": pod["metadata"]["name"]},
            "type": "Warning",
            "reason": "BackOff",
            "message": "Back-off restarting failed container",
            "lastTimestamp": world.EARLIER,
        }
        workload = world.deployment(other, spec, replicas=1, available=1)
        made += [pod, event, workload, world.replica_set(other, spec, 1, replicas=1), world.service(other)]
    return made


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_irrelevant_objects_change_nothing(fault: str) -> None:
    """Five hundred objects and events beside the incident leave the finding as it was."""
    quiet = FAULTS[fault](Names())
    objects = {kind: list(items) for kind, items in quiet.objects.items()}
    for item in _noise(100):
        objects.setdefault(item["kind"], []).append(item)

    alone = diagnose(quiet, WORDS).findings
    among = diagnose(msgspec.structs.replace(quiet, objects=objects), WORDS).findings

    assert [(item.fault, item.object) for item in among] == [(item.fault, item.object) for item in alone]
    assert among[0].facts == alone[0].facts
