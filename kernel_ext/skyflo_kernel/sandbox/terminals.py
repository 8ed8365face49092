"""Terminals of its own for Jupyter: those of its user outside can neither be read nor written on.

A terminal is a file of its user. Code of the same user reads what is typed there, a password too, and writes over what
is shown, a change that waits for an answer too. Landlock opens the folder of terminals or closes it.

Rules:
  1. Jupyter gets a folder of terminals of its own, by mounts that only it sees. For an ordinary user that takes a user
     namespace; it gives no right outside, and what it gives inside ends with the start of Jupyter.
  2. Where the system refuses that, Jupyter has no terminals, and nothing that needs one works there.
  3. It is tried in a process of its own first, so that this one never gets half of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from skyflo_kernel.sandbox import syscalls

FOLDER, MAKER = "/dev/pts", "/dev/ptmx"


def take() -> bool:
    """Replace the folder of terminals by a new one for this process and its children; False where that is refused."""
    if not _possible():
        return False
    _replace()
    return True


def _possible() -> bool:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _replace()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def _replace() -> None:
    user, group = os.geteuid(), os.getegid()
    if user != 0:
        syscalls.user_namespace()
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    syscalls.private_mounts()
    flags = syscalls.MS_NOSUID | syscalls.MS_NOEXEC
    syscalls.mount("devpts", FOLDER, "devpts", flags, "newinstance,ptmxmode=0666,mode=620")
    syscalls.mount(f"{FOLDER}/ptmx", MAKER, "", syscalls.MS_BIND)
