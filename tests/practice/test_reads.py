"""Reads: pages, selectors, tables, watches, logs and the cluster's time."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.kinds import CONFIG_MAP
from skyflo_runbooks.practice.reading import Watch
from tests.practice.client import Client, client_of, deployment, pod, small

MAPS = "/api/v1/namespaces/lab/configmaps"


async def fill(client: Client, count: int) -> None:
    """Create ConfigMaps m0, m1, … with labels that tell even from odd."""
    for number in range(count):
        labels = {"parity": "even" if number % 2 == 0 else "odd", "n": str(number)}
        await client.create(MAPS, {"metadata": {"name": f"m{number}", "labels": labels}})


def names(items: list[Json]) -> list[str]:
    """Return the names of objects."""
    return [item["metadata"]["name"] for item in items]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_add_up_to_the_whole_list(bench: Client, limit: int) -> None:
    """Following `continue` gives every object once, in order."""
    await fill(bench, 7)
    seen: list[str] = []
    token = ""
    while True:
        listed = await bench.get(MAPS, limit=str(limit), **({"continue": token} if token else {}))
        assert len(listed["items"]) <= limit
        seen += names(listed["items"])
        token = listed["metadata"].get("continue", "")
        if not token:
            break
        assert listed["metadata"]["remainingItemCount"] == 7 - len(seen)
    assert seen == [f"m{number}" for number in range(7)]


async def test_a_forged_continue_is_refused(bench: Client) -> None:
    """It is not guessed at."""
    assert (await bench.refused("GET", MAPS, **{"continue": "!!"}))["message"] == "continue key is not valid"


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("parity=even", ["m0", "m2"]),
        ("parity==odd", ["m1", "m3"]),
        ("parity!=even", ["m1", "m3"]),
        ("n in (0, 3),parity", ["m0", "m3"]),
        ("n notin (0,1,2)", ["m3"]),
        ("!parity", []),
        ("parity=even,n=2", ["m2"]),
    ],
)
async def test_label_selectors(bench: Client, selector: str, expected: list[str]) -> None:
    """Equality, sets and existence."""
    await fill(bench, 4)
    assert names(await bench.items(MAPS, labelSelector=selector)) == expected


async def test_field_selectors(flagship: Client) -> None:
    """Pods by phase, events by what they are about; an unknown field is refused by name."""
    running = await flagship.items("/api/v1/pods", fieldSelector="status.phase=Running,metadata.namespace=checkout")
    assert len(running) == 5
    some = running[0]["metadata"]["name"]
    about = await flagship.items("/api/v1/events", fieldSelector=f"involvedObject.name={some},type!=Normal")
    assert {event["involvedObject"]["name"] for event in about} == {some}
    assert {event["type"] for event in about} == {"Warning"}
    status = await flagship.refused("GET", "/api/v1/pods", fieldSelector="spec.color=red")
    assert status["message"] == "field label not supported: spec.color"


async def test_a_selector_that_cannot_be_read_is_refused(bench: Client) -> None:
    """400, not an empty list."""
    assert (await bench.refused("GET", MAPS, labelSelector="a=b=c"))["code"] == 400


async def test_items_of_a_list_carry_no_kind(flagship: Client) -> None:
    """As on a real server; the list itself does."""
    listed = await flagship.get("/api/v1/namespaces/checkout/pods")
    assert (listed["kind"], listed["apiVersion"]) == ("PodList", "v1")
    assert not any({"kind", "apiVersion"} & item.keys() for item in listed["items"])


async def test_pods_are_shown_as_kubectl_shows_them(flagship: Client) -> None:
    """NAME, READY, STATUS, RESTARTS, AGE."""
    cells = [row[:5] for row in await flagship.shown("/api/v1/namespaces/checkout/pods")]
    assert [row[1:3] for row in cells] == [
        ["0/1", "CrashLoopBackOff"],
        ["0/1", "CrashLoopBackOff"],
        ["1/1", "Running"],
        ["1/1", "Running"],
        ["1/1", "Running"],
    ]
    assert re.fullmatch(r"6 \(3\ds ago\)", str(cells[0][3]))
    assert cells[3][3:] == ["0", "3d"]


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("/apis/apps/v1/namespaces/checkout/deployments", ["payment-service", "1/3", 3, 1, "3d"]),
        ("/api/v1/namespaces/checkout/configmaps", ["payment-settings", 3, "3d"]),
        ("/api/v1/namespaces/checkout/secrets", ["payment-gateway", "Opaque", 1, "3d"]),
        ("/api/v1/nodes", ["node-a", "Ready", "<none>", "3d"]),
        ("/api/v1/namespaces/checkout", ["checkout", "Active", "3d"]),
    ],
)
async def test_other_kinds_have_their_columns(flagship: Client, path: str, first: list[object]) -> None:
    """Deployments, ConfigMaps, Secrets, nodes and namespaces."""
    assert (await flagship.shown(path))[0][: len(first)] == first


async def test_reads_of_the_whole_cluster_are_answered_for_kinds_that_are_not_played(bench: Client) -> None:
    """An honest empty list, and a refusal to create one."""
    path = "/apis/networking.k8s.io/v1/namespaces/lab/networkpolicies"
    assert await bench.items(path) == []
    status = await bench.refused("POST", path, {"metadata": {"name": "x"}})
    assert (status["code"], status["reason"]) == (405, "MethodNotAllowed")
    assert "the practice cluster only lists this kind" in status["message"]


# Time


async def test_the_date_header_is_the_clusters_time() -> None:
    """It moves with the cluster's clock, not with the machine's."""
    start = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    client = client_of(PracticeCluster(small(), start=start))
    first = await client.http.get("/version")
    await client.advance(3600)
    second = await client.http.get("/version")
    dates = [parsedate_to_datetime(reply.headers["date"]) for reply in (first, second)]
    assert [(date - start).total_seconds() for date in dates] == [0, 3600]


async def test_events_live_for_an_hour(bench: Client) -> None:
    """Then they are gone, as the API server's lease does."""
    await bench.create("/api/v1/namespaces/lab/pods", pod())
    await bench.advance(60)
    assert await bench.events("lab", "one")
    await bench.advance(2 * 3600)
    assert await bench.events("lab", "one") == []


