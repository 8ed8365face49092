"""k8s_explain: what a kind's fields mean, from the server's own OpenAPI documents (v3), custom resources included."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from skyflo_mcp.kubernetes.answers import cut, table
from skyflo_mcp.kubernetes.client import Cluster, Value
from skyflo_mcp.kubernetes.errors import NotAvailable
from skyflo_mcp.kubernetes.resources import Resource
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at

Field = Annotated[str, Meta(max_length=300, description="A path, as in spec.template.spec.containers.")]
Depth = Annotated[int, Meta(ge=1, le=6)]
_COLUMNS = ("FIELD", "TYPE", "REQUIRED", "DESCRIPTION")
_MOST = 400
_LONGEST = 300
_KEY = "x-kubernetes-group-version-kind"


async def k8s_explain(
    cluster: Cluster, *, kind: str, field: Field = "", depth: Depth = 1, api_version: str | None = None
) -> Json:
    """Explain a kind or one of its fields: type, meaning, and the fields below it, `depth` levels deep."""
    resource = await cluster.resource(kind, api_version or "")
    schemas = await _schemas(cluster, resource)
    root = next((one for one in schemas.values() if _is(one, resource)), None)
    if root is None:
        raise NotAvailable(f"This cluster does not describe the fields of a {resource.kind}.")
    place, required = _walk(schemas, root, [part for part in field.split(".") if part], resource.kind)
    rows = list(_fields(schemas, place, depth, "", frozenset()))
    shown = [[*row[:3], _short(str(row[3]))] for row in rows[:_MOST]] if depth > 1 or field == "" else rows[:_MOST]
    how = f"The first {_MOST} of {len(rows)} fields are shown: say a field, or a smaller depth."
    return {
        "kind": resource.kind,
        "api_version": resource.api_version,
        "field": field,
        "type": _type(schemas, place),
        "required": required,
        "description": _description(schemas, place),
        "choices": _plain(schemas, place).get("enum"),
        "fields": table(_COLUMNS, shown, **cut(len(rows) > _MOST, how)),
    }


async def _schemas(cluster: Cluster, resource: Resource) -> dict[str, Json]:
    """Return the schemas of the resource's group and version, by name."""
    paths = (await cluster.raw("/openapi/v3", doing="read what the cluster describes")).get("paths") or {}
    name = f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"
    url = at(paths, name, "serverRelativeURL")
    if not isinstance(url, str) or not url.startswith("/openapi/v3/"):
        raise NotAvailable(f"This cluster does not describe {resource.api_version}.")
    document = await cluster.raw(url, doing=f"read the fields of {resource.api_version}")
    return dict(at(document, "components", "schemas", default={}))


def _is(schema: Json, resource: Resource) -> bool:
    wanted = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    return any({key: one.get(key) for key in wanted} == wanted for one in schema.get(_KEY) or [])


def _walk(schemas: dict[str, Json], root: Json, path: list[str], kind: str) -> tuple[Json, bool]:
    """Return the schema at a path, and whether its parent requires it."""
    place, required, walked = root, False, kind
    for part in path:
        inner = _inside(schemas, place)
        properties = inner.get("properties") or {}
        if part not in properties:
            near = _near(part, properties)
            raise BadInput(f"{walked} has no field {part[:80]!r}.", next_step=near)
        required = part in (inner.get("required") or [])
        place, walked = properties[part], f"{walked}.{part}"
    return place, required


def _near(part: str, properties: Json) -> str:
    import difflib

    near = difflib.get_close_matches(part, properties, n=3) or sorted(properties)[:10]
    return f"It has: {', '.join(near)}." if near else "It has no fields."


def _plain(schemas: dict[str, Json], schema: Json) -> Json:
    """Return a schema with its reference followed; what stands beside the reference wins."""
    refs = [schema, *(schema.get("allOf") or [])]
    for one in refs:
        name = str(one.get("$ref", "")).rpartition("/")[2]
        if name:
            return {**schemas.get(name, {}), **{key: value for key, value in schema.items() if key != "allOf"}}
    return schema


def _inside(schemas: dict[str, Json], schema: Json) -> Json:
    """Return the schema whose fields are meant: of a list and of a map, that of what it holds."""
    plain = _plain(schemas, schema)
    for member in ("items", "additionalProperties"):
        if isinstance(plain.get(member), dict) and not plain.get("properties"):
            return _inside(schemas, plain[member])
    return plain


def _fields(
    schemas: dict[str, Json], schema: Json, depth: int, prefix: str, above: frozenset[str]
) -> Iterator[list[Value]]:
    """Yield the fields below a schema; one that holds itself (JSONSchemaProps) is not opened again."""
    inner = _inside(schemas, schema)
    required = set(inner.get("required") or [])
    for name, below in sorted((inner.get("properties") or {}).items()):
        yield [f"{prefix}{name}", _type(schemas, below), name in required, _description(schemas, below)]
        ref = _reference(below)
        if depth > 1 and ref not in above:
            yield from _fields(schemas, below, depth - 1, f"{prefix}{name}.", above | ({ref} if ref else set()))


def _reference(schema: Json) -> str:
    held = [schema, *(schema.get("allOf") or [])]
    for member in ("items", "additionalProperties"):
        if isinstance(schema.get(member), dict):
            held += [schema[member], *(schema[member].get("allOf") or [])]
    return next((str(one["$ref"]) for one in held if "$ref" in one), "")


def _type(schemas: dict[str, Json], schema: Json) -> str:
    plain = _plain(schemas, schema)
    if plain.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if isinstance(plain.get("items"), dict):
        return f"list of {_type(schemas, plain['items'])}"
    if isinstance(plain.get("additionalProperties"), dict):
        return f"map of {_type(schemas, plain['additionalProperties'])}"
    name = _reference(schema).rpartition(".")[2]
    return name if name and plain.get("type", "object") == "object" else str(plain.get("type") or "object")


def _description(schemas: dict[str, Json], schema: Json) -> str:
    return str(schema.get("description") or _plain(schemas, schema).get("description") or "")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + "…"
