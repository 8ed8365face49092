"""Commands as an ordinary user of this machine: who has no right of root's, and who Jupyter then runs as, too.

Run as a program it becomes that user and then the command. Root's home, where Python may lie, is shown to that user as
a folder in which it may walk, by a mount that nobody else sees.
"""

import os
import sys
from pathlib import Path

from skyflo_kernel.sandbox import mounts

_UID = _GID = 65534


def command(*arguments: str) -> list[str]:
    """The command line that runs these as an ordinary user; as they are where this process is one."""
    return [sys.executable, "-P", __file__, *arguments] if os.geteuid() == 0 else list(arguments)


def hand_over(*paths: Path) -> None:
    """Give files or folders to that user."""
    for path in paths:
        if os.geteuid() == 0:
            os.chown(path, _UID, _GID)


def _become() -> None:
    places = {Path(sys.prefix), Path(sys.base_prefix), *(Path(entry) for entry in sys.path if entry)}
    assert mounts.hide(Path("~root").expanduser(), shown=places, denied=())
    os.setgroups([])
    os.setresgid(_GID, _GID, _GID)
    os.setresuid(_UID, _UID, _UID)


if __name__ == "__main__":
    _become()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # its purpose; no shell
