"""Laws of every tool, whatever its arguments are: our errors only, no write, nothing outside the API, in bounded time.

The arguments come from each tool's own schema, so that a tool which is added is covered by itself.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skyflo_mcp.kubernetes import TOOLS, Cluster, call

from skyflo_runbooks.model.errors import OurBug, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered
from skyflo_runbooks.practice import PracticeCluster
from tests.tools.schemas import ANYTHING, arguments

T = TypeVar("T")
READS = sorted(name for name, tool in TOOLS.items() if tool.effect == "read")
CHANGES = sorted(name for name, tool in TOOLS.items() if tool.effect == "change")
# POST by which one asks; nothing is stored.
QUESTIONS = ("/apis/authorization.k8s.io/v1/", "/apis/authentication.k8s.io/v1/")
SECONDS = 10.0
LAW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


class Witness(httpx.AsyncBaseTransport):
    """Passes requests on to a practice cluster, and keeps them."""

    def __init__(self, practice: PracticeCluster) -> None:
        self._inner = httpx.ASGITransport(practice.app)
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass one request on."""
        self.seen.append(request)
        return await self._inner.handle_async_request(request)


async def ours(run: Coroutine[Any, Any, T]) -> T | None:
    """What comes of a call; None where it was refused, by an error that is ours, no bug, and of a bounded length."""
    refused: SkyfloError | None = None
    try:
        return await run
    except SkyfloError as error:
        refused = error
    assert not isinstance(refused, OurBug), refused
    assert len(str(refused)) < 5000, "an error repeats what it was given"
    return None


class Watched:
    """The flagship's cluster with a witness of what is sent to it."""

    def __init__(self, practice: PracticeCluster) -> None:
        self.practice = practice
        self.witness = Witness(practice)
        self.cluster = Cluster(httpx.AsyncClient(transport=self.witness, base_url="http://practice"), timeout=5)

    async def call(self, name: str, given_: object) -> Json | Rendered | None:
        """Call a tool; None where it refused, with an error that is ours and no bug."""
        self.witness.seen.clear()
        async with asyncio.timeout(SECONDS):
            return await ours(call(self.cluster, name, given_))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def still() -> PracticeCluster:
    """The flagship; nothing in it moves by itself, and nothing writes to it."""
    return PracticeCluster("oomkilled-payment")


@pytest.fixture
async def watched(still: PracticeCluster) -> AsyncIterator[Watched]:
    """A connection for each test."""
    opened = Watched(still)
    async with opened.cluster:
        yield opened


def looked_only(watched: Watched) -> None:
    """What was sent were GETs of the API's own paths, or questions that store nothing."""
    for request in watched.witness.seen:
        path = request.url.raw_path.decode().partition("?")[0]
        assert request.method == "GET" or (request.method == "POST" and path.startswith(QUESTIONS)), path
        assert path.split("/")[1] in ("api", "apis", "version", "openapi", "readyz"), path
        assert path.isascii()
        assert "/proxy/" in path or (unquote(path) == path and ".." not in path.split("/")), path
        assert "nodes/" not in path or "/proxy" not in path, path
        assert all("\n" not in value for value in request.headers.values())


@pytest.mark.parametrize("name", READS)
@given(data=st.data())
@LAW
async def test_a_read_only_looks(watched: Watched, name: str, data: st.DataObject) -> None:
    """Whatever it is given; its answer is JSON."""
    before = watched.practice.store.version
    answer = await watched.call(name, data.draw(arguments(TOOLS[name].schema)))
    if answer is not None:
        json.dumps(answer)
    looked_only(watched)
    assert watched.practice.store.version == before


@pytest.mark.parametrize("name", CHANGES)
@given(data=st.data())
@LAW
async def test_a_change_only_looks_while_it_renders_and_its_preview_changes_nothing(
    watched: Watched, name: str, data: st.DataObject
) -> None:
    """Each request it renders is about the object that it names, and sent as a dry run it says so to the server."""
    before = watched.practice.store.version
    change = await watched.call(name, data.draw(arguments(TOOLS[name].schema)))
    looked_only(watched)
    for request in change.requests if isinstance(change, Rendered) else ():
        assert request.path.startswith(("/api/", "/apis/"))
        assert unquote(request.path) == request.path
        if request.preview != "server":
            continue
        watched.witness.seen.clear()
        await ours(watched.cluster.send(request, dry_run=True, field_manager="laws"))
        for sent in watched.witness.seen:
            body = json.loads(sent.content or b"{}") if "yaml" not in sent.headers.get("content-type", "") else {}
            options = body.get("deleteOptions", body) if isinstance(body, dict) else {}
            assert sent.method == "GET" or sent.url.params.get("dryRun") == "All" or options.get("dryRun") == ["All"]
    assert watched.practice.store.version == before


@given(name=st.sampled_from(sorted(TOOLS)), value=ANYTHING)
@settings(LAW, max_examples=100)
async def test_what_is_no_arguments_at_all_is_bad_input(watched: Watched, name: str, value: object) -> None:
    """Also where it is not even an object."""
    await watched.call(name, value)
    looked_only(watched)
