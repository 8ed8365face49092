"""Who changed an object when, in little: what a list keeps of managedFields where it is asked for. Pure.

managedFields are half of what a list weighs. Kept is of each entry who, when and how, and the names of the fields two
levels deep; no entry of a subresource (controllers write status all the time), and none that owns metadata alone.
"""

from skyflo_runbooks.model.json import Json, at

_KEPT = ("manager", "operation", "time")
_METADATA = "f:metadata"


def writers(entries: object) -> list[Json]:
    """Return the entries of managedFields by the rules above; what is no list of them has none."""
    found = [_entry(one) for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    return [one for one in found if one is not None]


def _entry(entry: Json) -> Json | None:
    owned = at(entry, "fieldsV1", default={})
    if entry.get("subresource") or not isinstance(owned, dict):
        return None
    fields = {
        name: inner if name == _METADATA else {key: {} for key in inner} if isinstance(inner, dict) else {}
        for name, inner in owned.items()
        if name != "f:status"
    }
    if set(fields) <= {_METADATA}:
        return None
    return {name: entry[name] for name in _KEPT if name in entry} | {"fieldsV1": fields}


__all__ = ["writers"]
