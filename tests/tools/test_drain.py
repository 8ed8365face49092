"""Drain: who leaves, who stays, and what would be lost without saying so."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes.change.drain import Allowed, fate

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from tests.tools import shelf
from tests.tools.shelf import held

NODE = held("Node", "node-1", namespace="", spec={"taints": []}, status={})
WEB = held("ReplicaSet", "web-5d8f")
AGENT = held("DaemonSet", "agent", namespace="kube-system")


def pod(name: str, owner: Json | None = WEB, **more: Any) -> Json:
    """A pod on node-1."""
    spec = {"nodeName": "node-1", "containers": [{"name": "a"}], **(more.pop("spec", {}))}
    namespace = "kube-system" if owner is AGENT else "shop"
    return held("Pod", name, namespace=namespace, owner=owner, spec=spec, **{"status": {"phase": "Running"}, **more})


MIRROR = pod("etcd", None, metadata={"annotations": {"kubernetes.io/config.mirror": "x"}})
ENDED = pod("migrate", None, status={"phase": "Succeeded"})
GOING = pod("old", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
DAEMON = pod("agent-x", AGENT)
ALONE = pod("alone", None)
LOCAL = pod("cache", spec={"volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "cm", "configMap": {}}]})


async def test_a_drain_is_a_cordon_and_an_eviction_for_each_pod_in_order() -> None:
    """Pods of other nodes have nothing to do with it."""
    other = held("Pod", "elsewhere", spec={"nodeName": "node-2"}, owner=WEB)
    change = await shelf.rendered("k8s_drain", {"name": "node-1"}, NODE, pod("web-2"), pod("web-1"), other)
    assert [(one.verb, str(one.target), one.path) for one in change.requests] == [
        ("patch", "Node/node-1", "/api/v1/nodes/node-1"),
        ("evict", "Pod/shop/web-1", "/api/v1/namespaces/shop/pods/web-1/eviction"),
        ("evict", "Pod/shop/web-2", "/api/v1/namespaces/shop/pods/web-2/eviction"),
    ]
    assert change.requests[0].body == [{"op": "add", "path": "/spec/unschedulable", "value": True}]
    metadata = {"name": "web-1", "namespace": "shop"}
    assert change.requests[1].body == {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    assert change.title == "node/node-1: cordon and evict 2 pods"
    assert change.notes == ()  # whose pods they are is said once, with what leaves (gateway/impact/disruption)
    assert change.equivalent == "kubectl drain node-1 --ignore-daemonsets"
    assert change.irreversible == ""


async def test_a_node_that_is_cordoned_is_not_cordoned_again() -> None:
    """The evictions are left."""
    node = {**NODE, "spec": {"unschedulable": True}}
    change = await shelf.rendered("k8s_drain", {"name": "node-1"}, node, pod("web-1"))
    assert [one.verb for one in change.requests] == ["evict"]
    assert change.title == "node/node-1: evict 1 pod"


async def test_a_node_that_is_drained_has_nothing_left_to_do() -> None:
    """The request changes nothing, so that the step is in place."""
    node = {**NODE, "spec": {"unschedulable": True}}
    change = await shelf.rendered("k8s_drain", {"name": "node-1"}, node, DAEMON, MIRROR)
    assert [(one.verb, one.body[0]["op"]) for one in change.requests] == [("patch", "test")]


async def test_who_stays_is_said() -> None:
    """Static pods, pods that ended or are going, and those of DaemonSets."""
    change = await shelf.rendered("k8s_drain", {"name": "node-1"}, NODE, MIRROR, ENDED, GOING, DAEMON, pod("web-1"))
    assert [one.target.name for one in change.requests] == ["node-1", "web-1"]
    said = " ".join(change.notes)
    assert "static pods, which the kubelet keeps: Pod/shop/etcd" in said
    assert "pods that ended: Pod/shop/migrate" in said
    assert "pods that are being deleted already: Pod/shop/old" in said
    assert "pods of DaemonSets: Pod/kube-system/agent-x" in said


@pytest.mark.parametrize(
    ("one", "allowed", "said", "allow"),
    [
        (ALONE, {}, "Pod/shop/alone belong to no controller and would be lost", "force=True"),
        (LOCAL, {}, "Pod/shop/cache keep data in an emptyDir", "delete_emptydir_data=True"),
        (
            DAEMON,
            {"ignore_daemonsets": False},
            "Pod/kube-system/agent-x belong to DaemonSets",
            "ignore_daemonsets=True",
        ),
        (ALONE, {"delete_emptydir_data": True}, "would be lost", "force=True"),
        (LOCAL, {"force": True}, "emptyDir", "delete_emptydir_data=True"),
    ],
)
async def test_what_would_be_lost_is_refused_until_it_is_said(one: Json, allowed: Json, said: str, allow: str) -> None:
    """With the pods by name, and the argument that allows it."""
    with pytest.raises(BadInput, match=said) as caught:
        await shelf.rendered("k8s_drain", {"name": "node-1", **allowed}, NODE, one, pod("web-1"))
    assert allow in caught.value.next_step


async def test_what_is_lost_with_leave_is_irreversible() -> None:
    """Nothing brings it back."""
    arguments: Json = {"name": "node-1", "force": True, "delete_emptydir_data": True, "grace_period": 5}
    change = await shelf.rendered("k8s_drain", arguments, NODE, ALONE, LOCAL, pod("web-1"))
    assert (
        change.irreversible == "nothing makes Pod/shop/alone again, and the emptyDir data of Pod/shop/cache is deleted"
    )
    assert all(one.body["deleteOptions"] == {"gracePeriodSeconds": 5} for one in change.requests[1:])
    assert change.equivalent.endswith("--ignore-daemonsets --delete-emptydir-data --force --grace-period=5")


async def test_many_pods_that_stand_in_the_way_are_named_in_part() -> None:
    """The message stays readable."""
    pods = [pod(f"alone-{number:02}", None) for number in range(12)]
    with pytest.raises(BadInput, match="alone-09 and 2 more belong to no controller"):
        await shelf.rendered("k8s_drain", {"name": "node-1"}, NODE, *pods)


async def test_more_pods_than_one_change_may_evict_are_refused() -> None:
    """No node runs so many."""
    with pytest.raises(BadInput, match="runs 501 pods"):
        await shelf.rendered("k8s_drain", {"name": "node-1"}, NODE, *(pod(f"web-{n}") for n in range(501)))


@given(
    st.sampled_from([MIRROR, ENDED, GOING, DAEMON, ALONE, LOCAL, pod("web")]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_allowing_more_never_keeps_a_pod_that_would_have_left(
    one: Json, daemons: bool, data: bool, force: bool
) -> None:
    """And nothing makes a static pod, an ended one or a DaemonSet's leave."""
    least = fate(one, Allowed())
    more = fate(one, Allowed(daemons, data, force))
    assert (least == "evict") <= (more == "evict")
    if least in ("mirror", "ended", "going", "daemon"):
        assert more == least
