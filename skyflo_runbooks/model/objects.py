"""How a Kubernetes object is named.

An object is written `Kind/namespace/name`, or `Kind/name` where it has no namespace.
"""

import re

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at

# RFC 1123 label and subdomain, as the API server validates names.
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
# Names of RBAC objects and a few others may hold more; path separators never.
_PATH_SAFE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9._:]{0,251}[A-Za-z0-9])?")
_PATH_KINDS = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


class ObjectRef(msgspec.Struct, frozen=True, order=True):
    """The name of one object; `api_version` is left empty where the kind alone is meant."""

    kind: str
    name: str
    namespace: str = ""
    api_version: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)

    @classmethod
    def of(cls, manifest: Json) -> "ObjectRef":
        """Return the name of a raw object."""
        return cls(
            kind=str(manifest.get("kind", "")),
            name=str(at(manifest, "metadata", "name", default="")),
            namespace=str(at(manifest, "metadata", "namespace", default="")),
            api_version=str(manifest.get("apiVersion", "")),
        )

    @classmethod
    def parse(cls, text: str) -> "ObjectRef":
        """Read `Kind/namespace/name` or `Kind/name`."""
        parts = text.split("/")
        if len(parts) == 3 and all(parts):
            return cls(kind=parts[0], namespace=parts[1], name=parts[2])
        if len(parts) == 2 and all(parts):
            return cls(kind=parts[0], name=parts[1])
        raise BadInput(f"Expected Kind/namespace/name or Kind/name, got {text!r}.")


def check_name(name: str, *, kind: str = "") -> str:
    """Return `name` if the API server could accept it, else raise `BadInput`.

    Rules: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
    """
    rule = _PATH_SAFE if kind in _PATH_KINDS else _SUBDOMAIN
    if not rule.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} is not a name that Kubernetes accepts.",
            next_step="Names hold lower-case letters, digits, '-' and '.', and begin and end with a letter or digit.",
        )
    return name


def check_namespace(name: str) -> str:
    """Return `name` if it can be the name of a namespace, else raise `BadInput`."""
    if not _LABEL.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} cannot be the name of a namespace.",
            next_step="Namespaces hold lower-case letters, digits and '-', at most 63.",
        )
    return name
