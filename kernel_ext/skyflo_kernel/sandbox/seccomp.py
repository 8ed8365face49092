"""A filter on system calls: which sockets may be made, and how they may connect.

Rules:
  1. No local (Unix) sockets: Landlock does not stop a process from speaking to a session bus or a container engine over
     a path it may not read, and either of them starts processes outside when asked. Pairs of connected sockets stay
     possible: Python's event loop needs them, and they lead nowhere else.
  2. Of all other families IPv4 and IPv6, and the one that lists network addresses. The rest (a virtual machine's host,
     raw packets) is under no rule of Landlock.
  3. Streams are TCP and nothing that becomes TCP (multipath, SMC): Landlock's rules of ports hold for TCP alone. None
     is connected by its first message (`MSG_FASTOPEN`): that passes Landlock by (landlock-lsm/linux, issue 41).
  4. Datagrams are UDP, and none where the ports are closed: there is no rule of ports for them, and whom a kernel may
     ask is reached by a name of this machine.
  5. No io_uring, which does all of this unseen.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import socket
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from skyflo_kernel.sandbox import syscalls
from skyflo_kernel.sandbox.ports import MSG_FASTOPEN

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, (16, 24, 32, 40)
_IO_URING_SETUP = 425
# Calls of x86-64's second numbering (x32) begin here; they would pass a filter that knows the first one only.
_X32 = 0x40000000
# A socket's type stands in the low bits, with flags above it (linux/net.h).
_TYPE_MASK = 0xF
_NETLINK_ROUTE = 0
# Protocols by their number, 0 is the type's own.
_STREAMS, _DATAGRAMS = (0, int(socket.IPPROTO_TCP)), (0, int(socket.IPPROTO_UDP))
_FAST_OPEN = MSG_FASTOPEN


class _Machine(NamedTuple):
    arch: int
    socket: int
    sendto: int
    sendmsg: int
    sendmmsg: int


_MACHINES = {
    "x86_64": _Machine(0xC000003E, socket=41, sendto=44, sendmsg=46, sendmmsg=307),
    "aarch64": _Machine(0xC00000B7, socket=198, sendto=206, sendmsg=211, sendmmsg=269),
}


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction))]


class _Line(NamedTuple):
    """One instruction; `yes` and `no` are places by name, the next line where there is none."""

    code: int
    k: int
    yes: str = ""
    no: str = ""
    place: str = ""


def restrict_sockets(*, datagrams: bool) -> None:
    """Hold this process and its children to the rules above from here on; `datagrams`: UDP stays."""
    lines = list(_lines(_MACHINES[platform.machine()], datagrams=datagrams))
    instructions = (_Instruction * len(lines))(*_resolved(lines))
    program = _Program(len(lines), instructions)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.prctl(syscalls.PR_SET_SECCOMP, syscalls.SECCOMP_MODE_FILTER, ctypes.byref(program))


def _lines(machine: _Machine, *, datagrams: bool) -> Iterator[_Line]:
    yield _Line(_LOAD, _ARCH)
    yield _Line(_EQUAL, machine.arch, no="kill")
    yield _Line(_LOAD, _NUMBER)
    yield _Line(_AT_LEAST, _X32, yes="kill")
    yield _Line(_EQUAL, _IO_URING_SETUP, yes="no such call")
    yield _Line(_EQUAL, machine.sendto, yes="fourth argument")
    yield _Line(_EQUAL, machine.sendmmsg, yes="fourth argument")
    yield _Line(_EQUAL, machine.sendmsg, yes="third argument")
    yield _Line(_EQUAL, machine.socket, yes="socket", no="allow")
    yield _Line(_LOAD, _ARGUMENTS[3], place="fourth argument")
    yield _Line(_ANY_BIT, _FAST_OPEN, yes="no fast open", no="allow")
    yield _Line(_LOAD, _ARGUMENTS[2], place="third argument")
    yield _Line(_ANY_BIT, _FAST_OPEN, yes="no fast open", no="allow")
    yield from _socket(datagrams=datagrams)
    yield _Line(_RETURN, _ALLOW, place="allow")
    yield _Line(_RETURN, _ERRNO | errno.EACCES, place="refuse")
    yield _Line(_RETURN, _ERRNO | errno.EOPNOTSUPP, place="no fast open")
    yield _Line(_RETURN, _ERRNO | errno.ENOSYS, place="no such call")
    yield _Line(_RETURN, _KILL, place="kill")


def _socket(*, datagrams: bool) -> Iterator[_Line]:
    """Rules 1 to 4: family, type and protocol of `socket(2)`."""
    yield _Line(_LOAD, _ARGUMENTS[0], place="socket")
    yield _Line(_EQUAL, int(socket.AF_INET), yes="internet")
    yield _Line(_EQUAL, int(socket.AF_INET6), yes="internet")
    yield _Line(_EQUAL, int(socket.AF_NETLINK), no="refuse")
    yield _Line(_LOAD, _ARGUMENTS[2])
    yield _Line(_EQUAL, _NETLINK_ROUTE, yes="allow", no="refuse")
    yield _Line(_LOAD, _ARGUMENTS[1], place="internet")
    yield _Line(_AND, _TYPE_MASK)
    yield _Line(_EQUAL, int(socket.SOCK_STREAM), yes="stream")
    yield _Line(_EQUAL, int(socket.SOCK_DGRAM), yes="datagram" if datagrams else "refuse", no="refuse")
    for place, protocols in (("stream", _STREAMS), ("datagram", _DATAGRAMS)):
        yield _Line(_LOAD, _ARGUMENTS[2], place=place)
        yield from (_Line(_EQUAL, protocol, yes="allow") for protocol in protocols)
        yield _Line(_RETURN, _ERRNO | errno.EACCES)


def _resolved(lines: Sequence[_Line]) -> Iterator[_Instruction]:
    """Turn names into distances: a jump counts the lines that it leaves out."""
    places = {line.place: number for number, line in enumerate(lines) if line.place}
    for number, line in enumerate(lines):
        yes, no = (places[name] - number - 1 if name else 0 for name in (line.yes, line.no))
        yield _Instruction(line.code, yes, no, line.k)
