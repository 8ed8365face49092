"""What libraries and people write in their own way: quotes in quotes, names with other separators, slips of a tag."""

import copy
from datetime import datetime, timedelta

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.lines import finds_no_host, last_error
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names

NAMES = Names()
HERE = NAMES.namespace


def findings(found: Snapshot) -> list[Finding]:
    """What a diagnosis finds."""
    return list(diagnose(found, Incident("payment-service does not work")).findings)


# ADM-11: structured logs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quote", ['"', '\\"', '\\\\\\"'], ids=["plain", "klog and zap", "a log in a log"])
def test_a_refused_right_is_read_inside_of_quotes(quote: str) -> None:
    """What a structured log quotes is what the API server said."""
    made = scenes.serving(NAMES, serviceAccountName="lead")
    said = (
        f"pods is forbidden: User {quote}system:serviceaccount:{HERE}:lead{quote} cannot list resource {quote}pods"
        f"{quote} in API group {quote}{quote} in the namespace {quote}{HERE}{quote}"
    )
    for item in made[2:]:
        item["spec"]["serviceAccountName"] = "lead"
    line = f'E0504 10:21:00.1 1 reflector.go:204] "Failed to watch" err="failed to list *v1.Pod: {said}"'
    logs = (Log(HERE, made[2]["metadata"]["name"], NAMES.container, False, line),)

    (finding,) = findings(world.snapshot([*made, world.service(NAMES)], logs=logs))

    assert finding.fault == "ADM-11"
    assert "ServiceAccount lead may not list pods" in finding.title


# CON-04: names of variables as libraries spell them -------------------------------------------------------------------


def crashed_without(variable: str, line: str) -> Snapshot:
    """The revision before set a variable from a Secret; the present one crashes with this line."""
    before: Json = {"name": variable, "valueFrom": {"secretKeyRef": {"name": "keys", "key": "signing"}}}
    found = world.missing_variable(before=before)
    logs = tuple(
        Log(log.namespace, log.pod, log.container, True, f"info: up\n{line}\n   at Main()") for log in found.logs
    )
    return msgspec.structs.replace(found, logs=logs)


@pytest.mark.parametrize(
    ("variable", "line"),
    [
        ("Jwt__SigningKey", "System.ArgumentNullException: Value cannot be null. (Parameter 'Jwt:SigningKey')"),
        ("Jwt__SigningKey", "InvalidOperationException: required setting Jwt__SigningKey is missing"),
        (
            "SPRING_DATASOURCE_URL",
            "IllegalArgumentException: Could not resolve placeholder 'spring.datasource.url' in value",
        ),
        ("ledger-url", "error: ledger-url is required"),
    ],
)
def test_a_variable_that_was_taken_away_is_known_by_its_librarys_spelling(variable: str, line: str) -> None:
    """The log and the revision before tell of one and the same."""
    (finding,) = findings(crashed_without(variable, line))

    assert (finding.fault, finding.facts["variable"]) == ("CON-04", variable)
    assert finding.facts["source"] == "secret"
    assert finding.confidence == pytest.approx(0.95)


@pytest.mark.parametrize(
    "line",
    [
        "Unhandled exception: Value cannot be null. (Parameter 'Jwt:SigningKeys')",
        "Unhandled exception: Value cannot be null. (Parameter 'My.Jwt:SigningKey')",
        "System.IO.IOException: error while reading Jwt:SigningKey",
    ],
)
def test_another_name_or_another_trouble_is_not_it(line: str) -> None:
    """A part of a longer name is another one, and a line that misses nothing tells of no missing variable."""
    assert [one.fault for one in findings(crashed_without("Jwt__SigningKey", line))] == ["CON-05"]


def test_a_variable_of_one_word_is_no_word_of_a_sentence() -> None:
    """`port` stands in many lines; as PORT alone it would be the variable."""
    assert findings(crashed_without("PORT", "Error: no such port"))[0].fault == "CON-05"
    assert findings(crashed_without("PORT", "Error: PORT is not set"))[0].facts["variable"] == "PORT"


# IMG-01: which image was meant ----------------------------------------------------------------------------------------


def held(broken: str, *images: str, beside: str = "") -> Finding:
    """The finding of an image that is not there, where a node holds others and perhaps another workload runs one."""
    found = copy.deepcopy(world.wrong_image())
    found.objects["ReplicaSet"] = found.objects["ReplicaSet"][1:]
    found.objects["Pod"] = found.objects["Pod"][3:]
    found = msgspec.json.decode(
        msgspec.json.encode(found).replace(b"payment-svc:v2.4.9", f"payment-svc:{broken}".encode()), type=Snapshot
    )
    found.objects["Node"] = [world.node(images=[f"payment-svc:{tag}" for tag in images])]
    if beside:
        spec = world.container(NAMES, f"payment-svc:{beside}")
        found.objects["Pod"].append(world.pod(scenes.beside(NAMES, "other"), spec, world.running(), serves=True))
    return findings(found)[0]


