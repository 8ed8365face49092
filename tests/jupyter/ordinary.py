"""Commands as an ordinary user of this machine: who has no right of root's, and who Jupyter then runs as, too.

Run as a program it becomes that user and then the command. Root's home, where Python may lie, is shown to that user as
a folder in which it may walk, by a mount that nobody else sees. `--no-namespaces`: on a system that refuses those.
"""

import os
import sys
from pathlib import Path

from skyflo_kernel.sandbox import mounts, syscalls

_UID = _GID = 65534
_NO_NAMESPACES = "--no-namespaces"
_PR_SET_DUMPABLE = 4


def command(*arguments: str, namespaces: bool = True) -> list[str]:
    """The command line that runs these as an ordinary user."""
    return [sys.executable, "-P", __file__, *([] if namespaces else [_NO_NAMESPACES]), *arguments]


def hand_over(*paths: Path) -> None:
    """Give files or folders to that user."""
    for path in paths:
        if os.geteuid() == 0:
            os.chown(path, _UID, _GID)


def _become() -> None:
    if os.geteuid() != 0:
        return
    places = {Path(sys.prefix), Path(sys.base_prefix), *(Path(entry) for entry in sys.path if entry)}
    assert mounts.hide(Path("~root").expanduser(), shown=places, denied=())
    os.setgroups([])
    os.setresgid(_GID, _GID, _GID)
    os.setresuid(_UID, _UID, _UID)


def _refuse_namespaces() -> None:
    """As a distribution may: in a namespace of its own a process may forbid those below it."""
    user, group = os.geteuid(), os.getegid()
    syscalls.prctl(_PR_SET_DUMPABLE, 1)  # a change of the user closes its own files in /proc
    syscalls.user_namespace()
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


if __name__ == "__main__":
    _become()
    given = sys.argv[1:]
    if given[0] == _NO_NAMESPACES:
        _refuse_namespaces()
        del given[0]
    os.execvp(given[0], given)  # noqa: S606  # its purpose; no shell
