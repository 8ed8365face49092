"""`ledger verify FILE`: an export, or a copy of a record, without a gateway.

A record is copied before it is opened, with its write-ahead log, so that looking at it changes nothing.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path

import msgspec

from skyflo_runbooks.gateway import checkpoints, export, whole
from skyflo_runbooks.gateway.checkpoints import KEY_FILE, Signer
from skyflo_runbooks.gateway.database import SqliteDatabase
from skyflo_runbooks.gateway.export import Report
from skyflo_runbooks.gateway.keys import BYTES
from skyflo_runbooks.gateway.migrations import MIGRATIONS
from skyflo_runbooks.model.errors import BadInput, ExitCode

_SQLITE = b"SQLite format 3\0"
NO_KEY = (
    "No public key was given: who signed this is not known. Give the gateway's with --key ('ledger key' prints it)."
)


def verify(file: Path, keys: list[str]) -> tuple[Report, ExitCode]:
    """Return what verifying a file came to: 0 whole, 11 not whole, 4 whole but by nobody that is known."""
    for key in keys:
        checkpoints.public_bytes(key)
    try:
        begins = file.read_bytes()[: len(_SQLITE)]
    except OSError as error:
        raise BadInput(
            f"{file} cannot be read: {error.strerror}.",
            next_step="Name an export ('skyflo-runbooks ledger export -o FILE') or a gateway.db.",
        ) from None
    record = begins == _SQLITE
    trusted = [*keys, *_beside(file)] if record else keys
    report = _record(file, trusted) if record else export.verify(file.read_bytes(), trusted)
    if trusted:
        return report, ExitCode.DONE if report.ok else ExitCode.FAILED
    left = _without_key(report)
    report = msgspec.structs.replace(report, ok=False, problems=[*left, NO_KEY])
    return report, ExitCode.FAILED if left else ExitCode.UNKNOWN


def _record(file: Path, trusted: list[str]) -> Report:
    with tempfile.TemporaryDirectory(prefix="skyflo-verify-") as folder:
        for name in (file.name, f"{file.name}-wal"):
            if (source := file.with_name(name)).exists():
                shutil.copy(source, Path(folder) / name)
        database = SqliteDatabase(Path(folder) / file.name)
        try:
            with database.opening():
                database.migrate(MIGRATIONS)
            return asyncio.run(whole.verified(database, trusted))
        finally:
            database.close()


def _beside(file: Path) -> list[str]:
    """Return the public half of the key that lies beside a record."""
    key = file.with_name(KEY_FILE)
    try:
        return [Signer(key.parent).public] if len(key.read_bytes()) == BYTES else []
    except OSError:
        return []


def _without_key(report: Report) -> list[str]:
    """Return the problems that do not come of the missing key."""
    return [said for said in report.problems if "the gateway's" not in said]
