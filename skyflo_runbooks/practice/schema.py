"""Which fields each kind has, and of which type: what the real server's decoder knows.

`fields.json` lists the types behind the kinds served here, as the `kubernetes` package declares them (a test keeps
the two equal). Rules: a value of the wrong type is a 400; an unknown field is dropped with a warning, or refused
where the client asked for `fieldValidation=Strict`; null means absent.
"""

import json
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import errors, quantities
from skyflo_runbooks.practice.kinds import Kind

_QUANTITY_MAPS = {"limits", "requests", "hard", "used", "capacity", "allocatable", "overhead", "default"}
_QUANTITY_MAPS |= {"defaultRequest", "max", "min", "maxLimitRequestRatio", "allocatedResources"}
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "bytes": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
}
_GO_TYPES = {"str": "string", "bytes": "[]uint8", "int": "int32", "bool": "bool", "float": "float64"}


@cache
def fields() -> dict[str, dict[str, str]]:
    """Return the table: type name to its fields' types."""
    text = (resources.files("skyflo_runbooks.practice") / "fields.json").read_text()
    table: dict[str, dict[str, str]] = json.loads(text)
    return table


@dataclass
class Decoded:
    """An object as the server read it; `unknown` holds the paths of fields it does not have."""

    value: Json
    unknown: list[str] = field(default_factory=list)


def decode(kind: Kind, body: Json) -> Decoded:
    """Return `body` without unknown and null fields and with quantities in canonical form."""
    result = Decoded({})
    reader = _Reader(kind.kind, result.unknown)
    result.value = reader.struct(kind.model, body, "")
    return result


class _Reader:
    def __init__(self, kind: str, unknown: list[str]) -> None:
        self.kind = kind
        self.unknown = unknown
        # The Go struct whose field is being read, as the decoder's errors name it.
        self.holder = kind

    def struct(self, model: str, value: Any, path: str) -> Json:
        if not isinstance(value, dict):
            raise self.mismatch(value, path, f"v1.{model.removeprefix('V1')}")
        known, outer = fields()[model], self.holder
        self.holder = model.removeprefix("V1")
        out: Json = {}
        for name, item in value.items():
            where = f"{path}.{name}" if path else name
            if name not in known:
                self.unknown.append(where)
            elif item is not None:
                out[name] = self.read(known[name], item, where, name)
        self.holder = outer
        return out

    def read(self, kind: str, value: Any, path: str, name: str) -> Any:
        if kind.startswith("["):
            if not isinstance(value, list):
                raise self.mismatch(value, path, "[]" + kind[1:-1])
            return [self.read(kind[1:-1], item, f"{path}[{i}]", "") for i, item in enumerate(value)]
        if kind.startswith("{"):
            if not isinstance(value, dict):
                raise self.mismatch(value, path, "map")
            inner = "quantity" if name in _QUANTITY_MAPS else kind[1:-1]
            return {key: self.read(inner, item, f"{path}.{key}", "") for key, item in value.items() if item is not None}
        if kind == "quantity":
            return self.quantity(value)
        if kind in _PLAIN:
            return self.plain(kind, value, path)
        if kind in {"object", "datetime"}:
            return value
        return self.struct(kind, value, path)

    def plain(self, kind: str, value: Any, path: str) -> Any:
        if not isinstance(value, _PLAIN[kind]) or (kind != "bool" and isinstance(value, bool)):
            raise self.mismatch(value, path, _GO_TYPES[kind])
        return value

    def quantity(self, value: Any) -> str:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise self.bad_quantity()
        try:
            return quantities.canonical(str(value))
        except BadInput as wrong:
            raise self.bad_quantity() from wrong

    def bad_quantity(self) -> errors.ApiError:
        rule = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
        return errors.bad_request(
            f'{self.kind} in version "v1" cannot be handled as a {self.kind}: '
            f"quantities must match the regular expression '{rule}'"
        )

    def mismatch(self, value: Any, path: str, expected: str) -> errors.ApiError:
        got = {dict: "object", list: "array", str: "string", bool: "bool"}.get(type(value), "number")
        return errors.bad_request(
            f'{self.kind} in version "v1" cannot be handled as a {self.kind}: json: cannot unmarshal {got} '
            f"into Go struct field {self.holder}.{path} of type {expected}"
        )
