"""k8s_set_probe: a container's probe: where it asks, and how patiently. It cannot take one away.

What is not named stays as it is. The way a probe asks (HTTP, TCP, gRPC, a command) stays too; where there is no probe
yet, `command` makes one that runs it, `path` an HTTP one, and a port alone a TCP one.
"""

from typing import Annotated, Literal

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target, template, words
from skyflo_mcp.kubernetes.change.operations import Operation, Target
from skyflo_mcp.kubernetes.change.words import Argv
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import Container, TemplateKind, find_container
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.request import Rendered

Probe = Literal["liveness", "readiness", "startup"]
Scheme = Literal["HTTP", "HTTPS"]
Seconds = Annotated[int, Meta(ge=0, le=86_400)]
Count = Annotated[int, Meta(ge=1, le=10_000)]
Port = Annotated[int, Meta(ge=1, le=65_535)] | Annotated[str, Meta(pattern="^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$")]
_ASKS: dict[str, tuple[str, ...]] = {
    "httpGet": ("path", "port", "scheme"),
    "tcpSocket": ("port",),
    "grpc": ("port",),
    "exec": ("command",),
}


async def k8s_set_probe(
    cluster: Cluster,
    *,
    kind: TemplateKind,
    namespace: str,
    name: str,
    container: str,
    probe: Probe,
    path: str | None = None,
    port: Port | None = None,
    scheme: Scheme | None = None,
    command: Argv | None = None,
    initial_delay_seconds: Seconds | None = None,
    period_seconds: Count | None = None,
    timeout_seconds: Count | None = None,
    failure_threshold: Count | None = None,
    success_threshold: Count | None = None,
) -> Rendered:
    """Set where a container's probe asks and how patiently; there is no way to remove it here."""
    asked = _given(path=_path(path), port=port, scheme=scheme, command=_command(command))
    timing = _given(
        initialDelaySeconds=initial_delay_seconds,
        periodSeconds=period_seconds,
        timeoutSeconds=timeout_seconds,
        failureThreshold=failure_threshold,
        successThreshold=success_threshold,
    )
    if not asked and not timing:
        raise BadInput("Nothing to set.", next_step="Give path, port, command, or one of the times and thresholds.")
    found = template.changeable(await target.read(cluster, kind, namespace, name))
    place = find_container(found.manifest, container)
    changes = [operations.holds((*place.path, "name"), container), *_set(found, place, f"{probe}Probe", asked, timing)]
    said = ", ".join(f"{key} {value}" for key, value in (asked | timing).items())
    return found.render(
        changes,
        title=f"{found.kubectl_name}: {container} {probe} probe, {said}",
        equivalent=found.kubectl_patch(changes),
        notes=(*_undeclared(place, port), *template.effect(found)),
    )


def _set(found: Target, place: Container, member: str, asked: Json, timing: Json) -> list[Operation]:
    root = (*place.path, member)
    known = at(place.value, member)
    if not isinstance(known, dict):
        how = "exec" if "command" in asked else "httpGet" if "path" in asked else "tcpSocket"
        if not asked or (how != "exec" and "port" not in asked):
            raise BadInput(
                f"{place.name} has no {member} yet.", next_step="Say where it asks: port (and path), or command."
            )
        return operations.put(found.manifest, root, {how: _fits(place, how, asked), **timing})
    how = next((one for one in _ASKS if one in known), "httpGet")
    changes = operations.members(found.manifest, (*root, how), _fits(place, how, asked))
    return changes + operations.members(found.manifest, root, timing)


def _fits(place: Container, how: str, asked: Json) -> Json:
    if wrong := sorted(asked.keys() - _ASKS[how]):
        raise BadInput(
            f"The probe of {place.name} asks by {how}, which has no {wrong[0]}.",
            next_step=f"It takes {', '.join(_ASKS[how])}. To ask in another way, replace the probe with k8s_patch.",
        )
    return asked


def _undeclared(place: Container, port: int | str | None) -> tuple[str, ...]:
    ports = place.value.get("ports") or []
    known = {one.get("containerPort") for one in ports} | {one.get("name") for one in ports}
    if port is None or port in known:
        return ()
    said = ", ".join(str(one.get("containerPort")) for one in ports) or "none"
    return (f"Container {place.name} does not declare port {port}; it declares {said}.",)


def _path(path: str | None) -> str | None:
    if path is not None and (not path.startswith("/") or len(path) > 2_000 or not path.isprintable()):
        raise BadInput(f"{path[:80]!r} cannot be the path of a probe.", next_step="Write it like /healthz.")
    return path


def _command(command: list[str] | None) -> list[str] | None:
    return None if command is None else words.command(command)


def _given(**values: object) -> Json:
    return {key: value for key, value in values.items() if value is not None}
