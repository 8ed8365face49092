"""The digest of a runbook: what its cells say, and nothing of what they answered.

It covers the type and the source of each cell in order, and with the parameters cell the defaults. It does not cover
outputs, papermill's injected cell and error marks, metadata, or itself. So a run of a runbook has the runbook's digest.
"""

from skyflo_runbooks.model.digest import Digest, sha256
from skyflo_runbooks.model.json import Json, at

SCHEMA = "skyflo.dev/runbook/v1"
INJECTED = "injected-parameters"
_ERROR_MARK = "papermill-error-cell-tag"


def tags(cell: Json) -> list[str]:
    """Return a cell's tags."""
    found = at(cell, "metadata", "tags", default=[])
    return [str(tag) for tag in found] if isinstance(found, list) else []


def source(cell: Json) -> str:
    """Return a cell's source; nbformat allows a text or a list of lines."""
    said = cell.get("source", "")
    return "".join(said) if isinstance(said, list) else str(said)


def is_foreign(cell: Json) -> bool:
    """Whether papermill put this cell in."""
    return bool({INJECTED, _ERROR_MARK} & set(tags(cell)))


def runbook_digest(notebook: Json) -> Digest:
    """Return the digest of a notebook's cells."""
    cells = [
        {"type": str(cell.get("cell_type", "")), "source": source(cell).rstrip("\n")}
        for cell in notebook.get("cells", [])
        if not is_foreign(cell)
    ]
    return sha256({"schema": SCHEMA, "cells": cells})
