"""Oddities of clusters that are well, and words of logs that mean something else: no cause, or not the first one."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.scenes import event
from tests.diagnosis.world import NOW, Names

NAMES = Names()
HERE = NAMES.namespace


def findings(found: Snapshot, words: str = "is everything well?") -> list[Finding]:
    """What a diagnosis finds."""
    return list(diagnose(found, Incident(words)).findings)


def faults(found: Snapshot, words: str = "is everything well?") -> list[str]:
    """The faults that a diagnosis names, the first cause first."""
    return [one.fault for one in findings(found, words)]


# NET-02: ports that are not declared ----------------------------------------------------------------------------------


def behind(*containers: Json, inits: tuple[Json, ...] = (), target: int | str = 5432) -> Snapshot:
    """Pods of these containers, and a Service that sends to `target`."""
    made = scenes.serving(NAMES)
    for item in made:
        spec = item["spec"]["template"]["spec"] if item["kind"] != "Pod" else item["spec"]
        spec |= {"containers": [*containers], "initContainers": [*inits]}
    front = world.service(NAMES)
    front["spec"]["ports"] = [{"port": 5432, "targetPort": target}]
    return world.snapshot([*made, front])


EXPORTER: Json = {"name": "exporter", "image": "exporter:v1", "ports": [{"containerPort": 9187}]}
STORE: Json = {"name": "store", "image": "store:v1"}


def test_a_port_need_not_be_declared() -> None:
    """A sidecar declares its own; that the other container declares none does not say that it listens nowhere."""
    assert faults(behind(STORE, EXPORTER)) == []
    assert faults(behind(EXPORTER)) == ["NET-02"]


SHIPPER: Json = {"name": "shipper", "image": "shipper:v1"}


def asked(found: Snapshot) -> list[tuple[str, float, bool]]:
    """What is found for who gives the namespace: fault, how sure, and whether it says that it may be meant."""
    named = diagnose(found, Incident("something is wrong", (HERE,))).findings
    return [(one.fault, one.confidence, "intended" in one.facts) for one in named]


def test_a_sidecar_that_declares_nothing_leaves_a_doubt() -> None:
    """It may listen there, as a proxy does: a note where nobody asks, and the doubt is said where somebody does."""
    assert faults(behind(EXPORTER, SHIPPER)) == []
    assert asked(behind(EXPORTER, SHIPPER)) == [("NET-02", 0.5, True)]
    assert asked(behind(STORE, EXPORTER)) == []
    assert asked(behind(EXPORTER, SHIPPER, target="gone")) in ([("NET-02", 0.93, False)], [("NET-02", 0.75, False)])


@pytest.mark.parametrize(
    ("line", "sure"),
    [
        (f"dial tcp {NAMES.service}:5432: connect: connection refused", True),
        (f"connect ECONNREFUSED http://{NAMES.service}/", True),
        ("dial tcp ledger:5432: connect: connection refused", False),
        (f"dial tcp old-{NAMES.service}:5432: connect: connection refused", False),
        (f"asked {NAMES.service} for a page", False),
    ],
)
def test_a_client_that_is_refused_takes_the_doubt_away(line: str, sure: bool) -> None:
    """All pods are ready, and nobody listens where the Service sends."""
    client = scenes.client_of(NAMES)
    found = behind(EXPORTER, SHIPPER)
    objects = [item for items in found.objects.values() for item in items]
    log = Log(HERE, client[2]["metadata"]["name"], client[2]["spec"]["containers"][0]["name"], False, line)
    (one,) = asked(world.snapshot([*objects, *client], logs=(log,)))

    assert (one[0], one[2]) == ("NET-02", not sure)
    assert (one[1] > 0.7) is sure


def test_a_port_that_a_probe_is_answered_at_is_open() -> None:
    """The kubelet asks there, and the pod is ready."""
    probed = EXPORTER | {"readinessProbe": {"tcpSocket": {"port": 5432}}}

    assert faults(behind(probed)) == []


def test_a_sidecar_that_is_an_init_container_serves_its_ports() -> None:
    """Such a one runs beside the others, and its ports count (KEP-753)."""
    proxy: Json = {"name": "proxy", "image": "proxy:v1", "ports": [{"name": "db", "containerPort": 5432}]}

    assert faults(behind(EXPORTER, inits=(proxy | {"restartPolicy": "Always"},), target="db")) == []
    assert faults(behind(EXPORTER, inits=(proxy,), target="db")) == ["NET-02"]


# CON-04, CON-14, CON-22: words of logs --------------------------------------------------------------------------------


def crashed(text: str, *, context: Json | None = None, more: tuple[Json, ...] = ()) -> Snapshot:
    """Two pods whose process ends with an error and says this."""
    spec = world.container(NAMES, "payment-svc:v2.4.1", **({"securityContext": context} if context else {}))
    pods = [world.pod(NAMES, spec, world.ended(1, "Error", restarts=5), index=index) for index in range(2)]
    for pod in pods:
        pod["spec"]["containers"] += more
    logs = tuple(Log(HERE, pod["metadata"]["name"], NAMES.container, True, text) for pod in pods)
    made = [world.deployment(NAMES, spec, replicas=2), world.replica_set(NAMES, spec, 2, replicas=2)]
    return world.snapshot([*made, *pods, world.service(NAMES)], logs=logs)


@pytest.mark.parametrize(
    "line",
    [
        "Error: ENOENT: no such file or directory, open '/app/config.json'",
        "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'express' imported from /app/index.js",
        "SQLSTATE[42S02]: fatal: base table or view not found: orders",
        "rpc error: code = NOT_FOUND desc = topic orders not found",
        "fatal: SSL certificate not found",
        "panic: JSON invalid at offset 17",
    ],
)
def test_a_code_of_an_error_is_no_variable(line: str) -> None:
    """It is written in capitals as variables are, and nothing says that it belongs into the environment."""
    assert faults(crashed(line)) == ["CON-05"]


@pytest.mark.parametrize(
    "line",
    [
        "KeyError: 'LEDGER'",
        "fatal: environment variable ENDPOINT is not set",
        "required key LEDGER_URL missing value",
        "Could not find LEDGER_URL",
        "LEDGER_URL must be set",
    ],
)
def test_a_variable_that_is_missing_is_found(line: str) -> None:
    """The log says so in one of the usual ways."""
    assert faults(crashed(line)) == ["CON-04"]


ORDINARY: Json = {"runAsUser": 1000}


@pytest.mark.parametrize(
    "line",
    [
        "fatal: ERROR: permission denied for table orders",
        "fatal: rpc error: code = PermissionDenied desc = permission denied on project shop",
        "fatal: git@example.com: Permission denied (publickey).",
    ],
)
def test_another_servers_no_is_no_matter_of_the_file_system(line: str) -> None:
    """A database, an API, a host that is logged in to: not the container's own user."""
    assert faults(crashed(line, context=ORDINARY)) == ["CON-05"]


