"""Repairs of what a container starts with, and of its probes: the words that start each are a kubelet's own."""

import copy

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, checks_of, planned, prose_of, value_of

NAMES = Names()
LIVE: Json = {"httpGet": {"path": "/healthz", "port": 9999}}
READY: Json = {"httpGet": {"path": "/ready", "port": 8080}}


def failing(status: Json, *, before: Json | None = None, logs: str = "", **spec: object) -> Snapshot:
    """Return a workload whose one pod of the present revision has this status; `before` is the revision before."""
    new = world.container(NAMES, "payment-svc:v2.4.1", **spec)
    sets = [world.replica_set(NAMES, new, 2, replicas=1)]
    if before is not None:
        old = world.container(NAMES, "payment-svc:v2.4.0", **before)
        sets.insert(0, world.replica_set(NAMES, old, 1, replicas=0))
    pod = world.pod(NAMES, new, status)
    made = [world.deployment(NAMES, new, replicas=1), *sets, pod, world.service(NAMES)]
    log = Log("checkout", pod["metadata"]["name"], "payment-service", True, logs)
    return world.snapshot(made, logs=(log,) if logs else ())


def told(found: Snapshot, reason: str, message: str) -> Snapshot:
    """Return the snapshot with an event about its pod."""
    more = copy.deepcopy(found)
    more.objects["Event"] = [scenes.event(more.objects["Pod"][0], reason, message)]
    return more


def waits(reason: str, message: str) -> Json:
    """Return the status of a container that waits."""
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def patches(made: Plan) -> dict[str, object]:
    """Return which path gets which value."""
    return {item["path"]: item["value"] for item in change_of(made).arguments["patch"]}


# Probes ---------------------------------------------------------------------------------------------------------------


def killed(probe: Json, message: str, *, ready: Json | None = None) -> Snapshot:
    """Return a workload that its liveness probe kills."""
    status = world.ended(137, "Error", restarts=4)
    return told(
        failing(status, livenessProbe=probe, readinessProbe=ready), "Unhealthy", f"Liveness probe failed: {message}"
    )


async def test_a_liveness_probe_asks_where_the_container_answers() -> None:
    """At the port and the path that its readiness probe is answered at; it stays, and both are verified."""
    made = await planned(killed(LIVE, "dial tcp 10.0.0.7:9999: connect: connection refused", ready=READY))

    change = change_of(made)
    assert change.tool == "k8s_set_probe"
    assert change.arguments["probe"] == "liveness"
    assert (change.arguments["port"], change.arguments["path"]) == (8080, "/ready")
    assert {"rollout_complete", "pods_ready", "no_restarts"} <= checks_of(made).keys()


async def test_a_port_that_is_meant_may_be_a_name() -> None:
    """As the container declares it."""
    probe = {"httpGet": {"path": "/healthz", "port": "htpp"}}
    made = await planned(killed(probe, "dial: connection refused", ready={"tcpSocket": {"port": "http"}}))

    assert change_of(made).arguments["port"] == "http"
    assert "path" not in change_of(made).arguments


async def test_a_page_that_does_not_exist_has_no_other_place_that_follows() -> None:
    """Without another probe nobody knows the page: the revision before is the way, or advice."""
    probe = {"httpGet": {"path": "/nowhere", "port": 8080}}
    message = "HTTP probe failed with statuscode: 404"
    made = await planned(killed(probe, message))
    assert not any(isinstance(step, ChangeStep) for step in made.steps)
    assert "do not take it away" in prose_of(made)

    found = failing(world.ended(137, "Error", restarts=4), livenessProbe=probe, before={"livenessProbe": READY})
    again = await planned(told(found, "Unhealthy", f"Liveness probe failed: {message}"))
    assert change_of(again).id == "roll_back"