@pytest.mark.parametrize(
    ("broken", "meant"), [("1.0.O", "1.0.0"), ("v1.0.0", "1.0.0"), ("1.0.l", "1.0.1"), ("1.0_0", "1.0-0")]
)
def test_a_tag_that_reads_the_same_is_the_one_that_was_meant(broken: str, meant: str) -> None:
    """It comes before a higher one that a node happens to hold."""
    assert held(broken, meant, "1.9.0").facts["good_image"] == f"payment-svc:{meant}"


def test_what_runs_in_the_namespace_comes_before_what_a_node_holds() -> None:
    """A higher tag may be somebody else's; without either it is the highest."""
    assert held("2.5.0", "1.0.0", "1.9.0", beside="1.0.0").facts["good_image"] == "payment-svc:1.0.0"
    assert held("2.5.0", "1.0.0", "1.9.0").facts["good_image"] == "payment-svc:1.9.0"


# NET-11: a host without a URL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("DB_HOST", "payment-service", ["NET-11"]),
        ("CACHE", "payment-service:6379", ["NET-11"]),
        ("CACHE", "payment-service.checkout.svc.cluster.local", ["NET-11"]),
        ("CACHE", "payment-service", []),
        ("DB_HOST", "elsewhere", []),
        ("DB_HOST", "10.0.0.7:5432", []),
    ],
)
def test_a_service_that_a_variable_names_is_looked_up(variable: str, value: str, wanted: list[str]) -> None:
    """By its name alone where the variable is an address by its own; a word that no Service has is any word."""
    found = scenes.names_denied(NAMES)
    for item in found.objects["Deployment"]:
        if item["metadata"]["name"] == "shopfront":
            item["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": variable, "value": value}]

    assert [one.fault for one in findings(found)] == wanted


# CON-08: where the probe asked before ---------------------------------------------------------------------------------


def asked_elsewhere(*, image: str = "payment-svc:v2.4.0") -> Finding:
    """The liveness probe asks a page that is not there; the revision before asked another, and so does readiness."""
    ready: Json = {"readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}}}
    old = world.container(NAMES, image, livenessProbe={"httpGet": {"path": "/livez", "port": 8080}}, **ready)
    new = world.container(
        NAMES, "payment-svc:v2.4.0", livenessProbe={"httpGet": {"path": "/alive", "port": 8080}}, **ready
    )
    pod = world.pod(NAMES, new, world.ended(0, "Completed", restarts=4))
    sets = [world.replica_set(NAMES, old, 1, replicas=0), world.replica_set(NAMES, new, 2, replicas=1)]
    found = world.snapshot([world.deployment(NAMES, new, replicas=1), *sets, pod])
    found.objects["Event"] = [
        scenes.event(pod, "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404"),
        scenes.event(pod, "Killing", f"Container {NAMES.container} failed liveness probe, will be restarted"),
    ]
    (finding,) = findings(found)
    return finding


def test_a_probe_was_meant_to_ask_what_it_asked_before() -> None:
    """The revision before ran the same image; that its other probe asks somewhere says less."""
    assert asked_elsewhere().facts["meant_path"] == "/livez"
    assert asked_elsewhere(image="payment-svc:v2.3.0").facts["meant_path"] == "/readyz"


# CON-05: what a log says of its end -----------------------------------------------------------------------------------

_STACK = "    at Object.<anonymous> (/app/index.js:12:11)\n    at node:internal/main:12"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"/app/index.js:12\n    throw new TypeError('no')\nTypeError: limits is not iterable\n{_STACK}",
            "TypeError: l",
        ),
        ("  File \"/app/run.py\", line 3, in <module>\nModuleNotFoundError: No module named 'yaml'", "ModuleNotFound"),
        ("ERROR Application run failed\njava.lang.IllegalStateException: port 0\n\tat a.B.c(B.java:1)", "java.lang.I"),
        ('Exception in thread "main" java.lang.OutOfMemoryError: Java heap space\n\tat a.B(B.java)', "Exception in t"),
        ("Unhandled exception. System.IO.IOException: disk gone\n   at Program.Main()", "Unhandled exception"),
        ("thread 'main' panicked at src/main.rs:4:5:\nnote: run with RUST_BACKTRACE=1", "thread 'main'"),
        ("panic: open /etc/x: no such file or directory\n\ngoroutine 1 [running]:\nmain.main()", "panic: open"),
        ('nginx: [emerg] unknown directive "ssl" in /etc/nginx/nginx.conf:3', "nginx: [emerg]"),
        ('FATAL:  data directory "/pg" has wrong ownership\nHINT:  The server must be started by its owner.', "FATAL"),
        ("OCI hook ran\nSegmentation fault (core dumped)", "Segmentation"),
    ],
)
def test_a_crash_is_told_by_the_line_that_says_what_it_was(text: str, told: str) -> None:
    """Not by a line of its stack, nor by the last one, in the words of ten runtimes."""
    assert last_error(text.splitlines()).startswith(told)
    assert findings(crashed_without("OTHER", text))[0].fault == "CON-05"


