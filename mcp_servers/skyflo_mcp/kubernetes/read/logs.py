"""k8s_logs: the logs of a pod's containers, or of all pods of a workload."""

import asyncio
from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes import family
from skyflo_mcp.kubernetes.answers import stamp
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import ApiError
from skyflo_mcp.kubernetes.workload import containers
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.quantity import parse_duration

Tail = Annotated[int, Meta(ge=1, le=10_000)]
Bytes = Annotated[int, Meta(ge=1, le=1024 * 1024)]
_MOST = 10


async def k8s_logs(
    cluster: Cluster,
    *,
    namespace: str,
    name: str,
    kind: str = "Pod",
    container: str | None = None,
    previous: bool = False,
    tail: Tail = 100,
    since: str | None = None,
    limit_bytes: Bytes = 64 * 1024,
) -> Json:
    """Read the last lines of logs; `previous` reads those of the container before its last restart.

    `since` is a duration such as 5m. At most 10 containers, and `limit_bytes` of each. A container without such a log
    says why in `unavailable`.
    """
    seconds = max(1, round(parse_duration(since))) if since else None
    resource = await cluster.resource(kind)
    manifest = await cluster.get(ObjectRef(resource.kind, name, namespace, resource.api_version))
    pods = (await family.read(cluster, manifest)).pods
    wanted = [(pod, one) for pod in pods for one in _names(pod, container)]
    found = await asyncio.gather(
        *(
            _one(cluster, pod, one, previous=previous, tail=tail, seconds=seconds, limit=limit_bytes)
            for pod, one in wanted[:_MOST]
        )
    )
    return {"logs": list(found), "more": len(wanted) > _MOST, "at": stamp(await cluster.now())}


def _names(pod: Json, container: str | None) -> list[str]:
    known = [one.name for one in containers(pod)]
    if container is None:
        return [one.name for one in containers(pod) if not one.init]
    if container not in known:
        raise BadInput(
            f"Pod {at(pod, 'metadata', 'name')} has no container named {container[:80]!r}.",
            next_step=f"Its containers: {', '.join(known)}.",
        )
    return [container]


async def _one(
    cluster: Cluster, pod: Json, container: str, *, previous: bool, tail: int, seconds: int | None, limit: int
) -> Json:
    name = at(pod, "metadata", "name", default="")
    head: Json = {"pod": name, "container": container, "previous": previous, "text": "", "cut": False}
    try:
        log = await cluster.logs(
            at(pod, "metadata", "namespace", default=""),
            name,
            container=container,
            previous=previous,
            tail=tail,
            since_seconds=seconds,
            limit_bytes=limit,
        )
    except ApiError as error:
        return {**head, "unavailable": error.message}
    return {**head, "text": log.text, "cut": log.cut}