def test_a_path_that_may_not_be_written_is() -> None:
    """The line names it."""
    assert faults(crashed("fatal: open /var/cache/app.lock: permission denied", context=ORDINARY)) == ["CON-22"]


def test_the_time_of_a_line_is_no_port() -> None:
    """The port stands behind the address."""
    line = "2026-05-04T10:22:33Z fatal: listen tcp 0.0.0.0:8080: bind: address already in use"
    (found,) = findings(crashed(line, more=({"name": "shipper", "image": "shipper:v1"},)))

    assert (found.fault, found.facts["port"]) == ("CON-14", "8080")


# ROL-04, JOB-01: what is long past ------------------------------------------------------------------------------------


def down(reason: str, *, since: str) -> Snapshot:
    """No pod of a Deployment is ready; its strategy lets all be replaced at once, and its revision is `since`."""
    found = crashed("panic: cannot reach the ledger")
    workload, sets = found.objects["Deployment"][0], found.objects["ReplicaSet"]
    workload["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": "100%", "maxSurge": 0}}
    workload["status"]["conditions"] = [{"type": "Progressing", "status": "True", "reason": reason}]
    sets[0]["metadata"]["creationTimestamp"] = since
    sets.append(world.replica_set(NAMES, world.container(NAMES, "payment-svc:v2.4.0"), 1, replicas=0))
    return found


