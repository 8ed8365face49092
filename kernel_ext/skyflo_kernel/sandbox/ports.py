"""Which TCP ports Jupyter and its kernels have, and trying that they have no others.

Rules:
  1. May be connected to: the gateway's, those of kernels, and what a person opened by name. May be served at:
     Jupyter's own, and those of kernels.
  2. The ports of kernels are a block of their own, handed to Jupyter by `VARIABLE` and given out by `kernels`.
  3. A port is a port at every address: one that was opened for a host far away is open on this machine, too.
  4. Before Jupyter starts, a listener outside of all this is tried in every way that has reached one past Landlock.
     An answer is a refusal to start.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Annotated

import msgspec

from skyflo_kernel.sandbox.landlock import Tcp
from skyflo_runbooks.model.errors import BadInput, NotAllowed

VARIABLE = "SKYFLO_KERNEL_PORTS"
PROVISIONER = "skyflo-sandbox"
# Of linux/in.h and linux/socket.h; Python has no names for them on every system.
IPPROTO_MPTCP, MSG_FASTOPEN = 262, 0x20000000
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Block(msgspec.Struct, frozen=True, weakref=True):
    """The ports from `first` to `last`, both among them."""

    first: Port
    last: Port

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    @property
    def ports(self) -> range:
        """Each of them."""
        return range(self.first, self.last + 1)


def block(said: str) -> Block:
    """Return the block that is written as `first-last`; `BadInput` where it is none."""
    first, _, last = said.partition("-")
    try:
        found = msgspec.convert({"first": first, "last": last}, Block, strict=False)
    except msgspec.ValidationError:
        found = None
    if found is None or found.last < found.first:
        raise BadInput(f"{said!r} is no block of ports.", next_step="Write the first and the last one: 61000-61099.")
    return found


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """What Jupyter serves at, whom it may ask (the gateway), its kernels' block, and what a person opened besides."""

    serve: tuple[int, ...] = ()
    ask: tuple[int, ...] = ()
    kernels: Block | None = None
    opened: tuple[int, ...] = ()

    @property
    def tcp(self) -> Tcp:
        """Return rule 1 as ports."""
        block = self.kernels.ports if self.kernels else ()
        return Tcp(frozenset((*self.serve, *block)), frozenset((*self.ask, *self.opened, *block)))


class Decoy:
    """A listener at a port that is not open, made before the sandbox is entered and tried from inside."""

    def __init__(self, open_to_kernels: frozenset[int]) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        while self.port in open_to_kernels:
            taken, self.socket = self.socket, socket.create_server(("127.0.0.1", 0))
            taken.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.socket.getsockname()[1])

    def __enter__(self) -> Decoy:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def check(self) -> None:
        """Raise `NotAllowed` where it can be reached from here."""
        for name, way in WAYS.items():
            if _reaches(way, self.port):
                raise NotAllowed(
                    f"A port that is closed answers all the same ({name}), so Jupyter was not started.",
                    next_step="Please report it with the output of 'uname -r'; --isolation none starts without a wall.",
                )


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def _fast_open(port: int) -> None:
    with socket.socket() as one:
        # Without a time-out, with which it would only begin: a listener on this machine answers or is refused at once.
        one.sendto(b"x", MSG_FASTOPEN, ("127.0.0.1", port))


def _multipath(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP) as one:
        one.settimeout(5)
        one.connect(("127.0.0.1", port))


WAYS: dict[str, Callable[[int], None]] = {"connect": _connect, "fast open": _fast_open, "multipath": _multipath}


def _reaches(way: Callable[[int], None], port: int) -> bool:
    try:
        way(port)
    except OSError:
        return False
    return True
