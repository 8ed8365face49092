"""What others collected is read as a snapshot: dumps, bundles, and lists in a folder."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.diagnosis import bundle, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log, Snapshot
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis.world import FAULTS, Names

WORDS = "payment-service pods are crash-looping in checkout"
DUMPED = {"Event": "events", "Service": "services", "DaemonSet": "daemonsets", "Deployment": "deployments",
          "ReplicaSet": "replicasets", "Pod": "pods"}  # fmt: skip
BUNDLED = {**DUMPED, "ConfigMap": "configmaps", "ResourceQuota": "resource-quota", "LimitRange": "limitranges",
           "HorizontalPodAutoscaler": "hpa", "StatefulSet": "statefulsets", "Job": "jobs",
           "EndpointSlice": "endpointslices"}  # fmt: skip


def listed(kind: str, items: list[Json], *, bare: bool = False) -> bytes:
    """Return a list as a collector writes it; typed clients leave the kind of each item out."""
    inner = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
    return json.dumps(inner if bare else {"kind": f"{kind}List", "apiVersion": "v1", "items": inner}).encode()


NODE = {"nodes.json": listed("Node", [{"metadata": {"name": "a"}}])}


def dumped(snapshot: Snapshot) -> dict[str, bytes]:
    """Return the files of `kubectl cluster-info dump` for one namespace."""
    files = {f"checkout/{name}.json": listed(kind, snapshot.objects.get(kind, [])) for kind, name in DUMPED.items()}
    for log in snapshot.logs:
        begin = f"==== START logs for container {log.container} of pod {log.namespace}/{log.pod} ===="
        end = f"==== END logs for container {log.container} of pod {log.namespace}/{log.pod} ===="
        files[f"{log.namespace}/{log.pod}/logs.txt"] = f"{begin}\n{log.text}\n{end}\n".encode()
    return {**files, "nodes.json": listed("Node", snapshot.objects["Node"])}


def bundled(snapshot: Snapshot) -> dict[str, bytes]:
    """Return the files of a support bundle."""
    top = "support-bundle-2026/cluster-resources"
    files = {
        f"{top}/{name}/checkout.json": listed(kind, snapshot.objects.get(kind, []), bare=True)
        for kind, name in BUNDLED.items()
    }
    for log in snapshot.logs:
        ending = "-previous" if log.previous else ""
        files[f"{top}/pods/logs/{log.namespace}/{log.pod}/{log.container}{ending}.log"] = log.text.encode()
    return {**files, f"{top}/nodes.json": listed("Node", snapshot.objects["Node"], bare=True)}


@pytest.mark.parametrize("layout", [dumped, bundled])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_the_same_fault_is_found_in_what_was_collected(fault: str, layout: object) -> None:
    """By the same object; what the files do not hold is unknown (a dump has no endpoints)."""
    assert callable(layout)
    known = FAULTS[fault](Names())
    read = bundle.read(layout(known))
    found = diagnose(read, Incident(WORDS, ("checkout",)))
    expected = [] if fault == "NET-01" and layout is dumped else [fault]
    assert [item.fault for item in found.findings] == expected
    assert [item.object for item in found.findings] == [
        item.object for item in diagnose(known, Incident(WORDS, ("checkout",))).findings if expected
    ]
    assert any("it is not in these files" in said for said in found.unknown)


def test_absent_is_not_none(subtests: pytest.Subtests) -> None:
    """A healthy namespace in a dump that lacks kinds is not told to be healthy; an empty list is none of the kind."""
    read = bundle.read({"a/pods.json": listed("Pod", []), **NODE})
    with subtests.test("an empty list was read"):
        assert not read.gaps_in("Pod")
    with subtests.test("what is in no file is a gap"):
        assert [gap.reason for gap in read.gaps_in("Deployment")] == [bundle.ABSENT]
        assert diagnose(read, Incident(WORDS)).healthy == ()


def test_all_containers_of_a_pod_in_one_file() -> None:
    """`kubectl cluster-info dump` writes them one after the other; what stands outside belongs to none."""
    begin, end = (
        "==== START logs for container {} of pod ns/p ====\n",
        "==== END logs for container {} of pod ns/p ====\n",
    )
    first = begin.format("a") + "one\ntwo\n" + end.format("a")
    text = "lost\n" + first + begin.format("b") + end.format("b") + begin.format("c") + "cut off"
    read = bundle.read({"ns/p/logs.txt": text.encode(), **NODE})
    assert read.logs == (Log("ns", "p", "a", False, "one\ntwo"), Log("ns", "p", "b", False, ""))


def test_a_previous_log_and_one_that_is_no_text() -> None:
    """The file's name says that it is of the run before; bytes that are no UTF-8 are replaced."""
    read = bundle.read({**NODE, "x/pods/logs/ns/p/main-previous.log": b"\xff broken"})
    assert read.logs == (Log("ns", "p", "main", True, "� broken"),)


