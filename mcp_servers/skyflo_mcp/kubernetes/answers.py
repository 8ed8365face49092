"""The forms in which read tools answer. Pure.

A table is `{"columns": […], "rows": [[…]], "count": …}`; times are RFC 3339 in UTC. What is not known is null, and an
answer that lacks something says so in `unknown`.
"""

from collections.abc import Sequence
from datetime import datetime

from skyflo_mcp.kubernetes.client import Value
from skyflo_runbooks.model.json import Json


def table(columns: Sequence[str], rows: Sequence[Sequence[Value]], **more: object) -> Json:
    """Return a table, with whatever else the answer says."""
    return {**more, "columns": list(columns), "rows": [list(row) for row in rows], "count": len(rows)}


def stamp(when: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ") if when else None