def test_a_rollout_that_ended_well_took_nothing_down() -> None:
    """Days later the pods fail for another reason, whatever the strategy would have allowed."""
    assert faults(down("ReplicaSetUpdated", since=world.DEPLOYED))[0] == "ROL-04"
    assert faults(down("NewReplicaSetAvailable", since=world.EARLIER))[0] == "CON-05"


def job(name: str, when: str) -> Json:
    """A Job that failed for good."""
    said = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": when}
    return {"kind": "Job", "metadata": world.meta(name, HERE), "spec": {}, "status": {"conditions": [said]}}


def test_a_job_that_failed_days_ago_comes_after_what_fails_now() -> None:
    """Nobody has tidied up; it is named all the same."""
    found = crashed("panic: assignment to entry in nil map")
    found.objects["Job"] = [job("migrate", "2026-05-01T08:00:00Z")]
    assert faults(found) == ["CON-05", "JOB-01"]

    found.objects["Job"] = [job("migrate", "2026-05-04T10:15:00Z")]
    assert faults(found) == ["JOB-01", "CON-05"]


# SCH-13: who drove whom away ------------------------------------------------------------------------------------------


def preempted(message: str, **more: object) -> Snapshot:
    """A pod was preempted; of two workloads of a high priority one did it, and the other runs since days."""
    made = []
    for name in ("greedy", "monitor"):
        workload = scenes.serving(scenes.beside(NAMES, name), 1)
        for item in workload:
            spec = item["spec"] if item["kind"] == "Pod" else item["spec"]["template"]["spec"]
            spec["priorityClassName"] = "high"
            if item["kind"] == "Pod":
                spec["priority"] = 1000
                item["metadata"]["uid"] = f"uid-of-{name}"
        made += workload
    gone = {"kind": "Pod", "metadata": world.meta("victim-0", HERE)}
    return world.snapshot([*made, event(gone, "Preempted", message) | more])


def test_only_who_preempted_is_accused() -> None:
    """The event names the pod that did it, by its uid or as what it is related to."""
    by_uid = preempted("Preempted by pod uid-of-greedy on node node-a")
    related = preempted("Preempted by a pod", related={"kind": "Pod", "namespace": HERE, "name": "greedy-r1-0"})
    for found in (by_uid, related):
        assert [one.object.name for one in findings(found)] == ["greedy"]


def test_nobody_is_accused_where_who_preempted_is_gone_and_nobody_waits() -> None:
    """Events stay for an hour: two workloads run with a high priority, and neither need have done it."""
    assert findings(preempted("Preempted by a pod on node node-a")) == []


# SCH-04, ROL-07: taints and selectors that are meant ------------------------------------------------------------------


def tainted(key: str) -> Snapshot:
    """The only node has a taint, and pods find no node."""
    found = world.no_room(NAMES)
    for pod in found.objects["Pod"]:
        for said in pod["status"].get("conditions", []):
            if said.get("reason") == "Unschedulable":
                said["message"] = f"0/1 nodes are available: 1 node(s) had untolerated taint {{{key}: }}."
    found.objects["Node"][0]["spec"]["taints"] = [{"key": key, "effect": "NoSchedule"}]
    return found


@pytest.mark.parametrize(
    "key",
    [
        "node.cloudprovider.kubernetes.io/uninitialized",
        "node.cilium.io/agent-not-ready",
        "ebs.csi.aws.com/agent-not-ready",
        "karpenter.sh/disrupted",
        "ToBeDeletedByClusterAutoscaler",
    ],
)
def test_a_taint_that_a_controller_takes_away_is_not_tolerated(key: str) -> None:
    """A pod that tolerated it would start without a network, without its driver, or on a node that goes."""
    (found,) = findings(tainted(key))

    assert (found.fault, found.facts) == ("SCH-04", {})


def test_a_taint_of_somebody_may_be_tolerated() -> None:
    """It is what keeps the pods away, and a person decides."""
    assert findings(tainted("dedicated"))[0].facts["taint"] == "dedicated:NoSchedule"


