"""A Landlock ruleset: which trees may be read and which written, and which TCP ports are open; all else is closed.

Rules:
  1. Every right that this kernel's Landlock knows is handled, so what no tree and no port allows is refused.
  2. Landlock only adds: a denied path below an allowed tree is left out by allowing its neighbours one by one.
     One that is kept is left out of what may be written.
  3. Where the kernel knows it (ABI 6), signals and abstract sockets do not leave the sandbox. Tracing never does.
  4. Ports are closed from ABI 4 (Linux 6.7) on, at every address alike: a rule names a port and no host. What gets past
     it (`seccomp`) is closed there.

Source: Linux, Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from skyflo_kernel.sandbox import syscalls

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# How many rights each version of the interface handles; later ones handle at least as many.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1, 2
_VERSION_FLAG = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_BIND_TCP, _CONNECT_TCP = 1, 2
_NET_ABI = 4


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


class _NetPort(ctypes.Structure):
    _fields_ = [("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64)]


class Trees(NamedTuple):
    """The folders and files that stay open, what is closed in them, and what of them can only be read."""

    read: tuple[Path, ...]
    write: tuple[Path, ...]
    denied: tuple[Path, ...]
    kept: tuple[Path, ...] = ()


class Tcp(NamedTuple):
    """The ports that may be served at, and those that may be connected to."""

    bind: frozenset[int]
    connect: frozenset[int]


def version() -> int:
    """The version of the kernel's Landlock; 0 where there is none or it is switched off."""
    if not syscalls.supported():
        return 0
    return max(0, syscalls.syscall(syscalls.LANDLOCK_CREATE_RULESET, None, 0, _VERSION_FLAG))


def closes_ports() -> bool:
    """Whether this kernel's Landlock can close TCP ports."""
    return version() >= _NET_ABI


def restrict(trees: Trees | None, tcp: Tcp | None) -> None:
    """Close this process and its children off from everything but these; None leaves the files or the ports alone."""
    abi = version()
    rights = (1 << _RIGHTS.get(abi, 16)) - 1 if trees else 0
    scoped = _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL if abi >= 6 else 0
    attributes = _Ruleset(rights, _BIND_TCP | _CONNECT_TCP if tcp else 0, scoped)
    size = 24 if abi >= 6 else 16 if abi >= _NET_ABI else 8
    call = syscalls.syscall(syscalls.LANDLOCK_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    ruleset = syscalls.checked(call, "landlock_create_ruleset")
    try:
        if trees:
            _open_trees(ruleset, trees, rights)
        if tcp:
            _open_ports(ruleset, tcp)
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        syscalls.checked(syscalls.syscall(syscalls.LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _open_trees(ruleset: int, trees: Trees, rights: int) -> None:
    closed, kept = ([path.resolve() for path in paths] for paths in (trees.denied, trees.kept))
    for opened, left_out, allowed in (
        ((*trees.read, *kept), closed, _READ),
        (trees.write, [*closed, *kept], rights),
    ):
        for tree in opened:
            for part in without(tree.resolve(), left_out):
                _allow(ruleset, part, allowed & rights)


def _open_ports(ruleset: int, tcp: Tcp) -> None:
    for port in sorted(tcp.bind | tcp.connect):
        allowed = (_BIND_TCP if port in tcp.bind else 0) | (_CONNECT_TCP if port in tcp.connect else 0)
        rule = _NetPort(allowed, port)
        call = syscalls.syscall(syscalls.LANDLOCK_ADD_RULE, ruleset, _NET_PORT, ctypes.byref(rule), 0)
        syscalls.checked(call, f"landlock_add_rule port {port}")


def without(tree: Path, denied: Iterable[Path]) -> Iterator[Path]:
    """The parts of `tree` that together are all of it but the denied paths. Paths are absolute and resolved."""
    closed = tuple(denied)
    if any(tree == path or path in tree.parents for path in closed):
        return
    if not any(tree in path.parents for path in closed):
        if tree.exists():
            yield tree
        return
    for child in sorted(tree.iterdir()):
        # A link is followed when it is opened, and then the place it leads to counts.
        if not child.is_symlink():
            yield from without(child, closed)


def _allow(ruleset: int, path: Path, allowed: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        rule = _PathBeneath(allowed if path.is_dir() else allowed & _FILE_RIGHTS, parent)
        call = syscalls.syscall(syscalls.LANDLOCK_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        syscalls.checked(call, f"landlock_add_rule {path}")
    finally:
        os.close(parent)
