"""A server that is a process of ours: MCP on its standard streams, a line for each message.

Rules:
  1. It gets its arguments as a list, never a shell; an environment with nothing in it but what it was given; and a
     process group of its own.
  2. Lines that are no message are passed over, and so is what nobody asked for; with too much of either the connection
     ends. Bytes that are not UTF-8 are replaced.
  3. It ends with its connection: its input is closed, then it is asked, then it is killed with everything it started.
"""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCResponse, jsonrpc_message_adapter

from skyflo_mcp.foreign.way import LARGEST, Trouble

_PATIENCE = 1.0
_MOST_UNASKED = 2000
_KEPT = 2000


@asynccontextmanager
async def piped(command: Sequence[str], environment: Mapping[str, str], trouble: Trouble) -> AsyncIterator[Any]:
    """Start the process and yield its streams of messages."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=dict(environment), start_new_session=True, limit=LARGEST
        )
    except (OSError, ValueError) as error:
        trouble.note(f"could not be started: {getattr(error, 'strerror', None) or 'its command cannot be run'}")
        raise
    heard, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, wanted = anyio.create_memory_object_stream[SessionMessage](0)
    tasks = [
        asyncio.create_task(_hear(process, heard, trouble)),
        asyncio.create_task(_say(process, wanted)),
        asyncio.create_task(_keep_errors(process, trouble)),
    ]
    try:
        yield read, write
    finally:
        with anyio.CancelScope(shield=True):
            for task in tasks[:2]:
                task.cancel()
            await _ended(process)
            tasks[2].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await _drained(process)
            for stream in (heard, read, write, wanted):
                await stream.aclose()


async def _hear(process: Process, heard: Any, trouble: Trouble) -> None:
    unasked = 0
    async with heard:
        while unasked < _MOST_UNASKED:
            try:
                line = await _stream(process.stdout).readline()
            except ValueError:  # asyncio's word for a line that is longer than its limit
                trouble.note_too_much()
                return
            if not line:
                await _keep_end(process, trouble)
                return
            message = _message(line)
            unasked += not isinstance(message, JSONRPCResponse | JSONRPCError)
            if message is not None:
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    await heard.send(SessionMessage(message))
            await anyio.lowlevel.checkpoint()  # what comes as fast as it is read must not keep the others waiting
        trouble.note("said more than was asked for")


async def _keep_end(process: Process, trouble: Trouble) -> None:
    """Note how it ended, where it ended by itself."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            code = await process.wait()
            trouble.note(f"ended by itself (exit {code})")
    trouble.note("closed its output")


def _message(line: bytes) -> Any:
    try:
        return jsonrpc_message_adapter.validate_json(line.decode(errors="replace"), by_name=False)
    except ValueError:
        return None


async def _say(process: Process, wanted: Any) -> None:
    pipe = process.stdin
    async with wanted:
        async for one in wanted:
            line = one.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
            with suppress(OSError):  # it ended: who listens to it hears so
                _stream(pipe).write(line)
                await _stream(pipe).drain()


async def _keep_errors(process: Process, trouble: Trouble) -> None:
    while part := await _stream(process.stderr).read(_KEPT):
        trouble.last_words = (trouble.last_words + part)[-_KEPT:]


async def _ended(process: Process) -> None:
    _stream(process.stdin).close()
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await process.wait()
                break
    with suppress(ProcessLookupError):  # what it started and left behind
        os.killpg(process.pid, signal.SIGKILL)


async def _drained(process: Process) -> None:
    """Read what is left of its outputs, so that they are closed: they are only while somebody reads them."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            for pipe in (process.stdout, process.stderr):
                while await _stream(pipe).read(2**16):
                    pass


def _stream(pipe: Any) -> Any:
    """Return a pipe that was asked for when the process was started."""
    return pipe
