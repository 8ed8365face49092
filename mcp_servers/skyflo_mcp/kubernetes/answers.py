"""The forms in which read tools answer. Pure.

Rules:
  1. A table is `{"columns": […], "rows": [[…]], "count": …}`; times are RFC 3339 in UTC. What is not known is null, and
     an answer that lacks something says so in `unknown`.
  2. What is cut says so: `more` is true, and `next` says how to get the rest.
  3. Text in YAML is made last of all (`presented`), after the gateway has masked what it is made of: a secret is found
     by its name in an object, and not in a text.
"""

from collections.abc import Sequence
from datetime import datetime

from skyflo_mcp.kubernetes.client import Value
from skyflo_runbooks.model.json import Json

_AS_YAML = "yaml"


def table(columns: Sequence[str], rows: Sequence[Sequence[Value]], **more: object) -> Json:
    """Return a table, with whatever else the answer says."""
    return {**more, "columns": list(columns), "rows": [list(row) for row in rows], "count": len(rows)}


def stamp(when: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ") if when else None


def cut(more: bool, how: str) -> Json:
    """Return the members that say whether an answer is cut and, where it is, how to get the rest."""
    return {"more": True, "next": how} if more else {"more": False}


def as_yaml(objects: Sequence[Json], **more: object) -> Json:
    """Return an answer that `presented` makes YAML of."""
    return {**more, "output": _AS_YAML, "objects": list(objects)}


def presented(answer: Json) -> Json:
    """Return an answer as it is shown: one that asks for it with its objects as YAML, any other as it is."""
    if answer.get("output") != _AS_YAML or not isinstance(answer.get("objects"), list):
        return answer
    import yaml

    text = yaml.safe_dump_all(answer["objects"], sort_keys=False, allow_unicode=True, width=120)
    return {key: value for key, value in answer.items() if key != "objects"} | {_AS_YAML: text}
