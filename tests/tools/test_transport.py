"""What the transport promises: bounds on every call, one write only, a few reads again, the cluster's own time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest
from skyflo_mcp.kubernetes import Cluster, NotFound
from skyflo_mcp.kubernetes.errors import (
    ApiError,
    Conflict,
    Denied,
    OutcomeUnknown,
    ServerError,
    TimedOut,
    TooLarge,
    Unreachable,
)
from skyflo_mcp.kubernetes.transport import Transport

from skyflo_runbooks.model.errors import BadInput, ExitCode, Unknown
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import JSON_PATCH, Request
from tests.tools.apiserver import Asked, Reply, Scripted, status, with_discovery

PATCH = Request(
    "patch",
    ObjectRef("Deployment", "web", "shop", "apps/v1"),
    "/apis/apps/v1/namespaces/shop/deployments/web",
    [{"op": "replace", "path": "/spec/replicas", "value": 3}],
    JSON_PATCH,
)
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handle: Handle, *, timeout: float = 2.0) -> AsyncIterator[Cluster]:
    """A cluster at the other end of a real socket."""
    ended: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        ended.append(task)
        try:
            await handle(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Cluster(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}"), timeout=timeout) as cluster:
        yield cluster
    await asyncio.wait_for(asyncio.gather(*ended), timeout=5)


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the request and close without a word."""
    await reader.readuntil(b"\r\n\r\n")


async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read until the other end gives up."""
    await reader.read()


# The reason that the API server itself gives; a proxy before it gives none.
_REASONS = {429: "TooManyRequests"}


def failing_first(times: int, code: int) -> Scripted:
    """A server that answers `code` so many times, and then 200."""
    asked: list[Asked] = []

    def answer(one: Asked) -> Reply:
        asked.append(one)
        return status(code, "try later", _REASONS.get(code, "")) if len(asked) <= times else Reply(body={"kind": "X"})

    return Scripted(answer)


@pytest.mark.parametrize("code", [429, 502, 503, 504])
async def test_a_read_is_sent_again_after_a_passing_failure(code: int) -> None:
    """Two passing failures are no failure."""
    server = failing_first(2, code)
    assert await server.cluster().raw("/thing") == {"kind": "X"}
    assert len(server.asked) == 3


async def test_a_read_is_not_sent_more_than_three_times() -> None:
    """The third failure is the answer."""
    server = failing_first(99, 503)
    with pytest.raises(ServerError, match="try later"):
        await server.cluster().raw("/thing")
    assert len(server.asked) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 410, 422, 500])
async def test_a_read_that_was_refused_is_not_sent_again(code: int) -> None:
    """An answer that will not change is taken at once."""
    server = failing_first(99, code)
    with pytest.raises(ApiError):
        await server.cluster().raw("/thing")
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [409, 422, 429])
async def test_a_write_is_sent_once_whatever_comes(code: int) -> None:
    """A refused write is reported, not repeated."""
    server = failing_first(99, code)
    with pytest.raises(ApiError):
        await server.cluster().send(PATCH, dry_run=False, field_manager="attempt-1")
    assert len(server.asked) == 1


async def test_a_write_that_a_proxy_held_back_has_an_unknown_outcome() -> None:
    """A 429 that is not the API server's own may come from behind it, after the object was stored."""
    server = Scripted(lambda _: Reply(429, b"slow down", {"content-type": "text/plain"}))
    with pytest.raises(OutcomeUnknown, match="429"):
        await server.cluster().send(PATCH, dry_run=False, field_manager="attempt-1")
    assert len(server.asked) == 1


@pytest.mark.parametrize("code", [500, 502, 503, 504])
async def test_a_write_that_failed_inside_the_server_has_an_unknown_outcome(code: int) -> None:
    """A 5xx may come after the object was stored."""
    server = failing_first(99, code)
    with pytest.raises(OutcomeUnknown, match="not known") as caught:
        await server.cluster().send(PATCH, dry_run=False, field_manager="attempt-1")
    assert len(server.asked) == 1
    assert "Look at the object" in caught.value.next_step


