"""Waiting and logs: bounded in time and in size, of a name or of a selector, merged and followed."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from skyflo_mcp.kubernetes import TOOLS, Cluster, NotFound

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from tests.tools.apiserver import DATE, DISCOVERY, Asked, Reply, status, with_discovery
from tests.tools.test_reads import PAYMENT, ask, column

POD: Json = {"kind": "Pod", "metadata": {"namespace": "shop", "name": "web-1"}, "spec": {"nodeName": "node-a"}}
WEB: Json = {"kind": "Deployment", "namespace": "shop", "name": "web"}


# k8s_wait


async def test_waiting_for_what_is_there_already_takes_no_time(flagship: Cluster) -> None:
    """A condition, by its type in any case, and a rollout."""
    storefront = {**PAYMENT, "name": "storefront"}
    for until in ("Available", "available", "rolled-out"):
        answer = await ask(flagship, "k8s_wait", **storefront, until=until)
        assert (answer["met"], answer["seconds"] < 5) == (True, True), until


async def test_what_does_not_come_true_in_time_is_an_answer(flagship: Cluster) -> None:
    """With what is there instead."""
    started = time.monotonic()
    answer = await ask(flagship, "k8s_wait", **PAYMENT, until="rolled-out", seconds=0.1)
    assert answer["met"] is False
    assert "available" in answer["observed"]
    answer = await ask(flagship, "k8s_wait", **PAYMENT, until="Shining", seconds=0.1)
    assert "has no condition Shining; it has: " in answer["observed"]
    answer = await ask(flagship, "k8s_wait", **PAYMENT, until="deleted", seconds=0.1)
    assert (answer["met"], answer["observed"]) == (False, "It is there.")
    assert time.monotonic() - started < 10


async def test_waiting_for_a_deletion(flagship: Cluster) -> None:
    """What is not there is deleted; for any other condition it is not found."""
    gone = {**PAYMENT, "name": "gone"}
    assert (await ask(flagship, "k8s_wait", **gone, until="deleted"))["met"] is True
    with pytest.raises(NotFound):
        await ask(flagship, "k8s_wait", **gone, until="Available")
    with pytest.raises(BadInput, match="not rolled out"):
        await ask(flagship, "k8s_wait", kind="Node", name="node-a", until="rolled-out")


async def test_waiting_ends_when_it_comes_true() -> None:
    """Looked at again after a while."""
    asked_so_far: list[Asked] = []

    def answer(asked: Asked) -> Reply:
        asked_so_far.append(asked)
        known = "True" if len(asked_so_far) > 1 else "False"
        condition = {"type": "Available", "status": known, "reason": "MinimumReplicas"}
        return Reply(body={"metadata": {"name": "web"}, "status": {"conditions": [condition]}})

    found = await ask(with_discovery(answer).cluster(), "k8s_wait", **WEB, until="Available", seconds=20)
    assert (found["met"], found["observed"]) == (True, "Available is True: MinimumReplicas")
    assert 0.5 < found["seconds"] < 10


async def test_a_plain_wait_is_as_long_as_it_says(flagship: Cluster) -> None:
    """And bounded."""
    started = time.monotonic()
    assert (await ask(flagship, "wait_for_x_seconds", seconds=0.05))["seconds"] == 0.05
    assert 0.05 <= time.monotonic() - started < 5
    for wrong in (0, -1, 301):
        with pytest.raises(BadInput, match="seconds"):
            await ask(flagship, "wait_for_x_seconds", seconds=wrong)


# k8s_logs: selector, merged, followed


async def test_logs_by_selector_merged_by_time(flagship: Cluster) -> None:
    """The lines of all pods in one table, in order."""
    answer = await ask(
        flagship, "k8s_logs", namespace="checkout", label_selector="app=payment-service", merge=True, tail=5
    )
    times = [str(cell) for cell in column(answer, "TIME")]
    assert times == sorted(times)
    assert len(set(column(answer, "POD"))) > 1
    assert answer["more"] is False
    assert any("POST /charge" in str(line) for line in column(answer, "LINE"))


@pytest.mark.parametrize("arguments", [{}, {"name": "x", "label_selector": "a=b"}], ids=["neither", "both"])
async def test_logs_are_of_a_name_or_of_a_selector(flagship: Cluster, arguments: Json) -> None:
    """Not of both, not of everything."""
    with pytest.raises(BadInput, match="name or a label selector"):
        await ask(flagship, "k8s_logs", namespace="checkout", **arguments)


async def test_logs_of_more_containers_than_fit_say_how_to_get_the_rest() -> None:
    """The first thirty, and the words."""
    pods = [{**POD, "metadata": {**POD["metadata"], "name": f"web-{n}"}, "spec": {"containers": [{"name": "web"}]}}
            for n in range(31)]  # fmt: skip

    def answer(asked: Asked) -> Reply:
        return Reply(body={"items": pods}) if asked.path.endswith("/pods") else Reply(body=b"line\n")

    found = await ask(with_discovery(answer).cluster(), "k8s_logs", namespace="shop", label_selector="app=web")
    assert (len(found["logs"]), found["more"]) == (30, True)
    assert "30 of 31 containers" in found["next"]


async def test_lines_without_a_time_go_with_the_one_before() -> None:
    """A stack trace stays with its error; a pod without a log is unknown."""
    texts = {
        "web-1": b"2026-01-05T10:00:02.5Z error\n2026-01-05T10:00:02.6Z  at main\nno stamp\n",
        "web-2": b"2026-01-05T10:00:01Z first\n",
    }
    pods = [
        {**POD, "metadata": {"namespace": "shop", "name": name}, "spec": {"containers": [{"name": "web"}]}}
        for name in ("web-1", "web-2", "web-3")
    ]

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/pods"):
            return Reply(body={"items": pods})
        name = asked.path.split("/")[-2]
        return Reply(body=texts[name]) if name in texts else status(400, "waiting to start")

    found = await ask(
        with_discovery(answer).cluster(), "k8s_logs", namespace="shop", label_selector="app=web", merge=True
    )
    assert column(found, "LINE") == ["first", "error", " at main", "no stamp"]
    assert [said.partition(" ")[0] for said in found["unknown"]] == ["web-3"]


class Dripping(httpx.AsyncBaseTransport):
    """An API server whose log goes on for ever, a line at a time."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.url.path in DISCOVERY:
            return httpx.Response(200, json=DISCOVERY[request.url.path], headers={"date": DATE})
        if not request.url.path.endswith("/log"):
            pod = {**POD, "spec": {"containers": [{"name": "web"}]}}
            return httpx.Response(200, json=pod, headers={"date": DATE})
        assert request.url.params["follow"] == "true"
        return httpx.Response(200, content=self._lines())

    async def _lines(self) -> AsyncIterator[bytes]:
        while True:
            yield b"tick\n"
            await asyncio.sleep(0.05)


async def test_a_log_is_followed_for_as_long_as_it_says() -> None:
    """What came in that time, and then it ends."""
    started = time.monotonic()
    async with Cluster(httpx.AsyncClient(transport=Dripping(), base_url="http://dripping")) as cluster:
        found = await ask(cluster, "k8s_logs", namespace="shop", name="web-1", follow_seconds=0.4)
    assert 0.3 < time.monotonic() - started < 5
    assert 2 <= found["logs"][0]["text"].count("tick") < 20


async def test_nothing_is_followed_longer_than_a_call_may_take(flagship: Cluster) -> None:
    """The bound is in the schema."""
    with pytest.raises(BadInput, match="follow_seconds"):
        await ask(flagship, "k8s_logs", namespace="checkout", name="x", follow_seconds=21)


def test_a_call_is_bounded_and_only_waiting_takes_long() -> None:
    """The gate ends a call after its tool's seconds; a wait may take as long as it can be asked for, and a little."""
    longest = {name: tool.seconds for name, tool in TOOLS.items() if tool.seconds != 30}
    assert longest == {"k8s_wait": 330, "wait_for_x_seconds": 330}
