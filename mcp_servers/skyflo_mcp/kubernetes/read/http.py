"""k8s_http_get: a GET of a Service or a Pod, through the API server's proxy."""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.answers import cut, stamp
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.proxying import Proxied
from skyflo_runbooks.model.json import Json

Port = Annotated[str, Meta(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")] | Annotated[int, Meta(ge=1, le=65_535)]
Path = Annotated[str, Meta(max_length=2000)]
Characters = Annotated[int, Meta(ge=1, le=64 * 1024)]
_SECONDS = 15.0


async def k8s_http_get(
    cluster: Cluster,
    *,
    namespace: str,
    name: str,
    kind: Proxied = "Service",
    path: Path = "/",
    port: Port | None = None,
    tls: bool = False,
    limit: Characters = 4000,
) -> Json:
    """GET a path of a Service or a Pod through the API server's proxy, and say which status came, in what time.

    `port` is a number or a name; without one the Service's only port, its http or its port 80. `by` says who
    answered: the service itself, or the API server because nothing behind it could.
    """
    answer = await cluster.proxy_get(
        namespace, name, path, port, kind=kind, scheme="https" if tls else "", limit=limit, timeout=_SECONDS
    )
    return {
        "status": answer.status,
        "by": answer.by,
        "media_type": answer.media_type,
        "text": answer.text,
        "milliseconds": round(answer.seconds * 1000, 1),
        **cut(answer.cut, f"The first {limit} characters are shown: raise limit (at most 65536)."),
        "at": stamp(answer.at),
    }