@pytest.mark.parametrize(
    "text", ["", "INFO listening on :8080\nINFO bye", "terrors: 0", "errorless run of the fault-free"]
)
def test_a_log_that_tells_no_error_tells_none(text: str) -> None:
    """Words that only contain one are others."""
    assert last_error(text.splitlines()) == ""


def test_a_placeholder_is_no_host() -> None:
    """That something could not be resolved is about a name of the cluster only where it is one."""
    assert not finds_no_host("Could not resolve placeholder 'db.url' in value")
    assert finds_no_host("Could not resolve host: ledger")
    assert finds_no_host('host not found in upstream "ledger:80"')


# CON-16: a host in a file ---------------------------------------------------------------------------------------------


def proxied(host: str = "ledgre", *, projected: bool = False, line: str = "", mounted: str = "conf") -> Snapshot:
    """A proxy whose file names a host; beside it a Service ledger."""
    said = line or f'nginx: [emerg] host not found in upstream "{host}:80" in /etc/nginx/conf.d/default.conf:1'
    source: Json = {"configMap": {"name": mounted}}
    volume: Json = {"name": "c", **({"projected": {"sources": [source]}} if projected else source)}
    config: Json = {"kind": "ConfigMap", "metadata": world.meta("conf", HERE)}
    config["data"] = {"mime.types": "types {}", "default.conf": f"upstream a {{ server {host}:80; }}"}
    spec = world.container(NAMES, "proxy:v1")
    pod = world.pod(NAMES, spec, world.ended(1, "Error", restarts=5))
    pod["spec"]["volumes"] = [volume]
    logs = (Log(HERE, pod["metadata"]["name"], NAMES.container, True, said),)
    made = [world.deployment(NAMES, spec, replicas=1), world.replica_set(NAMES, spec, 2), pod, config]
    return world.snapshot([*made, world.service(scenes.beside(NAMES, "ledger"))], logs=logs)


@pytest.mark.parametrize("projected", [True, False])
def test_a_host_that_a_file_names_is_told_with_the_file(projected: bool) -> None:
    """The log says which host, the ConfigMap where it stands, and the Services what was meant."""
    finding = findings(proxied(projected=projected))[0]

    assert (finding.fault, str(finding.object)) == ("CON-16", "Deployment/checkout/payment-service")
    assert (finding.facts["host"], finding.facts["config"], finding.facts["key"]) == ("ledgre", "conf", "default.conf")
    assert finding.advice.startswith("Name ledger in key default.conf of ConfigMap/checkout/conf")


@pytest.mark.parametrize(
    "found",
    [
        proxied("ledger"),
        proxied("ledger.elsewhere.svc"),
        proxied("ledger.example.com"),
        proxied(mounted="other"),
        proxied(line='[emerg] host not found in upstream "another:80"'),
        proxied(line="[emerg] unknown directive ledgre"),
    ],
    ids=["a Service", "another namespace", "the internet", "not mounted", "not in the file", "not about a host"],
)
def test_what_the_file_does_not_show_is_no_cause(found: Snapshot) -> None:
    """A log alone chooses nothing."""
    assert [one.fault for one in findings(found)] == ["CON-05"]


# CON-11: an init container that asks what is not there ----------------------------------------------------------------