# Watches


async def watched(client: Client, path: str, **query: str) -> list[Json]:
    """Return what a watch of a second says."""
    reply = await client.http.get(path, params={"watch": "true", "timeoutSeconds": "1", **query})
    assert reply.status_code == 200, reply.text
    return [json.loads(line) for line in reply.text.splitlines()]


async def test_a_watch_from_a_version_says_what_came_after(bench: Client) -> None:
    """ADDED, MODIFIED and DELETED in order, each once."""
    version = (await bench.get(MAPS))["metadata"]["resourceVersion"]
    await fill(bench, 1)
    await bench.patch(f"{MAPS}/m0", {"data": {"a": "1"}})
    await bench.send("DELETE", f"{MAPS}/m0")
    events = await watched(bench, MAPS, resourceVersion=version)
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))


async def test_a_watch_without_a_version_begins_with_what_is_there(bench: Client) -> None:
    """Synthetic ADDED events."""
    await fill(bench, 2)
    assert [event["type"] for event in await watched(bench, MAPS)] == ["ADDED", "ADDED"]


async def test_a_watch_sees_objects_enter_and_leave_its_selection(bench: Client) -> None:
    """A label that begins to match is ADDED, one that ceases to is DELETED."""
    version = (await bench.get(MAPS))["metadata"]["resourceVersion"]
    await bench.create(MAPS, {"metadata": {"name": "m", "labels": {"a": "no"}}})
    await bench.patch(f"{MAPS}/m", {"metadata": {"labels": {"a": "yes"}}})
    await bench.patch(f"{MAPS}/m", {"metadata": {"labels": {"a": "no"}}})
    events = await watched(bench, MAPS, resourceVersion=version, labelSelector="a=yes")
    assert [event["type"] for event in events] == ["ADDED", "DELETED"]


async def test_a_watch_hears_of_writes_while_it_lasts(bench: Client) -> None:
    """Changes made after it began come too; when it ends the store forgets it."""
    await fill(bench, 1)
    store = bench.cluster.store
    before = len(store.listeners)
    stream = Watch(store, CONFIG_MAP, "lab", {"timeoutSeconds": "60"}).events()
    heard = [(await anext(stream))["object"]["metadata"]["name"]]
    await bench.create(MAPS, {"metadata": {"name": "later"}})
    heard.append((await anext(stream))["object"]["metadata"]["name"])
    assert heard == ["m0", "later"]
    await stream.aclose()
    assert len(store.listeners) == before


async def test_a_streaming_list_ends_its_first_part_with_a_bookmark(bench: Client) -> None:
    """sendInitialEvents: what is there, then the mark."""
    await fill(bench, 1)
    events = await watched(bench, MAPS, sendInitialEvents="true", resourceVersion="0")
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_from_a_forgotten_version_is_gone(bench: Client) -> None:
    """410 Expired, so that the client lists anew."""
    status = await bench.refused("GET", MAPS, watch="true", resourceVersion="1")
    assert (status["code"], status["reason"]) == (410, "Expired")


