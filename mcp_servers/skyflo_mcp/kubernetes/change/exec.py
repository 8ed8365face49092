"""k8s_exec and k8s_cp: a program in a container.

Running a program is always a change, whatever the program is: nobody can tell from its name what it does. So both wait
for an approval, nothing can preview them, and there is no way back. What came out stands in the receipt.
"""

import shlex

from skyflo_mcp.kubernetes.change import pods, words
from skyflo_mcp.kubernetes.change.words import Argv
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.running import Bytes, Seconds
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.request import Rendered

_LONGEST_PATH = 1024


async def k8s_exec(
    cluster: Cluster,
    *,
    namespace: str,
    name: str,
    command: Argv,
    container: str | None = None,
    seconds: Seconds = 30.0,
    limit_bytes: Bytes = 64 * 1024,
) -> Rendered:
    """Run a command in a container of a pod, without a shell unless the command names one.

    `command` is the list of its words. After `seconds` it is left alone; of its output the first `limit_bytes` are
    kept. Exit code and output stand in the receipt.
    """
    words.command(command)
    place = await pods.running(cluster, namespace, name, container)
    return place.run(
        "exec",
        {"container": place.container, "command": command, "seconds": seconds, "limit_bytes": limit_bytes},
        title=f"pod/{name}: run {shlex.join(command)[:200]} in {place.container}",
        equivalent=place.pod.kubectl("exec", name, "-c", place.container, "--", *command),
        irreversible="what a program does in a container is not known beforehand and cannot be undone",
    )


async def k8s_cp(
    cluster: Cluster,
    *,
    namespace: str,
    name: str,
    path: str,
    container: str | None = None,
    seconds: Seconds = 30.0,
    limit_bytes: Bytes = 64 * 1024,
) -> Rendered:
    """Copy the beginning of a text file out of a container into the receipt, at most `limit_bytes` of it.

    It only reads, but it takes a program in the container (head), so it waits for an approval like every other. Of a
    larger file the receipt says that it was cut.
    """
    _check_path(path)
    place = await pods.running(cluster, namespace, name, container)
    # One byte more than is kept: with it comes to light that the file goes on.
    command = ["head", "-c", str(limit_bytes + 1), "--", path]
    return place.run(
        "exec",
        {"container": place.container, "command": command, "seconds": seconds, "limit_bytes": limit_bytes},
        title=f"pod/{name}: copy {path} out of {place.container}",
        equivalent=place.pod.kubectl("exec", name, "-c", place.container, "--", *command),
        irreversible="it changes nothing, and what was read cannot be unread",
    )


def _check_path(path: str) -> None:
    if (
        not path.startswith("/")
        or len(path) > _LONGEST_PATH
        or not path.isprintable()
        or {".", ".."} & set(path.split("/"))
    ):
        raise BadInput(
            f"{path[:80]!r} is no path of a file.",
            next_step="Give the whole path, as in /etc/nginx/nginx.conf, without '.' and '..'.",
        )
