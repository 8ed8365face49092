"""What an object shows of who wrote it: the field managers of our own writes. Pure.

Rules:
  1. A creation and a patch are written by a field manager that is named after their attempt, so that our own write is
     known when its answer was lost.
  2. A server-side apply is written by one manager that stays the same, `skyflo`: only then does the server take out a
     field that an earlier apply had and this one has not, and say what other managers own. Which attempt it was is told
     by what moved since (`looking`).
"""

from datetime import datetime

from skyflo_mcp.kubernetes.sending import APPLIER

from skyflo_runbooks.model.digest import sha256
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Request

DRY_MANAGER = "skyflo-dry-run"
_PREFIX = "skyflo-"


def manager(attempt: str) -> str:
    """Return the field manager of an attempt's creations and patches."""
    return f"{_PREFIX}{attempt}"


def writer(request: Request, attempt: str) -> str:
    """Return the field manager that the object shows after an attempt's request."""
    return APPLIER if request.verb == "apply" else manager(attempt)


def entries(manifest: Json | None) -> list[Json]:
    """Return the object's managedFields."""
    found: list[Json] = at(manifest, "metadata", "managedFields", default=[])
    return found


def managers(manifest: Json | None) -> set[str]:
    """Return the field managers that the object knows."""
    return {str(entry.get("manager")) for entry in entries(manifest)}


def writers(manifest: Json | None) -> set[str]:
    """Return the field managers of the object itself, its status left aside."""
    return {str(entry.get("manager")) for entry in entries(manifest) if entry.get("subresource") != "status"}


def grip(manifest: Json | None) -> Json:
    """Return what an object shows before a write: its version, and a digest of our manager's entry (for an apply)."""
    ours = [one for one in entries(manifest) if (one.get("manager"), one.get("operation")) == (APPLIER, "Apply")]
    version = str(at(manifest, "metadata", "resourceVersion", default=""))
    return {"resource_version": version, "applied": sha256(ours) if ours else ""}


def written_at(manifest: Json | None, by: str) -> datetime | None:
    """Return when the object says that this manager wrote it last."""
    times = [str(entry["time"]) for entry in entries(manifest) if entry.get("manager") == by and entry.get("time")]
    return datetime.fromisoformat(max(times)) if times else None


def last_writer(manifest: Json | None) -> str:
    """Return in words who wrote last, as far as managedFields says; status left aside."""
    found = [entry for entry in entries(manifest) if entry.get("subresource") != "status"]
    last = max(found, key=lambda entry: str(entry.get("time", "")), default=None)
    if last is None:
        return ""
    name = str(last.get("manager"))
    who = (
        f"another change of this gateway's, {name.removeprefix(_PREFIX)}" if name.startswith(f"{_PREFIX}at-") else name
    )
    return f" (last writer: {who}, {last.get('time')})"
