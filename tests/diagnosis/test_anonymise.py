"""Without its names a snapshot says the same: the same fault, in the same place."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.diagnosis.anonymise import Names as Replaced
from skyflo_runbooks.diagnosis.anonymise import anonymise
from skyflo_runbooks.diagnosis.snapshot import Log, Snapshot, dump, load
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.world import FAULTS, RENAMED, Names

ACME = Names(
    namespace="acme-prod",
    workload="rocket-billing",
    container="rocket-main",
    service="rocket-front",
    image="registry.acme.example/galaxy/rocket",
    label="acme.example/role",
)
TRACES = ("acme", "rocket", "galaxy", "otter", "team-blue", "front-door", "checkout", "payment")


def found(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return the faults and objects that a snapshot shows, whatever was asked."""
    return [(one.fault, str(one.object)) for one in diagnose(snapshot, Incident("something is slow")).findings]


@pytest.mark.parametrize("names", [Names(), RENAMED, ACME], ids=["checkout", "renamed", "acme"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_the_same_fault_in_the_same_place_and_no_name_left(fault: str, names: Names) -> None:
    """The object is found under its new name, and no trace of the old ones is in the file."""
    known = FAULTS[fault](names)
    bare = anonymise(known)
    new = Replaced(known)
    assert found(bare) == [(fault, new.text(where)) for fault, where in found(known)]
    assert found(bare)
    raw = dump(bare).decode().lower()
    assert [trace for trace in TRACES if trace in raw] == []
    assert load(dump(bare)) == bare


def with_pod(spec: Json, **metadata: object) -> Snapshot:
    """Return a snapshot with one pod."""
    return Snapshot(
        time=world.NOW,
        namespaces=("shop",),
        objects={"Pod": [{"kind": "Pod", "metadata": {"name": "till", "namespace": "shop", **metadata}, "spec": spec}]},
    )


def first(snapshot: Snapshot) -> Json:
    """Return the pod."""
    return snapshot.objects["Pod"][0]


def test_values_of_variables_go_and_addresses_stay() -> None:
    """Free values become numbers, equal ones equal; what can be read as number, path or address is needed by rules."""
    values = ["our slogan!", "our slogan!", "other words", "8080", "db:5432", "http://db:5432/x", "/etc/x", "true", ""]
    env: list[Json] = [{"name": f"V{number}", "value": value} for number, value in enumerate(values)]
    bare = first(anonymise(with_pod({"containers": [{"name": "main", "env": env}]})))
    assert [one["value"] for one in bare["spec"]["containers"][0]["env"]] == [
        *("(value 1)", "(value 1)", "(value 2)"),
        *values[3:],
    ]


def test_foreign_annotations_and_what_kubectl_applied_go() -> None:
    """They hold whatever people write there; Kubernetes' own stay."""
    kept = {"deployment.kubernetes.io/revision": "3"}
    gone = {"acme.example/owner": "bob", "kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "x"}
    assert first(anonymise(with_pod({}, annotations={**kept, **gone})))["metadata"]["annotations"] == kept


def test_mail_and_public_addresses_go_and_private_ones_stay() -> None:
    """In a log, as anywhere: rules compare private addresses with ranges."""
    log = Log(
        "shop",
        "till",
        "main",
        False,
        "bob@acme.example from 8.8.8.8 asked 10.0.0.7 and 999.1.1.1 at 10:22:00 2001:4860:4860::8888 fd00::1",
    )
    bare = anonymise(msgspec.structs.replace(with_pod({}), logs=(log,)))
    assert bare.logs[0].text == (
        "somebody@example.test from 192.0.2.1 asked 10.0.0.7 and 999.1.1.1 at 10:22:00 2001:db8::1 fd00::1"
    )


def test_hosts_go_wherever_they_stand() -> None:
    """In arguments, addresses of nodes, webhooks, certificates and logs; fields, files and API groups are no hosts."""
    pod = first(with_pod({"containers": [{"name": "main", "args": ["--to=orders.acmebank.com:443", "setup.py"]}]}))
    node: Json = {"kind": "Node", "metadata": {"name": "n1"}, "spec": {"providerID": "gce://acmebank-prod-4711/x"},
                  "status": {"addresses": [{"type": "ExternalDNS", "address": "vm7.acmebank.com"}]}}  # fmt: skip
    called: Json = {"name": "check.acmebank.com", "clientConfig": {"url": "https://hooks.acmebank.com/x"}}
    hook: Json = {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": "check"}, "webhooks": [called]}
    said: Json = {"subject": "CN=x,O=Acmebank AG", "issuer": "Acmebank", "names": ["acmebank.com"]}
    served: Json = {"kind": "Secret", "metadata": {"name": "tls"}, "certificate": said}
    log = Log("shop", "till", "main", False, "spec.containers[0].image of apps.k8s.io: no www.acmebank.com")
    objects = {"Pod": [pod], "Node": [node], "ValidatingWebhookConfiguration": [hook], "Secret": [served]}
    bare = anonymise(msgspec.structs.replace(with_pod({}), objects=objects, logs=(log,)))
    assert "acmebank" not in dump(bare).decode().lower()
    assert bare.logs[0].text.startswith("spec.containers[0].image of apps.k8s.io: no host-")
    assert first(bare)["spec"]["containers"][0]["args"][1] == "setup.py"


@pytest.mark.parametrize("word", ["memory", "node", "default", "Running", "containers", "nginx"])
def test_words_of_kubernetes_stay(word: str) -> None:
    """An object that is called like one keeps its name: messages would not be understood otherwise."""
    pod = {**first(with_pod({"containers": []}, labels={"app": word})), "status": {"phase": "Running"}}
    bare = first(anonymise(msgspec.structs.replace(with_pod({}), objects={"Pod": [pod]})))
    assert bare["metadata"]["labels"] == {"app": word}


@given(st.lists(st.from_regex(r"[a-z]{3,8}(-[a-z0-9]{1,6}){0,2}", fullmatch=True), min_size=1, max_size=8, unique=True))
def test_different_names_stay_different(names: list[str]) -> None:
    """And a reference leads to the object that it led to."""
    pods: list[Json] = [
        {"kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "spec": {"volumes": [{"claimName": name}]}}
        for name in names
    ]
    bare = anonymise(Snapshot(time=world.NOW, namespaces=("shop",), objects={"Pod": pods}))
    new = [pod["metadata"]["name"] for pod in bare.objects["Pod"]]
    assert len(set(new)) == len(names)
    assert [pod["spec"]["volumes"][0]["claimName"] for pod in bare.objects["Pod"]] == new


def test_a_common_tool_keeps_its_name_and_another_manager_does_not() -> None:
    """Who wrote fields may be called after whoever made it; kubectl is everybody's."""
    snapshot = world.oom_killed()
    workload = snapshot.objects["Deployment"][0]
    workload["metadata"]["managedFields"] = [
        {"manager": name, "time": world.NOW, "fieldsV1": {"f:spec": {}}} for name in ("kubectl-edit", "galaxy deployer")
    ]

    kept = [one["manager"] for one in anonymise(snapshot).objects["Deployment"][0]["metadata"]["managedFields"]]

    assert kept[0] == "kubectl-edit"
    assert kept[1].startswith("(value")
