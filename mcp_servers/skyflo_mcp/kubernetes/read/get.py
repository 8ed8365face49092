"""k8s_get: one object, or a list as kubectl prints it; and k8s_api_resources: what there is to get."""

from typing import Annotated, Literal

from msgspec import Meta

from skyflo_mcp.kubernetes.answers import as_yaml, cut, stamp, table
from skyflo_mcp.kubernetes.cleaning import cleaned
from skyflo_mcp.kubernetes.client import Cluster, Listing, Table, Value
from skyflo_mcp.kubernetes.errors import NotFound
from skyflo_mcp.kubernetes.read.there import check_there
from skyflo_mcp.kubernetes.resources import Resource
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef, check_name

Output = Annotated[
    Literal["table", "wide", "json", "yaml", "name"],
    Meta(description="By default a list is a table, and one object is the object itself."),
]
Limit = Annotated[int, Meta(ge=1, le=5000)]
_COLUMNS = ("KIND", "NAME", "SHORT", "API VERSION", "NAMESPACED", "VERBS")


async def k8s_get(
    cluster: Cluster,
    *,
    kind: str,
    name: str | None = None,
    namespace: str | None = None,
    label_selector: str | None = None,
    field_selector: str | None = None,
    limit: Limit = 200,
    output: Output | None = None,
) -> Json:
    """Get one object by name, or list a kind: in a namespace, or in all where none is given.

    Any kind that the cluster serves, custom resources included. Objects come without managedFields, Secrets with the
    size of each value instead of the value.
    """
    resource = await cluster.resource(kind)
    if name is None:
        return await _list(
            cluster, resource, namespace, label_selector or "", field_selector or "", limit, output or "table"
        )
    if label_selector or field_selector:
        raise BadInput("A name and a selector were given; one of them was expected.")
    if output in ("table", "wide"):
        # The server prints lists; a list of one is how it prints one.
        only = f"metadata.name={check_name(name, kind=resource.kind)}"
        answer = await _list(cluster, resource, namespace, "", only, 1, output)
        if answer["count"] == 0:
            raise NotFound(f"There is no {ObjectRef(resource.kind, name, namespace or '')}.", status=404)
        return answer
    found = await cluster.get(ObjectRef(resource.kind, name, namespace or "", resource.api_version))
    if output == "name":
        return {"kind": resource.kind, "items": [str(ObjectRef.of(found))], "count": 1, "more": False}
    return as_yaml([cleaned(found)], kind=resource.kind) if output == "yaml" else cleaned(found)


async def k8s_api_resources(
    cluster: Cluster, *, group: str | None = None, namespaced: bool | None = None, verb: str | None = None
) -> Json:
    """List the kinds that the cluster serves, custom resources included: of one API group ("" is the core), or all."""
    wanted = [
        one
        for one in await cluster.kinds()
        if group in (None, one.group) and namespaced in (None, one.namespaced) and (not verb or verb in one.verbs)
    ]
    rows: list[list[Value]] = [
        [one.kind, one.plural, ",".join(one.short), one.api_version, one.namespaced, " ".join(sorted(one.verbs))]
        for one in sorted(wanted, key=lambda one: (one.group, one.plural))
    ]
    return table(_COLUMNS, rows, at=stamp(await cluster.now()))


async def _list(
    cluster: Cluster,
    resource: Resource,
    namespace: str | None,
    labels: str,
    fields: str,
    limit: int,
    output: str,
) -> Json:
    said = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    where = namespace if resource.namespaced else None
    head: Json = {"kind": resource.kind, "namespace": where}
    if output in ("table", "wide"):
        found_table = await cluster.table(said, where, limit=limit, label_selector=labels, field_selector=fields)
        answer = _table(found_table, head, wide=output == "wide", across=resource.namespaced and not where)
    else:
        found = await cluster.list(said, where, limit=limit, label_selector=labels, field_selector=fields)
        answer = {**head, **_objects(found, output), "at": stamp(found.at), **_rest(found.more, limit, found.remaining)}
    if not answer["count"] and where:
        await check_there(cluster, where)
    return answer


def _objects(found: Listing, output: str) -> Json:
    items = [cleaned(item) for item in found.items]
    if output == "name":
        return {"items": [str(ObjectRef.of(item)) for item in items], "count": len(items)}
    return {"count": len(items)} | (as_yaml(items) if output == "yaml" else {"items": items})


def _table(found: Table, head: Json, *, wide: bool, across: bool) -> Json:
    shown = [index for index, column in enumerate(found.columns) if wide or not column.get("priority")]
    columns = [str(found.columns[index].get("name", "")).upper() for index in shown]
    rows = [[cells[index] for index in shown] for _, cells in found.rows]
    if across:
        columns = ["NAMESPACE", *columns]
        rows = [[namespace, *row] for (namespace, _), row in zip(found.rows, rows, strict=True)]
    return table(columns, rows, **head, **_rest(found.more, len(found.rows), None), at=stamp(found.at))


def _rest(more: bool, shown: int, remaining: int | None) -> Json:
    left = f"{remaining} more" if remaining else "more"
    return cut(
        more, f"The first {shown} are shown, there are {left}: raise limit (at most 5000), or narrow the search."
    )
