"""Causes that stand beside a taint, or behind a message of several lines, as real controllers word them."""

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.scenes import event
from tests.diagnosis.world import Names

NAMES = Names()
HERE = NAMES.namespace


def said(found: Snapshot, words: str = "something is wrong here") -> Diagnosis:
    """What a diagnosis says of the place."""
    return diagnose(found, Incident(words, (HERE,)))


def unscheduled(message: str, requests: Json | None = None, volumes: tuple[Json, ...] = ()) -> Snapshot:
    """Pods without a node, of which the scheduler says this."""
    found = world.no_room(NAMES)
    for pod in found.objects["Pod"]:
        for told in pod["status"].get("conditions", []):
            if told.get("reason") == "Unschedulable":
                told["message"] = message
    for held in (*found.objects["Pod"], *(one["spec"]["template"] for one in found.objects["Deployment"])):
        held["spec"]["volumes"] = [*volumes]
        held["spec"]["containers"][0]["resources"] = {"requests": requests or {}}
    return found


@pytest.mark.parametrize(
    ("resource", "have", "fault", "lack"),
    [
        ("ephemeral-storage", "100Gi", "SCH-02", "no node has more than 100Gi"),
        ("hugepages-2Mi", "0", "SCH-03", "no node has any"),
        ("example.com/gpu", "1", "SCH-03", "no node has more than 1"),
    ],
)
def test_a_resource_that_no_node_has_so_much_of(resource: str, have: str, fault: str, lack: str) -> None:
    """What is asked for, and the most that a node has."""
    found = unscheduled(f"0/1 nodes are available: 1 Insufficient {resource}.", {resource: "900Gi"})
    found.objects["Node"][0]["status"]["allocatable"] |= {resource: have}

    (one,) = said(found).findings
    assert (one.fault, one.confidence) == (fault, 0.95)
    assert f"900Gi {resource} wanted, {lack}" in one.title


def test_a_claim_for_one_pod_is_held_by_the_old_one() -> None:
    """A rolling update starts the new pod first, which never finds a node."""
    volume: Json = {"name": "data", "persistentVolumeClaim": {"claimName": "ledger"}}
    words = "1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by"
    found = unscheduled(f"0/1 nodes are available: {words} another pod.", volumes=(volume,))
    claim: Json = {
        "kind": "PersistentVolumeClaim",
        "metadata": world.meta("ledger", HERE),
        "spec": {"accessModes": ["ReadWriteOncePod"], "volumeName": "disk-1"},
        "status": {"phase": "Bound"},
    }
    objects = [item for items in found.objects.values() for item in items]

    (one,) = said(world.snapshot([*objects, claim])).findings
    assert (one.fault, one.object.name, one.facts["claim"]) == ("STO-03", NAMES.workload, "ledger")
    assert (one.facts["holder"], one.facts["strategy"]) == (f"{NAMES.workload}-r1-0", "RollingUpdate")
    assert "its own old pod holds it" in one.title


def daemon(desired: int, ready: int) -> Snapshot:
    """A DaemonSet on one of two nodes; the other has a taint that it does not tolerate."""
    tainted = world.node("node-b") | {"spec": {"taints": [{"key": "kept", "value": "x", "effect": "NoSchedule"}]}}
    names = scenes.beside(NAMES, "router")
    made = world.deployment(names, world.container(names, "router:v1")) | {"kind": "DaemonSet"}
    made["status"] = {"desiredNumberScheduled": desired, "numberReady": ready, "numberAvailable": ready}
    return world.snapshot([made, world.node(), tainted])


def test_a_denial_of_several_lines_is_read() -> None:
    """Kyverno names each policy on a line of its own."""
    found = daemon(1, 0)
    denial = (
        'Error creating: admission webhook "validate.kyverno.svc-fail" denied the request: \n\nresource Pod/router was '
        "blocked due to the following policies\n\nneed-probes:\n  liveness: 'validation error: no liveness probe'\n"
    )
    objects = [item for items in found.objects.values() for item in items]
    found = world.snapshot([*objects, event(found.objects["DaemonSet"][0], "FailedCreate", denial)])

    (one,) = said(found).findings
    assert one.fault == "ADM-09"
    assert "need-probes: liveness" in one.facts["why"]