def daemon(selector: Json, **labels: str) -> Snapshot:
    """A DaemonSet that runs nowhere, because no node has its label."""
    found = world.healthy(NAMES)
    found.objects["Node"][0]["metadata"]["labels"] = {"kubernetes.io/os": "linux", **labels}
    made = world.deployment(NAMES, world.container(NAMES, "agent:v1")) | {"kind": "DaemonSet"}
    made["metadata"] = world.meta("agent", HERE)
    made["spec"] |= {"selector": {"matchLabels": {"of": "agent"}}}
    made["spec"]["template"]["metadata"]["labels"] = {"of": "agent"}
    made["spec"]["template"]["spec"]["nodeSelector"] = selector
    made["status"] = {"desiredNumberScheduled": 0, "numberAvailable": 0}
    found.objects["DaemonSet"] = [made]
    return found


@pytest.mark.parametrize("selector", [{"kubernetes.io/os": "windows"}, {"example.com/gpu": "true"}])
def test_a_daemon_for_nodes_that_there_are_none_of_is_well(selector: Json) -> None:
    """A driver for Windows, a plug-in for accelerators: whoever asks for it by name is told."""
    assert faults(daemon(selector)) == []
    assert faults(daemon(selector), "agent runs nowhere") == ["ROL-07"]


def test_a_slip_in_a_daemons_selector_is_a_fault() -> None:
    """Nodes carry a value that reads like it."""
    assert faults(daemon({"disk": "fast-sdd"}, disk="fast-ssd")) == ["ROL-07"]


# NET-07, STO-03, AUT-03 -----------------------------------------------------------------------------------------------


def ingress(service: str, port: Json) -> Snapshot:
    """An Ingress that sends to a Service at a port."""
    path = {"path": "/", "backend": {"service": {"name": service, "port": port}}}
    made: Json = {
        "kind": "Ingress",
        "metadata": world.meta("front", HERE),
        "spec": {"rules": [{"http": {"paths": [path]}}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}},
    }
    return world.snapshot([*scenes.serving(NAMES), world.service(NAMES), made])


def test_an_action_of_the_controller_is_no_backend() -> None:
    """The AWS controller's own: what it does stands in an annotation, and there is no such Service."""
    assert faults(ingress("ssl-redirect", {"name": "use-annotation"})) == []
    assert faults(ingress("ssl-redirect", {"number": 80})) == ["NET-07"]


def test_a_pod_that_finished_holds_no_volume() -> None:
    """Its volumes were taken off the node when it ended."""
    found = scenes.SCENES["STO-03"][0](NAMES)
    assert "STO-03" in faults(found)

    for pod in found.objects["Pod"]:
        if pod["spec"].get("nodeName") != "node-b":
            pod["status"]["phase"] = "Succeeded"
    assert "STO-03" not in faults(found)


def scaler(name: str, target: str) -> Json:
    """An autoscaler whose target cannot be read."""
    said = {"type": "AbleToScale", "status": "False", "reason": "FailedGetScale", "message": f'"{target}" not found'}
    return {
        "kind": "HorizontalPodAutoscaler",
        "metadata": world.meta(name, HERE),
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": target}, "maxReplicas": 3},
        "status": {"conditions": [said]},
    }


def test_a_workload_that_is_no_namesake_is_not_scaled() -> None:
    """That it is the only one does not say that it was meant; nor is one meant that another autoscaler has."""
    assert findings(world.snapshot([*scenes.serving(NAMES), scaler("a", "batch")]))[0].facts == {"target": "batch"}
    meant = world.snapshot([*scenes.serving(NAMES), scaler("a", "payments-service")])
    assert findings(meant)[0].facts["meant"] == NAMES.workload

    other = scaler("b", NAMES.workload) | {"status": {}}
    meant.objects["HorizontalPodAutoscaler"].append(other)
    assert "meant" not in findings(meant)[0].facts


# The revision that ran ------------------------------------------------------------------------------------------------


