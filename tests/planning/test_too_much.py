"""A repair gives nobody more than the incident asks for: no other subject, no other pod, no other's data."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, planned, prose_of

NAMES = Names()
HERE = NAMES.namespace


def changes(made: Plan) -> list[ChangeStep]:
    """The changes of a plan."""
    return [step for step in made.steps if isinstance(step, ChangeStep)]


# ADM-11: a Role that others are bound to ------------------------------------------------------------------------------


def forbidden(*others: Json, said: str = "{}", verb: str = "list") -> Snapshot:
    """A pod logs, in words of its own, that its account may not list ConfigMaps; its Role is bound to others, too."""
    made = scenes.serving(NAMES)
    for item in made[2:]:
        item["spec"]["serviceAccountName"] = "app"
    line = (
        f'configmaps is forbidden: User "system:serviceaccount:{HERE}:app" cannot {verb} resource "configmaps" in API '
        f'group "" in the namespace "{HERE}"'
    )
    line = said.format(line)
    role: Json = {"kind": "Role", "metadata": world.meta("reader", HERE), "rules": []}
    binding: Json = {
        "kind": "RoleBinding",
        "metadata": world.meta("reader", HERE),
        "roleRef": {"kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "app", "namespace": HERE}],
    }
    logs = (Log(HERE, made[2]["metadata"]["name"], NAMES.container, False, line),)
    return world.snapshot([*made, role, binding, *others, world.service(NAMES)], logs=logs)


_AT = "k8s.io/client-go@v0.34.1/tools/cache/reflector.go"


@pytest.mark.parametrize(
    ("said", "verb", "given"),
    [
        ("W1125 09:14:02.511 1 reflector.go:561] " + _AT + ":160: failed to list *v1.ConfigMap: {}", "list", 3),
        ('E1125 1 reflector.go:205] "Failed to watch" err="failed to list *v1.ConfigMap: {}"', "list", 3),
        ('E1125 1 reflector.go:205] "Failed to watch" err="{}" reflector="' + _AT + ':290"', "watch", 3),
        ('level=error msg="Failed to watch *v1.ConfigMap: {}"', "watch", 3),
        ("{}", "list", 1),
        ("could not list the settings: {}", "list", 1),
        ("reflector.go:561] {}", "get", 1),
        ("reflector.go:561] {}", "delete", 1),
        ("reflector.go:561] failed to list *v1.ConfigMap: {}", "create", 1),
    ],
    ids=["old", "klog", "names-it", "other-logger", "bare", "in-words", "get", "delete", "create"],
)
async def test_who_keeps_a_list_up_to_date_watches_it(said: str, verb: str, given: int) -> None:
    """A list alone lets the next watch fail; more than reading is never added, whatever a log says around it."""
    made = await planned(forbidden(said=said, verb=verb))

    (added,) = change_of(made).arguments["patch"]
    (rule,) = added["value"]
    assert rule["resources"] == ["configmaps"]
    assert rule["verbs"] == (["get", "list", "watch"] if given == 3 else [verb])


def bound(*subjects: Json) -> Json:
    """Another binding of the Role."""
    named = {"kind": "Role", "name": "reader"}
    return {"kind": "RoleBinding", "metadata": world.meta("others", HERE), "roleRef": named, "subjects": [*subjects]}


async def test_a_role_of_one_account_is_given_what_it_asks_for() -> None:
    """Nobody else gets it."""
    assert change_of(await planned(forbidden())).arguments["name"] == "reader"


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "Group", "name": "system:authenticated"},
        {"kind": "User", "name": "somebody@example.com"},
        {"kind": "ServiceAccount", "name": "batch", "namespace": HERE},
        {"kind": "ServiceAccount", "name": "app", "namespace": "elsewhere"},
    ],
)
async def test_a_role_that_others_are_bound_to_is_not_widened(subject: Json) -> None:
    """What is added to it they would all get."""
    made = await planned(forbidden(bound(subject)))

    assert made.findings[0].fault == "ADM-11"
    assert changes(made) == []
    assert "No wildcard" in prose_of(made)


# NET-10: a policy of the whole namespace ------------------------------------------------------------------------------


def shut(selector: Json, *, labels: Json | None = None, protocol: str = "TCP") -> Snapshot:
    """A policy lets nobody in; the pods of the Service and of a ledger are in the namespace."""
    policy: Json = {
        "kind": "NetworkPolicy",
        "metadata": world.meta("shut", HERE),
        "spec": {"podSelector": selector, "policyTypes": ["Ingress"]},
    }
    client = scenes.client_of(NAMES)
    client[0]["spec"]["template"]["metadata"]["labels"] |= labels or {}
    front = world.service(NAMES)
    front["spec"]["ports"][0]["protocol"] = protocol
    ledger = scenes.serving(scenes.beside(NAMES, "ledger"), 1)
    return world.snapshot([*scenes.serving(NAMES), *client, *ledger, front, policy])


CANNOT = Incident("shopfront cannot reach payment-service", (HERE,))


async def test_a_policy_of_the_services_pods_gets_one_more_rule() -> None:
    """It is about them alone."""
    made = await planned(shut({"matchLabels": {NAMES.label: NAMES.workload}}), incident=CANNOT)

    assert change_of(made).arguments["name"] == "shut"


@pytest.mark.parametrize("selector", [{}, {"matchExpressions": [{"key": NAMES.label, "operator": "Exists"}]}])
async def test_a_policy_of_other_pods_stays_as_it_is(selector: Json) -> None:
    """A rule more would let the client reach the ledger as well: the Service's pods get a policy of their own."""
    made = await planned(shut(selector), incident=CANNOT)
    change = change_of(made)

    assert change.tool == "k8s_create"
    written = change.arguments["manifest"]
    assert written["kind"] == "NetworkPolicy"
    assert written["spec"]["podSelector"] == {"matchLabels": {NAMES.label: NAMES.workload}}
    assert written["spec"]["policyTypes"] == ["Ingress"]
    assert written["spec"]["ingress"] == [
        {
            "from": [{"podSelector": {"matchLabels": {NAMES.label: "shopfront"}}}],
            "ports": [{"port": 8080, "protocol": "TCP"}],
        }
    ]


