"""What the read tools answer, on the flagship and on any cluster."""

import json

import pytest
from skyflo_mcp.kubernetes import Cluster, NotFound, call
from skyflo_mcp.kubernetes.errors import BadRequest
from skyflo_mcp.kubernetes.read.events import merged

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered
from skyflo_runbooks.practice import PracticeCluster
from tests.tools.apiserver import Asked, Reply, status, with_discovery
from tests.tools.worlds import World

PAYMENT: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}


async def ask(cluster: Cluster, name: str, /, **arguments: object) -> Json:
    """Call a read tool; its answer must be JSON."""
    answer = await call(cluster, name, arguments)
    assert isinstance(answer, dict)
    return dict(json.loads(json.dumps(answer)))


def column(answer: Json, name: str) -> list[object]:
    """One column of a table."""
    place = answer["columns"].index(name)
    return [row[place] for row in answer["rows"]]


# k8s_get


async def test_get_lists_what_kubectl_would_show(flagship: Cluster) -> None:
    """The columns people know, and the cluster's time."""
    answer = await ask(flagship, "k8s_get", kind="pods", namespace="checkout", label_selector="app=payment-service")
    assert answer["columns"][:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert column(answer, "STATUS").count("CrashLoopBackOff") == 2
    assert (answer["kind"], answer["count"], answer["more"]) == ("Pod", 3, False)
    assert answer["at"].endswith("Z")


async def test_get_over_all_namespaces_says_which(world: World) -> None:
    """The namespace comes first, as with -A."""
    answer = await ask(world.cluster, "k8s_get", kind="Deployment")
    assert answer["columns"][0] == "NAMESPACE"
    assert [world.namespace, "web"] in [row[:2] for row in answer["rows"]]


async def test_get_answers_alike_on_any_cluster(world: World) -> None:
    """The same columns for the same kind."""
    answer = await ask(world.cluster, "k8s_get", kind="deploy", namespace=world.namespace)
    assert answer["columns"] == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert [str(cell) for cell in answer["rows"][0][:4]] == ["web", "0/2", "2", "0"]


async def test_get_wide_shows_more(world: World) -> None:
    """As kubectl's -o wide."""
    narrow = await ask(world.cluster, "k8s_get", kind="pods", namespace=world.namespace)
    wide = await ask(world.cluster, "k8s_get", kind="pods", namespace=world.namespace, output="wide")
    assert "NODE" in wide["columns"]
    assert "NODE" not in narrow["columns"]


async def test_get_of_one_object_is_the_object_without_noise(world: World) -> None:
    """managedFields tell a reader nothing."""
    answer = await ask(world.cluster, "k8s_get", kind="Deployment", namespace=world.namespace, name="web")
    assert (answer["kind"], answer["metadata"]["name"], answer["spec"]["replicas"]) == ("Deployment", "web", 2)
    assert "managedFields" not in answer["metadata"]


async def test_get_as_json_and_as_names(world: World) -> None:
    """Whole objects, or their names alone."""
    where = {"kind": "ConfigMap", "namespace": world.namespace, "field_selector": "metadata.name=settings"}
    objects = await ask(world.cluster, "k8s_get", **where, output="json")
    assert objects["items"][0]["data"] == {"mode": "slow", "size": "3"}
    names = await ask(world.cluster, "k8s_get", **where, output="name")
    assert names["items"] == [f"ConfigMap/{world.namespace}/settings"]


@pytest.mark.parametrize("name", [None, "password"])
async def test_a_secrets_values_never_leave(world: World, name: str | None) -> None:
    """Neither in a list nor alone, nor in kubectl's annotation; the keys stay to be seen."""
    answer = await ask(world.cluster, "k8s_get", kind="Secret", namespace=world.namespace, name=name, output="json")
    secret = answer if name else next(one for one in answer["items"] if one["metadata"]["name"] == "password")
    assert secret["data"] == {"value": "(7 bytes)"}
    assert "aHVudGVyMg" not in json.dumps(answer)
    described = await ask(world.cluster, "k8s_describe", kind="Secret", namespace=world.namespace, name="password")
    assert "aHVudGVyMg" not in json.dumps(described)


async def test_a_namespace_that_does_not_exist_is_not_an_empty_one(world: World) -> None:
    """Nothing found would be taken for nothing wrong."""
    with pytest.raises(NotFound, match="no namespace no-such-place"):
        await ask(world.cluster, "k8s_get", kind="pods", namespace="no-such-place")
    empty = await ask(world.cluster, "k8s_get", kind="Job", namespace=world.namespace)
    assert (empty["count"], empty["rows"]) == (0, [])


async def test_a_limit_leaves_some_and_says_so(world: World) -> None:
    """Nobody takes a part for the whole."""
    answer = await ask(world.cluster, "k8s_get", kind="pods", namespace=world.namespace, limit=1)
    assert (answer["count"], answer["more"]) == (1, True)


async def test_a_name_with_a_selector_is_bad_input(world: World) -> None:
    """It would be ignored otherwise."""
    with pytest.raises(BadInput, match="selector"):
        await ask(world.cluster, "k8s_get", kind="pods", name="x", label_selector="a=b")


async def test_a_selector_that_is_none_is_the_servers_bad_request(world: World) -> None:
    """With its words."""
    with pytest.raises(BadRequest, match="400"):
        await ask(world.cluster, "k8s_get", kind="pods", namespace=world.namespace, label_selector="a in b in c")


# k8s_describe


async def test_describe_shows_the_pods_of_a_workload_and_what_happened(flagship: Cluster) -> None:
    """OOMKilled is in the pods' last state; there is no event for it."""
    answer = await ask(flagship, "k8s_describe", **PAYMENT)
    assert answer["object"]["metadata"]["name"] == "payment-service"
    assert answer["pods"]["count"] == 3
    assert all("terminated OOMKilled (exit 137)" in str(cell) for cell in column(answer["pods"], "LAST STATE"))
    assert "BackOff" in column(answer["events"], "REASON")
    assert answer["unknown"] == []


async def test_describe_of_a_service_shows_what_is_behind_it(flagship: Cluster) -> None:
    """Each endpoint with its pod and whether it is ready."""
    answer = await ask(flagship, "k8s_describe", kind="Service", namespace="checkout", name="payment-service")
    assert answer["endpoints"]["selector"] == {"app": "payment-service"}
    assert sorted(map(bool, column(answer["endpoints"], "READY"))) == [False, False, True]


async def test_describe_of_a_node_shows_what_its_pods_ask_for(flagship: Cluster) -> None:
    """In sum, as the scheduler counts."""
    answer = await ask(flagship, "k8s_describe", kind="Node", name="node-a")
    pods = await ask(flagship, "k8s_get", kind="pods", field_selector="spec.nodeName=node-a", output="json")
    assert answer["requested"]["pods"] == pods["count"]
    assert answer["requested"]["cpu"] == f"{100 * pods['count']}m"


async def test_describe_of_a_pod_names_its_owner(world: World) -> None:
    """One step up."""
    pods = await ask(world.cluster, "k8s_get", kind="pods", namespace=world.namespace, output="json")
    name = pods["items"][0]["metadata"]["name"]
    answer = await ask(world.cluster, "k8s_describe", kind="pod", namespace=world.namespace, name=name)
    assert [owner.rsplit("/", 1)[0] for owner in answer["owners"]] == [f"ReplicaSet/{world.namespace}"]


async def test_describe_without_the_right_to_see_pods_says_what_is_unknown() -> None:
    """A refused read is unknown, never none."""

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/deployments/web"):
            return Reply(body={"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "d"}})
        return status(403, f"may not see {asked.path}")

    cluster = with_discovery(answer).cluster()
    described = await ask(cluster, "k8s_describe", kind="Deployment", namespace="shop", name="web")
    assert "pods" not in described
    assert any("may not see" in said for said in described["unknown"])
    assert len(described["unknown"]) == 2


# k8s_events


async def test_events_come_in_order_and_counted(flagship: Cluster) -> None:
    """The last one is the newest."""
    answer = await ask(flagship, "k8s_events", **PAYMENT, related=True)
    seen = [str(cell) for cell in column(answer, "LAST SEEN")]
    assert seen == sorted(seen)
    by_reason = dict(zip(column(answer, "REASON"), column(answer, "COUNT"), strict=True))
    assert isinstance(by_reason["BackOff"], int)
    assert by_reason["BackOff"] > 1


async def test_events_of_one_type_only(flagship: Cluster) -> None:
    """Warnings are what one looks for first."""
    answer = await ask(flagship, "k8s_events", namespace="checkout", type="Warning")
    assert set(column(answer, "TYPE")) == {"Warning"}


async def test_events_of_one_object_are_only_its_own(world: World) -> None:
    """Without `related`, the pods' events are left out."""

    async def scheduled() -> bool:
        found = await ask(world.cluster, "k8s_events", **where, related=True, type="Warning")
        return "FailedScheduling" in column(found, "REASON")

    where: Json = {"kind": "Deployment", "namespace": world.namespace, "name": "web"}
    await world.until("the scheduler said why", scheduled)
    own = await ask(world.cluster, "k8s_events", **where)
    assert set(column(own, "OBJECT")) == {f"Deployment/{world.namespace}/web"}
    assert column(own, "REASON") == ["ScalingReplicaSet"]


@pytest.mark.parametrize("arguments", [{"name": "web"}, {"namespace": "shop", "related": True}])
async def test_events_of_an_object_that_is_half_named_are_bad_input(flagship: Cluster, arguments: Json) -> None:
    """Rather than of everything."""
    with pytest.raises(BadInput):
        await ask(flagship, "k8s_events", **arguments)


def event(**changed: object) -> Json:
    """One event of the old form."""
    involved = {"kind": "Pod", "namespace": "shop", "name": "web-1"}
    return {
        "involvedObject": involved,
        "type": "Warning",
        "reason": "BackOff",
        "message": "restarting",
        "count": 3,
        "firstTimestamp": "2026-01-05T10:00:00Z",
        "lastTimestamp": "2026-01-05T10:05:00Z",
        **changed,
    }


def test_events_that_say_the_same_are_one() -> None:
    """Counted together, from the first to the last."""
    (one,) = merged([event(), event(count=2, lastTimestamp="2026-01-05T10:09:00Z")])
    assert (one.count, one.first, one.last) == (5, "2026-01-05T10:00:00Z", "2026-01-05T10:09:00Z")


def test_events_of_the_newer_form_are_read_too() -> None:
    """Series, and times with microseconds."""
    newer = event(count=None, firstTimestamp=None, lastTimestamp=None, eventTime="2026-01-05T10:00:00.123456Z")
    newer["series"] = {"count": 7, "lastObservedTime": "2026-01-05T10:07:00.000001Z"}
    (one,) = merged([newer])
    assert (one.count, one.first, one.last) == (7, "2026-01-05T10:00:00Z", "2026-01-05T10:07:00Z")


def test_events_that_differ_stay_apart() -> None:
    """By object, type, reason or message."""
    other = {"involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-2"}}
    variants = [event(), event(message="x"), event(reason="y"), event(type="Normal"), event(**other)]
    assert len(merged(variants)) == 5


# k8s_logs


async def test_logs_of_a_workload_come_from_every_pod(flagship: Cluster) -> None:
    """Each named."""
    answer = await ask(flagship, "k8s_logs", **PAYMENT, tail=2)
    assert len({one["pod"] for one in answer["logs"]}) == 3
    assert all(len(one["text"].splitlines()) <= 2 for one in answer["logs"])
    assert "POST /charge" in answer["logs"][0]["text"]


async def test_logs_of_before_the_restart(flagship: Cluster) -> None:
    """What the killed container said."""
    answer = await ask(flagship, "k8s_logs", **PAYMENT, previous=True)
    assert all(one["previous"] and "starting" in one["text"] for one in answer["logs"])


async def test_a_container_that_never_restarted_says_that_it_has_no_such_log(flagship: Cluster) -> None:
    """An answer about that one container, not a failure of the whole."""
    storefront = {**PAYMENT, "name": "storefront"}
    answer = await ask(flagship, "k8s_logs", **storefront, previous=True)
    assert len(answer["logs"]) == 2
    assert all("previous terminated container" in one["unavailable"] for one in answer["logs"])


async def test_logs_are_cut_at_the_limit_and_say_so(flagship: Cluster) -> None:
    """At the beginning of a line; of a line that is longer than the limit nothing is shown."""
    whole = [one["text"] for one in (await ask(flagship, "k8s_logs", **PAYMENT))["logs"]]
    last = [text.splitlines(keepends=True)[-1] for text in whole]
    longest = max(len(line.encode()) for line in last)
    answer = await ask(flagship, "k8s_logs", **PAYMENT, limit_bytes=longest)
    assert [(one["text"], one["cut"]) for one in answer["logs"]] == [(line, True) for line in last]
    short = await ask(flagship, "k8s_logs", **PAYMENT, limit_bytes=10)
    assert {(one["text"], one["cut"]) for one in short["logs"]} == {("(the last line is longer than 10 bytes)", True)}


async def test_logs_of_a_container_that_is_not_there_name_those_that_are(flagship: Cluster) -> None:
    """The next try will be right."""
    with pytest.raises(BadInput, match="sidecar") as caught:
        await ask(flagship, "k8s_logs", **PAYMENT, container="sidecar")
    assert "payment-service" in caught.value.next_step


@pytest.mark.parametrize("since", ["soon", "-5m", "5 m"])
async def test_a_since_that_is_no_duration_is_bad_input(flagship: Cluster, since: str) -> None:
    """It is not guessed at."""
    with pytest.raises(BadInput, match="duration"):
        await ask(flagship, "k8s_logs", **PAYMENT, since=since)


async def test_logs_of_pods_that_never_started_say_so(world: World) -> None:
    """No text, and either nothing or a reason; never a failure."""
    answer = await ask(
        world.cluster, "k8s_logs", kind="Deployment", namespace=world.namespace, name="web", container="web"
    )
    assert len(answer["logs"]) == 2
    assert all(one["text"] == "" for one in answer["logs"])


# k8s_top_pods


async def test_top_shows_use_beside_limits(flagship: Cluster) -> None:
    """The highest first; a pod in back-off has none and says so."""
    answer = await ask(flagship, "k8s_top_pods", namespace="checkout")
    assert column(answer, "MEMORY LIMIT") == ["256Mi"] * 5
    known = [cell for cell in column(answer, "MEMORY %") if cell is not None]
    assert len(known) == 3
    assert known == sorted(known, key=lambda cell: -int(str(cell)))
    assert len([said for said in answer["unknown"] if "is not running at the moment" in said]) == 2


async def test_top_after_the_limit_was_raised_shows_the_need(practice: PracticeCluster, flagship: Cluster) -> None:
    """340Mi, which nobody could see before."""
    change = await call(
        flagship, "k8s_set_resources", {**PAYMENT, "container": "payment-service", "limits": {"memory": "512Mi"}}
    )
    assert isinstance(change, Rendered)
    await flagship.send(change.requests[0], dry_run=False, field_manager="us")
    await practice.advance(120)
    answer = await ask(flagship, "k8s_top_pods", namespace="checkout", label_selector="app=payment-service")
    assert column(answer, "MEMORY") == ["340Mi"] * 3
    state = await ask(flagship, "k8s_rollout_status", **PAYMENT)
    assert (state["state"], state["restarts"]) == ("complete", 0)


async def test_top_without_any_figures_is_unknown(world: World) -> None:
    """Pods that do not run use nothing that could be measured."""
    answer = await ask(world.cluster, "k8s_top_pods", namespace=world.namespace)
    assert answer["rows"] == []


# k8s_rollout_history


async def test_history_lists_revisions_with_what_they_ran(flagship: Cluster) -> None:
    """Images, limits, and why, oldest first; the present one is marked."""
    answer = await ask(flagship, "k8s_rollout_history", **PAYMENT)
    assert column(answer, "REVISION") == [1, 2]
    assert column(answer, "CURRENT") == [False, True]
    assert column(answer, "IMAGES") == ["payment-service=payment-svc:v2.4.0", "payment-service=payment-svc:v2.4.1"]
    assert column(answer, "CHANGE CAUSE") == ["release v2.4.0", "release v2.4.1"]
    assert column(answer, "LIMITS") == ["payment-service: memory=256Mi"] * 2


async def test_a_workload_that_is_not_there_is_not_found(world: World) -> None:
    """With its full name."""
    for tool in ("k8s_rollout_history", "k8s_rollout_status", "k8s_describe", "k8s_logs"):
        with pytest.raises(NotFound, match=f"Deployment/{world.namespace}/nothing"):
            await ask(world.cluster, tool, kind="Deployment", namespace=world.namespace, name="nothing")


@pytest.mark.parametrize(
    ("tool", "more"),
    [
        ("k8s_events", {}),
        ("k8s_events", {"kind": "Pod", "name": "api"}),
        ("k8s_top_pods", {}),
        ("k8s_disk_usage", {}),
        ("k8s_logs", {"label_selector": "app=api"}),
    ],
)
async def test_a_slip_of_the_namespace_does_not_read_as_nothing_there(flagship: Cluster, tool: str, more: Json) -> None:
    """No events, no pods and no lines would say that all is well."""
    with pytest.raises(NotFound, match="There is no namespace chekout") as caught:
        await call(flagship, tool, {"namespace": "chekout", **more})
    assert "kind=Namespace" in caught.value.next_step


@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"label_selector": "app=nobody"}, "No log: no pod matches app=nobody in checkout."),
        (
            {"label_selector": "app=payment-service", "container": "sidecar"},
            "No log: no pod matches app=payment-service and has a container 'sidecar' in checkout.",
        ),
        ({"label_selector": "app=payment-service"}, ""),
    ],
    ids=["no pod", "no container", "pods"],
)
async def test_logs_of_nobody_say_that_nobody_matches(flagship: Cluster, asked: Json, said: str, merge: bool) -> None:
    """An empty list of logs would read like pods that say nothing."""
    answer = await ask(flagship, "k8s_logs", namespace="checkout", merge=merge, **asked)
    assert answer["note"] == said
    assert bool(answer["rows"] if merge else answer["logs"]) is not bool(said)


@pytest.mark.parametrize(("tool", "more"), [("k8s_events", {"type": "Warning"}), ("k8s_top_pods", {})])
async def test_a_namespace_in_which_nothing_is_answers_with_nothing(flagship: Cluster, tool: str, more: Json) -> None:
    """It is there, and empty."""
    assert (await ask(flagship, tool, namespace="kube-public", **more))["count"] == 0


@pytest.mark.parametrize(
    ("namespace", "said"),
    [("checkout", "It is not there."), ("chekout", "It is not there, and there is no namespace chekout either.")],
)
async def test_a_deletion_that_is_waited_for_says_where_the_namespace_is_gone_too(
    flagship: Cluster, namespace: str, said: str
) -> None:
    """It went with it, or the name is a slip; the reader can tell."""
    asked: Json = {"kind": "Pod", "name": "gone", "namespace": namespace, "until": "deleted", "seconds": 1}
    answer = await ask(flagship, "k8s_wait", **asked)
    assert (answer["met"], answer["observed"]) == (True, said)
