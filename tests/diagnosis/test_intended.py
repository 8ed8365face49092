"""What somebody set on purpose: a note on a cluster that is well, a finding for who asks about it, never the first."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names

NAMES = Names()
HERE = NAMES.namespace


def suspended() -> Json:
    """A CronJob that does not run."""
    job: Json = {"spec": {"template": {"spec": {"containers": []}}}}
    spec: Json = {"suspend": True, "schedule": "0 0 * * *", "jobTemplate": job}
    return {"kind": "CronJob", "metadata": world.meta("nightly", HERE), "spec": spec, "status": {}}


def updated_in_part(**strategy: object) -> list[Json]:
    """A StatefulSet of three pods, all of them well, one of the new revision."""
    labels = {"app": "ledger"}
    held: Json = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "db", "image": "db:v2"}]}}
    counts = {"replicas": 3, "readyReplicas": 3, "availableReplicas": 3, "currentReplicas": 2, "updatedReplicas": 1}
    store: Json = {
        "kind": "StatefulSet",
        "metadata": world.meta("ledger", HERE, generation=2),
        "spec": {"replicas": 3, "serviceName": "ledger", "selector": {"matchLabels": labels}, "template": held}
        | {"updateStrategy": strategy},
        "status": {"observedGeneration": 2, "currentRevision": "l-1", "updateRevision": "l-2"} | counts,
    }
    pods: list[Json] = [
        {
            "kind": "Pod",
            "metadata": world.meta(
                f"ledger-{index}",
                HERE,
                labels=labels | {"controller-revision-hash": "l-2" if index == 2 else "l-1"},
                ownerReferences=world.owned("StatefulSet", "ledger"),
            ),
            "spec": held["spec"] | {"nodeName": "node-a"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }
        for index in range(3)
    ]
    spec: Json = {"clusterIP": "None", "selector": labels, "ports": [{"port": 5432}]}
    return [store, *pods, {"kind": "Service", "metadata": world.meta("ledger", HERE), "spec": spec}]


def paused() -> list[Json]:
    """A Deployment that is paused before its new template is rolled out; the old one serves."""
    made = scenes.serving(scenes.beside(NAMES, "orders"))
    made[0]["spec"]["paused"] = True
    made[0]["status"] |= {"updatedReplicas": 0}
    return made


INTENDED = {
    "JOB-02": ([suspended()], "nightly"),
    "ROL-02": (paused(), "orders"),
    "ROL-05": (updated_in_part(type="RollingUpdate", rollingUpdate={"partition": 2}), "ledger"),
    "ROL-05 by hand": (updated_in_part(type="OnDelete"), "ledger"),
}
CASES = pytest.mark.parametrize("case", sorted(INTENDED))


def beside_what_serves(case: str) -> Snapshot:
    """What somebody set, in a cluster where everything is well."""
    return world.snapshot([*scenes.serving(NAMES), world.service(NAMES), *INTENDED[case][0]])


def asked(found: Snapshot, words: str, *given: str) -> Diagnosis:
    """What a diagnosis says to these words."""
    return diagnose(found, Incident(words, given))


@CASES
@pytest.mark.parametrize("words", ["is everything well?", "payment-service is slow", "payments fail"])
def test_on_a_cluster_that_is_well_it_is_a_note(case: str, words: str) -> None:
    """Neither a finding nor silence: who reads on sees it."""
    answer = asked(beside_what_serves(case), words)

    assert (answer.findings, answer.unknown) == ((), ())
    assert any(note.startswith("Somebody set this") and INTENDED[case][1] in note for note in answer.notes)


@CASES
@pytest.mark.parametrize("given", [(), (HERE,)], ids=["everywhere", "here"])
def test_who_names_it_asks_about_it(case: str, given: tuple[str, ...]) -> None:
    """Perhaps its pause was forgotten: it is named, and how sure that is a fault is said."""
    answer = asked(beside_what_serves(case), f"{INTENDED[case][1]} does not do what it should", *given)

    assert [(one.fault, one.confidence) for one in answer.findings] == [(case[:6], 0.5)]
    assert not any(note.startswith("Somebody set this") for note in answer.notes)


@CASES
def test_who_gives_its_namespace_sees_it(case: str) -> None:
    """Of another namespace nothing is said."""
    found = beside_what_serves(case)

    assert [one.fault for one in asked(found, "something is wrong here", HERE).findings] == [case[:6]]
    assert asked(found, "something is wrong here", "payroll").findings == ()


@CASES
def test_it_never_comes_before_a_fault(case: str) -> None:
    """Even where the words name what was set, and not what is broken."""
    broken = world.oom_killed()
    objects = [item for items in broken.objects.values() for item in items]
    found = world.snapshot([*objects, *INTENDED[case][0]], logs=broken.logs, usage=broken.usage)

    named = asked(found, f"{INTENDED[case][1]} is late", HERE)
    assert [one.fault for one in named.findings] == ["CON-07", case[:6]]
    beside = asked(found, "payment-service crashes", HERE)
    assert [one.fault for one in beside.findings] == ["CON-07"]
    assert any(note.startswith("Somebody set this") and INTENDED[case][1] in note for note in beside.notes)
    assert [one.fault for one in asked(found, "payment-service crashes").findings] == ["CON-07"]


def kept_away() -> list[Json]:
    """A DaemonSet that runs on every node but the one whose taint it does not tolerate, and these nodes."""
    spec = world.container(NAMES, "agent:v1")
    names = scenes.beside(NAMES, "agent")
    pod = world.pod(names, spec, world.running(), serves=True)
    pod["metadata"]["ownerReferences"] = world.owned("DaemonSet", "agent")
    made = world.deployment(names, spec) | {"kind": "DaemonSet"}
    made["status"] = {"desiredNumberScheduled": 1, "currentNumberScheduled": 1, "numberReady": 1}
    tainted = world.node("node-b") | {"spec": {"taints": [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]}}
    return [made, pod, world.node(), tainted]


def test_a_taint_keeps_away_what_it_is_meant_to() -> None:
    """That is a finding where nothing else is wrong, or the words name what is kept away; beside a fault a note."""
    broken = world.oom_killed()
    objects = [item for kind, items in broken.objects.items() if kind != "Node" for item in items]
    beside = world.snapshot([*objects, *kept_away()], logs=broken.logs, usage=broken.usage)
    alone = world.snapshot([*scenes.serving(NAMES), *kept_away()])

    assert [one.fault for one in asked(alone, "something is wrong here", HERE).findings] == ["ROL-07"]
    assert [one.fault for one in asked(beside, "agent is not on all nodes", HERE).findings] == ["CON-07", "ROL-07"]
    for pod in beside.objects["Pod"]:
        if pod["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet":
            pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]  # which is not the taint's work
    found = asked(beside, "something is wrong here", HERE)
    assert [one.fault for one in found.findings] == ["CON-07"]
    assert any(note.startswith("Somebody set this") and "agent" in note for note in found.notes)
