"""The OpenAPI document, written from the table of routes, so that both agree."""

import re
from collections.abc import Iterable

import msgspec

from skyflo_runbooks.gateway.identity import Rank, Role
from skyflo_runbooks.model.json import Json


class Described(msgspec.Struct, frozen=True):
    """One route: method, path, who may call it, what it does, and the type of its body.

    `rank` is what an operator has to be somewhere for it. `narrowed` says that the handler keeps a token within its
    namespaces; where it does not, a narrowed token is refused. `queries` are the names of its query parameters.
    """

    method: str
    path: str
    roles: tuple[Role, ...]
    says: str
    body: type | None = None
    rank: Rank = "viewer"
    narrowed: bool = False
    queries: tuple[str, ...] = ()


def document(routes: Iterable[Described], version: str) -> Json:
    """Return the OpenAPI 3.1 document."""
    routes = list(routes)
    bodies = [route.body for route in routes if route.body is not None]
    schemas, components = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(bodies, schemas, strict=True))
    paths: Json = {}
    for route in routes:
        operation: Json = {
            "summary": route.says,
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in re.findall(r"{(\w+)}", route.path)
            ]
            + [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.queries],
            "responses": {"200": {"description": "done"}, "default": {"description": "an error with its next step"}},
            "security": [{"bearer": []}, {"session": []}] if route.roles else [],
            "description": f"For: {', '.join(route.roles) or 'anyone with a one-time link'}.",
        }
        if route.body is not None:
            operation["requestBody"] = {"content": {"application/json": {"schema": by_type[route.body]}}}
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Skyflo Runbooks gateway", "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "skyflo_session"},
            },
        },
    }
