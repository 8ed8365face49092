"""Label and field selectors, as strings of a query and as objects of a spec.

Sources: k8s.io/apimachinery/pkg/labels/selector.go and pkg/fields; the fields each kind can be selected by are those
of the real server (pods by phase and node, events by what they are about), any other is refused by name.
"""

import re
from collections.abc import Callable

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import errors
from skyflo_runbooks.practice.kinds import Kind

_SET = re.compile(r"\s*(!?[A-Za-z0-9._/-]+)\s+(in|notin)\s*\(([^)]*)\)\s*")
_EQUAL = re.compile(r"\s*([A-Za-z0-9._/-]+)\s*(==|=|!=)\s*([A-Za-z0-9._-]*)\s*")
_EXISTS = re.compile(r"\s*(!?)\s*([A-Za-z0-9._/-]+)\s*")
_SPLIT = re.compile(r",(?![^()]*\))")

Match = Callable[[Json], bool]

_FIELDS: dict[str, tuple[str, ...]] = {
    "Pod": ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase"),
    "Event": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "Secret": ("type",),
    "Node": ("spec.unschedulable",),
    "Namespace": ("status.phase",),
    "Job": ("status.successful",),
    "ReplicaSet": ("status.replicas",),
}


def labels_of(obj: Json) -> dict[str, str]:
    """Return the object's labels."""
    found: dict[str, str] = at(obj, "metadata", "labels", default={})
    return found


def by_labels(text: str) -> Match:
    """Return a test for a label selector of a query."""
    terms = [_label_term(part) for part in _SPLIT.split(text) if part.strip()]
    return lambda obj: all(term(labels_of(obj)) for term in terms)


def _label_term(text: str) -> Callable[[dict[str, str]], bool]:
    if match := _SET.fullmatch(text):
        key, operator, listed = match.groups()
        values = {item.strip() for item in listed.split(",")}
        return (
            (lambda found: found.get(key) in values)
            if operator == "in"
            else (lambda found: found.get(key) not in values)
        )
    if match := _EQUAL.fullmatch(text):
        key, operator, value = match.groups()
        return (lambda found: found.get(key) != value) if operator == "!=" else (lambda found: found.get(key) == value)
    if match := _EXISTS.fullmatch(text):
        absent, key = match.groups()
        return (lambda found: key not in found) if absent else (lambda found: key in found)
    raise errors.bad_request(f"unable to parse requirement: found '{text.strip()}', expected: in, notin, =, ==, !=, !")


def by_fields(kind: Kind, text: str) -> Match:
    """Return a test for a field selector of a query."""
    terms = [_field_term(kind, part.strip()) for part in text.split(",") if part.strip()]
    return lambda obj: all(term(obj) for term in terms)


def _field_term(kind: Kind, text: str) -> Match:
    match = re.fullmatch(r"([A-Za-z.]+)(==|=|!=)(.*)", text)
    if not match:
        raise errors.bad_request(f"invalid selector: '{text}'; can't understand '{text}'")
    path, operator, value = match.groups()
    if path not in ("metadata.name", "metadata.namespace", *_FIELDS.get(kind.kind, ())):
        raise errors.bad_request(f"field label not supported: {path}")
    equal = operator != "!="
    return lambda obj: (_field(obj, path) == value) is equal


def _field(obj: Json, path: str) -> str:
    if path == "source":
        return str(at(obj, "source", "component", default="") or obj.get("reportingComponent", ""))
    value = at(obj, *path.split("."), default="")
    return str(value).lower() if isinstance(value, bool) else str(value)


def selects(selector: Json | None, labels: dict[str, str]) -> bool:
    """Return whether a `LabelSelector` of a spec matches; a missing one matches nothing."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _expression(item, labels) for item in selector.get("matchExpressions", [])
    )


def _expression(item: Json, labels: dict[str, str]) -> bool:
    key, values = item["key"], item.get("values", [])
    match item["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def plain_selects(selector: dict[str, str] | None, labels: dict[str, str]) -> bool:
    """Return whether a Service's selector matches; an empty one matches nothing."""
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())