@pytest.mark.parametrize(("threshold", "wanted"), [(None, 12), (5, 20)])
async def test_a_probe_that_is_impatient_gets_patience(threshold: int | None, wanted: int) -> None:
    """Four times the failures that it had; it is a parameter, and the probe stays."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}} | ({"failureThreshold": threshold} if threshold else {})
    made = await planned(killed(probe, "context deadline exceeded (Client.Timeout exceeded)"))

    assert value_of(made, "failures") == wanted
    assert change_of(made).arguments["failure_threshold"] == {"$param": "failures"}


async def test_a_readiness_probe_asks_where_the_container_answers() -> None:
    """The only port that it declares."""
    probe = {"tcpSocket": {"port": 9090}}
    found = failing(world.running(), readinessProbe=probe)
    made = await planned(told(found, "Unhealthy", "Readiness probe failed: dial tcp 10.0.0.7:9090: connection refused"))

    assert change_of(made).arguments["probe"] == "readiness"
    assert change_of(made).arguments["port"] in (8080, "http")


# Commands and images --------------------------------------------------------------------------------------------------

NO_COMMAND = 'exec: "/bin/strat": stat /bin/strat: no such file or directory'


def unstartable(before: Json | None = None) -> Snapshot:
    """Return a workload whose command is not in its image."""
    status = world.ended(128, "StartError", restarts=3)
    status["lastState"]["terminated"]["message"] = NO_COMMAND
    return failing(status, command=["/bin/strat"], before=before)


async def test_the_command_that_ran_comes_before_the_images_own() -> None:
    """The revision before is evidence; what the image says is the other way."""
    made = await planned(unstartable(before={"command": ["/bin/start"]}))

    assert change_of(made).id == "roll_back"
    assert [item.tool for item in made.alternatives] == ["k8s_set_command"]


async def test_without_a_revision_before_the_images_own_command_is_used() -> None:
    """The override is taken away, and no command is invented."""
    made = await planned(unstartable())

    assert change_of(made).tool == "k8s_set_command"
    assert change_of(made).arguments["command"] == []


async def test_an_image_may_be_pulled_where_it_is_absent() -> None:
    """The policy changes, and nothing else."""
    message = 'Container image "payment-svc:v2.4.1" is not present with pull policy of Never'
    made = await planned(failing(waits("ErrImageNeverPull", message), imagePullPolicy="Never"))

    assert patches(made) == {"/spec/template/spec/containers/0/imagePullPolicy": "IfNotPresent"}
    assert checks_of(made)["field_equals"]["value"] == "IfNotPresent"


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ImagePullBackOff", "failed to authorize: 401 Unauthorized"),
        ("ErrImagePull", "no match for platform in manifest"),
    ],
    ids=["IMG-02", "IMG-06"],
)
async def test_what_only_the_revision_before_repairs(reason: str, message: str) -> None:
    """Credentials and builds come from people; without a revision before the plan advises."""
    status = waits(reason, message)

    assert change_of(await planned(failing(status, before={}))).tool == "k8s_rollout_undo"
    alone = await planned(failing(status))
    assert not any(isinstance(step, ChangeStep) for step in alone.steps)
    assert "Advice" in prose_of(alone)


# What it is configured with -------------------------------------------------------------------------------------------


def configuration(name: str, **data: str) -> Json:
    """Return a ConfigMap."""
    return {"kind": "ConfigMap", "metadata": world.meta(name, "checkout"), "data": data}


def unconfigured(message: str, *there: Json, before: Json | None = None) -> Snapshot:
    """Return a workload whose ConfigMap or key does not exist, and those that do."""
    reference = {"configMapKeyRef": {"name": "setings", "key": "mode"}}
    found = failing(
        waits("CreateContainerConfigError", message), env=[{"name": "MODE", "valueFrom": reference}], before=before
    )
    found.objects["ConfigMap"] = list(there)
    return found


async def test_the_configuration_that_exists_is_named() -> None:
    """Where one name comes near, in the place where the wrong one stands."""
    made = await planned(unconfigured('configmap "setings" not found', configuration("settings", mode="live")))

    path = "/spec/template/spec/containers/0/env/0/valueFrom/configMapKeyRef/name"
    assert patches(made) == {path: "settings"}
    assert "live" not in prose_of(made)


async def test_the_key_that_exists_is_named() -> None:
    """The ConfigMap is right, its key is not."""
    message = "couldn't find key mode in ConfigMap checkout/setings"
    made = await planned(unconfigured(message, configuration("setings", modes="live", level="info")))

    assert patches(made) == {"/spec/template/spec/containers/0/env/0/valueFrom/configMapKeyRef/key": "modes"}


@pytest.mark.parametrize("there", [(), ("settings", "setting")], ids=["none", "two"])
async def test_a_configuration_that_nobody_can_tell_is_not_named(there: tuple[str, ...]) -> None:
    """Nothing near, or two of them: the revision before is the way, or advice."""
    message = 'configmap "setings" not found'
    held = [configuration(name) for name in there]
    alone = await planned(unconfigured(message, *held))
    assert not any(isinstance(step, ChangeStep) for step in alone.steps)
    assert "Create ConfigMap setings" in prose_of(alone)

    assert change_of(await planned(unconfigured(message, *held, before={}))).id == "roll_back"


async def test_a_volumes_configuration_is_named_where_it_is_mounted() -> None:
    """The event says which volume cannot be set up."""
    found = failing(waits("ContainerCreating", ""))
    volume = {"name": "settings", "configMap": {"name": "setings"}}
    for item in (found.objects["Deployment"][0]["spec"]["template"], found.objects["Pod"][0]):
        item["spec"]["volumes"] = [volume]
    found.objects["ConfigMap"] = [configuration("settings")]
    message = 'MountVolume.SetUp failed for volume "settings" : configmap "setings" not found'
    made = await planned(told(found, "FailedMount", message))

    assert patches(made) == {"/spec/template/spec/volumes/0/configMap/name": "settings"}


# Endpoints ------------------------------------------------------------------------------------------------------------


def lost(value: str, *, before: Json | None = None, name: str = "ledger", port: int = 8080) -> Snapshot:
    """Return a workload that asks an endpoint which is not there, beside a Service that is."""
    env = [{"name": "LEDGER_URL", "value": value}]
    text = "FATAL dial tcp: connection refused"
    found = failing(world.ended(1, "Error", restarts=4), env=env, logs=text, before=before)
    front = world.service(scenes.beside(NAMES, name))
    front["spec"]["ports"] = [{"port": port, "targetPort": 8080}]
    found.objects["Service"].append(front)
    ledger = scenes.serving(scenes.beside(NAMES, name), 1)
    for item in ledger:
        found.objects[item["kind"]].append(item)
    return found


@pytest.mark.parametrize(
    ("value", "better"),
    [
        ("http://ledgr:8080/v1", "http://ledger:8080/v1"),
        ("http://ledger:8081/v1", "http://ledger:8080/v1"),
        ("ledgr.checkout.svc:8080", "ledger.checkout.svc:8080"),
    ],
    ids=["host", "port", "in-full"],
)
async def test_a_variable_names_the_endpoint_that_exists(value: str, better: str) -> None:
    """The wrong word is replaced, the rest of the value stays; it is a parameter to look at."""
    made = await planned(lost(value))

    assert value_of(made, "value") == better
    assert change_of(made).arguments["set"] == {"LEDGER_URL": {"$param": "value"}}
    assert checks_of(made)["env_set"]["variable"] == "LEDGER_URL"


async def test_a_value_in_which_the_word_stands_twice_is_not_rewritten() -> None:
    """Which of the two is meant is for a person to say."""
    made = await planned(lost("http://ledgr:8080/ledgr"))

    assert not any(isinstance(step, ChangeStep) for step in made.steps)
    assert "to a Service and port that exist" in prose_of(made)


async def test_the_revision_before_is_the_other_way_to_an_endpoint() -> None:
    """It asked what existed."""
    before: Json = {"env": [{"name": "LEDGER_URL", "value": "http://ledger:8080"}]}

    assert [item.tool for item in (await planned(lost("http://ledgr:8080", before=before))).alternatives] == [
        "k8s_rollout_undo"
    ]


# Twice ----------------------------------------------------------------------------------------------------------------


async def test_a_variable_that_hides_its_source_is_taken_away() -> None:
    """The source's value counts again, so nothing has to be set; neither value is in the plan."""
    found = failing(
        world.ended(1, "Error", restarts=4),
        envFrom=[{"configMapRef": {"name": "settings"}}],
        env=[{"name": "MODE", "value": "secret-test"}],
    )
    found.objects["ConfigMap"] = [configuration("settings", MODE="secret-live")]
    made = await planned(found)

    assert [item["op"] for item in change_of(made).arguments["patch"]] == ["test", "remove"]
    assert "env_set" not in checks_of(made)
    assert b"secret-" not in msgspec.json.encode(made)
