"""The API server: paths to kinds and verbs, who may, and the answer in the form the client asked for.

Each request is authenticated, resolved to a `Target`, authorised, and handed to `reading`, `writing`, `inside` or
`usage`. Whatever is refused is an `ApiError`, answered as a `Status`. The `Date` header tells the cluster's time.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import discovery, errors, inside, patching, reading, reviews, scale, table, usage, writing
from skyflo_runbooks.practice.access import User
from skyflo_runbooks.practice.kinds import NAMESPACE, NODE, POD, Kind, by_path
from skyflo_runbooks.practice.scenario import load
from skyflo_runbooks.practice.store import Author

if TYPE_CHECKING:
    from skyflo_runbooks.practice.cluster import PracticeCluster

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True)
class Target:
    """What a path means: a kind, where, which object, which subresource, and the rest of a proxied path."""

    kind: Kind
    namespace: str
    name: str = ""
    sub: str = ""
    rest: str = ""


class Api:
    """The ASGI application of one cluster."""

    def __init__(self, cluster: "PracticeCluster") -> None:
        self.cluster = cluster
        everything = "/{path:path}"
        routes = [Route(everything, self.handle, methods=_METHODS), WebSocketRoute(everything, self.refuse_stream)]
        self.app = Starlette(routes=routes)

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        self.cluster.catch_up()
        try:
            user = self.cluster.access.user(request.headers.get("authorization"))
            if name := request.headers.get("impersonate-user"):
                user = self.cluster.access.acting(user, name, request.headers.getlist("impersonate-group"))
            response = await self._dispatch(request, user)
        except errors.ApiError as refused:
            response = JSONResponse(refused.status(), refused.code)
        response.headers["date"] = format_datetime(self.cluster.clock.now(), usegmt=True)
        return response

    async def refuse_stream(self, socket: WebSocket) -> None:
        """Refuse a stream into a pod (exec, portforward): its containers are simulated, and run no programs."""
        try:
            self.cluster.access.user(socket.headers.get("authorization"))
            raise errors.bad_request("the practice cluster simulates containers: nothing can be run in them")
        except errors.ApiError as refused:
            await socket.send_denial_response(JSONResponse(refused.status(), refused.code))

    async def _dispatch(self, request: Request, user: User) -> Response:
        parts = [part for part in request.url.path.split("/") if part]
        plain = self._plain(request, parts)
        if plain is not None:
            return plain
        if parts == ["practice", "scenario"]:
            return await self._scenario(request, user)
        if len(parts) >= 4 and parts[:2] == ["apis", usage.API.split("/")[0]]:
            return self._metrics(request, user, parts[3:])
        if len(parts) == 4 and parts[0] == "apis" and parts[3] in reviews.PLURALS:
            return JSONResponse(reviews.answer(self.cluster.access, user, parts[3], await _body(request)), 201)
        target = resolve(parts, request.url.path)
        if target.sub and target.sub not in target.kind.subs:
            raise errors.unknown_path(f"{target.kind.plural}/{target.sub}")
        handler = self._handler(request, target)
        verb = _verb(request, target)
        self.cluster.access.check(user, verb, target.kind, target.namespace, target.name, target.sub)
        return await handler(request, target)

    def _plain(self, request: Request, parts: list[str]) -> Response | None:
        """Return the answer of a path that is not about objects, if it is one."""
        document: Json | None = None
        match parts:
            case ["version"]:
                document = dict(discovery.VERSION)
            case ["healthz" | "livez" | "readyz"]:
                return PlainTextResponse("ok")
            case ["api"]:
                document = discovery.core_versions(request.url.netloc)
            case ["apis"]:
                document = discovery.group_list()
            case ["apis", group]:
                document = discovery.group(group)
            case ["api", "v1"]:
                document = discovery.resource_list("", "v1")
            case ["apis", group, version]:
                document = discovery.resource_list(group, version)
            case ["openapi", "v3"]:
                document = discovery.openapi_root()
            case ["openapi", "v3", *path] if len(path) in {2, 3}:
                document = discovery.openapi("/".join(path))
            case _:
                return None
        if document is None:
            raise errors.unknown_path(request.url.path)
        return JSONResponse(document)

    def _handler(self, request: Request, target: Target) -> Callable[[Request, Target], Awaitable[Response]]:
        if target.sub == "log":
            return self._log
        if target.sub == "proxy":
            return self._proxy
        if target.sub == "eviction":
            return self._evict
        if target.sub == "scale":
            return self._scale
        found = {
            "GET": self._read,
            "POST": self._create,
            "PUT": self._replace,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        handler = found.get(request.method)
        if (
            handler is None
            or (request.method == "POST" and target.name)
            or (target.kind.level == "empty" and request.method != "GET")
        ):
            why = "the practice cluster only lists this kind" if target.kind.level == "empty" else ""
            raise errors.no_method(target.kind, why)
        return handler

    # Reads

    async def _read(self, request: Request, target: Target) -> Response:
        query, kind = request.query_params, target.kind
        if target.name:
            obj = self.cluster.store.get(kind, target.namespace, target.name)
            return self._shown(request, kind, obj)
        if query.get("watch") in {"true", "1"}:
            watch = reading.Watch(self.cluster.store, kind, target.namespace, query)
            return StreamingResponse(self._stream(request, watch), media_type="application/json")
        listed = reading.page(self.cluster.store, kind, target.namespace, query)
        if _wants_table(request):
            return JSONResponse(table.of_list(kind, listed, self.cluster.clock.now(), query.get("includeObject", "")))
        return JSONResponse(listed)

    async def _stream(self, request: Request, watch: reading.Watch) -> AsyncIterator[str]:
        as_table = _wants_table(request)
        first = True
        async for event in watch.events():
            if as_table and event["type"] != "BOOKMARK":
                shown = table.of_object(watch.kind, event["object"], self.cluster.clock.now(), columns=first)
                event = {"type": event["type"], "object": shown}
                first = False
            yield json.dumps(event) + "\n"

    def _shown(
        self, request: Request, kind: Kind, obj: Json, code: int = 200, warnings: list[str] | None = None
    ) -> Response:
        shown = table.of_object(kind, obj, self.cluster.clock.now()) if _wants_table(request) else obj
        response = JSONResponse(shown, code)
        for text in warnings or []:
            response.headers.append("warning", "299 - " + json.dumps(text))
        return response

    async def _log(self, request: Request, target: Target) -> Response:
        _only(request, target, "GET")
        if request.query_params.get("follow") == "true":
            raise errors.bad_request("the practice cluster does not follow logs: ask again without follow")
        pod = self.cluster.store.get(POD, target.namespace, target.name)
        return PlainTextResponse(inside.logs(self.cluster, pod, request.query_params))

    async def _proxy(self, request: Request, target: Target) -> Response:
        _only(request, target, "GET")
        ask = inside.proxy_pod if target.kind is POD else inside.proxy_service
        answer = ask(self.cluster, target.namespace, target.name, "/" + target.rest)
        return PlainTextResponse(answer.body, answer.status)

    def _metrics(self, request: Request, user: User, parts: list[str]) -> Response:
        namespace, rest = (parts[1], parts[2:]) if parts[0] == "namespaces" and len(parts) > 2 else ("", parts)
        plural, name = rest[0], rest[1] if len(rest) > 1 else ""
        if plural not in {"pods", "nodes"} or request.method != "GET" or len(rest) > 2:
            raise errors.unknown_path(request.url.path)
        kind = Kind("metrics.k8s.io", "v1beta1", "PodMetrics" if plural == "pods" else "NodeMetrics", plural)
        self.cluster.access.check(user, "get" if name else "list", kind, namespace, name)
        if not name:
            labels = request.query_params.get("labelSelector", "")
            return JSONResponse(usage.metrics_list(self.cluster, plural, namespace, labels))
        if plural == "nodes":
            return JSONResponse(usage.node_metrics(self.cluster, self.cluster.store.get(NODE, "", name)))
        pod = self.cluster.store.find(POD, namespace, name)
        found = usage.pod_metrics(self.cluster, pod) if pod else None
        if found is None:
            raise errors.not_found(kind, f"{namespace}/{name}")
        return JSONResponse(found)

    async def _scenario(self, request: Request, user: User) -> Response:
        """Say which scenario is staged, or stage another: the one path that no real cluster has."""
        if request.method == "POST":
            if user.role != "admin":
                raise errors.ApiError(403, "Forbidden", f'User "{user.name}" cannot stage scenarios')
            try:
                self.cluster.stage(load(str((await _body(request)).get("scenario", ""))))
            except BadInput as wrong:
                raise errors.bad_request(str(wrong)) from wrong
            self.cluster.wake()
        staged = self.cluster.scenario
        return JSONResponse(
            {
                "scenario": staged.scenario,
                "title": staged.title,
                "incident": staged.incident,
                "namespace": staged.namespace,
                "uid": self.cluster.uid,
            }
        )

    # Writes

    async def _create(self, request: Request, target: Target) -> Response:
        asked = _write(request, target)
        made = writing.create(self.cluster.store, target.kind, target.namespace, await _body(request), asked)
        return self._written(request, target, made, asked, 201)

    async def _replace(self, request: Request, target: Target) -> Response:
        asked = _write(request, target)
        _named(target)
        before = self.cluster.store.get(target.kind, target.namespace, target.name)
        made = writing.replace(self.cluster.store, target.kind, before, await _body(request), asked)
        return self._written(request, target, made, asked)

    async def _patch(self, request: Request, target: Target) -> Response:
        asked = _write(request, target)
        _named(target)
        if request.headers.get("content-type", "").startswith(patching.APPLY):
            return await self._apply(request, target, asked)
        before = self.cluster.store.get(target.kind, target.namespace, target.name)
        content = request.headers.get("content-type", "").partition(";")[0].strip()
        made = writing.patch(self.cluster.store, target.kind, before, content, await request.body(), asked)
        return self._written(request, target, made, asked)

    async def _apply(self, request: Request, target: Target, asked: writing.Request) -> Response:
        if not request.query_params.get("fieldManager"):
            raise errors.needs_manager()
        manifest = _yaml(await request.body())
        force = request.query_params.get("force") == "true"
        there = self.cluster.store.find(target.kind, target.namespace, target.name) is not None
        place = (target.kind, target.namespace, target.name)
        made = writing.apply(self.cluster.store, *place, manifest, asked, force=force)
        return self._written(request, target, made, asked, 200 if there else 201)

    async def _delete(self, request: Request, target: Target) -> Response:
        body = await request.body()
        # As on a real server: with a body the query parameter is not looked at.
        options = await _body(request) if body.strip() else _options(request)
        asked = _write(request, target)
        asked.dry_run = False
        store = self.cluster.store
        if not target.name:
            fits = reading.matcher(target.kind, request.query_params)
            for obj in [item for item in store.list(target.kind, target.namespace) if fits(item)]:
                writing.delete(store, target.kind, target.namespace, obj["metadata"]["name"], options, asked)
            listed = reading.page(store, target.kind, target.namespace, request.query_params)
            return self._written(request, target, listed, asked)
        gone = writing.delete(store, target.kind, target.namespace, target.name, options, asked)
        if target.kind is POD or target.kind is NAMESPACE or gone["metadata"].get("deletionTimestamp"):
            return self._written(request, target, gone, asked)
        meta = gone["metadata"]
        details = {"name": meta["name"], "group": target.kind.group, "kind": target.kind.plural, "uid": meta["uid"]}
        answer = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {key: value for key, value in details.items() if value},
        }
        self.cluster.settle()
        self.cluster.wake()
        return JSONResponse(answer)

    async def _scale(self, request: Request, target: Target) -> Response:
        store = self.cluster.store
        obj = store.get(target.kind, target.namespace, target.name)
        if request.method == "GET":
            return JSONResponse(scale.shown(obj))
        if request.method not in {"PUT", "PATCH"}:
            raise errors.no_method(target.kind)
        asked = _write(request, target)
        content = request.headers.get("content-type", "").partition(";")[0].strip()
        wanted = scale.wanted(obj, content if request.method == "PATCH" else "", await request.body())
        made = scale.set_replicas(store, target.kind, obj, wanted, asked)
        if not asked.dry_run:
            self.cluster.settle()
            self.cluster.wake()
        return JSONResponse(scale.shown(made))

    async def _evict(self, request: Request, target: Target) -> Response:
        _only(request, target, "POST")
        body = await _body(request)
        asked = _write(request, target)
        options = body.get("deleteOptions") or {}
        if asked.dry_run:
            options = {**options, "dryRun": ["All"]}
        writing.evict(self.cluster.store, target.namespace, target.name, options, asked)
        self.cluster.settle()
        self.cluster.wake()
        return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}, 201)

    def _written(
        self, request: Request, target: Target, made: Json, asked: writing.Request, code: int = 200
    ) -> Response:
        if not asked.dry_run:
            self.cluster.settle()
            self.cluster.wake()
        if made.get("kind", "").endswith("List"):
            return JSONResponse(made, code)
        return self._shown(request, target.kind, made, code, asked.warnings)


def resolve(parts: list[str], path: str) -> Target:
    """Return what a path of the API names."""
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise errors.unknown_path(path)
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    kind = by_path(group, version, rest[0]) if rest else None
    if kind is None or (namespace and not kind.namespaced):
        raise errors.unknown_path(path)
    name, sub, more = [*rest[1:], "", "", ""][:3]
    proxied = path.partition(f"/{name}/{sub}/")[2] if more else ""
    if more and sub != "proxy":
        raise errors.unknown_path(path)
    if name and kind.namespaced and not namespace:
        raise errors.unknown_path(f"{path} (it names an object of a namespaced kind without its namespace)")
    return Target(kind, namespace, name, sub, proxied)


def _verb(request: Request, target: Target) -> str:
    if request.method == "DELETE":
        return "delete" if target.name else "deletecollection"
    if request.method != "GET":
        return _VERBS.get(request.method, request.method.lower())
    if target.name:
        return "get"
    return "watch" if request.query_params.get("watch") in {"true", "1"} else "list"


def _wants_table(request: Request) -> bool:
    return "as=Table" in request.headers.get("accept", "")


def _only(request: Request, target: Target, method: str) -> None:
    if request.method != method:
        raise errors.no_method(target.kind, f"the practice cluster answers {method} on {target.sub} only")


def _named(target: Target) -> None:
    if not target.name:
        raise errors.no_method(target.kind)


def _options(request: Request) -> Json:
    """Return DeleteOptions from the query, which count where there is no body."""
    query = request.query_params
    options: Json = {}
    if query.get("dryRun"):
        options["dryRun"] = query.getlist("dryRun")
    if query.get("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
    if query.get("propagationPolicy"):
        options["propagationPolicy"] = query["propagationPolicy"]
    return options


def _write(request: Request, target: Target) -> writing.Request:
    query = request.query_params
    agent = request.headers.get("user-agent", "unknown").partition("/")[0]
    author = Author(query.get("fieldManager") or agent, target.sub if target.sub in {"status", "scale"} else "")
    dry = query.getlist("dryRun")
    if dry and dry != ["All"]:
        shown = " ".join(dry)
        options = Kind(
            "meta.k8s.io",
            "v1",
            {"POST": "CreateOptions", "PATCH": "PatchOptions"}.get(request.method, "UpdateOptions"),
            "",
        )
        cause = errors.Cause(
            "dryRun", f'Unsupported value: ["{shown}"]: supported values: "All"', "FieldValueNotSupported"
        )
        raise errors.invalid(options, "", [cause])
    return writing.Request(author, dry == ["All"], query.get("fieldValidation") or "Warn")


def _yaml(raw: bytes) -> Json:
    import yaml

    try:
        value: Any = yaml.safe_load(raw)
    except yaml.YAMLError as wrong:
        raise errors.bad_request(f"the body is not YAML: {wrong}") from wrong
    if not isinstance(value, dict):
        raise errors.bad_request(f"expected an object, got {type(value).__name__}")
    return value


async def _body(request: Request) -> Json:
    content = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    raw = await request.body()
    if content in {"application/json", ""}:
        try:
            value: Any = json.loads(raw)
        except ValueError as wrong:
            raise errors.bad_request(f"the body is not JSON: {wrong}") from wrong
    elif content == "application/yaml":
        value = _yaml(raw)
    else:
        raise errors.media_type(content, ["application/json", "application/yaml"])
    if not isinstance(value, dict):
        raise errors.bad_request(f"expected a JSON object, got {type(value).__name__}")
    return value