def test_the_nodes_that_a_daemon_leaves_out_explain_nothing_of_those_it_fails_on() -> None:
    """Why its pod is not there is unknown; that it keeps away from the other node is a note."""
    found = said(daemon(1, 0))

    assert found.findings == ()
    assert any("router" in text for text in found.unknown)
    assert said(daemon(1, 0), "router is missing on a node").findings == ()
    assert [one.fault for one in said(daemon(1, 1), "router is missing on a node").findings] == ["ROL-07"]
    assert any("does not tolerate kept=x:NoSchedule" in note for note in found.notes)


def edited() -> Snapshot:
    """Pods that are well with what they read before their ConfigMap was changed."""
    found = scenes.read_before(NAMES)
    for pod in found.objects["Pod"]:
        pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
        for status in pod["status"]["containerStatuses"]:
            status["ready"] = True
    for workload in found.objects["Deployment"]:
        workload["status"] |= {"availableReplicas": workload["spec"]["replicas"], "readyReplicas": 2}
    return found


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("I turned the flag off in the config map, and it still shows", True),
        ("our settings are ignored", True),
        ("something is wrong here", False),
        ("is anything wrong here?", False),
    ],
)
def test_a_change_that_nobody_read_is_named_where_the_words_speak_of_settings(words: str, named: bool) -> None:
    """All is well by what was read; most clusters have such changes, and only the words miss theirs."""
    told = said(edited(), words)

    assert [one.fault for one in told.findings] == (["CON-18"] if named else [])
    assert any("runs with what" in note for note in told.notes) is not named


def paused(updated: int, available: int) -> Snapshot:
    """A Deployment of two that is paused with a template that is not rolled out."""
    made = scenes.serving(NAMES)
    made[0]["spec"]["paused"] = True
    made[0]["status"] |= {"updatedReplicas": updated, "availableReplicas": available}
    return world.snapshot([*made, world.service(NAMES)])


@pytest.mark.parametrize(
    ("updated", "available", "sure", "meant"), [(0, 0, 0.8, False), (0, 2, 0.5, True), (1, 1, 0.5, True)]
)
def test_a_pause_that_keeps_the_repair_away_is_the_cause(
    updated: int, available: int, sure: float, meant: bool
) -> None:
    """Pods of the old template fail and none of the new one was made; a canary's pods that fail are another matter."""
    first = said(paused(updated, available)).findings[0]

    assert (first.fault, first.confidence, "intended" in first.facts) == ("ROL-02", sure, meant)


@pytest.mark.parametrize(
    ("schedule", "never"),
    [
        ("0 2 31 2 *", True),
        ("0 2 30,31 2 ?", True),
        ("0 2 31 4,6 *", True),
        ("0 2 29 2 *", False),
        ("0 2 31 4,5 *", False),
        ("0 2 31 2 1", False),
        ("0 2 */31 2 *", False),
        ("0 2 31 * *", False),
        ("@monthly", False),
        ("0 2 L 2 *", False),
    ],
)
def test_a_day_that_no_chosen_month_has_never_comes(schedule: str, never: bool) -> None:
    """The API server takes the schedule, and no run ever begins."""
    job: Json = {"spec": {"template": {"spec": {"containers": []}}}}
    cron: Json = {
        "kind": "CronJob",
        "metadata": world.meta("close", HERE),
        "spec": {"schedule": schedule, "jobTemplate": job},
        "status": {},
    }
    told = said(world.snapshot([cron, world.node()]), "close has never run").findings

    assert [one.fault for one in told] == (["JOB-02"] if never else [])
    assert not never or "which never comes" in told[0].title


