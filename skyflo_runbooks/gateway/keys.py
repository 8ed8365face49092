"""The gateway's own keys: 32 bytes each, in files of mode 0600 in the data directory.

A key is written whole before it has its name: a process that is killed in between leaves no half key.
"""

import os
import secrets
from pathlib import Path

from skyflo_runbooks.model.errors import BadInput

BYTES = 32


def key_file(directory: Path, name: str) -> bytes:
    """Return the key in `directory/name`, made on first use."""
    path = directory / name
    if not path.exists():
        _write(path, secrets.token_bytes(BYTES))
    key = path.read_bytes()
    if len(key) != BYTES:
        raise BadInput(
            f"The key file {path} holds {len(key)} bytes, expected {BYTES}.", next_step="Restore it from a backup."
        )
    return key


def _write(path: Path, key: bytes) -> None:
    made = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(made, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)
