"""The few system calls that Python has no function for. Linux on x86-64 and arm64; elsewhere there is no sandbox."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
SECCOMP_MODE_FILTER = 2
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
# Since Linux 5.13 the numbers of new calls are the same on every architecture.
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446


def supported() -> bool:
    """Whether this is a system that these calls are known for."""
    return sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")


def libc() -> ctypes.CDLL:
    """The C library that this process already runs on."""
    return ctypes.CDLL(None, use_errno=True)


def checked(answer: int, call: str) -> int:
    """The answer of a call, or an `OSError` that names it."""
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return answer


def syscall(number: int, *arguments: object) -> int:
    """One raw system call; -1 and errno where it failed."""
    return int(libc().syscall(ctypes.c_long(number), *arguments))


def prctl(option: int, value: object, pointer: object = None) -> None:
    """Set a property of this process."""
    checked(libc().prctl(option, value, pointer, 0, 0), "prctl")


def drop_capabilities() -> None:
    """Let what is started from here have no right of root's beyond its files; nothing where this is not root."""
    if os.geteuid() != 0:
        return
    for capability in range(64):
        # The kernel's highest one is not known here; it refuses the numbers above.
        if libc().prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            break


def user_namespace() -> None:
    """Give this process, which may be anybody's, the right to mount for itself; nothing outside changes."""
    checked(libc().unshare(CLONE_NEWUSER), "unshare")


def private_mounts() -> None:
    """Give this process mounts of its own: what is mounted from here on is seen by it and its children only."""
    checked(libc().unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", "", MS_REC | MS_PRIVATE)


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Mount `source` at `target`."""
    arguments = [part.encode() or None for part in (source, target, kind)]
    checked(libc().mount(*arguments, ctypes.c_ulong(flags), data.encode() or None), f"mount {target}")
