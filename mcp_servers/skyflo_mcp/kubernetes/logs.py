"""Reads a container's log, bounded in bytes, and in seconds where it is followed.

The server's own `limitBytes` would keep the oldest and not say that it cut; so what is asked for is read to its end,
and the last bytes are kept. Whatever is cut, it is cut between two lines: of half a line nobody could tell any more
that a secret stood in it. Bytes that are no UTF-8 show as U+FFFD.

A kubelet that has removed a container, or its file, says so in the place of the log and with status 200; that is no
line of the container, and there is no such log then.
"""

import re
from datetime import datetime

import msgspec

from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_mcp.kubernetes.transport import Transport, expect
from skyflo_runbooks.model.objects import check_name

LIMIT = 256 * 1024
_READ = 8 * 2**20
# k8s.io/kubernetes/pkg/kubelet/kuberuntime: GetContainerLogs and ReadLogs; whole, and without the end of a line.
_REMOVED = re.compile(
    rb"unable to retrieve container logs for [a-z0-9.-]+://[0-9a-f]+"
    rb'|failed to try resolving symlinks in path "[^"\n]+": [^\n]*no such file or directory'
)


class Logs(msgspec.Struct, frozen=True):
    """A container's log: text, and whether it was cut at the limit."""

    text: str
    cut: bool = False
    at: datetime | None = None


class Wanted(msgspec.Struct, frozen=True):
    """What is wanted of a log: of which container, from when, how many lines, and at most how many bytes.

    `follow` is for how many seconds it is followed; 0 is not at all.
    """

    container: str
    previous: bool
    tail: int | None
    since_seconds: int | None
    timestamps: bool
    limit_bytes: int
    follow: float


async def read(transport: Transport, pod: str, name: str, wanted: Wanted) -> Logs:
    """Return the log; `pod` is the pod's path and `name` what it is called in errors."""
    query: dict[str, str | int | bool] = {}
    numbers = (("tailLines", wanted.tail), ("sinceSeconds", wanted.since_seconds))
    query |= {key: value for key, value in numbers if value is not None}
    flags = (("previous", wanted.previous), ("timestamps", wanted.timestamps), ("follow", wanted.follow > 0))
    query |= {key: "true" for key, said in flags if said}
    if wanted.container:
        query["container"] = check_name(wanted.container)
    doing = f"logs of {name}" + (f" ({wanted.container})" if wanted.container else "")
    answer = expect(
        await transport.get(
            f"{pod}/log",
            query,
            accept="*/*",
            limit=_READ,
            cut=True,
            doing=doing,
            listen=wanted.follow,
        ),
        doing=doing,
    )
    if _REMOVED.fullmatch(answer.content):
        raise NotFound(f"{doing}: {answer.content.decode('utf-8', 'replace')}", status=404, reason="NotFound")
    kept = whole_lines(answer.content, wanted.limit_bytes, ended=not answer.cut and not wanted.follow)
    cut = answer.cut or len(answer.content) > wanted.limit_bytes
    return Logs(kept.decode("utf-8", "replace"), cut=cut, at=answer.at)


def whole_lines(content: bytes, limit: int, *, ended: bool) -> bytes:
    """Return the last whole lines of a log, at most `limit` bytes of them; `ended` says that its last line is one."""
    if not ended:
        content = content[: content.rfind(b"\n") + 1]
    if len(content) <= limit:
        return content
    # The byte before what is kept tells whether that begins a line.
    end = content.find(b"\n", len(content) - limit - 1) + 1
    return content[end:] if end else b""