@pytest.mark.parametrize(
    "said",
    [
        'Internal error occurred: failed calling webhook "a.example": connection refused',
        'admission webhook "a.example" denied the request: not today',
    ],
    ids=["failed", "denied"],
)
async def test_a_write_that_a_webhook_failed_was_not_applied(said: str) -> None:
    """Admission runs before storage, so this 500 leaves nothing unknown."""
    server = Scripted(lambda _: status(500, said, "InternalError"))
    with pytest.raises((ServerError, Denied), match="webhook"):
        await server.cluster().send(PATCH, dry_run=False, field_manager="attempt-1")


@pytest.mark.parametrize(
    "reply",
    [
        status(504, "Timeout: request did not complete", "Timeout", name="payment-webhook", kind="deployments"),
        status(500, 'conversion webhook for shop.example/v1 failed: admission webhook "a" denied the request'),
        Reply(502, b'failed calling webhook "a.example"', {"content-type": "text/plain"}),
    ],
    ids=["a name", "later on", "a proxy"],
)
async def test_words_about_webhooks_elsewhere_leave_the_outcome_unknown(reply: Reply) -> None:
    """Only the API server's own sentence, where its message begins, says that nothing was stored."""
    with pytest.raises(OutcomeUnknown):
        await Scripted(lambda _: reply).cluster().send(PATCH, dry_run=False, field_manager="attempt-1")


async def test_a_dry_run_that_fails_leaves_nothing_unknown() -> None:
    """It writes nothing, whatever the answer."""
    server = failing_first(99, 500)
    with pytest.raises(ServerError):
        await server.cluster().send(PATCH, dry_run=True, field_manager="attempt-1")


async def test_a_lost_answer_to_a_write_is_an_unknown_outcome() -> None:
    """The connection ended after the request was sent."""
    async with listening(hang_up) as cluster:
        with pytest.raises(OutcomeUnknown):
            await cluster.send(PATCH, dry_run=False, field_manager="attempt-1")


async def test_a_late_answer_to_a_write_is_an_unknown_outcome() -> None:
    """The server read the request and said nothing in time."""
    async with listening(say_nothing, timeout=0.2) as cluster:
        with pytest.raises(OutcomeUnknown, match=r"0\.2 s"):
            await cluster.send(PATCH, dry_run=False, field_manager="attempt-1")


async def test_a_lost_answer_to_a_dry_run_is_only_unreachable() -> None:
    """Nothing was to be written."""
    async with listening(hang_up) as cluster:
        with pytest.raises(Unreachable) as caught:
            await cluster.send(PATCH, dry_run=True, field_manager="attempt-1")
    assert not isinstance(caught.value, OutcomeUnknown)


async def test_a_write_that_found_nobody_was_not_sent() -> None:
    """A refused connection is known not to have written."""
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with Cluster(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}")) as cluster:
        with pytest.raises(Unreachable) as caught:
            await cluster.send(PATCH, dry_run=False, field_manager="attempt-1")
    assert not isinstance(caught.value, OutcomeUnknown)
    assert caught.value.exit_code == ExitCode.UNREACHABLE
    assert str(port) in caught.value.message


async def test_a_read_without_an_answer_ends_in_time() -> None:
    """The bound is over the whole call, tries included."""
    async with listening(say_nothing, timeout=0.2) as cluster:
        with pytest.raises(TimedOut, match=r"within 0\.2 s"):
            await cluster.raw("/thing")


