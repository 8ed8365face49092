"""What a change tool renders: the exact requests, before anything is sent.

A tool never sends a write. It returns a `Rendered` change; the gateway dry-runs it, shows it, has it approved,
and sends it.
"""

from typing import Any, Literal

import msgspec

from skyflo_runbooks.model.objects import ObjectRef

Verb = Literal["create", "patch", "apply", "delete", "evict", "run"]
Preview = Literal["server", "later", "none"]
# The verbs that leave an object behind, whose state can be compared.
LEAVING: tuple[Verb, ...] = ("create", "patch", "apply")
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


class Request(msgspec.Struct, frozen=True):
    """One write to the Kubernetes API.

    `target` is the object that changes, also where `path` leads to a subresource of it (`…/pods/web-0/eviction`);
    `path` is the resource's path on the API server (`/apis/apps/v1/namespaces/checkout/deployments/payment-service`,
    for a creation the collection's). What `body` is depends on the verb:

    - `create`: the manifest.
    - `patch`: the patch, of `content_type`. It carries `test` operations, or another form with preconditions, on what
      it relies on.
    - `apply`: the manifest of a server-side apply; the object may be there already or not.
    - `delete`: the DeleteOptions.
    - `evict`: the Eviction of a pod.
    - `run`: what is run in a container, `{"container", "command": [argv]}`. Nothing can preview that.

    `preview` says how the server can say beforehand what it would do: `server` by a dry run; `later` not before the
    requests ahead of it in its list were applied (an object in a namespace that is created first); `none` not at all.
    `force` lets an `apply` take fields that another field manager owns; without it that is a conflict.
    """

    verb: Verb
    target: ObjectRef
    path: str
    body: Any
    content_type: str = "application/json"
    preview: Preview = "server"
    force: bool = False

    @property
    def place(self) -> tuple[str, str, str]:
        """Return namespace, name (of a creation: none) and subresource, as `path` says them."""
        parts = self.path.strip("/").split("/")
        parts = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = ""
        if parts[:1] == ["namespaces"] and len(parts) > 2 and self.target.kind != "Namespace":
            namespace, parts = parts[1], parts[2:]
        return namespace, "/".join(parts[1:2]), "/".join(parts[2:])

    @property
    def subresource(self) -> str:
        """Return the subresource that `path` leads to, as in `…/pods/web-0/eviction`; nothing for the object itself."""
        return self.place[2]


class Rendered(msgspec.Struct, frozen=True):
    """A change as its tool understands it: requests in order, a title, and the same thing as a kubectl line.

    `irreversible` says in words why there is no way back, where there is none.
    """

    requests: tuple[Request, ...]
    title: str
    equivalent: str
    irreversible: str = ""
    notes: tuple[str, ...] = ()