# Logs


async def test_logs_can_be_limited(bench: Client) -> None:
    """By lines, by age, by bytes, and with times."""
    await bench.create("/api/v1/namespaces/lab/pods", pod())
    await bench.advance(35)
    path = "/api/v1/namespaces/lab/pods/one/log"

    async def log(**query: str) -> str:
        return (await bench.http.get(path, params=query)).text

    assert await log() == "hello\nagain\nagain\nagain\nagain\n"
    assert await log(tailLines="2") == "again\nagain\n"
    assert await log(tailLines="0") == ""
    assert await log(sinceSeconds="15") in {"again\n", "again\nagain\n"}
    assert await log(limitBytes="7") == "hello\na"
    assert (await log(timestamps="true", tailLines="1")).split(" ")[0].endswith("Z")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"container": "nope"}, "container nope is not valid for pod one"),
        ({"previous": "true"}, 'previous terminated container "app" in pod "one" not found'),
        ({"tailLines": "-1"}, "tailLines"),
        ({"follow": "true"}, "does not follow logs"),
    ],
)
async def test_a_log_that_cannot_be_had_is_refused(bench: Client, query: dict[str, str], said: str) -> None:
    """In the kubelet's words where it has them."""
    await bench.create("/api/v1/namespaces/lab/pods", pod())
    await bench.advance(5)
    status = await bench.refused("GET", "/api/v1/namespaces/lab/pods/one/log", **query)
    assert status["code"] == 400
    assert said in status["message"]


async def test_the_log_of_a_container_that_never_started(bench: Client) -> None:
    """It is waiting to start, and says for what."""
    await bench.create("/api/v1/namespaces/lab/pods", pod(image="app:none"))
    await bench.advance(5)
    status = await bench.refused("GET", "/api/v1/namespaces/lab/pods/one/log")
    assert status["message"] == ('container "app" in pod "one" is waiting to start: trying and failing to pull image')


# Through the proxy


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("one:8080/proxy/ok", 200, "fine"),
        ("one:8080/proxy/sick", 503, ""),
        ("one/proxy/none", 404, "404 page not found\n"),
    ],
)
async def test_pods_answer_through_the_proxy(bench: Client, path: str, code: int, text: str) -> None:
    """What the image's process answers, on its port."""
    await bench.create("/api/v1/namespaces/lab/pods", pod(container={"ports": [{"containerPort": 8080}]}))
    await bench.advance(5)
    reply = await bench.http.get(f"/api/v1/namespaces/lab/pods/{path}")
    assert (reply.status_code, reply.text) == (code, text)


async def test_a_port_where_nothing_listens_is_unavailable(bench: Client) -> None:
    """503 with the API server's words."""
    await bench.create("/api/v1/namespaces/lab/pods", pod())
    await bench.advance(5)
    status = await bench.refused("GET", "/api/v1/namespaces/lab/pods/one:9999/proxy/ok")
    assert (status["code"], status["reason"]) == (503, "ServiceUnavailable")
    assert "connect: connection refused" in status["message"]


async def test_only_gets_go_through(bench: Client) -> None:
    """The proxy is for looking."""
    await bench.create("/api/v1/namespaces/lab/pods", pod())
    assert (await bench.refused("POST", "/api/v1/namespaces/lab/pods/one/proxy/ok", {}))["code"] == 405


async def test_metrics_leave_out_what_does_not_run(bench: Client) -> None:
    """No figures for a pod that waits, as from metrics-server; node figures add up."""
    await bench.create("/apis/apps/v1/namespaces/lab/deployments", deployment(replicas=2))
    await bench.create("/api/v1/namespaces/lab/pods", pod("stuck", image="app:none"))
    await bench.advance(30)
    listed = await bench.items("/apis/metrics.k8s.io/v1beta1/namespaces/lab/pods")
    assert [item["containers"][0]["usage"]["memory"] for item in listed] == ["40960Ki", "40960Ki"]
    node = (await bench.items("/apis/metrics.k8s.io/v1beta1/nodes"))[0]
    assert node["usage"]["memory"] == f"{(512 + 80) * 1024}Ki"
    reply: httpx.Response = await bench.send("GET", "/apis/metrics.k8s.io/v1beta1/namespaces/lab/pods/stuck")
    assert reply.status_code == 404