async def test_an_answer_that_drips_ends_in_time_too() -> None:
    """A byte now and then does not keep a call alive."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        closed = asyncio.ensure_future(reader.read())
        while not closed.done():
            writer.write(b"x")
            await asyncio.wait([closed], timeout=0.05)

    async with listening(drip, timeout=0.4) as cluster:
        with pytest.raises(TimedOut):
            await cluster.raw("/thing")


async def test_an_answer_beyond_the_limit_is_refused_with_what_would_narrow_it() -> None:
    """A list that is too large says what to do, and is not read to its end."""
    server = Scripted(lambda _: Reply(body=b"x" * 5000))
    with pytest.raises(TooLarge, match="larger than 1 KiB") as caught:
        await Transport(server.client()).get("/thing", limit=1024)
    assert "namespace" in caught.value.next_step


async def test_an_answer_that_may_be_cut_is_cut_and_says_so() -> None:
    """Logs are cut, not refused."""
    server = Scripted(lambda _: Reply(body=b"x" * 5000))
    answer = await Transport(server.client()).get("/thing", limit=1024, cut=True)
    assert (len(answer.content), answer.cut) == (1024, True)


async def test_the_time_of_an_answer_is_the_servers_own() -> None:
    """It comes from the Date header."""
    assert await with_discovery(lambda _: Reply()).cluster().now() == datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize("header", ["", "yesterday"])
async def test_without_a_readable_date_the_time_is_unknown(header: str) -> None:
    """Our own clock is no substitute."""
    with pytest.raises(Unknown, match="time is not known"):
        await Scripted(lambda _: Reply(headers={"date": header})).cluster().now()


async def test_warnings_of_admission_come_with_the_answer() -> None:
    """They are what a person should read before approving."""
    server = Scripted(lambda _: Reply(body={"kind": "X"}, headers={"warning": '299 - "image uses \\"latest\\""'}))
    sent = await server.cluster().send(PATCH, dry_run=True, field_manager="attempt-1")
    assert sent.warnings == ('image uses "latest"',)


async def test_an_address_that_is_no_api_server_says_so() -> None:
    """HTML with a 200 is not an answer."""
    server = Scripted(lambda _: Reply(body=b"<html>", headers={"content-type": "text/html"}))
    with pytest.raises(ApiError, match="expected a JSON object, got text/html") as caught:
        await server.cluster().raw("/thing")
    assert "API server" in caught.value.next_step


async def test_a_list_is_read_in_pages_to_its_end() -> None:
    """Each page is asked for with the token of the one before."""

    def answer(asked: Asked) -> Reply:
        token = asked.query.get("continue", "0")
        last = token == "2"
        metadata = {"resourceVersion": "7", "continue": "" if last else str(int(token) + 1)}
        return Reply(body={"metadata": metadata, "items": [{"metadata": {"name": f"pod-{token}"}}]})

    listing = await with_discovery(answer).cluster().list("Pod", "shop")
    assert [item["metadata"]["name"] for item in listing.items] == ["pod-0", "pod-1", "pod-2"]
    assert {(item["kind"], item["apiVersion"]) for item in listing.items} == {("Pod", "v1")}
    assert (listing.resource_version, listing.more) == ("7", False)


async def test_items_of_a_list_come_without_their_managed_fields() -> None:
    """They are half of its weight; the object alone has them."""
    pod: Json = {"metadata": {"name": "web-1", "managedFields": [{"manager": "kubelet"}]}}
    cluster = with_discovery(
        lambda asked: Reply(body=pod if asked.path.endswith("web-1") else {"items": [pod]})
    ).cluster()
    assert (await cluster.list("Pod", "shop")).items[0]["metadata"] == {"name": "web-1"}
    assert "managedFields" in (await cluster.get(ObjectRef("Pod", "web-1", "shop")))["metadata"]


async def test_a_limit_ends_a_list_and_says_that_there_is_more() -> None:
    """What was left unread is said, with the number where the server knows it."""

    def answer(asked: Asked) -> Reply:
        items = [{"metadata": {"name": str(number)}} for number in range(int(asked.query["limit"]))]
        return Reply(body={"metadata": {"continue": "on", "remainingItemCount": 40}, "items": items})

    listing = await with_discovery(answer).cluster().list("Pod", limit=2)
    assert (len(listing.items), listing.more, listing.remaining) == (2, True, 40)


async def test_a_list_that_the_server_forgot_is_read_again_from_the_start() -> None:
    """A 410 in the middle neither fails the list nor doubles its items."""
    gone = iter([True])

    def answer(asked: Asked) -> Reply:
        if asked.query.get("continue") and next(gone, False):
            return status(410, "The provided continue parameter is too old", "Expired")
        more = "" if asked.query.get("continue") else "on"
        name = asked.query.get("continue", "first")
        return Reply(body={"metadata": {"continue": more}, "items": [{"metadata": {"name": name}}]})

    listing = await with_discovery(answer).cluster().list("Pod")
    assert [item["metadata"]["name"] for item in listing.items] == ["first", "on"]


async def test_a_list_that_is_always_forgotten_ends() -> None:
    """Three starts, then the truth."""
    server = with_discovery(lambda _: status(410, "too old", "Expired"))
    with pytest.raises(ApiError, match="too old"):
        await server.cluster().list("Pod")
    assert len([one for one in server.asked if one.path.endswith("/pods")]) == 3


async def test_logs_that_are_no_utf8_can_be_read() -> None:
    """Bytes that are no text show as a replacement character."""
    log = await with_discovery(lambda _: Reply(body=b"ok \xff\xfe end")).cluster().logs("shop", "web-1")
    assert log.text == "ok \ufffd\ufffd end"


@pytest.mark.parametrize(
    "said",
    [
        "unable to retrieve container logs for containerd://ba3b7627dc08f45772c6a2f2d2b61529",
        'failed to try resolving symlinks in path "/var/log/pods/a/b/0.log": lstat /var/log/pods/a: '
        "no such file or directory",
    ],
)
async def test_a_log_that_the_kubelet_removed_is_no_log(said: str) -> None:
    """It says so with status 200, in the place of the log; a container's own line ends as a line does."""
    with pytest.raises(NotFound, match="logs of shop/web-1"):
        await with_discovery(lambda _: Reply(body=said.encode())).cluster().logs("shop", "web-1")
    log = await with_discovery(lambda _: Reply(body=f"{said}\n".encode())).cluster().logs("shop", "web-1")
    assert log.text == f"{said}\n"


