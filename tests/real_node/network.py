"""What a real node lacks of a cluster's network: names of Services, and the API where pods look for it.

Rules:
  1. A name of the cluster is answered from the EndpointSlices: with the addresses of the ready endpoints, because there
     is no kube-proxy here that would turn a cluster IP into one of them. A Service's port has to be its pods' port.
  2. A Service without a ready endpoint has a name and no address; any other name does not exist.
  3. The API is at `kubernetes.default.svc`, port 443, as everywhere: what comes there is passed on to the API server.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

import httpx

from skyflo_runbooks.model.json import at
from tests.control_plane.harness import ControlPlane

DOMAIN = "cluster.local"
_API = ("default", "kubernetes")
_ADDRESS, _INTERNET = 1, 1
_ANSWER, _NO_SUCH_NAME, _FAILED = 0x8580, 0x8583, 0x8582  # an authoritative answer, recursion available
_HEAD = struct.Struct("!6H")
_RECORD = struct.Struct("!HHHLH")
_NAME = 0xC00C  # the name of the question, which stands behind the head

Known = Literal["unknown"] | list[str]


def question(packet: bytes) -> tuple[str, int, bytes]:
    """Return the name that a query asks for, the type, and the question as it was written."""
    labels, place = [], _HEAD.size
    while length := packet[place]:
        labels.append(packet[place + 1 : place + 1 + length].decode("ascii", "replace").lower())
        place += 1 + length
    kind = int.from_bytes(packet[place + 1 : place + 3], "big")
    return ".".join(labels), kind, packet[_HEAD.size : place + 5]


def reply(packet: bytes, look: Callable[[str], Known]) -> bytes:
    """Return the answer to a query; `look` gives the addresses of a name, or says that it is unknown."""
    name, kind, asked = question(packet)
    number = int.from_bytes(packet[:2], "big")
    try:
        known = look(name)
    except httpx.HTTPError:
        return _HEAD.pack(number, _FAILED, 1, 0, 0, 0) + asked
    if known == "unknown":
        return _HEAD.pack(number, _NO_SUCH_NAME, 1, 0, 0, 0) + asked
    addresses = known if kind == _ADDRESS else []
    records = (_RECORD.pack(_NAME, _ADDRESS, _INTERNET, 1, 4) + socket.inet_aton(one) for one in addresses)
    return _HEAD.pack(number, _ANSWER, 1, len(addresses), 0, 0) + asked + b"".join(records)


def service(name: str) -> tuple[str, str] | None:
    """Return namespace and name of the Service that a name is of; None where it is no name of the cluster."""
    parts = name.removesuffix(f".{DOMAIN}").split(".")
    return (parts[1], parts[0]) if len(parts) == 3 and parts[2] == "svc" else None


def addresses(plane: ControlPlane, name: str, node: str) -> Known:
    """Return the addresses behind a name of the cluster; `node` is where the API is found."""
    wanted = service(name)
    if wanted is None:
        return "unknown"
    if wanted == _API:
        return [node]
    namespace, called = wanted
    with plane.http() as client:
        if client.get(f"/api/v1/namespaces/{namespace}/services/{called}").status_code == httpx.codes.NOT_FOUND:
            return "unknown"
        chosen = {"labelSelector": f"kubernetes.io/service-name={called}"}
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        slices = client.get(path, params=chosen).raise_for_status().json()["items"]
    ends = [end for part in slices for end in part.get("endpoints") or []]
    return [one for end in ends if at(end, "conditions", "ready", default=False) for one in end["addresses"]]


@contextmanager
def answering(plane: ControlPlane, address: str) -> Iterator[None]:
    """Answer for names at port 53 of this address, and for the API at port 443. Needs root."""
    said = httpx.URL(plane.server)
    behind = (said.host, said.port or 443)

    class Names(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            packet, answer_to = self.request
            answer = reply(packet, lambda name: addresses(plane, name, address))
            answer_to.sendto(answer, self.client_address)

    class Door(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(behind) as other:
                _both_ways(self.request, other)

    with ExitStack() as stack:
        for server in (_Questions((address, 53), Names), _Doors((address, 443), Door)):
            stack.enter_context(_serving(server))
        yield


class _Questions(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _Doors(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, name="node-network", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def _both_ways(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes on between two connections until each has said its last."""
    back = threading.Thread(target=_pass_on, args=(other, one), daemon=True)
    back.start()
    _pass_on(one, other)
    back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with (
        contextlib.suppress(OSError),
        source.makefile("rb", buffering=0) as read,
        target.makefile("wb", buffering=0) as write,
    ):
        shutil.copyfileobj(read, write)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
