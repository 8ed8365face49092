"""k8s_set_env: environment variables of one container.

The patch tests names and places, not the values that it replaces: a literal value may be a password, and a request is
shown and recorded. That nothing else moved is the compare-and-swap of the resourceVersion.
"""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target, template
from skyflo_mcp.kubernetes.change.operations import Operation, Path
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import Container, TemplateKind, find_container, template_path
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import check_name
from skyflo_runbooks.model.request import Rendered

Values = Annotated[
    dict[str, str | dict[str, str]],
    Meta(description='Value by variable: a text, or {"secret": name, "key": key}, or {"configmap": name, "key": key}.'),
]
_VARIABLE = re.compile(r"[A-Za-z_.][-A-Za-z0-9_.]{0,253}")
_KEY = re.compile(r"[-._A-Za-z0-9]{1,253}")
_SOURCES = {"secret": "secretKeyRef", "configmap": "configMapKeyRef"}
_LONGEST = 32 * 1024


async def k8s_set_env(
    cluster: Cluster,
    *,
    kind: TemplateKind,
    namespace: str,
    name: str,
    container: str,
    set: Values | None = None,  # noqa: A002  (kubectl's word)
    unset: list[str] | None = None,
) -> Rendered:
    """Set or remove environment variables of a container of a workload."""
    wanted = entries(set or {})
    gone = list(dict.fromkeys(unset or []))
    if not wanted and not gone:
        raise BadInput("Nothing to set.", next_step='Give set or unset, as in set={"LOG_LEVEL": "info"}.')
    if both := sorted(wanted.keys() & gone):
        raise BadInput(f"{both[0]!r} is to be set and removed at once.")
    found = template.changeable(await target.read(cluster, kind, namespace, name))
    place = find_container(found.manifest, container)
    changes = [operations.holds((*place.path, "name"), container), *setting(place, wanted), *_unset(place, gone)]
    said = [f"set {', '.join(wanted)}"] * bool(wanted) + [f"remove {', '.join(gone)}"] * bool(gone)
    return found.render(
        changes,
        title=f"{found.kubectl_name}: {container} environment: {', '.join(said)}",
        equivalent=_equivalent(found, container, wanted, gone),
        notes=template.effect(found),
    )


def entries(values: dict[str, str | dict[str, str]]) -> dict[str, Json]:
    """Return the entry of a container's `env` for each variable, or raise `BadInput`."""
    return {variable: _entry(variable, value) for variable, value in values.items()}


def _entry(variable: str, value: str | dict[str, str]) -> Json:
    if not _VARIABLE.fullmatch(variable):
        raise BadInput(
            f"{variable[:80]!r} cannot be the name of an environment variable.",
            next_step="Letters, digits, '_', '.' and '-' are expected, not beginning with a digit or '-'.",
        )
    if isinstance(value, str):
        if "\0" in value or len(value) > _LONGEST:
            raise BadInput(f"The value of {variable} holds a NUL or is longer than {_LONGEST // 1024} KiB.")
        return {"name": variable, "value": value}
    source = next((one for one in _SOURCES if value.keys() == {one, "key"}), None)
    if source is None or not _KEY.fullmatch(value["key"]):
        raise BadInput(
            f"{variable}: a text, or a Secret's or ConfigMap's name with one of its keys was expected.",
            next_step='Write it like {"secret": "db", "key": "password"} or {"configmap": "app", "key": "mode"}.',
        )
    return {
        "name": variable,
        "valueFrom": {_SOURCES[source]: {"name": check_name(value[source]), "key": value["key"]}},
    }


def setting(place: Container, wanted: dict[str, Json]) -> list[Operation]:
    """Return the operations that set entries of a container's `env`."""
    if not wanted:
        return []
    root: Path = (*place.path, "env")
    known = _places(place)
    if not known:
        return [{"op": "add", "path": operations.pointer(root), "value": list(wanted.values())}]
    changes: list[Operation] = []
    for variable, entry in wanted.items():
        if variable in known:
            at_index: Path = (*root, known[variable])
            changes.append(operations.holds((*at_index, "name"), variable))
            changes.append({"op": "replace", "path": operations.pointer(at_index), "value": entry})
        else:
            changes.append({"op": "add", "path": operations.pointer((*root, "-")), "value": entry})
    return changes


def _unset(place: Container, gone: list[str]) -> list[Operation]:
    known = _places(place)
    if unknown := [variable for variable in gone if variable not in known]:
        raise BadInput(
            f"Container {place.name} has no environment variable {unknown[0][:80]!r}.",
            next_step=f"It has: {', '.join(known) or 'none'}.",
        )
    changes: list[Operation] = []
    # Every entry of the name, from the back, so that a removal does not move the next.
    for index, entry in reversed(list(enumerate(place.value.get("env") or []))):
        if entry["name"] in gone:
            at_index: Path = (*place.path, "env", index)
            changes.append(operations.holds((*at_index, "name"), entry["name"]))
            changes.append({"op": "remove", "path": operations.pointer(at_index)})
    return changes


def _places(place: Container) -> dict[str, int]:
    return {entry["name"]: index for index, entry in enumerate(place.value.get("env") or [])}


def _equivalent(found: operations.Target, container: str, wanted: dict[str, Json], gone: list[str]) -> str:
    if any("valueFrom" in entry for entry in wanted.values()):
        # kubectl set env takes all keys of one source; a patch says one variable exactly.
        member = "initContainers" if find_container(found.manifest, container).init else "containers"
        env = [*wanted.values(), *({"name": variable, "$patch": "delete"} for variable in gone)]
        patch: Json = {"spec": {member: [{"name": container, "env": env}]}}
        for part in reversed(template_path(found.manifest)):
            patch = {part: patch}
        return found.kubectl("patch", found.kubectl_name, "-p", msgspec.json.encode(patch).decode())
    pairs = [f"{variable}={entry['value']}" for variable, entry in wanted.items()]
    return found.kubectl("set", "env", found.kubectl_name, "-c", container, *pairs, *(f"{name}-" for name in gone))
