"""k8s_label and k8s_annotate: labels and annotations of any object.

What is to be removed and is not there is gone already; a note says so, because it may be a misspelling.
"""

import re
from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.request import Rendered

Texts = Annotated[dict[str, str], Meta(description='Value by key, as in {"team": "shop"}.', max_length=100)]
Keys = Annotated[list[str], Meta(description="Keys to remove.", max_length=100)]

# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?){0,120}/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LARGEST = 256 * 1024
_OF_KUBECTL = "kubectl.kubernetes.io/last-applied-configuration"


async def k8s_label(
    cluster: Cluster,
    *,
    kind: str,
    name: str,
    namespace: str | None = None,
    set: Texts | None = None,  # noqa: A002  (as k8s_set_env)
    remove: Keys | None = None,
) -> Rendered:
    """Set or remove labels of any object."""
    for key, value in (set or {}).items():
        label_value(value, key)
    return await _render(cluster, "label", (kind, namespace or "", name), set or {}, remove or [])


async def k8s_annotate(
    cluster: Cluster,
    *,
    kind: str,
    name: str,
    namespace: str | None = None,
    set: Texts | None = None,  # noqa: A002
    remove: Keys | None = None,
) -> Rendered:
    """Set or remove annotations of any object."""
    if sum(len(text.encode()) for text in (set or {}).values()) > _LARGEST:
        raise BadInput(f"The annotations are larger than {_LARGEST // 1024} KiB, and no object holds so much.")
    for key, value in (set or {}).items():
        if "\0" in value:
            raise BadInput(f"The value of {key[:80]} holds a NUL.")
    if _OF_KUBECTL in (*(set or {}), *(remove or [])):
        raise BadInput(f"{_OF_KUBECTL} is kubectl's own copy of the object.", next_step="Change the object itself.")
    return await _render(cluster, "annotate", (kind, namespace or "", name), set or {}, remove or [])


def label_key(key: str) -> str:
    """Return `key` if a label, an annotation or a taint may have it, else raise `BadInput`."""
    if len(key.partition("/")[0]) > 253 or not _KEY.fullmatch(key):
        raise BadInput(
            f"{key[:80]!r} cannot be the key of a label.",
            next_step="Letters, digits, '-', '_' and '.' are expected, at most 63, and a domain and '/' before them.",
        )
    return key


def label_value(value: str, key: str) -> str:
    """Return `value` if a label or a taint may have it, else raise `BadInput`."""
    if not _VALUE.fullmatch(value):
        raise BadInput(
            f"{key[:80]}: {value[:80]!r} cannot be the value of a label.",
            next_step="At most 63 letters, digits, '-', '_' and '.' are expected, a letter or digit first and last.",
        )
    return value


async def _render(
    cluster: Cluster, verb: str, where: tuple[str, str, str], wanted: dict[str, str], remove: list[str]
) -> Rendered:
    gone = list(dict.fromkeys(remove))
    if not wanted and not gone:
        raise BadInput("Nothing to set.", next_step='Give set or remove, as in set={"team": "shop"}.')
    for key in (*wanted, *gone):
        label_key(key)
    if both := sorted(wanted.keys() & gone):
        raise BadInput(f"{both[0]!r} is to be set and removed at once.")
    found = await target.read(cluster, *where)
    member = "labels" if verb == "label" else "annotations"
    known = at(found.manifest, "metadata", member, default={})
    # An annotation may be a page long; the diff shows it.
    said = [f"{key}={value}" if verb == "label" else key for key, value in wanted.items()]
    pairs = [f"{key}={value}" for key, value in wanted.items()]
    return found.render(
        operations.members(found.manifest, ("metadata", member), wanted, gone),
        title=f"{found.kubectl_name}: {verb} {', '.join([*said, *(f'without {key}' for key in gone)])}",
        equivalent=found.kubectl(verb, "--overwrite", found.kubectl_name, *pairs, *(f"{key}-" for key in gone)),
        notes=tuple(f"{found.ref} has no {member[:-1]} {key}." for key in gone if key not in known),
    )
