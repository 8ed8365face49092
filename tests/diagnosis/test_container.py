"""CON-07 and CON-04: containers that end."""

import copy

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.world import Names

WORDS = Incident("payment-service pods are crash-looping")


def first(found: Snapshot) -> Finding:
    """Return the first finding."""
    return diagnose(found, WORDS).findings[0]


def with_pods(found: Snapshot, pods: list[Json]) -> Snapshot:
    """Return the snapshot with other pods."""
    return msgspec.structs.replace(found, objects={**found.objects, "Pod": pods})


def test_an_oom_kill_is_told_with_limit_restarts_and_deployment() -> None:
    """The finding holds what a person asks for: which limit, how many restarts, since when."""
    finding = first(world.oom_killed())

    assert finding.facts == {
        "container": "payment-service",
        "limit": "256Mi",
        "request": "128Mi",
        "restarts": "14",
        "pods": "3",
    }
    said = [item.text for item in finding.evidence]
    assert "terminated: reason OOMKilled, exitCode 137; 6 restarts; state now: CrashLoopBackOff" in said
    assert any("cannot be seen while this limit kills it" in text for text in said)
    assert "revision 2 was deployed 22 minutes before this reading: payment-svc:v2.4.1" in said


def test_a_pod_that_runs_at_the_moment_is_seen() -> None:
    """An OOM-killed container that happens to be running between two kills is found by its last state."""
    found = world.oom_killed()
    finding = first(with_pods(found, found.objects["Pod"][2:]))

    assert finding.fault == "CON-07"
    assert finding.confidence < 0.9
    assert "state now: running at the moment" in finding.evidence[0].text


def test_an_oom_kill_of_long_ago_is_history() -> None:
    """A pod that has been ready for days since it was killed once is no incident."""
    found = copy.deepcopy(world.oom_killed())
    pod = found.objects["Pod"][2]
    pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["finishedAt"] = world.EARLIER

    assert diagnose(with_pods(found, [pod]), WORDS).findings == ()


def test_a_limit_that_was_raised_already_is_no_finding() -> None:
    """Pods of the revision before, killed at the old limit, do not ask for a second raise."""
    names = Names()
    spec = world.container(names, "payment-svc:v2.4.1")
    better = copy.deepcopy(spec) | {"resources": {"limits": {"memory": "512Mi"}}}
    old = world.pod(names, spec, world.ended(137, "OOMKilled", restarts=6), number=1)
    new = world.pod(names, better, world.running(), index=1, serves=True)
    sets = [world.replica_set(names, spec, 1), world.replica_set(names, better, 2)]
    objects = [world.deployment(names, better, replicas=2, available=1), *sets, old, new]

    assert [item.fault for item in diagnose(world.snapshot(objects), WORDS).findings] == []


def test_an_oom_kill_without_a_limit_gives_advice_only() -> None:
    """Where the container has no limit the node ran out of memory, and raising one is no repair."""
    found = copy.deepcopy(world.oom_killed())
    for pod in found.objects["Pod"]:
        pod["spec"]["containers"][0]["resources"].pop("limits", None)

    finding = first(found)

    assert "limit" not in finding.facts
    assert "the node itself ran out of memory" in finding.advice


def test_one_killed_init_container_is_another_place_than_the_main_one() -> None:
    """The container that was killed is named, not the first of the pod."""
    found = copy.deepcopy(world.oom_killed())
    for pod in found.objects["Pod"]:
        sidecar = {"name": "proxy", "image": "proxy:v1"}
        pod["spec"]["containers"].insert(0, sidecar)
        pod["status"]["containerStatuses"].insert(0, {"name": "proxy", "ready": True, "restartCount": 0})

    assert first(found).facts["container"] == "payment-service"


@pytest.mark.parametrize(
    "line",
    [
        "KeyError: 'LEDGER_URL'",
        "panic: environment variable LEDGER_URL must be set",
        "Error: Missing required env LEDGER_URL",
        "ERROR LEDGER_URL is not defined",
    ],
)
def test_the_log_names_the_variable(line: str) -> None:
    """Different languages say it differently; the variable is found in each."""
    found = world.missing_variable()
    logs = tuple(Log(log.namespace, log.pod, log.container, True, f"INFO up\n{line}\n") for log in found.logs)

    finding = first(msgspec.structs.replace(found, logs=logs))

    assert finding.facts["variable"] == "LEDGER_URL"
    assert finding.facts["source"] == "secret"
    assert any(item.text == line for item in finding.evidence)


def test_a_literal_value_is_no_part_of_a_finding() -> None:
    """The value that the previous revision had may be a password: it stands neither in facts nor in evidence."""
    found = world.missing_variable(before={"name": "LEDGER_URL", "value": "https://me:hunter2@ledger"})

    finding = first(found)

    assert finding.facts["source"] == "literal"
    assert b"hunter2" not in msgspec.json.encode(finding)


def test_a_variable_that_no_revision_had_needs_a_person() -> None:
    """Where only the log knows the variable its value cannot be known, and the finding is less certain."""
    found = world.missing_variable(before={"name": "OTHER_SETTING", "value": "1"})

    finding = first(found)

    assert finding.facts["variable"] == "LEDGER_URL"
    assert finding.confidence == pytest.approx(0.7)
    assert "its value has to come from whoever knows it" in finding.advice


def test_a_variable_from_a_config_map_is_there() -> None:
    """What envFrom brings counts: a log line that names a variable the container has is no evidence."""
    found = copy.deepcopy(world.missing_variable(before={"name": "OTHER_SETTING", "value": "1"}))
    config: Json = {"kind": "ConfigMap", "metadata": world.meta("settings", "checkout"), "data": {"LEDGER_URL": "x"}}
    for pod in found.objects["Pod"]:
        pod["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    found.objects["ConfigMap"] = [config]

    assert "CON-04" not in [item.fault for item in diagnose(found, WORDS).findings]


def test_a_container_killed_from_outside_is_no_crash() -> None:
    """Exit code 143 is SIGTERM: the process did not end for its environment."""
    found = copy.deepcopy(world.missing_variable())
    for pod in found.objects["Pod"]:
        pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] = 143

    assert diagnose(found, WORDS).findings == ()