async def test_of_a_long_log_the_newest_is_kept() -> None:
    """What was said last is what one reads first."""
    log = (
        await with_discovery(lambda _: Reply(body=b"old\n" * 100 + b"newest"))
        .cluster()
        .logs("shop", "web-1", limit_bytes=6)
    )
    assert (log.text, log.cut) == ("newest", True)


async def test_logs_ask_for_what_was_wanted() -> None:
    """Container, previous, tail and since go to the server as it calls them."""
    server = with_discovery(lambda _: Reply(body=b"line"))
    await server.cluster().logs("shop", "web-1", container="web", previous=True, tail=5, since_seconds=60)
    assert server.asked[-1].path == "/api/v1/namespaces/shop/pods/web-1/log"
    assert server.asked[-1].query == {"container": "web", "previous": "true", "tailLines": "5", "sinceSeconds": "60"}


async def test_the_uid_of_a_cluster_is_that_of_kube_system() -> None:
    """It tells clusters apart."""
    server = with_discovery(lambda _: Reply(body={"metadata": {"uid": "u-1"}}))
    assert await server.cluster().uid() == "u-1"


async def test_where_kube_system_is_hidden_the_uid_is_made_of_ca_and_address() -> None:
    """Two clusters still differ, and one stays the same."""
    server = with_discovery(lambda _: status(403, "no", "Forbidden"))
    one = Cluster(server.client(), ca=b"one")
    again = Cluster(server.client(), ca=b"one")
    other = Cluster(server.client(), ca=b"other")
    assert (await one.uid()).startswith("sha256:")
    assert await one.uid() == await again.uid() != await other.uid()


async def test_a_failure_to_read_kube_system_is_no_uid() -> None:
    """An outage must not make another cluster of it."""
    with pytest.raises(ServerError):
        await with_discovery(lambda _: status(500, "etcd")).cluster().uid()


async def test_the_proxy_tells_the_service_from_the_api_server() -> None:
    """A 500 of the service is its answer; a 503 Status is the API server's about it."""
    own = status(503, 'no endpoints available for service "web"', "ServiceUnavailable")
    answers = iter([Reply(500, b"checkout failed"), own])
    cluster = with_discovery(lambda _: next(answers)).cluster()
    first = await cluster.proxy_get("shop", "web", "/checkout", 80)
    second = await cluster.proxy_get("shop", "web", "/checkout", 80)
    assert (first.status, first.by, first.text) == (500, "service", "checkout failed")
    assert (second.status, second.by) == (503, "api server")
    assert "no endpoints" in second.text


