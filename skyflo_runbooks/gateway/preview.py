"""What can be seen of a request before it is sent: by dry runs, or as far as what it asks for says it.

Rules:
  1. A creation, a patch and an apply are dry-run twice, so that what differs between two answers is known. A deletion
     and an eviction are dry-run once, to hear what admission says.
  2. What the server refuses in a dry run it would refuse in earnest: that ends the proposal. Two answers do not: a
     webhook that takes no part in dry runs (then nothing is previewed at all), and a disruption budget that lets a pod
     not go at this moment.
  3. An apply that may take fields from others is dry-run once more without that, to hear whose they are.
  4. Where there is no dry run, what is shown is computed from what is asked for, as far as it goes, and what is not
     known is said.
"""

import copy
import re

import jsonpatch
import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import BadRequest, Conflict, TooMany

from skyflo_runbooks.gateway import traces
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import JSON_PATCH, LEAVING, MERGE_PATCH, Request

# What the API server says of a webhook whose side effects it cannot leave out
# (k8s.io/apiserver/pkg/admission/plugin/webhook/errors).
_NO_DRY_RUN = re.compile(r'admission webhook "([^"]{1,253})" does not support dry run')


class Preview(msgspec.Struct, frozen=True):
    """The request as far as it could be previewed, what would be left (of a deletion: nothing), and what is not known.

    `again` is the second answer, where there were two; `taken` are the fields that an apply takes from others.
    """

    request: Request
    left: Json | None = None
    again: Json | None = None
    warnings: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()


def seen(request: Request) -> bool:
    """Return whether a dry run says what the request leaves."""
    return request.preview == "server" and request.verb in LEAVING


async def dry_run(cluster: Cluster, request: Request, now: Json | None) -> tuple[Json | None, tuple[str, ...]]:
    """Return the object as the request would leave it (of a deletion or an eviction: nothing), and warnings."""
    sent = await cluster.send(request, dry_run=True, field_manager=traces.DRY_MANAGER)
    return left_by(request, now, sent.object), sent.warnings


def left_by(request: Request, now: Json | None, answer: Json) -> Json | None:
    """Return the object that an answer leaves; of `…/scale`, whose answer is a Scale, with its replicas."""
    if request.verb not in LEAVING:
        return None
    if request.subresource != "scale":
        return answer
    if now is None or at(now, "spec", "replicas") is None:
        raise BadInput(f"{request.target} keeps its replicas elsewhere.", next_step="Patch the field itself.")
    metadata = {**now["metadata"], **at(answer, "metadata", default={})}
    return {**now, "metadata": metadata, "spec": {**now["spec"], "replicas": at(answer, "spec", "replicas", default=0)}}


async def preview(cluster: Cluster, request: Request, now: Json | None) -> Preview:
    """Return what can be seen of a request beforehand; what admission refuses is raised."""
    target = request.target
    if request.preview == "later":
        # The card says it once for all of them (`model.part.previews`).
        return Preview(request, asked(request, now))
    if request.preview == "none":
        said = (
            f"what is run in {target} cannot be tried beforehand" if request.verb == "run" else f"{target}: no dry run"
        )
        return Preview(request, asked(request, now), unknown=(said,))
    try:
        left, warnings = await dry_run(cluster, request, now)
        again = (await dry_run(cluster, request, now))[0] if left is not None else None
        taken = await _taken(cluster, request, now)
    except BadRequest as error:
        name = webhook(error)
        if not name:
            raise
        blind = msgspec.structs.replace(request, preview="none")
        said = f"admission webhook {name} takes no part in dry runs: what it would make of {target} is not known"
        return Preview(blind, asked(request, now), unknown=(said,))
    except TooMany as error:
        if request.verb != "evict":
            raise
        return Preview(request, unknown=(f"{target} may not go at this moment: {error.message}",))
    except Conflict as error:
        if request.verb == "apply" and fields_of_others(error):
            error.next_step = "Leave these fields out, or apply with force to take them."
        raise
    return Preview(request, left, again, warnings, taken=taken)


async def _taken(cluster: Cluster, request: Request, now: Json | None) -> tuple[str, ...]:
    """Return whose fields an apply takes, by rule 3."""
    if request.verb != "apply" or not request.force:
        return ()
    try:
        await dry_run(cluster, msgspec.structs.replace(request, force=False), now)
    except Conflict as error:
        return fields_of_others(error)
    return ()


def fields_of_others(error: Conflict) -> tuple[str, ...]:
    """Return in words which fields of an apply other field managers own with another value."""
    causes = at(error.body, "details", "causes", default=[])
    found = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    return tuple(
        f"{cause.get('field')} ({str(cause.get('message')).removeprefix('conflict with ')})" for cause in found
    )


def webhook(error: BadRequest) -> str:
    """Return the name of the webhook that does not take part in dry runs, if that is what the server says."""
    found = _NO_DRY_RUN.search(error.message)
    return found[1] if found else ""


def asked(request: Request, now: Json | None) -> Json | None:
    """Return what a request asks for on the object as it is `now`; None where that takes a server to tell."""
    if request.verb not in LEAVING:
        return None
    if now is None:
        return copy.deepcopy(request.body) if request.verb in ("create", "apply") else None
    if request.content_type == JSON_PATCH:
        try:
            patched: Json = jsonpatch.apply_patch(copy.deepcopy(now), request.body)
        except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException):
            raise BadInput(
                f"The patch does not fit {request.target} as it is.", next_step="Read it again, and write it anew."
            ) from None
        return patched
    return merged(now, request.body) if request.content_type == MERGE_PATCH else None


def merged(now: Json, patch: Json) -> Json:
    """Return `now` with a merge patch (RFC 7386) applied."""
    made = copy.deepcopy(now)
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            held = made.get(key)
            made[key] = merged(held if isinstance(held, dict) else {}, value)
        else:
            made[key] = copy.deepcopy(value)
    return made
