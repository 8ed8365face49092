"""k8s_get: one object, or a list as kubectl prints it."""

from typing import Annotated, Literal

from msgspec import Meta

from skyflo_mcp.kubernetes.answers import stamp, table
from skyflo_mcp.kubernetes.cleaning import cleaned
from skyflo_mcp.kubernetes.client import Cluster, Table
from skyflo_mcp.kubernetes.errors import Forbidden, NotFound
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef

Output = Literal["table", "wide", "json", "name"]
Limit = Annotated[int, Meta(ge=1, le=5000)]


async def k8s_get(
    cluster: Cluster,
    *,
    kind: str,
    name: str | None = None,
    namespace: str | None = None,
    label_selector: str | None = None,
    field_selector: str | None = None,
    limit: Limit = 200,
    output: Output = "table",
) -> Json:
    """Get one object by name, or list a kind: in a namespace, or in all where none is given."""
    resource = await cluster.resource(kind)
    if name is not None:
        if label_selector or field_selector:
            raise BadInput("A name and a selector were given; one of them was expected.")
        return cleaned(await cluster.get(ObjectRef(resource.kind, name, namespace or "", resource.api_version)))
    said = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    where = namespace if resource.namespaced else None
    head: Json = {"kind": resource.kind, "namespace": where}
    labels, fields = label_selector or "", field_selector or ""
    if output in ("json", "name"):
        found = await cluster.list(said, where, limit=limit, label_selector=labels, field_selector=fields)
        items = [cleaned(item) for item in found.items]
        answer = {**head, "items": items, "count": len(items), "more": found.more, "at": stamp(found.at)}
        if output == "name":
            answer["items"] = [str(ObjectRef.of(item)) for item in items]
    else:
        found_table = await cluster.table(said, where, limit=limit, label_selector=labels, field_selector=fields)
        answer = _table(found_table, head, wide=output == "wide", across=resource.namespaced and not where)
    if not answer["count"] and where:
        await _exists(cluster, where)
    return answer


def _table(found: Table, head: Json, *, wide: bool, across: bool) -> Json:
    shown = [index for index, column in enumerate(found.columns) if wide or not column.get("priority")]
    columns = [str(found.columns[index].get("name", "")).upper() for index in shown]
    rows = [[cells[index] for index in shown] for _, cells in found.rows]
    if across:
        columns = ["NAMESPACE", *columns]
        rows = [[namespace, *row] for (namespace, _), row in zip(found.rows, rows, strict=True)]
    return table(columns, rows, **head, more=found.more, at=stamp(found.at))


async def _exists(cluster: Cluster, namespace: str) -> None:
    """An empty list of a namespace that does not exist looks like an empty namespace; tell them apart."""
    try:
        await cluster.get(ObjectRef("Namespace", namespace))
    except Forbidden:
        return
    except NotFound as error:
        raise NotFound(
            f"There is no namespace {namespace}.",
            next_step="k8s_get kind=Namespace lists them.",
            status=error.status,
            reason=error.reason,
        ) from None