async def test_a_client_is_admitted_by_what_stays_the_same() -> None:
    """A label of its chart or version is another one after its next release."""
    found = shut({"matchLabels": {NAMES.label: NAMES.workload}}, labels={"helm.sh/chart": "shop-1.2.3"})
    rule = change_of(await planned(found, incident=CANNOT)).arguments["patch"][0]["value"][0]

    assert rule["from"] == [{"podSelector": {"matchLabels": {NAMES.label: "shopfront"}}}]


async def test_a_service_by_udp_is_admitted_by_udp() -> None:
    """A port without a protocol is one of TCP."""
    found = shut({"matchLabels": {NAMES.label: NAMES.workload}}, protocol="UDP")
    rule = change_of(await planned(found, incident=CANNOT)).arguments["patch"][0]["value"][0]

    assert rule["ports"] == [{"port": 8080, "protocol": "UDP"}]


# SCH-14: a claim that somebody else's data are in ---------------------------------------------------------------------


def misses_claim(*others: Json) -> Snapshot:
    """Pods name the claim `data-shop`; there is `data-shop-0`, which no pod uses at the moment."""
    spec = world.container(NAMES, "payment-svc:v2.4.0")
    pod = world.pod(NAMES, spec, {})
    del pod["spec"]["nodeName"]
    said = '0/1 nodes are available: persistentvolumeclaim "data-shop" not found. not found'
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
    pod["status"] = {"phase": "Pending", "conditions": [unplaced]}
    made = world.deployment(NAMES, spec, replicas=1)
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data-shop"}}]
    made["spec"]["template"]["spec"]["volumes"] = pod["spec"]["volumes"] = volumes
    held = scenes.claim(NAMES, name="data-shop-0")
    return world.snapshot([made, world.replica_set(NAMES, spec, 2, replicas=1), pod, held, *others])


