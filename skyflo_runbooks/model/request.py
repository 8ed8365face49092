"""What a change tool renders: the exact requests, before anything is sent.

A tool never sends a write. It returns a `Rendered` change; the gateway dry-runs it, shows it, has it approved,
and sends it.
"""

from typing import Any, Literal

import msgspec

from skyflo_runbooks.model.objects import ObjectRef

Verb = Literal["create", "patch", "delete"]
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"


class Request(msgspec.Struct, frozen=True):
    """One write to the Kubernetes API.

    `path` is the resource's path on the API server (`/apis/apps/v1/namespaces/checkout/deployments/payment-service`,
    for a creation the collection's). `body` is the manifest of a creation, the patch of a patch, the DeleteOptions of
    a deletion. A patch carries `test` operations, or another form with preconditions, on what it relies on.
    """

    verb: Verb
    target: ObjectRef
    path: str
    body: Any
    content_type: str = "application/json"


class Rendered(msgspec.Struct, frozen=True):
    """A change as its tool understands it: requests in order, a title, and the same thing as a kubectl line.

    `irreversible` says in words why there is no way back, where there is none. `restarts_pods` tells that the change
    replaces the pods of a workload.
    """

    requests: tuple[Request, ...]
    title: str
    equivalent: str
    irreversible: str = ""
    notes: tuple[str, ...] = ()
