"""One connection to somebody else's server, honest in three ways and dishonest in many."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from skyflo_mcp.foreign.connection import Told
from skyflo_mcp.foreign.way import Opened, Reach, Way, reach
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from skyflo_runbooks.model.errors import Unknown, Unreachable
from tests.foreign.reaching import SHOP, VARIABLES, WAYS, at_address, connected, rogue


def started(behaviour: str, memory: Path | None = None) -> Reach:
    """Return the way to a rogue server."""
    return lambda: reach(Way(command=rogue(behaviour, memory), environment={"KEY": VARIABLES["SHOP_KEY"]}))


@pytest.mark.parametrize("way", WAYS)
async def test_the_contract_of_every_way(way: str) -> None:
    """In memory, as a process and over HTTP a server lists, answers and fails alike, also several calls at once."""
    async with WAYS[way]() as opening, connected(opening) as connection:
        listed = {one.name: one for one in await connection.tools()}
        assert set(listed) == {"status", "motto", "close_shop"}
        assert listed["status"].description == "What the shop's status page says."
        assert listed["status"].schema["required"] == ["shop"]
        assert not listed["status"].changes
        assert {one.digest for one in await connection.tools()} == {one.digest for one in listed.values()}
        status, motto = await asyncio.gather(connection.call("status", SHOP, 30), connection.call("motto", {}, 30))
        assert status.structured["is"] == "open"
        assert not status.failed
        assert "Everything must go." in motto.texts
        failed = await connection.call("status", {"shop": "none"}, 30)
        assert failed.failed
        assert "there is no such shop" in failed.texts[0]
        await connection.aclose()
        assert not (await connection.call("motto", {}, 30)).failed  # opened anew


@pytest.mark.parametrize("behaviour", ["honest", "banner", "slow-schema"])
async def test_a_process_that_serves_all_the_same(behaviour: str) -> None:
    """A greeting on its output is passed over; a schema of its own whose pattern would never end is not tried."""
    async with connected(started(behaviour)) as connection:
        assert [one.name for one in await connection.tools()] == ["status"]
        assert not (await connection.call("status", SHOP, 10)).failed


async def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    """And the rest of the answer is there."""
    async with connected(started("latin")) as connection:
        assert (await connection.call("status", SHOP, 10)).texts == ("caf�",)


@pytest.mark.parametrize(
    ("behaviour", "kind", "says"),
    [
        ("silent", Unreachable, "did not answer within"),
        ("dies", Unreachable, "ended by itself (exit 3)"),
        ("floods", Unknown, "more than 4 MiB at once"),
        ("babbles", Unreachable, "more than was asked for"),
        ("not-mcp", Unknown, "cannot be used as MCP"),
        ("will-not-start", Unreachable, "ended by itself (exit 4)"),
    ],
)
async def test_a_process_in_trouble(behaviour: str, kind: type[Exception], says: str) -> None:
    """Each trouble ends in its own error, in time."""
    async with connected(started(behaviour)) as connection:
        with pytest.raises(Told) as told:
            await connection.call("status", SHOP, 2 if behaviour == "silent" else 30)
        assert isinstance(told.value.error, kind)
        assert says in told.value.error.message


async def test_what_a_process_wrote_last_is_kept_apart() -> None:
    """Its words are not in the message: they are for who shows them as data."""
    async with connected(started("dies")) as connection:
        with pytest.raises(Told) as told:
            await connection.call("status", SHOP, 30)
    assert "out of memory" in told.value.words
    assert "out of memory" not in told.value.error.message
    assert VARIABLES["SHOP_KEY"] not in str(told.value)


async def test_a_process_that_is_never_ready() -> None:
    """The wait for it has a bound."""
    async with connected(started("never-ready"), opening=0.5) as connection:
        with pytest.raises(Told, match="a server failed") as told:
            await connection.tools()
    assert "not ready in time" in told.value.error.message


async def test_a_command_that_is_not_there() -> None:
    """Said in our words."""
    way = Way(command=("/nowhere/at/all",), environment={})
    async with connected(lambda: reach(way)) as connection:
        with pytest.raises(Told) as told:
            await connection.tools()
    assert told.value.error.message == "The MCP server shop could not be started: No such file or directory."


@pytest.mark.parametrize("behaviour", ["dies", "silent", "not-mcp"])
async def test_after_trouble_the_next_call_has_a_process_of_its_own(behaviour: str, tmp_path: Path) -> None:
    """And the old one is gone."""
    memory = tmp_path / "started"
    async with connected(started(behaviour, memory)) as connection:
        for _ in range(2):
            with pytest.raises(Told):
                await connection.call("status", SHOP, 0.5)
    first, second = map(int, memory.read_text().split())
    assert first != second
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_server_that_was_started_again_is_listed_again(tmp_path: Path) -> None:
    """A connection that died meanwhile is noticed at the listing, and opened anew without an error."""

    memory = tmp_path / "started"
    async with connected(started("honest", memory)) as connection:
        await connection.tools()
        os.kill(int(memory.read_text()), signal.SIGKILL)
        assert [one.name for one in await connection.tools()] == ["status"]
        assert not (await connection.call("status", SHOP, 10)).failed


async def test_one_that_opens_is_waited_for_by_all(tmp_path: Path) -> None:
    """Ten that ask at once start one process."""
    memory = tmp_path / "started"
    async with connected(started("honest", memory)) as connection:
        await asyncio.gather(*(connection.call("status", SHOP, 30) for _ in range(10)))
    assert len(memory.read_text().split()) == 1


async def test_a_process_that_stays_after_its_input_ended_is_ended(tmp_path: Path) -> None:
    """Nothing is left behind."""
    memory = tmp_path / "started"
    async with connected(started("stays", memory)) as connection:
        await connection.tools()
    with pytest.raises(ProcessLookupError):
        os.kill(int(memory.read_text()), 0)


async def test_who_gives_up_leaves_no_process(tmp_path: Path) -> None:
    """A caller that is cancelled while a server opens does not keep the others from it, nor from its end."""
    memory = tmp_path / "started"
    async with connected(started("honest", memory)) as connection:
        impatient = asyncio.create_task(connection.tools())
        patient = asyncio.create_task(connection.tools())
        await asyncio.wait({impatient}, timeout=0)
        impatient.cancel()
        assert await patient
    assert len(memory.read_text().split()) == 1


async def test_a_failed_opening_is_not_kept(tmp_path: Path) -> None:
    """Also where nobody waited for it any more: who asks next has it tried again."""
    memory = tmp_path / "started"
    ready = False

    def either() -> Opened:
        return started("honest", memory)() if ready else started("will-not-start")()

    async with connected(either) as connection:
        waiting = asyncio.create_task(connection.tools())
        await asyncio.wait({waiting}, timeout=0)
        waiting.cancel()
        with pytest.raises(Told):
            await connection.tools()
        ready = True
        assert await connection.tools()


async def test_a_list_without_end_is_refused() -> None:
    """Three thousand tools are not looked through; one that is described at too great a length is left out."""
    async with connected(started("huge-list")) as connection:
        with pytest.raises(Told) as told:
            await connection.tools()
        assert "lists 3000 tools" in told.value.error.message
    async with connected(started("huge-tool")) as connection:
        assert await connection.tools() == ()


def speaking(call: Any) -> Starlette:
    """Return an MCP server over HTTP that answers a tool's call by `call(id)`, and all else as it should."""

    async def mcp(request: Request) -> Response:
        asked = await request.json()
        if asked.get("id") is None:
            return Response(status_code=202)
        hello = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
        results: dict[str, Any] = {
            "initialize": {**hello, "serverInfo": {"name": "rogue", "version": "1"}},
            "tools/list": {"tools": [{"name": "status", "inputSchema": {"type": "object"}}]},
        }
        if asked["method"] == "tools/call":
            answered: Response = call(asked["id"])
            return answered
        if asked["method"] not in results:
            refusal = {"code": -32601, "message": "Method not found"}
            return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "error": refusal})
        return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": results[asked["method"]]})

    return Starlette(routes=[Route("/mcp", mcp, methods=["POST"])])


