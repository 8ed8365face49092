"""Garbage: dependents whose owner is gone, the contents of a namespace on its way out.

Source: https://kubernetes.io/docs/concepts/architecture/garbage-collection/ (background deletion; foreground is
played as background).
"""

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.controllers.common import MANAGER, delete_pod
from skyflo_runbooks.practice.kinds import ENDPOINTS, KINDS, NAMESPACE, POD
from skyflo_runbooks.practice.store import Store, clone, key_of


def collect(store: Store, owner: Json) -> None:
    """Delete what only `owner`, which is gone, had owned."""
    uid = owner["metadata"]["uid"]
    namespace = owner["metadata"].get("namespace", "")
    if owner["kind"] == "Service" and store.find(ENDPOINTS, *key_of(owner)) is not None:
        store.remove(ENDPOINTS, *key_of(owner))
    for kind in KINDS:
        for obj in store.list(kind, namespace if kind.namespaced else ""):
            references = obj["metadata"].get("ownerReferences", [])
            if not any(ref["uid"] == uid for ref in references):
                continue
            rest = [ref for ref in references if ref["uid"] != uid]
            if rest:
                changed = clone(obj)
                changed["metadata"]["ownerReferences"] = rest
                store.update(kind, changed, MANAGER)
            elif kind is POD:
                delete_pod(store, obj)
            else:
                store.remove(kind, *key_of(obj))


def empty(store: Store, namespace: Json) -> None:
    """Take a terminating namespace's objects away, and then itself."""
    if not namespace["metadata"].get("deletionTimestamp"):
        return
    name = namespace["metadata"]["name"]
    left = False
    for kind in KINDS:
        for obj in store.list(kind, name) if kind.namespaced else []:
            if kind is POD and obj.get("spec", {}).get("nodeName"):
                left = True
                delete_pod(store, obj)
            elif store.find(kind, *key_of(obj)) is not None:
                store.remove(kind, *key_of(obj))
    if not left:
        store.remove(NAMESPACE, "", name)
