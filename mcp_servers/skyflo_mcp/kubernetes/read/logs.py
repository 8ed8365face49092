"""k8s_logs: the logs of a pod, of all pods of a workload, or of all pods that a selector finds.

Merged, the lines of all containers come in one list by the time that the kubelet gave them; followed, they are those
that came within a bounded number of seconds.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes import family
from skyflo_mcp.kubernetes.answers import cut, stamp, table
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import ApiError
from skyflo_mcp.kubernetes.pem import key_lines
from skyflo_mcp.kubernetes.read.there import check_there
from skyflo_mcp.kubernetes.workload import containers
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.quantity import parse_duration

Tail = Annotated[int, Meta(ge=1, le=10_000)]
Bytes = Annotated[int, Meta(ge=1, le=1024 * 1024)]
Following = Annotated[float, Meta(ge=0, le=20, description="Seconds during which new lines are waited for.")]
_MOST = 30
_COLUMNS = ("TIME", "POD", "CONTAINER", "LINE")


async def k8s_logs(
    cluster: Cluster,
    *,
    namespace: str,
    name: str | None = None,
    kind: str = "Pod",
    label_selector: str | None = None,
    container: str | None = None,
    previous: bool = False,
    tail: Tail = 100,
    since: str | None = None,
    merge: bool = False,
    follow_seconds: Following = 0.0,
    limit_bytes: Bytes = 64 * 1024,
) -> Json:
    """Read the last lines of logs: of a pod, of a workload's pods, or of the pods that a label selector finds.

    `previous` reads those of the container before its last restart, `since` is a duration such as 5m. `merge` puts the
    lines of all containers into one table by their time. At most 30 containers, and of each `tail` lines and
    `limit_bytes`, in whole lines. A container without such a log says why in `unavailable`.
    """
    seconds = max(1, round(parse_duration(since))) if since else None
    wanted = await _wanted(cluster, namespace, name, kind, label_selector, container)
    found = await asyncio.gather(
        *(
            _one(
                cluster,
                pod,
                one,
                previous=previous,
                tail=tail,
                since_seconds=seconds,
                timestamps=merge,
                limit_bytes=limit_bytes,
                follow=0.0 if previous else follow_seconds,
            )
            for pod, one in wanted[:_MOST]
        )
    )
    how = f"The first {_MOST} of {len(wanted)} containers are shown: say a container, or a narrower selector."
    nobody = "" if wanted else f"No log: {_asked(kind, name, label_selector, container)} in {namespace}."
    rest = {**cut(len(wanted) > _MOST, how), "note": nobody, "at": stamp(await cluster.now())}
    return {**_merged(found), **rest} if merge else {"logs": list(found), **rest}


async def _wanted(
    cluster: Cluster, namespace: str, name: str | None, kind: str, label_selector: str | None, container: str | None
) -> list[tuple[Json, str]]:
    """Return the pods with the containers whose logs are wanted."""
    if (name is None) == (not label_selector):
        raise BadInput("Either a name or a label selector was expected.", next_step="Say name, or label_selector.")
    if name is None:
        pods: Sequence[Json] = (await cluster.list("pods", namespace, label_selector=label_selector or "")).items
        if not pods:
            await check_there(cluster, namespace)
        # Of pods that only a selector finds, not each has every container.
        return [(pod, one) for pod in pods for one in _names(pod) if container in (None, one)]
    resource = await cluster.resource(kind)
    manifest = await cluster.get(ObjectRef(resource.kind, name, namespace, resource.api_version))
    pods = (await family.read(cluster, manifest)).pods
    return [(pod, one) for pod in pods for one in ([_known(pod, container)] if container else _names(pod))]


def _asked(kind: str, name: str | None, label_selector: str | None, container: str | None) -> str:
    """Return what there is none of, where no container was found."""
    if name is not None:
        return f"{kind} {name} has no pod"
    return f"no pod matches {label_selector}" + (f" and has a container {container[:80]!r}" if container else "")


def _names(pod: Json) -> list[str]:
    return [one.name for one in containers(pod) if not one.init]


def _known(pod: Json, container: str) -> str:
    debugging = [str(one.get("name")) for one in at(pod, "spec", "ephemeralContainers", default=[])]
    known = [*(one.name for one in containers(pod)), *debugging]
    if container not in known:
        raise BadInput(
            f"Pod {at(pod, 'metadata', 'name')} has no container named {container[:80]!r}.",
            next_step=f"Its containers: {', '.join(known)}.",
        )
    return container


async def _one(
    cluster: Cluster,
    pod: Json,
    container: str,
    *,
    previous: bool,
    tail: int,
    since_seconds: int | None,
    timestamps: bool,
    limit_bytes: int,
    follow: float,
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
            since_seconds=since_seconds,
            timestamps=timestamps,
            limit_bytes=limit_bytes,
            follow=follow,
        )
    except ApiError as error:
        return {**head, "unavailable": error.message}
    nothing = f"(the last line is longer than {limit_bytes} bytes)" if log.cut and not log.text else ""
    return {**head, "text": log.text or nothing, "cut": log.cut}


def _without_keys(lines: list[str]) -> list[str]:
    """Return the lines of one log without those of private keys: in rows of their own nothing would tell them."""
    for place, start, end in list(key_lines(lines)):
        lines[place] = f"{lines[place][:start]}(a line of a private key){lines[place][end:]}"
    return lines


def _merged(found: Sequence[Json]) -> Json:
    """Return the lines of all logs by time; a line that bears none goes with the one before it."""
    rows: list[list[str | None]] = []
    for one in found:
        last: str | None = None
        for line in _without_keys(str(one["text"]).splitlines()):
            time, _, text = line.partition(" ")
            stamped = time[:4].isdigit() and "T" in time
            last = time if stamped else last
            rows.append([last, one["pod"], one["container"], text if stamped else line])
    rows.sort(key=lambda row: row[0] or "")
    unknown = [f"{one['pod']} ({one['container']}): {one['unavailable']}" for one in found if "unavailable" in one]
    return table(_COLUMNS, rows, cut=[one["pod"] for one in found if one["cut"]], unknown=unknown)
