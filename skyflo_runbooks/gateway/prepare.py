"""From rendered requests to what can be approved: live state, dry run, diff, digests, way back.

Rules:
  1. What two dry runs answer differently (`preview`) is left out of the digest and named.
  2. Where no dry run can say what is left (`model.digest`, rule 6) the digest holds the body that is sent, and what is
     not known is said.
  3. The desired-state digest leaves out what a known controller owns and the change does not touch (`owned`).
  4. A request is about the object that its target names, and about nothing else: its path and its body must say the
     same. `…/status` is never written.
  5. The way back is made and tried beforehand (`ways`).
  6. The secret values of the object are learnt before the cluster is asked about them: its answer may quote one.
"""

import asyncio
from collections.abc import Callable

import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import NotFound

from skyflo_runbooks.gateway import diff, impact, ways
from skyflo_runbooks.gateway.impact import Change, Scene
from skyflo_runbooks.gateway.owned import by_controllers
from skyflo_runbooks.gateway.preview import Preview, asked, preview, seen
from skyflo_runbooks.gateway.ways import Way
from skyflo_runbooks.model.digest import (
    BoundRequest,
    Digest,
    body_state,
    desired_state,
    sent_digest,
    sha256,
    unstable_paths,
)
from skyflo_runbooks.model.errors import BadInput, OurBug
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact
from skyflo_runbooks.model.request import APPLY_PATCH, LEAVING, Request

Path = tuple[str, ...]
Learn = Callable[..., None]


class Prepared(msgspec.Struct, frozen=True):
    """One request with everything that was learnt about it. `before` and `after` are desired states.

    `raw` are the objects themselves, secret values included; they are neither shown nor kept.
    """

    request: Request
    before: Json | None
    after: Json | None
    bound: BoundRequest
    diff: str
    impact: Impact
    unstable: tuple[Path, ...]
    ignored: tuple[Path, ...]
    warnings: tuple[str, ...]
    way: Way
    raw: tuple[Json | None, Json | None] = (None, None)

    @property
    def in_place(self) -> bool:
        """Whether the cluster already has what the request wants, as far as a dry run can tell."""
        return self.bound.seen and self.before is not None and self.before == self.after


async def live(cluster: Cluster, request: Request) -> Json | None:
    """Return the object as it is, or None where there is none."""
    try:
        return await cluster.get(request.target)
    except NotFound:
        return None


async def prepare(
    cluster: Cluster, request: Request, *, scene: Scene, secret_key: bytes, learn: Learn = lambda *_: None
) -> Prepared:
    """Return what approving `request` would mean now. Admission errors are raised as the API server said them.

    `scene` is that of all requests of the proposal, so that nothing around them is read twice. `learn` is told the
    request and each manifest of its object, by rule 6.
    """
    request = explicit(request)
    now = await live(cluster, request)
    _fits(request, now)
    learn(request, now, _wished(request, now))
    shown = await preview(cluster, request, now)
    request = shown.request
    learn(request, shown.left)
    change = Change(request, now, shown.left)
    _, way = await asyncio.gather(scene.read(impact.needs(change)), ways.back(cluster, request, now, shown.left))
    unstable = _unstable(shown, created=now is None, sent=request.body, secret_key=secret_key)
    ignored = by_controllers(request, now, shown.left, scene)
    before = None if now is None else desired_state(now, ignore=ignored, secret_key=secret_key)
    without = ignored + unstable
    after = left_state(shown.left, created=now is None, sent=request.body, without=without, secret_key=secret_key)
    touched = impact.assess(change, scene)
    return Prepared(
        request=request,
        before=before,
        after=after,
        bound=BoundRequest(
            object=request.target,
            uid=str(at(now, "metadata", "uid", default="")),
            verb=request.verb,
            desired_state=sha256(before),
            body=sha256(after) if seen(request) else sent_digest(request, secret_key=secret_key),
            subresource=request.subresource,
            seen=seen(request),
            force=request.force,
        ),
        diff=_diff(request, now, shown.left),
        impact=_told(touched, shown),
        unstable=unstable,
        ignored=ignored,
        warnings=shown.warnings,
        way=way,
        raw=(now, shown.left),
    )


