"""From rendered requests to what can be approved: live state, dry run, diff, digests, way back.

Rules:
  1. Each request is dry-run twice on the server; fields in which the two answers differ are left out of the digest
     and named.
  2. The desired-state digest leaves out what a known controller owns and the change does not touch: `replicas` where an
     autoscaler targets the workload.
  3. The way back of a patch is the inverse patch, guarded by tests; it is tried as a dry run as far as that is possible
     before the change is made: the present values must still be admissible. The way back of a creation is its deletion
     by uid, that of a deletion its creation.
"""

import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import ApiError, NotFound

from skyflo_runbooks.gateway import diff, impact
from skyflo_runbooks.gateway.impact import Change, Scene
from skyflo_runbooks.model.digest import BoundRequest, body_state, desired_state, sha256, unstable_paths
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact
from skyflo_runbooks.model.request import JSON_PATCH, Request

DRY_MANAGER = "skyflo-dry-run"
Path = tuple[str, ...]


class Prepared(msgspec.Struct, frozen=True):
    """One request with everything that was learnt about it. `before` and `after` are desired states."""

    request: Request
    before: Json | None
    after: Json | None
    bound: BoundRequest
    diff: str
    impact: Impact
    unstable: tuple[Path, ...]
    ignored: tuple[Path, ...]
    warnings: tuple[str, ...]
    undo: tuple[Json, ...]
    undo_problem: str

    @property
    def in_place(self) -> bool:
        """Whether the cluster already has what the request wants."""
        return self.request.verb != "delete" and self.before is not None and self.before == self.after


async def live(cluster: Cluster, request: Request) -> Json | None:
    """Return the object as it is, or None where there is none."""
    try:
        return await cluster.get(request.target)
    except NotFound:
        return None


async def dry_run(
    cluster: Cluster, request: Request, manager: str = DRY_MANAGER
) -> tuple[Json | None, tuple[str, ...]]:
    """Return the object as the request would leave it, and the server's warnings."""
    sent = await cluster.send(request, dry_run=True, field_manager=manager)
    return (None if request.verb == "delete" else sent.object), sent.warnings


async def prepare(cluster: Cluster, request: Request, *, scene: Scene, secret_key: bytes) -> Prepared:
    """Return what approving `request` would mean now. Admission errors are raised as the API server said them.

    `scene` is that of all requests of the proposal, so that nothing around them is read twice.
    """
    now = await live(cluster, request)
    _fits(request, now)
    first, warnings = await dry_run(cluster, request)
    second, _ = await dry_run(cluster, request)
    change = Change(request, now, first)
    await scene.read(impact.needs(change))
    unstable = () if first is None else _unstable(first, second, created=now is None, secret_key=secret_key)
    ignored = controller_owned(request, now, scene)
    before = None if now is None else desired_state(now, ignore=ignored, secret_key=secret_key)
    after = _after(first, request, ignored + unstable, secret_key)
    undo, problem = await _way_back(cluster, request, now, first)
    return Prepared(
        request=request,
        before=before,
        after=after,
        bound=BoundRequest(
            object=request.target,
            uid=str(at(now, "metadata", "uid", default="")),
            verb=request.verb,
            desired_state=sha256(before),
            body=sha256(after),
        ),
        diff=diff.unified(request.target, _shown(now), _shown(first)),
        impact=impact.assess(change, scene),
        unstable=unstable,
        ignored=ignored,
        warnings=warnings,
        undo=tuple(undo),
        undo_problem=problem,
    )


def controller_owned(request: Request, now: Json | None, scene: Scene) -> tuple[Path, ...]:
    """Return the paths that a controller owns and this request leaves alone, by rule 2."""
    ref = request.target
    scaled = any(
        at(item, "spec", "scaleTargetRef", "kind") == ref.kind
        and at(item, "spec", "scaleTargetRef", "name") == ref.name
        for item in scene.of("HorizontalPodAutoscaler", ref.namespace)
    )
    if not scaled or now is None:
        return ()
    touches = request.content_type != JSON_PATCH or any(op.get("path") == "/spec/replicas" for op in request.body)
    return () if touches else (("spec", "replicas"),)


def state_of(manifest: Json | None, *, ignored: tuple[Path, ...], secret_key: bytes) -> str:
    """Return the desired-state digest of a live object, as it stands in a binding."""
    return sha256(None if manifest is None else desired_state(manifest, ignore=ignored, secret_key=secret_key))


def body_of(left: Json | None, request: Request, without: tuple[Path, ...], secret_key: bytes) -> str:
    """Return the digest of a dry run's answer, as it stands in a binding."""
    return sha256(_after(left, request, without, secret_key))


def _after(left: Json | None, request: Request, without: tuple[Path, ...], secret_key: bytes) -> Json | None:
    if left is None:
        return None
    return body_state(left, created=request.verb == "create", unstable=without, secret_key=secret_key)


def _fits(request: Request, now: Json | None) -> None:
    if request.verb == "create" and now is not None:
        raise BadInput(f"{request.target} exists already.", next_step="Change it with k8s_patch instead.")
    if request.verb != "create" and now is None:
        raise BadInput(f"There is no {request.target}.", next_step="List what is there with k8s_get.")


def _unstable(first: Json, second: Json | None, *, created: bool, secret_key: bytes) -> tuple[Path, ...]:
    one = body_state(first, created=created, secret_key=secret_key)
    return unstable_paths(one, body_state(second or {}, created=created, secret_key=secret_key))


def _shown(manifest: Json | None) -> Json | None:
    if manifest is None:
        return None
    plain = {**manifest, "kind": manifest.get("kind")}
    return plain if plain["kind"] == "Secret" else desired_state(plain)


async def _way_back(cluster: Cluster, request: Request, now: Json | None, left: Json | None) -> tuple[list[Json], str]:
    """Return the operations that undo a patch, and what is wrong with them (nothing, if all is well)."""
    if request.verb != "patch" or now is None or left is None:
        return [], ""
    before, after = _whole(now), _whole(left)
    undo = diff.inverse(before, after)
    present = [
        {**op, "op": "replace"} for op in undo if op["op"] in ("add", "replace") and _is_there(before, op["path"])
    ]
    if not present:
        return undo, ""
    again = msgspec.structs.replace(request, body=present, content_type=JSON_PATCH)
    try:
        await cluster.send(again, dry_run=True, field_manager=DRY_MANAGER)
    except ApiError as error:
        return undo, f"the present values would not be admitted again: {error.message}"
    return undo, ""


def _whole(manifest: Json) -> Json:
    """Return the object without status and server fields, real Secret values included: for operations, not for show."""
    plain = desired_state({**manifest, "kind": "-"})
    plain["kind"] = manifest.get("kind")
    return plain


def _is_there(manifest: Json, pointer: str) -> bool:
    value: object = manifest
    for raw in pointer.split("/")[1:]:
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return False
    return True
