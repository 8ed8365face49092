"""Hiding folders from another user by mounts of its own.

Rules:
  1. Root's home is hidden whole, because Python often lies in it; what Jupyter needs of it is shown again, read-only
     by its own permissions.
  2. Each denied path is hidden, whatever its permissions say.
  3. Where the machine gives no mounts (a container without that right), permissions alone must do; the check before
     the start says whether they do.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from skyflo_kernel.sandbox import syscalls


def hide(home: Path, *, shown: Iterable[Path], denied: Iterable[Path]) -> bool:
    """Hide `home` but for `shown`, and each of `denied`. False where this process may not mount."""
    try:
        syscalls.private_mounts()
    except OSError:
        return False
    inside = outermost(path.resolve() for path in shown if home in path.resolve().parents)
    if home != Path("/"):
        _replace(home, inside)
    for path in denied:
        if path.is_dir():
            _cover(path)
        elif path.exists():
            syscalls.mount("/dev/null", str(path), "", syscalls.MS_BIND)
    return True


def outermost(paths: Iterable[Path]) -> list[Path]:
    """The paths that lie in none of the others, so that each is shown once."""
    found: list[Path] = []
    for path in sorted(set(paths), key=lambda it: len(it.parts)):
        if path.exists() and not any(above in path.parents for above in found):
            found.append(path)
    return found


def _replace(home: Path, inside: list[Path]) -> None:
    """Put an empty folder over `home` and show `inside` again at the same places."""
    import os

    handles = [os.open(path, os.O_PATH | os.O_CLOEXEC) for path in inside]
    _cover(home)
    for path, handle in zip(inside, handles, strict=True):
        source = f"/proc/self/fd/{handle}"
        if Path(source).is_dir():
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        syscalls.mount(source, str(path), "", syscalls.MS_BIND | syscalls.MS_REC)
        os.close(handle)


def _cover(folder: Path) -> None:
    syscalls.mount("tmpfs", str(folder), "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=1m")