@pytest.mark.parametrize(
    "said",
    [
        "unable to retrieve container logs for containerd://46f2b07d3fd6cf29",
        'failed to try resolving symlinks in path "/var/log/pods/a_b_c/main/0.log": lstat /var/log: no such file',
    ],
)
def test_what_a_kubelet_writes_for_a_log_that_it_lost_is_no_log(said: str) -> None:
    """Its words would be the container's own otherwise: an error that nobody made."""
    known = FAULTS["CON-04"](Names())
    logs = tuple(msgspec.structs.replace(log, text=said) for log in known.logs)
    lost = msgspec.structs.replace(known, logs=logs)

    assert known.logs
    assert bundle.read(dumped(lost)).logs == ()
    assert bundle.read(bundled(lost)).logs == ()


def test_the_time_is_the_latest_that_is_told() -> None:
    """Not the time of reading: an old dump stays old."""
    event: Json = {"metadata": {"name": "e", "creationTimestamp": "2026-01-01T10:00:00Z"}}
    later: Json = {**event, "lastTimestamp": "2026-01-01T11:30:00Z", "message": "until 2030-01-01T00:00:00Z"}
    assert bundle.read({"ns/events.json": listed("Event", [event, later])}).time == "2026-01-01T11:30:00Z"


def test_a_secret_is_its_name_and_type() -> None:
    """Its values are not even held in memory as part of the snapshot."""
    applied = {"kubectl.kubernetes.io/last-applied-configuration": '{"data":{"password":"aHVudGVyMg=="}}'}
    secret: Json = {"kind": "Secret", "type": "Opaque", "metadata": {"name": "s", "annotations": applied}}
    secret["data"] = {"password": "aHVudGVyMg=="}
    read = bundle.read({"all.json": json.dumps({"kind": "List", "items": [secret]}).encode()})
    assert read.objects["Secret"] == [{"kind": "Secret", "type": "Opaque", "metadata": {"name": "s"}}]


def test_a_broken_file_of_a_known_kind_is_a_gap() -> None:
    """It says which file; others still count."""
    read = bundle.read({"ns/pods.json": b"{", "notes.json": b"{", **NODE})
    assert [gap.reason for gap in read.gaps_in("Pod")] == ["ns/pods.json is not JSON"]


@given(st.dictionaries(st.sampled_from(["pods.json", "ns/events.json", "ns/p/logs.txt", "x"]), st.binary(max_size=80)))
def test_no_bytes_break_it(files: dict[str, bytes]) -> None:
    """Anything without an object is bad input, with the next step."""
    with pytest.raises(BadInput, match="no Kubernetes objects"):
        bundle.read(files)


KEYS = ["items", "kind", "metadata", "name"]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(JUNK)
def test_no_json_breaks_it(found: object) -> None:
    """Nor does any JSON, beside a file that can be read."""
    read = bundle.read({"ns/pods.json": json.dumps(found).encode(), **NODE})
    assert [node["metadata"]["name"] for node in read.objects["Node"]][-1:] == ["a"]


def test_json_that_is_too_deep_is_a_gap() -> None:
    """It is no reason to end."""
    read = bundle.read({"ns/pods.json": b'{"items":' + b"[" * 100_000 + b"]" * 100_000 + b"}", **NODE})
    assert [gap.reason for gap in read.gaps_in("Pod")] == ["ns/pods.json is not JSON"]
