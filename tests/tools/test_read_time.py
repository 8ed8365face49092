"""The time of a read is the cluster's, taken from the read's own answers; the clock is asked only where none came."""

import time
from datetime import UTC, datetime

from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.redaction import Redactor
from tests.tools.apiserver import Asked, Reply, Scripted, with_discovery

AT = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
LATER = "Mon, 05 Jan 2026 10:00:07 GMT"
READ = {"kind": "Deployment", "namespace": "shop", "name": "web"}


def deployment(asked: Asked) -> Reply:
    """A Deployment, whatever is asked."""
    return Reply(body={"metadata": {"name": "web", "namespace": "shop"}})


async def test_a_read_tells_its_time_without_a_further_request() -> None:
    """The answer that brought the object brought the time."""
    server = with_discovery(deployment)
    gate = Gate(server.cluster(), Redactor())
    answer = await gate.read("k8s_get", READ, Identity("kernel", "notebook"))
    assert answer.at == "2026-01-05T10:00:00.000Z"
    assert [asked.path for asked in server.asked if asked.path == "/version"] == []


async def test_an_answer_from_before_the_read_is_not_its_time() -> None:
    """What was heard earlier says nothing about now, so the clock is asked."""
    server = Scripted(lambda asked: Reply(headers={"date": LATER} if asked.path == "/version" else {}))
    cluster = server.cluster()
    await cluster.raw("/thing")
    assert await cluster.time_since(time.monotonic()) == datetime(2026, 1, 5, 10, 0, 7, tzinfo=UTC)
    assert [asked.path for asked in server.asked] == ["/thing", "/version"]


async def test_the_last_answer_since_then_counts() -> None:
    """Two answers came: the later one's Date, and no third request."""
    server = Scripted(lambda asked: Reply(headers={"date": LATER} if asked.path == "/second" else {}))
    cluster, started = server.cluster(), time.monotonic()
    await cluster.raw("/first")
    assert await cluster.time_since(started) == AT
    await cluster.raw("/second")
    assert await cluster.time_since(started) == datetime(2026, 1, 5, 10, 0, 7, tzinfo=UTC)
    assert len(server.asked) == 2


async def test_a_service_behind_the_proxy_does_not_tell_the_time() -> None:
    """Its Date header is its own clock, which may be wrong."""
    wrong = {"date": "Thu, 01 Jan 1970 00:00:00 GMT"}
    server = with_discovery(lambda asked: Reply(headers=wrong if "/proxy/" in asked.path else {}))
    cluster = server.cluster()
    await cluster.proxy_get("shop", "web", "/checkout", port=80)
    started = time.monotonic()
    await cluster.proxy_get("shop", "web", "/checkout", port=80)
    assert await cluster.time_since(started) == AT
    assert server.asked[-1].path == "/version"