def migrates(value: str) -> Snapshot:
    """An init container fails because it finds no host; the last line of its log is no error."""
    said = 'OperationalError: could not translate host name "ledger" to address\n(see https://example.com/e3q8)'
    init: Json = {"name": "migrate", "image": "work:v1", "env": [{"name": "DB_URL", "value": value}]}
    pod = scenes.waiting(NAMES)
    pod["spec"]["initContainers"] = [init]
    ended = {"exitCode": 1, "reason": "Error", "finishedAt": "2026-05-04T10:20:00Z"}
    pod["status"]["initContainerStatuses"] = [
        {"name": "migrate", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        | {"lastState": {"terminated": ended}}
    ]
    made = scenes.serving(NAMES)
    made[0]["spec"]["template"]["spec"]["initContainers"] = [init]
    logs = (Log(HERE, pod["metadata"]["name"], "migrate", True, said),)
    return world.snapshot([*made[:2], world.replica_set(NAMES, pod["spec"]["containers"][0], 2), pod], logs=logs)


def test_what_an_init_container_asks_is_the_cause() -> None:
    """That it fails is a consequence; where it asks nothing that is known, its log's error is told."""
    (asked,) = findings(migrates("postgresql://ledger:5432/x"))
    assert (asked.fault, asked.facts["variable"]) == ("CON-16", "DB_URL")
    assert any("migrate" in one and "fails" in one for one in asked.consequences)

    (alone,) = findings(migrates("x"))
    assert alone.fault == "CON-11"
    assert "could not translate host name" in alone.title


def test_an_init_container_that_ended_well_at_last_fails_no_more() -> None:
    """Its earlier ends stand beside its last one, and the pod is on its way."""
    found = migrates("x")
    (status,) = found.objects["Pod"][-1]["status"]["initContainerStatuses"]
    status["state"] = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-05-04T10:21:50Z"}}

    assert findings(found) == []


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (["sh", "-c", "kubectl wait --for=condition=complete job/JOB --timeout=9h"], ["JOB-01"]),
        (["wait_for.sh", "job", "JOB"], ["JOB-01"]),
        (["sh", "-c", "sleep 1h"], ["JOB-01", "CON-12"]),
    ],
)
def test_who_waits_for_a_job_that_failed_comes_after_it(command: list[str], wanted: list[str]) -> None:
    """The wait is right, and is a consequence; one that waits for nothing known is a cause of its own."""
    found = scenes.failed_job(NAMES)
    (job,) = [item for item in found.objects["Job"] if item["status"].get("conditions")]
    command = [word.replace("JOB", job["metadata"]["name"]) for word in command]
    pod = scenes.waiting(NAMES)
    pod["spec"]["nodeName"] = "node-a"
    pod["spec"]["initContainers"] = [{"name": "wait", "image": "work:v1", "command": command}]
    running: Json = {"state": {"running": {"startedAt": "2026-05-04T10:02:00Z"}}}
    pod["status"]["initContainerStatuses"] = [{"name": "wait", "restartCount": 0, **running}]
    found.objects["Pod"].append(pod)

    assert [one.fault for one in findings(found)] == wanted


# Jobs -----------------------------------------------------------------------------------------------------------------


def test_a_run_that_a_later_one_followed_well_is_history() -> None:
    """A CronJob keeps its last failed run; that is nothing unknown."""
    found = scenes.failed_job(NAMES)
    (failed,) = [item for item in found.objects["Job"] if item["status"].get("conditions")]
    failed["metadata"]["ownerReferences"] = world.owned("CronJob", "nightly")
    later = copy.deepcopy(failed)
    later["metadata"] |= {"name": "nightly-9", "uid": "u9", "creationTimestamp": "2026-05-04T10:15:00Z"}
    later["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    cron: Json = {"kind": "CronJob", "metadata": world.meta("nightly", HERE), "spec": {"schedule": "0 1 * * *"}}
    found.objects["CronJob"] = [cron]
    before = diagnose(found, Incident("did it run?"))
    assert [one.fault for one in before.findings] == ["JOB-01"]

    found.objects["Job"].append(later)
    after = diagnose(found, Incident("did it run?"))
    assert (after.findings, after.unknown) == ((), ())


@pytest.mark.parametrize(
    ("worked", "waited", "wanted"), [(1, 70, True), (1, 40, False), (20, 190, False), (20, 210, True)]
)
def test_a_helper_is_known_by_how_much_longer_it_runs(worked: int, waited: int, wanted: bool) -> None:
    """It has no port and no probe; what works beside another for ten times as long is no part of the work."""
    found = scenes.job_with_helper(NAMES)
    pod = found.objects["Pod"][2]
    pod["spec"]["containers"][1].pop("ports")
    now = datetime.fromisoformat(world.NOW)
    end = now - timedelta(seconds=waited)
    pod["status"]["containerStatuses"][0]["state"]["terminated"] |= {
        "startedAt": (end - timedelta(seconds=worked)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "finishedAt": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    assert [one.fault for one in findings(found)] == ["JOB-03"] * wanted


# SCH-01: a pod of nobody ----------------------------------------------------------------------------------------------


def test_a_pod_that_nobody_makes_anew_gets_advice() -> None:
    """What was meant can be seen, and no template can be changed."""
    found = world.no_room()
    (pod,) = [item for item in found.objects["Pod"] if not item["spec"].get("nodeName")][:1]
    pod["metadata"].pop("ownerReferences")
    pod["spec"]["nodeSelector"] = {"disk": "ssds"}
    said = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    pod["status"]["conditions"][0]["message"] = said
    for node in found.objects["Node"]:
        node["metadata"]["labels"] = {"disk": "ssd"}
    (finding,) = [one for one in findings(found) if one.fault == "SCH-01"]

    assert finding.facts == {}
    assert "label a node disk=ssds" in finding.advice
