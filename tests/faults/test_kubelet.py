"""What a real kubelet 1.36 said of 22 failures: each is named, and nothing else is.

`kubelet.json` holds its pods, events and node as they were read 150 seconds after their creation.
"""

import json
from pathlib import Path

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json

SAID: Json = json.loads((Path(__file__).parent / "kubelet.json").read_text())
FAULTS = {
    "bad-image-name": "IMG-03",
    "exec-probe": "CON-10",
    "init-fail": "CON-11",
    "liveness-fail": "CON-08",
    "liveness-hang": "CON-09",
    "never-pull": "IMG-04",
    "no-command": "CON-03",
    "no-configmap-env": "CON-01",
    "no-configmap-key": "CON-01",
    "no-configmap-volume": "CON-02",
    "no-pvc": "SCH-14",
    "no-registry": "IMG-05",
    "no-secret-env": "CON-01",
    "no-tag": "IMG-01",
    "not-root": "CON-13",
    "payment-svc": "CON-07",
    "poststart-fail": "CON-15",
    "readiness-fail": "CON-10",
    "startup-fail": "CON-08",
    "too-big": "SCH-02",
    "wrong-node": "SCH-01",
    "wrong-port": "CON-08",
}


def seen(workload: str, *, events: bool = True) -> Snapshot:
    """Return the snapshot of one failing Deployment, alone on the node."""
    pod = next(p for p in SAID["pods"] if p["metadata"]["labels"].get("app", "") == workload or _owner(p) == workload)
    metadata = pod["metadata"]
    owner = metadata["ownerReferences"][0]["name"]
    namespace, labels = metadata["namespace"], metadata["labels"]
    template: Json = {"metadata": {"labels": labels}, "spec": {k: v for k, v in pod["spec"].items() if k != "nodeName"}}
    above: Json = {"kind": "Deployment", "name": workload, "controller": True}
    revision = {"deployment.kubernetes.io/revision": "1"}
    common: Json = {"namespace": namespace, "creationTimestamp": metadata["creationTimestamp"]}
    replica_set: Json = {
        "kind": "ReplicaSet",
        "metadata": {**common, "name": owner, "annotations": revision, "ownerReferences": [above]},
        "spec": {"replicas": 1, "template": template},
    }
    deployment: Json = {
        "kind": "Deployment",
        "metadata": {**common, "name": workload},
        "spec": {"replicas": 1, "template": template},
        "status": {},
    }
    told = [event for event in SAID["events"] if event["involvedObject"]["name"] == metadata["name"]]
    times = [str(event.get("lastTimestamp") or event.get("eventTime") or "") for event in told]
    return Snapshot(
        time=max([*times, metadata["creationTimestamp"]]),
        namespaces=(namespace,),
        objects={
            "Pod": [pod],
            "Event": told if events else [],
            "ReplicaSet": [replica_set],
            "Deployment": [deployment],
            "Node": [SAID["node"]],
            "Namespace": [{"kind": "Namespace", "metadata": {"name": namespace}}],
        },
        elsewhere=(),
    )


def _owner(pod: Json) -> str:
    return str(pod["metadata"]["ownerReferences"][0]["name"]).rpartition("-")[0]


@pytest.mark.parametrize("workload", sorted(FAULTS))
def test_a_real_kubelets_words_name_the_fault(workload: str) -> None:
    """One finding, of the right fault, about the Deployment, and nothing left unexplained."""
    found = diagnose(seen(workload), Incident(f"{workload} does not come up"))

    assert [(item.fault, item.object.name) for item in found.findings] == [(FAULTS[workload], workload)]
    assert found.unknown == ()
    assert all(piece.text and piece.source for piece in found.findings[0].evidence)


def test_a_crash_that_says_nothing_of_itself_is_unknown() -> None:
    """An exit code without a log is no cause."""
    found = diagnose(seen("exit-code"), Incident("exit-code crashes"))

    assert found.findings == ()
    assert any("CrashLoopBackOff; no rule knows the cause" in text for text in found.unknown)


@pytest.mark.parametrize("workload", ["exec-probe", "liveness-fail", "no-configmap-volume", "poststart-fail"])
def test_without_the_events_that_tell_it_the_fault_is_not_named(workload: str) -> None:
    """Where the evidence is an event, the event is what the finding rests on."""
    found = diagnose(seen(workload, events=False), Incident("?"))

    assert FAULTS[workload] not in [item.fault for item in found.findings]