def test_the_revision_before_is_one_that_serves() -> None:
    """Of two that were deployed in a row and fail, the first is no way back for the second."""
    old, bad, worse = (world.container(NAMES, f"payment-svc:{tag}") for tag in ("v1", "v2", "v3"))
    sets = [world.replica_set(NAMES, spec, number) for number, spec in enumerate((old, bad, worse), 1)]
    sets[0]["status"] = {"readyReplicas": 2}
    found = world.snapshot([world.deployment(NAMES, worse), *sets])
    workload = found.objects["Deployment"][0]
    assert Graph(found).previous(workload) is sets[0]

    sets[0]["status"] = {}
    assert Graph(found).previous(workload) is sets[1]


# CON-12 ---------------------------------------------------------------------------------------------------------------


def waits_for(command: str, *, since: str = "2026-05-04T10:10:00Z", space: str = "") -> Snapshot:
    """An init container runs and runs."""
    spec = world.container(NAMES, "payment-svc:v2.4.0")
    pod = world.pod(NAMES, spec, {"state": {"waiting": {"reason": "PodInitializing"}}})
    pod["spec"]["initContainers"] = [{"name": "wait", "image": "busybox", "command": ["sh", "-c", command]}]
    running = {"name": "wait", "state": {"running": {"startedAt": since}}}
    pod["status"]["initContainerStatuses"] = [running]
    made = [world.deployment(NAMES, spec, replicas=1), world.replica_set(NAMES, spec, 2, replicas=1), pod]
    elsewhere = world.service(Names(namespace=space, service="store")) if space else None
    return world.snapshot([*made, *([elsewhere] if elsewhere else [])])


@pytest.mark.parametrize(
    "command",
    [
        "wget -q https://github.com/shop/data.tgz",
        "until nc -z store.data 5432; do sleep 1; done",
        "nc -z store.data.svc 1",
    ],
)
def test_a_host_that_may_exist_is_not_called_missing(command: str) -> None:
    """It is no Service of this namespace, and whether it exists was not read."""
    (found,) = findings(waits_for(command))

    assert (found.fault, found.facts["host"]) == ("CON-12", "")


def test_a_host_of_a_namespace_that_was_read_is_known() -> None:
    """There is the Service, or there is none."""
    there = waits_for("until nc -z store.data 5432; do sleep 1; done", space="data")
    assert findings(there)[0].facts["host"] == ""

    lost = waits_for("until nc -z ledger.data 5432; do sleep 1; done", space="data")
    assert findings(lost)[0].facts["host"] == "ledger.data"
    assert findings(waits_for("nc -z store 5432"))[0].facts["host"] == "store"


def test_an_init_container_that_works_for_a_minute_works() -> None:
    """Nothing says that it waits for anything."""
    assert faults(waits_for("./migrate", since="2026-05-04T10:21:10Z")) == []
    assert NOW == "2026-05-04T10:22:00Z"


# DEL-02, SCH-01 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("finalizer", "since", "wanted"), [
    ("foregroundDeletion", "10:18", []),
    ("service.kubernetes.io/load-balancer-cleanup", "10:18", []),
    ("foregroundDeletion", "10:05", ["DEL-02"]),
    ("example.com/archive", "10:18", ["DEL-02"]),
])  # fmt: skip
def test_a_deletion_that_a_controller_of_the_cluster_works_on_is_none(
    finalizer: str, since: str, wanted: list[str]
) -> None:
    """Dependents and load balancers take their minutes; nothing is known to take away another's finalizer in time."""
    service = world.service(NAMES)
    service["metadata"] |= {"deletionTimestamp": f"{world.NOW[:11]}{since}:00Z", "finalizers": [finalizer]}
    assert faults(world.snapshot([*scenes.serving(NAMES), service])) == wanted


@pytest.mark.parametrize(("key", "meant"), [("kubernetes.io/arch", False), ("example.com/pool", True)])
def test_a_node_of_another_machine_is_not_meant(key: str, meant: bool) -> None:
    """The words are alike, and the image does not run there; of other labels one that reads like it is."""
    found = world.no_room()
    pod = found.objects["Pod"][3]
    pod["spec"]["nodeSelector"] = {key: "arm64"}
    refused = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    pod["status"]["conditions"][0]["message"] = refused
    for node in found.objects["Node"]:
        node["metadata"]["labels"] = {key: "amd64"}
    (finding,) = findings(found)
    assert finding.fault == "SCH-01"
    assert ("meant" in finding.facts) == meant
