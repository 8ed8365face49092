"""k8s_set_command: command and arguments of one container, in place of what its image says."""

from skyflo_mcp.kubernetes.change import operations, target, template, words
from skyflo_mcp.kubernetes.change.operations import Operation
from skyflo_mcp.kubernetes.change.words import Argv
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import Container, TemplateKind, find_container
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered


async def k8s_set_command(
    cluster: Cluster,
    *,
    kind: TemplateKind,
    namespace: str,
    name: str,
    container: str,
    command: Argv | None = None,
    args: Argv | None = None,
) -> Rendered:
    """Set command or args of a container, as lists of words; an empty list goes back to what its image says."""
    wanted = {member: value for member, value in (("command", command), ("args", args)) if value is not None}
    if not wanted:
        raise BadInput("Nothing to set.", next_step='Give command or args, as in command=["/app", "serve"].')
    for member, value in wanted.items():
        words.argv(value, member)
    found = template.changeable(await target.read(cluster, kind, namespace, name))
    place = find_container(found.manifest, container)
    changes = [operations.holds((*place.path, "name"), container)]
    for member, value in wanted.items():
        changes += _set(found.manifest, place, member, value)
    said = [f"{member} {' '.join(value)[:120] if value else 'as its image says'}" for member, value in wanted.items()]
    return found.render(
        changes,
        title=f"{found.kubectl_name}: {container} {', '.join(said)}",
        equivalent=found.kubectl_patch(changes),
        notes=template.effect(found),
    )


def _set(manifest: Json, place: Container, member: str, value: list[str]) -> list[Operation]:
    path = (*place.path, member)
    if value:
        return operations.put(manifest, path, value)
    return operations.drop(manifest, path) if member in place.value else []