@pytest.mark.parametrize(("code", "kind"), [(403, ApiError), (404, NotFound)])
async def test_a_refused_proxy_says_nothing_about_the_service(code: int, kind: type[Exception]) -> None:
    """It is raised, so that nobody takes it for the service's status."""
    server = with_discovery(lambda _: status(code, "no", "No", kind="services", name="web"))
    with pytest.raises(kind):
        await server.cluster().proxy_get("shop", "web", "/", 80)


async def test_the_proxy_keeps_path_and_query() -> None:
    """The path arrives as it was said; port and scheme are part of the name."""
    server = with_discovery(lambda _: Reply(body=b"ok"))
    await server.cluster().proxy_get("shop", "web", "/a b/c?x=1&y=ü", "http", scheme="https")
    asked = server.asked[-1]
    assert asked.path == "/api/v1/namespaces/shop/services/https:web:http/proxy/a%20b/c"
    assert asked.query == {"x": "1", "y": "ü"}


@pytest.mark.parametrize("path", ["checkout", "/../../pods/x/exec", "/a/./b"])
async def test_the_proxy_refuses_paths_that_could_leave_the_service(path: str) -> None:
    """Nothing is sent."""
    server = with_discovery(lambda _: Reply(body=b"ok"))
    with pytest.raises(Exception, match="path"):
        await server.cluster().proxy_get("shop", "web", path)
    assert server.asked == []


HTTP: Json = {"name": "http", "port": 8080}
HTTPS: Json = {"name": "https", "port": 443}


@pytest.mark.parametrize(
    ("ports", "chosen"),
    [
        ([HTTPS], "https"),
        ([{"port": 3000}], "3000"),
        ([HTTPS, HTTP], "http"),
        ([HTTPS, {"name": "web", "port": 80}], "web"),
    ],
)
async def test_without_a_port_the_services_own_is_asked(ports: list[Json], chosen: str) -> None:
    """By name where it has one: the API server finds no endpoints of a named port otherwise."""

    def answer(asked: Asked) -> Reply:
        return Reply(body=b"ok" if "/proxy" in asked.path else {"kind": "Service", "spec": {"ports": ports}})

    server = with_discovery(answer)
    await server.cluster().proxy_get("shop", "web", "/")
    assert server.asked[-1].path == f"/api/v1/namespaces/shop/services/web:{chosen}/proxy/"


@pytest.mark.parametrize("ports", [[], [HTTPS, {"name": "admin", "port": 9000}]])
async def test_a_service_whose_port_cannot_be_chosen_is_bad_input(ports: list[Json]) -> None:
    """It is not guessed at; those that there are, are named."""
    server = with_discovery(lambda _: Reply(body={"kind": "Service", "spec": {"ports": ports}}))
    with pytest.raises(BadInput, match="ports") as caught:
        await server.cluster().proxy_get("shop", "web", "/")
    assert "port=" in caught.value.next_step


async def test_a_conflict_is_a_refusal_with_the_servers_words() -> None:
    """The object moved between reading and writing."""
    said = 'Operation cannot be fulfilled on deployments.apps "web": the object has been modified'
    with pytest.raises(Conflict, match="has been modified") as caught:
        await (
            Scripted(lambda _: status(409, said, "Conflict"))
            .cluster()
            .send(PATCH, dry_run=False, field_manager="attempt-1")
        )
    assert (caught.value.status, caught.value.reason, caught.value.exit_code) == (409, "Conflict", ExitCode.REFUSED)


async def test_permission_is_asked_for_without_storing_anything() -> None:
    """A SelfSubjectAccessReview says yes or no."""
    server = with_discovery(lambda asked: Reply(201, {"status": {"allowed": b"pods" in asked.body}}))
    assert await server.cluster().can("get", "Pod", "shop")
    assert not await server.cluster().can("get", "Node")


async def test_an_address_that_no_server_would_read_is_not_sent() -> None:
    """A selector of a hundred kilobytes is bad input, and nothing goes out."""
    server = with_discovery(lambda _: Reply(body={"items": []}))
    await server.cluster().resource("Pod")
    before = len(server.asked)
    with pytest.raises(BadInput, match="longer than 16 KiB"):
        await server.cluster().raw("/api/v1/pods", {"labelSelector": "x" * 100_000})
    assert len(server.asked) == before
