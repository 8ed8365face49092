"""What a `run` request says, and which stream it takes.

A run is about one Pod, and everything that bounds it stands in its body, which is what a person approves:

- `…/exec`: `{"container", "command": [argv], "seconds", "limit_bytes"}`. No shell, unless argv names one.
- `…/portforward`: `{"port", "send", "seconds", "limit_bytes"}`: one connection, one text out, what comes back in.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from skyflo_mcp.kubernetes.streams import Ran, Streams
from skyflo_runbooks.model.errors import OurBug
from skyflo_runbooks.model.request import Request

LONGEST = 300.0
LARGEST = 2**20
Seconds = Annotated[float, Meta(gt=0, le=LONGEST)]
Bytes = Annotated[int, Meta(ge=1, le=LARGEST)]
Port = Annotated[int, Meta(ge=1, le=65_535)]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program with its arguments, in a container."""

    container: str
    command: Annotated[list[str], Meta(min_length=1)]
    seconds: Seconds = 30.0
    limit_bytes: Bytes = 64 * 1024


class Exchange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A text to a port of a pod."""

    port: Port
    send: str
    seconds: Seconds = 10.0
    limit_bytes: Bytes = 64 * 1024


def body(request: Request) -> Command | Exchange:
    """Return what the request says, or raise `OurBug`: a tool rendered it."""
    subresource = request.path.rpartition("/")[2]
    if request.verb != "run" or subresource not in ("exec", "portforward"):
        raise OurBug(f"expected a run in a pod, got {request.verb} of {request.path}")
    try:
        if subresource == "exec":
            return msgspec.convert(request.body, Command)
        return msgspec.convert(request.body, Exchange)
    except msgspec.ValidationError as error:
        raise OurBug(f"the body of {request.verb} in {request.target} is not one: {error}") from None


async def run(streams: Streams, request: Request, *, headers: Sequence[tuple[str, str]] = ()) -> Ran:
    """Run it, and return what came of it; raises as `Cluster.run` says. `headers` say in whose name."""
    wanted = body(request)
    doing = f"run in {request.target}"
    if isinstance(wanted, Command):
        return await streams.command(
            request.path,
            wanted.command,
            container=wanted.container,
            seconds=wanted.seconds,
            limit=wanted.limit_bytes,
            doing=doing,
            headers=headers,
        )
    return await streams.port(
        request.path,
        wanted.port,
        wanted.send.encode(),
        seconds=wanted.seconds,
        limit=wanted.limit_bytes,
        doing=doing,
        headers=headers,
    )
