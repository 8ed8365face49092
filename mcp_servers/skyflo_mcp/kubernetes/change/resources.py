"""k8s_set_resources: limits and requests of one container of a workload, or of a running pod (its resize)."""

from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.change import operations, target, template, words
from skyflo_mcp.kubernetes.change.operations import Operation, Target
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import Container, PodOrTemplateKind, find_container
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.model.request import Rendered

Amounts = Annotated[
    dict[str, str | int | float | None],
    Meta(description='By resource, as in {"memory": "512Mi", "cpu": None}; None takes it out.'),
]
Wanted = dict[str, dict[str, str | None]]


async def k8s_set_resources(
    cluster: Cluster,
    *,
    kind: PodOrTemplateKind,
    namespace: str,
    name: str,
    container: str,
    limits: Amounts | None = None,
    requests: Amounts | None = None,
) -> Rendered:
    """Set limits and requests of a container of a workload or a running pod; what is not named stays as it is."""
    wanted = {"limits": _amounts(limits or {}), "requests": _amounts(requests or {})}
    if not any(wanted.values()):
        raise BadInput("Nothing to set.", next_step='Give limits or requests, as in limits={"memory": "512Mi"}.')
    found = template.changeable(await target.read(cluster, kind, namespace, name))
    place = find_container(found.manifest, container)
    _check_order(place, wanted)
    changes = [operations.holds((*place.path, "name"), container), *_set(found, place, wanted)]
    said = [
        f"{resource} {member[:-1]} {_was(place, member, resource)} → {amount or 'none'}"
        for member, amounts in wanted.items()
        for resource, amount in amounts.items()
    ]
    resized = "resize" if kind == "Pod" else ""
    return Rendered(
        (found.patch(changes, subresource=resized),),
        title=f"{found.kubectl_name}: {container} {', '.join(said)}",
        equivalent=_equivalent(found, container, wanted, changes),
        notes=template.effect(found),
    )


def _was(place: Container, member: str, resource: str) -> str:
    return str(at(place.value, "resources", member, resource, default="none"))


def _equivalent(found: Target, container: str, wanted: Wanted, changes: list[Operation]) -> str:
    if found.ref.kind == "Pod":
        return found.kubectl_patch(changes, "--subresource=resize")
    if any(amount is None for amounts in wanted.values() for amount in amounts.values()):
        return found.kubectl_patch(changes)
    flags = [
        f"--{member}=" + ",".join(f"{resource}={amount}" for resource, amount in amounts.items())
        for member, amounts in wanted.items()
        if amounts
    ]
    return found.kubectl("set", "resources", found.kubectl_name, "-c", container, *flags)


def _set(found: Target, place: Container, wanted: Wanted) -> list[Operation]:
    root = (*place.path, "resources")
    given = {
        member: {resource: amount for resource, amount in amounts.items() if amount is not None}
        for member, amounts in wanted.items()
    }
    if not isinstance(at(found.manifest, *root), dict):
        new = {member: amounts for member, amounts in given.items() if amounts}
        return operations.put(found.manifest, root, new) if new else []
    changes = []
    for member, amounts in wanted.items():
        gone = [resource for resource, amount in amounts.items() if amount is None]
        if isinstance(at(found.manifest, *root, member), dict):
            changes += operations.members(found.manifest, (*root, member), given[member], gone)
        elif given[member]:
            changes += operations.put(found.manifest, (*root, member), given[member])
    return changes


def _amounts(given: dict[str, str | int | float | None]) -> dict[str, str | None]:
    words.amounts({resource: 0 if amount is None else amount for resource, amount in given.items()})
    return {resource: None if amount is None else str(amount).strip() for resource, amount in given.items()}


def _check_order(place: Container, wanted: Wanted) -> None:
    """A request above its limit is what the API server refuses; said here with both numbers."""
    limits = {**at(place.value, "resources", "limits", default={}), **wanted["limits"]}
    requests = {**at(place.value, "resources", "requests", default={}), **wanted["requests"]}
    for resource in sorted(set(limits) & set(requests)):
        if None in (limits[resource], requests[resource]):
            continue
        if parse_quantity(requests[resource]) > parse_quantity(limits[resource]):
            raise BadInput(
                f"{place.name}: the {resource} request {requests[resource]} would be above "
                f"the limit {limits[resource]}.",
                next_step="Set both, with the request at or below the limit.",
            )
