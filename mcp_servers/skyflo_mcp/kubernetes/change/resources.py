"""k8s_set_resources: limits and requests of one container."""

import re
from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target
from skyflo_mcp.kubernetes.change.operations import Operation, Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import Container, TemplateKind, find_container
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.model.request import Rendered

Amounts = Annotated[
    dict[str, str | int | float], Meta(description='By resource, as in {"memory": "512Mi", "cpu": "250m"}.')
]
# cpu, memory, ephemeral-storage, hugepages-2Mi, and extended resources such as nvidia.com/gpu.
_RESOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}(/[A-Za-z0-9][A-Za-z0-9._-]{0,62})?")


async def k8s_set_resources(
    cluster: Cluster,
    *,
    kind: TemplateKind,
    namespace: str,
    name: str,
    container: str,
    limits: Amounts | None = None,
    requests: Amounts | None = None,
) -> Rendered:
    """Set limits and requests of a container of a workload; what is not named stays as it is."""
    wanted = {"limits": _amounts(limits or {}), "requests": _amounts(requests or {})}
    if not any(wanted.values()):
        raise BadInput("Nothing to set.", next_step='Give limits or requests, as in limits={"memory": "512Mi"}.')
    found = await target.read(cluster, kind, namespace, name)
    place = find_container(found.manifest, container)
    _check_order(place, wanted)
    named = operations.holds((*place.path, "name"), container)
    said = [
        f"{resource} {member[:-1]} {at(place.value, 'resources', member, resource, default='none')} → {amount}"
        for member, amounts in wanted.items()
        for resource, amount in amounts.items()
    ]
    flags = [
        f"--{member}=" + ",".join(f"{resource}={amount}" for resource, amount in amounts.items())
        for member, amounts in wanted.items()
        if amounts
    ]
    return found.render(
        [named, *_set(found, place, wanted)],
        title=f"{found.kubectl_name}: {container} {', '.join(said)}",
        equivalent=found.kubectl("set", "resources", found.kubectl_name, "-c", container, *flags),
    )


def _set(found: Target, place: Container, wanted: dict[str, dict[str, str]]) -> list[Operation]:
    root = (*place.path, "resources")
    if not isinstance(at(found.manifest, *root), dict):
        return operations.put(found.manifest, root, {member: amounts for member, amounts in wanted.items() if amounts})
    changes = []
    for member, amounts in wanted.items():
        if amounts and not isinstance(at(found.manifest, *root, member), dict):
            changes += operations.put(found.manifest, (*root, member), amounts)
            continue
        for resource, amount in amounts.items():
            changes += operations.put(found.manifest, (*root, member, resource), amount)
    return changes


def _amounts(given: dict[str, str | int | float]) -> dict[str, str]:
    for resource, amount in given.items():
        if not _RESOURCE.fullmatch(resource):
            raise BadInput(f"{resource[:80]!r} is no resource.", next_step="Known: cpu, memory, ephemeral-storage.")
        if parse_quantity(amount) < 0:
            raise BadInput(f"{resource}: an amount of 0 or more was expected, got {amount!r}.")
    return {resource: str(amount).strip() for resource, amount in given.items()}


def _check_order(place: Container, wanted: dict[str, dict[str, str]]) -> None:
    """A request above its limit is what the API server refuses; said here with both numbers."""
    limits = {**at(place.value, "resources", "limits", default={}), **wanted["limits"]}
    requests = {**at(place.value, "resources", "requests", default={}), **wanted["requests"]}
    for resource in sorted(set(limits) & set(requests)):
        if parse_quantity(requests[resource]) > parse_quantity(limits[resource]):
            raise BadInput(
                f"{place.name}: the {resource} request {requests[resource]} would be above "
                f"the limit {limits[resource]}.",
                next_step="Set both, with the request at or below the limit.",
            )
