"""k8s_wait and wait_for_x_seconds: waiting with a bound.

What has not come true in time is an answer (`met` is false), not an error: what is there instead is said.
"""

import asyncio
import time
from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes import rollout
from skyflo_mcp.kubernetes.answers import stamp
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_mcp.kubernetes.read.rollouts import state_of
from skyflo_mcp.kubernetes.read.there import check_there
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

LONGEST = 300
Seconds = Annotated[float, Meta(gt=0, le=LONGEST)]
Until = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z][A-Za-z0-9./-]{0,200}$",
        description="A condition's type, as in Ready or Complete; or deleted; or rolled-out for a workload.",
    ),
]
_PAUSE = 1.0
_ROLLED_OUT = ("Deployment", "StatefulSet", "DaemonSet")


async def k8s_wait(
    cluster: Cluster,
    *,
    kind: str,
    name: str,
    namespace: str | None = None,
    until: Until = "Ready",
    seconds: Seconds = 60.0,
) -> Json:
    """Wait until an object has a condition, is deleted or is rolled out; after `seconds` say what is there instead."""
    resource = await cluster.resource(kind)
    ref = ObjectRef(resource.kind, name, namespace or "", resource.api_version)
    if until == "rolled-out" and resource.kind not in _ROLLED_OUT:
        raise BadInput(f"A {resource.kind} is not rolled out.", next_step=f"{', '.join(_ROLLED_OUT)} are.")
    started = time.monotonic()
    while True:
        met, observed = await _look(cluster, ref, until)
        left = seconds - (time.monotonic() - started)
        if met or left <= 0:
            break
        await asyncio.sleep(min(_PAUSE, left))
    waited = round(time.monotonic() - started, 1)
    return {
        "object": str(ref),
        "until": until,
        "met": met,
        "observed": observed,
        "seconds": waited,
        "at": stamp(await cluster.now()),
    }


async def wait_for_x_seconds(cluster: Cluster, *, seconds: Seconds) -> Json:
    """Wait a number of seconds, at most 300."""
    await asyncio.sleep(seconds)
    return {"seconds": seconds, "at": stamp(await cluster.now())}


async def _nor_its_place(cluster: Cluster, ref: ObjectRef) -> str:
    """Say where its namespace is gone as well: it went with it, or the name is a slip."""
    try:
        if ref.namespace:
            await check_there(cluster, ref.namespace)
    except NotFound:
        return f", and there is no namespace {ref.namespace} either"
    return ""


async def _look(cluster: Cluster, ref: ObjectRef, until: str) -> tuple[bool, str]:
    """Return whether it came true, and what was seen."""
    if until == "rolled-out":
        state: rollout.Rollout = await state_of(cluster, ref)
        return state.state == "complete", state.message
    try:
        manifest = await cluster.get(ref)
    except NotFound:
        if until == "deleted":
            return True, f"It is not there{await _nor_its_place(cluster, ref)}."
        raise
    if until == "deleted":
        left = ", ".join(at(manifest, "metadata", "finalizers", default=[]))
        going = f"It is being deleted{f' and waits for {left}' if left else ''}."
        return False, going if at(manifest, "metadata", "deletionTimestamp") else "It is there."
    known = [one for one in at(manifest, "status", "conditions", default=[]) if isinstance(one, dict)]
    for one in known:
        if str(one.get("type", "")).lower() == until.lower():
            said = " ".join(str(one[key]) for key in ("reason", "message") if one.get(key))
            return one.get("status") == "True", f"{one['type']} is {one.get('status')}{f': {said}' if said else ''}"
    return False, f"It has no condition {until}; it has: {', '.join(str(one.get('type')) for one in known) or 'none'}."
