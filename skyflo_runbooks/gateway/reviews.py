"""What Kubernetes lets an approver do: a SubjectAccessReview for each request of a change.

Rules:
  1. Each request is asked about as the API server would authorize it: its verb, group, resource, subresource, namespace
     and name, read from the path that is going to be sent.
  2. A server-side apply may create as well, so both are asked about. What runs in a container is `create` of
     `pods/exec`.
  3. A review that is refused, fails or does not answer is a no, and says so.
"""

import asyncio
from collections.abc import Sequence

import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.reviewing import Attributes, Subject

from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.request import Request, Verb

_VERBS: dict[Verb, tuple[str, ...]] = {
    "create": ("create",),
    "patch": ("patch",),
    "apply": ("patch", "create"),
    "delete": ("delete",),
    "evict": ("create",),
    "run": ("create",),
}


async def refusals(cluster: Cluster, requests: Sequence[Request], subject: Subject) -> tuple[str, ...]:
    """Return what Kubernetes refuses `subject` of these requests, in sentences; nothing where it allows them all."""
    wanted = dict.fromkeys(attributes for request in requests for attributes in asked(request))
    found = await asyncio.gather(*(_refusal(cluster, one, subject) for one in wanted))
    return tuple(said for said in found if said)


def asked(request: Request) -> tuple[Attributes, ...]:
    """Return what is asked about one request, by rules 1 and 2."""
    place = read_path(request)
    if request.verb in ("evict", "run") and not place.subresource:
        place = msgspec.structs.replace(place, subresource="eviction" if request.verb == "evict" else "exec")
    return tuple(msgspec.structs.replace(place, verb=verb) for verb in _VERBS[request.verb])


def read_path(request: Request) -> Attributes:
    """Return group, resource, subresource, namespace and name of a request's path."""
    parts = request.path.partition("?")[0].strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest, "", "")[:3]
    return Attributes(
        verb="",
        group=group,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name or ("" if request.verb == "create" else request.target.name),
    )


async def _refusal(cluster: Cluster, attributes: Attributes, subject: Subject) -> str:
    try:
        review = await cluster.review(attributes, subject)
    except SkyfloError as error:
        return f"whether {subject.user} may {attributes} could not be asked ({error.message.rstrip('.')})"
    if review.allowed:
        return ""
    return f"{subject.user} may not {attributes}" + (f" ({review.reason})" if review.reason else "")
