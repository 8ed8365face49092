"""JSON Patch operations with `test`s on what the change relies on. Pure.

Rules:
  1. A value is replaced only together with a `test` of the value that was read; a list's element only together with a
     `test` of its name at that index. Where one no longer holds the API server refuses the whole patch (a bare 422).
  2. Absence cannot be tested in JSON Patch. Where a member is new, its parent is tested as it was read; not `metadata`,
     which moves with every status. What a test cannot say, the compare-and-swap of the resourceVersion says.
"""

import shlex
from collections.abc import Sequence
from typing import Any

import msgspec

from skyflo_mcp.kubernetes.resources import Resource
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import JSON_PATCH, Rendered, Request

Path = tuple[str | int, ...]
Operation = dict[str, Any]


class Target(msgspec.Struct, frozen=True):
    """The object that a change is about: its kind's resource and how it was read."""

    resource: Resource
    manifest: Json

    @property
    def ref(self) -> ObjectRef:
        """The object's full name."""
        return ObjectRef.of(self.manifest)

    @property
    def name(self) -> str:
        """The object's name."""
        return self.ref.name

    @property
    def path(self) -> str:
        """The object's path on the API server."""
        return self.resource.path(self.ref.namespace, self.ref.name)

    @property
    def kubectl_name(self) -> str:
        """`deployment/payment-service`, as kubectl takes it."""
        return f"{self.resource.singular or self.resource.kind.lower()}/{self.ref.name}"

    def patch(self, operations: Sequence[Operation], *, subresource: str = "") -> Request:
        """Return the request that applies `operations`, to a subresource of the object where one is named."""
        path = f"{self.path}/{subresource}" if subresource else self.path
        return Request("patch", self.ref, path, unique(operations), JSON_PATCH)

    def kubectl(self, *words: str) -> str:
        """Return a kubectl line on the object's namespace, quoted for a shell."""
        return kubectl(self.ref.namespace, *words)

    def kubectl_patch(self, operations: Sequence[Operation], *flags: str) -> str:
        """Return the kubectl line of a JSON Patch."""
        body = msgspec.json.encode(unique(operations or same(self.manifest))).decode()
        return self.kubectl("patch", self.kubectl_name, *flags, "--type=json", "-p", body)

    def render(self, operations: Sequence[Operation], *, title: str, equivalent: str, **more: Any) -> Rendered:
        """Return the change that applies `operations`."""
        return Rendered((self.patch(operations or same(self.manifest)),), title=title, equivalent=equivalent, **more)


def kubectl(namespace: str, *words: str) -> str:
    """Return a kubectl line, quoted for a shell; in no namespace where none is given."""
    return shlex.join(("kubectl", *(("-n", namespace) if namespace else ()), *words))


def pointer(path: Path) -> str:
    """Return the JSON Pointer (RFC 6901) of a path."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def holds(path: Path, value: object) -> Operation:
    """The patch holds only while `value` is at `path`."""
    return {"op": "test", "path": pointer(path), "value": value}


def put(manifest: Json, path: Path, value: object) -> list[Operation]:
    """Return the operations that set `path` to `value`, with the test that rules 1 and 2 ask for."""
    parent = at(manifest, *path[:-1])
    if not isinstance(parent, dict | list):
        # The parents are missing too: make them, with the value inside.
        return put(manifest, path[:-1], {path[-1]: value})
    if isinstance(parent, list) or path[-1] in parent:
        was = at(manifest, *path)
        return [holds(path, was), {"op": "replace", "path": pointer(path), "value": value}]
    relied_on = [] if path[:-1] in ((), ("metadata",)) else [holds(path[:-1], parent)]
    return [*relied_on, {"op": "add", "path": pointer(path), "value": value}]


def members(manifest: Json, path: Path, wanted: Json, gone: Sequence[str] = ()) -> list[Operation]:
    """Return the operations that set and take out members of the object at `path`; one that is not there is gone."""
    known = at(manifest, *path)
    if not isinstance(known, dict):
        return [{"op": "add", "path": pointer(path), "value": wanted}] if wanted else []
    changes = [one for key, value in wanted.items() for one in put(manifest, (*path, key), value)]
    return changes + [one for key in gone if key in known for one in drop(manifest, (*path, key))]


def same(manifest: Json) -> list[Operation]:
    """Return operations that change nothing: what is wanted is there already."""
    return [holds(("metadata", "name"), at(manifest, "metadata", "name"))]


def drop(manifest: Json, path: Path) -> list[Operation]:
    """Return the operations that take out what is at `path`."""
    return [holds(path, at(manifest, *path)), {"op": "remove", "path": pointer(path)}]


def unique(operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations with every test in front, each once, so that none sees what another operation did."""
    tests: list[Operation] = []
    for operation in operations:
        if operation["op"] == "test" and operation not in tests:
            tests.append(operation)
    return tests + [operation for operation in operations if operation["op"] != "test"]


def plain(text: str, what: str, *, limit: int = 500) -> str:
    """Return `text` if it is one printable word that cannot be mistaken for an option, else raise `BadInput`."""
    if (
        not text
        or len(text) > limit
        or text.startswith("-")
        or not text.isprintable()
        or any(c.isspace() for c in text)
    ):
        raise BadInput(
            f"{text[:80]!r} cannot be {what}.",
            next_step="One word without spaces or control characters is expected, not beginning with '-'.",
        )
    return text
