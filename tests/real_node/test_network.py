"""The names that a real node's pods ask for: as a resolver writes them, and as it reads the answer."""

from __future__ import annotations

import socket
import struct

import httpx
import pytest

from tests.real_node import network

_HEAD = struct.Struct("!6H")


def query(name: str, kind: int = 1) -> bytes:
    """A question as a resolver sends it."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return _HEAD.pack(7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def read(answer: bytes) -> tuple[int, list[str]]:
    """The code of an answer, and its addresses."""
    number, flags, questions, count, *_ = _HEAD.unpack(answer[: _HEAD.size])
    assert (number, questions) == (7, 1)
    return flags & 0xF, [socket.inet_ntoa(answer[len(answer) - 4 - 16 * n :][:4]) for n in reversed(range(count))]


def test_a_name_is_answered_with_its_addresses() -> None:
    """However it is spelt; another type than an address has none, and is no error."""
    known = {"ledger.shop.svc.cluster.local": ["10.77.0.4", "10.77.0.5"]}
    asked = query("Ledger.shop.svc.cluster.local")

    assert read(network.reply(asked, lambda name: known[name])) == (0, ["10.77.0.4", "10.77.0.5"])
    assert read(network.reply(query("ledger.shop.svc.cluster.local", 28), lambda name: known[name])) == (0, [])


def test_what_is_unknown_does_not_exist_and_what_has_no_endpoint_has_no_address() -> None:
    """A resolver tries its next search domain only after the first."""
    assert read(network.reply(query("ledger.shop.svc.cluster.local"), lambda _: "unknown")) == (3, [])
    assert read(network.reply(query("ledger.shop.svc.cluster.local"), lambda _: [])) == (0, [])


def test_a_cluster_that_does_not_answer_is_said_so() -> None:
    """SERVFAIL, not "no such name": nobody may take the one for the other."""

    def fails(_: str) -> list[str]:
        raise httpx.ConnectError("refused")

    assert read(network.reply(query("a.b.svc.cluster.local"), fails)) == (2, [])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ledger.shop.svc.cluster.local", ("shop", "ledger")),
        ("ledger.shop.svc", ("shop", "ledger")),
        ("ledger.shop", None),
        ("ledger", None),
        ("www.example.com", None),
        ("pod.ledger.shop.svc.cluster.local", None),
    ],
)
def test_only_a_services_whole_name_is_one(name: str, found: tuple[str, str] | None) -> None:
    """Shorter ones become it by the search domains of the pod's resolv.conf."""
    assert network.service(name) == found