def without_end(media: str) -> Any:
    """Return an answer of a hundred MiB."""

    async def parts() -> Any:
        for _ in range(100):
            yield b" " * 2**20

    return lambda id_: StreamingResponse(parts(), media_type=media)


ANSWERS: dict[str, tuple[Any, type[Exception], str]] = {
    "json without end": (without_end("application/json"), Unknown, "more than 4 MiB at once"),
    "events without end": (without_end("text/event-stream"), Unknown, "more than 4 MiB at once"),
    "compressed": (
        lambda id_: Response(b"\x1f\x8b", headers={"content-encoding": "gzip"}, media_type="application/json"),
        Unreachable,
        "compressed",
    ),
    "redirect": (lambda id_: RedirectResponse("http://127.0.0.1:1/mcp"), Unreachable, "redirect"),
    "no longer allowed": (lambda id_: Response(status_code=401), Unreachable, "status 401"),
    "broken": (lambda id_: Response(status_code=500), Unreachable, "status 500"),
    "no json": (lambda id_: Response(b"{", media_type="application/json"), Unknown, "refused what was asked"),
    "a page": (lambda id_: Response("<html>", media_type="text/html"), Unknown, "refused what was asked"),
}


@pytest.mark.parametrize("answered", ANSWERS)
async def test_a_server_in_trouble_over_http(answered: str) -> None:
    """Each ends in its own error; nothing is followed, unpacked or read without end."""
    call, kind, says = ANSWERS[answered]
    async with at_address(speaking(call)) as origin, connected(lambda: reach(Way(url=f"{origin}/mcp"))) as connection:
        assert [one.name for one in await connection.tools()] == ["status"]
        with pytest.raises(Told) as told:
            await connection.call("status", {}, 30)
    assert isinstance(told.value.error, kind), told.value.error
    assert says in told.value.error.message


async def test_nobody_at_the_address() -> None:
    """Said in our words, without the address's path, in which there could be a secret."""
    way = Way(url="http://127.0.0.1:1/mcp?key=s3cret", headers={"Authorization": "Bearer s3cret"})
    assert "s3cret" not in repr(way)
    async with connected(lambda: reach(way)) as connection:
        with pytest.raises(Told) as told:
            await connection.tools()
    assert isinstance(told.value.error, Unreachable)
    assert told.value.error.message == "The MCP server shop cannot be reached."
    assert "s3cret" not in told.value.words