def asleep(kind: str, spec: Json) -> Json:
    """A workload of which no pod runs at the moment."""
    return {"kind": kind, "metadata": world.meta("shop", HERE), "spec": spec}


MOUNTS: Json = {"spec": {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "data-shop-0"}}]}}


async def test_a_claim_that_is_nobodys_is_the_one_that_was_meant() -> None:
    """It reads like the missing one, and nothing names it."""
    assert change_of(await planned(misses_claim())).arguments["patch"][0]["value"] == "data-shop-0"


@pytest.mark.parametrize(
    "other",
    [
        asleep("StatefulSet", {"replicas": 0, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}),
        asleep("Deployment", {"replicas": 0, "template": MOUNTS}),
        asleep("CronJob", {"jobTemplate": {"spec": {"template": MOUNTS}}}),
    ],
)
async def test_a_claim_of_a_workload_that_sleeps_is_not_taken(other: Json) -> None:
    """What is scaled to 0, or runs by night, has its data there."""
    assert changes(await planned(misses_claim(other))) == []


# CON-16: a password in an address -------------------------------------------------------------------------------------


def wrong_address(value: str, *, log: str = "dial tcp: lookup ledgr: no such host", **front: object) -> Snapshot:
    """A container crashes because its variable names the Service `ledgr`; there is `ledger`."""
    spec = world.container(NAMES, "payment-svc:v2.4.1", env=[{"name": "LEDGER_URL", "value": value}])
    pods = [world.pod(NAMES, spec, world.ended(1, "Error", restarts=5), index=index) for index in range(2)]
    logs = tuple(Log(HERE, pod["metadata"]["name"], NAMES.container, True, log) for pod in pods)
    ledger = world.service(scenes.beside(NAMES, "ledger"))
    ledger["spec"] |= front
    made = [world.deployment(NAMES, spec, replicas=2), world.replica_set(NAMES, spec, 2, replicas=2)]
    others = scenes.serving(scenes.beside(NAMES, "ledger"), 1)
    return world.snapshot([*made, *pods, *others, ledger, world.service(NAMES)], logs=logs)


async def test_an_address_is_corrected() -> None:
    """The host that exists, all else as it was."""
    made = await planned(wrong_address("http://ledgr:80/v1"))

    assert made.findings[0].fault == "CON-16"
    assert [item.default for item in made.parameters if item.name == "value"] == ["http://ledger:80/v1"]


async def test_an_address_with_a_password_is_not_written_into_a_runbook() -> None:
    """Neither by name nor as the value of a parameter."""
    made = await planned(wrong_address("http://shop:Tr0ub4dor@ledgr:80/v1"))

    assert made.findings[0].fault == "CON-16"
    assert changes(made) == []
    assert "Tr0ub4dor" not in repr(made)


@pytest.mark.parametrize("front", [{"type": "ExternalName", "externalName": "db.example.com"}, {"clusterIP": "None"}])
def test_a_name_in_dns_has_every_port(front: Json) -> None:
    """An ExternalName and a headless Service forward nothing: the port is the other end's own."""
    log = "dial tcp 10.0.0.7:5432: i/o timeout"
    found = wrong_address("postgres://ledger:5432/main", log=log, **front)

    assert "CON-16" not in [one.fault for one in diagnose(found, Incident("payment-service crashes")).findings]


def test_another_address_than_the_one_that_is_asked_is_no_cause() -> None:
    """Nobody answers at the database, which exists; that an optional tracer does not exist is beside it."""
    found = wrong_address("http://tracer:9411/", log="dial tcp 10.0.0.7:80: connection refused while asking ledger:80")

    assert "CON-16" not in [one.fault for one in diagnose(found, Incident("payment-service crashes")).findings]