def test_a_probes_command_that_is_not_in_the_image_is_named() -> None:
    """The kubelet says that the probe errored, and not that it failed."""
    spec = world.container(NAMES, "quotes:v1", readinessProbe={"exec": {"command": ["/bin/check", "-v"]}})
    pod = world.pod(NAMES, spec, world.running())
    words = (
        "Readiness probe errored and resulted in unknown state: rpc error: code = Unknown desc = failed to exec in "
        'container: OCI runtime exec failed: unable to start container process: exec: "/bin/check": stat /bin/check: '
        "no such file or directory"
    )
    made = [world.deployment(NAMES, spec), world.replica_set(NAMES, spec, 1), pod, event(pod, "Unhealthy", words)]

    (one,) = said(world.snapshot(made)).findings
    assert one.fault == "CON-10"
    assert "it runs /bin/check, which is not in the image" in one.title


def unnamed(spec: Json) -> Snapshot:
    """A StatefulSet that fails and whose governing Service does not exist, though nobody asks for it."""
    pod = world.pod(NAMES, spec, world.ended(1, "Error", restarts=5))
    pod["metadata"]["ownerReferences"] = world.owned("StatefulSet", NAMES.workload)
    store = world.deployment(NAMES, spec) | {"kind": "StatefulSet"}
    store["spec"]["serviceName"] = "peers"
    store["status"] = {"replicas": 1, "readyReplicas": 0}
    log = Log(HERE, pod["metadata"]["name"], NAMES.container, True, "panic: the ledger is not there")
    return world.snapshot([store, pod], logs=(log,))


def test_a_service_that_nobody_asks_for_yields_to_what_ails_the_pods() -> None:
    """It stands alone where nothing else is known, and is no second cause beside one that is."""
    found = unnamed(world.container(NAMES, "store:v1"))

    assert [one.fault for one in said(found).findings] == ["CON-05"]
    assert [one.fault for one in said(msgspec.structs.replace(found, logs=())).findings] == ["ROL-06"]


def scaled_by(*names: str, reason: str = "AmbiguousSelector") -> Snapshot:
    """Autoscalers of one Deployment, and what their controller says of each."""
    scalers: list[Json] = [
        {
            "kind": "HorizontalPodAutoscaler",
            "metadata": world.meta(name, HERE),
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": NAMES.workload}, "maxReplicas": 4},
            "status": {"conditions": [{"type": "ScalingActive", "status": "False", "reason": reason}]},
        }
        for name in names
    ]
    return world.snapshot([*scenes.serving(NAMES), *scalers, world.service(NAMES)])


def test_two_autoscalers_of_one_workload_are_one_finding() -> None:
    """Their controller refuses both; of one alone, or of another reason, nothing is said."""
    (one,) = said(scaled_by("day", "night")).findings

    assert one.fault == "AUT-03"
    assert "both scale" in one.title
    assert said(scaled_by("day")).findings == ()
    assert "AUT-03" not in [one.fault for one in said(scaled_by("day", "night", reason="Other")).findings]


@pytest.mark.parametrize(
    ("why", "fault", "ends"),
    [
        (
            'failed to call webhook: Post "https://hooks.example.com:8443/mutate?timeout=5s": tls: failed to verify '
            'certificate: x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification '
            'failure" while trying to verify candidate authority certificate "localhost")',
            "ADM-06",
            "is not trusted: x509: certificate signed by unknown authority",
        ),
        (
            f'failed to call webhook: Post "https://{"long." * 40}example.com/": context deadline exceeded',
            "ADM-05",
            "does not answer: context deadline exceeded",
        ),
    ],
)
def test_what_the_api_server_says_of_a_webhook_is_cut_between_words(why: str, fault: str, ends: str) -> None:
    """The reason stands at the end, or where x509 begins."""
    hook: Json = {
        "name": "inject.example.com",
        "failurePolicy": "Fail",
        "clientConfig": {"url": "https://x.example.com"},
    }
    held: Json = {"kind": "MutatingWebhookConfiguration", "metadata": world.meta("inject"), "webhooks": [hook]}
    found = daemon(2, 0)
    told = event(
        found.objects["DaemonSet"][0],
        "FailedCreate",
        f'Internal error occurred: failed calling webhook "{hook["name"]}": {why}',
    )
    objects = [item for items in found.objects.values() for item in items]

    (one,) = said(world.snapshot([*objects, held, told])).findings
    assert (one.fault, ends in one.title) == (fault, True)
    assert ("caBundle" in one.advice) is (fault == "ADM-06")