def _told(touched: Impact, shown: Preview) -> Impact:
    """Return the impact with what the dry runs said: what is not known, and whose fields are taken."""
    taken = tuple(f"takes the field {said} from its manager" for said in shown.taken)
    return msgspec.structs.replace(
        touched,
        unknown=(*shown.unknown, *touched.unknown),
        ownership=(*taken, *touched.ownership),
        risks=(*((("medium", "it takes fields that others manage"),) if taken else ()), *touched.risks),
    )


def explicit(request: Request) -> Request:
    """Return the request with what would else be left open: what becomes of a deleted object's dependents."""
    if request.verb == "apply":
        return msgspec.structs.replace(request, content_type=APPLY_PATCH)
    if request.verb != "delete" or (request.body or {}).get("propagationPolicy"):
        return request
    return msgspec.structs.replace(request, body={**(request.body or {}), "propagationPolicy": "Background"})


def state_of(manifest: Json | None, *, ignored: tuple[Path, ...], secret_key: bytes) -> Digest:
    """Return the desired-state digest of a live object, as it stands in a binding."""
    return sha256(None if manifest is None else desired_state(manifest, ignore=ignored, secret_key=secret_key))


def body_of(
    left: Json | None, request: Request, bound: BoundRequest, without: tuple[Path, ...], secret_key: bytes
) -> Digest:
    """Return the digest of a dry run's answer, as it stands in a binding."""
    return sha256(left_state(left, created=not bound.uid, sent=request.body, without=without, secret_key=secret_key))


def left_state(
    left: Json | None, *, created: bool, sent: object, without: tuple[Path, ...], secret_key: bytes
) -> Json | None:
    """Return what a dry run's answer binds; `sent` is the body of the request."""
    if left is None:
        return None
    return body_state(left, created=created, sent=sent, unstable=without, secret_key=secret_key)


def _fits(request: Request, now: Json | None) -> None:
    """Refuse what cannot be meant, by rule 4 and by what is there."""
    target = request.target
    namespace, name, subresource = request.place
    if (namespace, name) != (target.namespace, "" if request.verb == "create" else target.name):
        raise OurBug(f"the request says {target} and its path {request.path}")
    if request.verb in ("create", "apply"):
        said = ObjectRef.of(request.body)
        if (said.kind, said.name, said.namespace or target.namespace) != (target.kind, target.name, target.namespace):
            raise OurBug(f"the request says {target} and its manifest {said}")
    if subresource == "status":
        raise BadInput("A status is what controllers report; it is not written.", next_step="Change the desired state.")
    if request.verb == "create" and now is not None:
        raise BadInput(f"{target} exists already.", next_step="Change it with k8s_patch instead.")
    if request.verb not in ("create", "apply") and now is None:
        raise BadInput(f"There is no {target}.", next_step="List what is there with k8s_get.")


def _wished(request: Request, now: Json | None) -> Json | None:
    """Return the object as it is asked for, as far as that can be computed: a patch alone names no variable."""
    try:
        return asked(request, now)
    except BadInput:
        return None  # the server says what does not fit


def _unstable(shown: Preview, *, created: bool, sent: object, secret_key: bytes) -> tuple[Path, ...]:
    if shown.left is None or shown.again is None:
        return ()
    one = body_state(shown.left, created=created, sent=sent, secret_key=secret_key)
    return unstable_paths(one, body_state(shown.again, created=created, sent=sent, secret_key=secret_key))


def _diff(request: Request, now: Json | None, left: Json | None) -> str:
    """Return what differs, or what is asked for where nothing can be compared."""
    if request.verb == "evict":
        return diff.asked(request.target, "evicted", None)
    if request.verb == "run":
        return diff.asked(request.target, "run in it", request.body)
    if request.verb in LEAVING and left is None:
        return diff.asked(request.target, "asked for, not tried", request.body)
    return diff.unified(request.target, now, left, request.body)
