"""`Cluster`: one Kubernetes cluster, read through its API as raw JSON.

The one warm client that the read tools, the diagnosis and the gateway share. It reads, and it sends a `Request`;
only the gateway calls `send`. Between calls it keeps the discovery of kinds, for ten minutes.

Times are the cluster's own (`now`, `Listing.at`), from the Date header of its answers.
"""

import asyncio
import copy
import hashlib
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self, TypeAlias

import httpx
import msgspec

from skyflo_mcp.kubernetes import guarded, logs, proxying, reviewing, running
from skyflo_mcp.kubernetes import usage as use
from skyflo_mcp.kubernetes.discovery import Discovery
from skyflo_mcp.kubernetes.errors import (
    ApiError,
    Forbidden,
    Gone,
    NotAvailable,
    NotFound,
    ServerError,
    TooMany,
)
from skyflo_mcp.kubernetes.kubelets import Kubelets
from skyflo_mcp.kubernetes.logs import LIMIT as LOG_LIMIT
from skyflo_mcp.kubernetes.logs import Logs, Wanted
from skyflo_mcp.kubernetes.proxying import Address, Proxied, ProxyAnswer, chosen_port, quoted
from skyflo_mcp.kubernetes.resources import Resource
from skyflo_mcp.kubernetes.reviewing import Attributes, Review, Subject
from skyflo_mcp.kubernetes.sending import Sent, agent, conditional, dry, route
from skyflo_mcp.kubernetes.streams import Ran, Streams
from skyflo_mcp.kubernetes.throttling import Throttle
from skyflo_mcp.kubernetes.transport import TIMEOUT, Answer, Transport, expect
from skyflo_mcp.kubernetes.writers import writers
from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef, check_name, check_namespace
from skyflo_runbooks.model.request import Request

Value: TypeAlias = str | int | float | bool | None

PAGE = 500
RESTARTS = 3
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class Listing(msgspec.Struct, frozen=True):
    """A list as it was read: raw objects, the list's resourceVersion, its time, and whether more were left unread."""

    items: tuple[Json, ...]
    resource_version: str = ""
    at: datetime | None = None
    more: bool = False
    remaining: int | None = None


class Table(msgspec.Struct, frozen=True):
    """A list as the server prints it: the columns that kubectl shows, and each row's cells and namespace."""

    columns: tuple[Json, ...]
    rows: tuple[tuple[str, list[Value]], ...]
    at: datetime | None = None
    more: bool = False


class Cluster:
    """One cluster behind an `httpx.AsyncClient` whose base URL is the API server.

    `kubelets` is a client that trusts the cluster's CA and carries our credential, for the usage figures of a cluster
    without metrics.k8s.io; `no_kubelets` says why there is none. `ca` is the cluster's CA in PEM, for `uid`. `streams`
    reaches into pods; without it `run` is not available.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        context: str = "",
        ca: bytes = b"",
        kubelets: httpx.AsyncClient | None = None,
        no_kubelets: str = "this connection has no way to the nodes",
        streams: Streams | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self.context = context
        self.server = str(client.base_url).rstrip("/")
        self._transport = Transport(client, timeout=timeout)
        self._ca = ca
        self._streams = streams
        self._kubelets = Kubelets(kubelets, why_not=no_kubelets)
        self._discovery = Discovery(self.raw)
        self._subject: Subject | None = None
        self._uid = ""

    @classmethod
    def from_kubeconfig(cls, path: str | None = None, context: str | None = None, *, timeout: float = TIMEOUT) -> Self:
        """Open the cluster of a kubeconfig's context, or of the pod's ServiceAccount where there is no kubeconfig.

        Raises `BadInput` where the file or the context is missing or unreadable, `NotAllowed` where its credential
        cannot be had (an exec plug-in that fails).
        """
        from skyflo_mcp.kubernetes.credentials import connect

        opened = connect(path, context)
        return cls(
            opened.client,
            context=opened.context,
            ca=opened.ca,
            kubelets=opened.kubelets,
            no_kubelets=opened.no_kubelets,
            streams=opened.streams,
            timeout=timeout,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.client.aclose()
        await self._kubelets.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    # Kinds

    async def kinds(self) -> tuple[Resource, ...]:
        """Return every kind that the cluster serves, custom resources included."""
        return await self._discovery.kinds()

    async def serves(self, kind: str) -> bool:
        """Return whether the cluster serves a kind, as far as the discovery that is kept knows."""
        return any(found.named(kind) for found in await self.kinds())

    async def resource(self, kind: str, api_version: str = "") -> Resource:
        """Return the resource that `kind` names (see `resources`), or raise `NotFound` with the nearest names."""
        return await self._discovery.find(kind, api_version)

    # Reads

    async def raw(
        self,
        path: str,
        query: dict[str, str | int | bool] | None = None,
        *,
        accept: str = "application/json",
        doing: str = "",
        timeout: float | None = None,
    ) -> Json:
        """Return the JSON object at `path` of the API server."""
        doing = doing or f"GET {path}"
        answer = expect(
            await self._transport.get(path, query, accept=accept, doing=doing, timeout=timeout), doing=doing
        )
        return _object(answer, doing)

    async def text(self, path: str, *, doing: str, limit: int = 16 * 1024) -> str:
        """Return the beginning of the text at `path` of the API server."""
        answer = await self._transport.get(path, accept="*/*", doing=doing, limit=limit, cut=True)
        return expect(answer, doing=doing).content.decode("utf-8", "replace")

    async def get(self, ref: ObjectRef) -> Json:
        """Return one object, raw; `NotFound` where there is none."""
        resource = await self.resource(ref.kind, ref.api_version)
        path = resource.path(ref.namespace, ref.name)
        found = await self.raw(path, doing=f"get {ref}")
        found.setdefault("kind", resource.kind)
        found.setdefault("apiVersion", resource.api_version)
        return found

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int | None = None,
        timeout: float | None = None,
        changes: bool = False,
    ) -> Listing:
        """Return the objects of a kind: of one namespace, or of all where `namespace` is None or empty.

        Reads in pages. Where the server forgot the list in between (410) it starts again, at most three times. With
        `limit`, at most so many; `more` then says that there are others. Items come without managedFields, which
        `get` has; with `changes` they have what `writers` keeps of them.
        """
        resource = await self.resource(kind)
        path = resource.collection(namespace)
        query = _selected(label_selector, field_selector)
        doing = f"list {resource.plural}" + (f" in {namespace}" if namespace and resource.namespaced else "")
        for turn in range(1, RESTARTS + 1):
            try:
                return await self._pages(
                    path, query, resource, limit=limit, doing=doing, timeout=timeout, changes=changes
                )
            except Gone:
                if turn == RESTARTS:
                    raise
        raise Unknown(f"{doing}: the list could not be read to its end.")

    async def metadata(self, kind: str, namespace: str | None = None, *, field_selector: str = "") -> Listing:
        """Return of the objects of a kind only what names them, and who changed which of their keys when.

        No value of theirs is asked for, and none is handed on (see `guarded`).
        """
        resource = await self.resource(kind)
        doing = f"list the names of {resource.plural}" + (f" in {namespace}" if namespace else "")
        items: list[Json] = []
        query = _selected("", field_selector) | {"limit": PAGE}
        while True:
            answer = await self._transport.get(
                resource.collection(namespace), query, accept=guarded.METADATA, doing=doing
            )
            page = _object(expect(answer, doing=doing), doing)
            items += [guarded.names_only(one, resource.kind, resource.api_version) for one in page.get("items") or []]
            token = at(page, "metadata", "continue", default="")
            if not token:
                return Listing(tuple(items), at(page, "metadata", "resourceVersion", default=""), answer.at)
            query = {**query, "continue": token}

    async def certificate(self, namespace: str, name: str) -> Json:
        """Return a Secret's metadata and type, and what its public certificate says; no value of it (see `guarded`)."""
        return guarded.certificate(await self.get(ObjectRef("Secret", name, namespace, "v1")))

    async def _pages(
        self,
        path: str,
        query: dict[str, str | int | bool],
        resource: Resource,
        *,
        limit: int | None,
        doing: str,
        timeout: float | None,
        changes: bool,
    ) -> Listing:
        items: list[Json] = []
        token = ""
        while True:
            page_size = PAGE if limit is None else min(PAGE, limit - len(items))
            page_query = {**query, "limit": page_size} | ({"continue": token} if token else {})
            answer = expect(await self._transport.get(path, page_query, doing=doing, timeout=timeout), doing=doing)
            page = _object(answer, doing)
            for item in page.get("items") or []:
                # managedFields are half of what a list weighs, and only a time line reads them from lists.
                managed = item.get("metadata", {}).pop("managedFields", None)
                if changes and (kept := writers(managed)):
                    item["metadata"]["managedFields"] = kept
                # Items of a list carry neither of these; everything after this reads them.
                items.append({"kind": resource.kind, "apiVersion": resource.api_version, **item})
            token = at(page, "metadata", "continue", default="")
            if not token or (limit is not None and len(items) >= limit):
                return Listing(
                    items=tuple(items),
                    resource_version=at(page, "metadata", "resourceVersion", default=""),
                    at=answer.at,
                    more=bool(token),
                    remaining=at(page, "metadata", "remainingItemCount"),
                )

    async def table(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = PAGE,
    ) -> Table:
        """Return the objects of a kind as the server prints them for kubectl; at most `limit` rows."""
        resource = await self.resource(kind)
        query = _selected(label_selector, field_selector) | {"limit": limit}
        doing = f"list {resource.plural}" + (f" in {namespace}" if namespace and resource.namespaced else "")
        answer = expect(
            await self._transport.get(resource.collection(namespace), query, accept=_TABLE, doing=doing), doing=doing
        )
        page = _object(answer, doing)
        if page.get("kind") != "Table":
            raise NotAvailable(f"{doing}: this server prints no tables.", next_step='Ask with output="json".')
        rows = page.get("rows") or []
        return Table(
            columns=tuple(page.get("columnDefinitions") or ()),
            rows=tuple((at(row, "object", "metadata", "namespace", default=""), row.get("cells", [])) for row in rows),
            at=answer.at,
            more=bool(at(page, "metadata", "continue", default="")),
        )

    async def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str = "",
        previous: bool = False,
        tail: int | None = None,
        since_seconds: int | None = None,
        timestamps: bool = False,
        limit_bytes: int = LOG_LIMIT,
        follow: float = 0.0,
    ) -> Logs:
        """Return a container's log: of what was asked for, the last `limit_bytes` (see `logs`).

        `follow` is for how many seconds it is followed. `BadRequest` where the container has no such log.
        """
        resource = await self.resource("Pod", "v1")
        wanted = Wanted(container, previous, tail, since_seconds, timestamps, limit_bytes, follow)
        return await logs.read(self._transport, resource.path(namespace, pod), f"{namespace}/{pod}", wanted)

    async def proxy_get(
        self,
        namespace: str,
        name: str,
        path: str = "/",
        port: int | str | None = None,
        *,
        kind: Proxied = "Service",
        scheme: str = "",
        limit: int = 1000,
        timeout: float | None = None,
    ) -> ProxyAnswer:
        """GET `path` of a Service, or of a Pod, through the API server's proxy (see `proxying`)."""
        url_path = quoted(path)
        if port is None:
            port = chosen_port(await self.get(ObjectRef(kind, name, namespace, "v1")))
        target = Address(kind, check_namespace(namespace), check_name(name), port, scheme)
        return await proxying.get(self._transport, target, path, url_path, limit=limit, timeout=timeout)

    async def node_stats(self, node: str) -> Json:
        """Return what a node's kubelet itself says of its use (/stats/summary), by the rules in `usage`."""
        return await self._kubelets.summary(node, self)

    async def usage(self, pods: Sequence[Json]) -> use.Usage:
        """Return what the containers of `pods` (raw objects) use, by the rules in `usage`."""
        namespaces = {at(pod, "metadata", "namespace", default="") for pod in pods}
        wanted = {(at(pod, "metadata", "namespace"), at(pod, "metadata", "name")) for pod in pods}
        try:
            pages = await asyncio.gather(*(self._metrics(namespace) for namespace in sorted(namespaces)))
        except (NotFound, Forbidden, NotAvailable, ServerError, TooMany) as error:
            found = await self._kubelets.usage(pods, self)
            return found if not found.gaps else use.Usage(found.samples, (f"metrics.k8s.io: {error}", *found.gaps))
        samples = (sample for page in pages for sample in page)
        return use.Usage(tuple(one for one in samples if (one.namespace, one.pod) in wanted))

    async def throttling(self, pods: Sequence[Json]) -> tuple[tuple[Throttle, ...], tuple[str, ...]]:
        """Return how often containers of `pods` waited for CPU (see `throttling`), and why others are not known."""
        return await self._kubelets.throttling(pods, self)

    async def _metrics(self, namespace: str) -> tuple[use.Sample, ...]:
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{check_namespace(namespace)}/pods"
        page = await self.raw(path, doing=f"usage of pods in {namespace}")
        return use.from_metrics(page.get("items") or [])

    async def node_usage(self) -> dict[str, Json]:
        """Return what each node uses by metrics.k8s.io, as it says it: by the node's name, `{"cpu", "memory"}`."""
        page = await self.raw("/apis/metrics.k8s.io/v1beta1/nodes", doing="usage of nodes")
        found = page.get("items") or []
        return {at(one, "metadata", "name"): {**one.get("usage", {}), "at": one.get("timestamp")} for one in found}

    async def now(self) -> datetime:
        """Return the cluster's time (UTC), to the second."""
        doing = "read the cluster's clock"
        answer = await self._transport.get("/version", doing=doing)
        if answer.status != 403:  # a server that keeps its version to itself still tells the time
            expect(answer, doing=doing)
        if answer.at is None:
            raise Unknown("The API server's answer has no Date header, so the cluster's time is not known.")
        return answer.at

    async def time_since(self, started: float) -> datetime:
        """Return the cluster's time of an answer that came since `started` (of `time.monotonic`); else ask for it.

        A read's own time, without a further request: whatever this connection heard last during the read.
        """
        return self._transport.heard(started) or await self.now()

    async def uid(self) -> str:
        """Return what tells this cluster from others: the uid of namespace kube-system.

        Where that cannot be read: `sha256:` of the cluster's CA and the server's URL.
        """
        if not self._uid:
            try:
                self._uid = at(await self.get(ObjectRef("Namespace", "kube-system")), "metadata", "uid", default="")
            except (Forbidden, NotFound):
                self._uid = ""
            self._uid = self._uid or "sha256:" + hashlib.sha256(self._ca + self.server.encode()).hexdigest()
        return self._uid

    async def can(self, verb: str, kind: str, namespace: str = "", *, subresource: str = "") -> bool:
        """Return whether the cluster's authorizers let this credential do it."""
        resource = await self.resource(kind)
        asked = Attributes(verb, resource.group, resource.plural, subresource, namespace)
        return (await self.review(asked, None)).allowed

    async def review(self, attributes: Attributes, subject: Subject | None) -> Review:
        """Return whether the cluster lets somebody, or (None) this credential, do it; nothing is stored by asking."""
        path, review = reviewing.asking(attributes, subject)
        who = subject.user if subject else "this credential"
        return reviewing.read(await self._ask(path, review, doing=f"ask whether {who} may {attributes}"))

    async def whoami(self) -> str:
        """Return the user as whom the cluster knows this credential (SelfSubjectReview)."""
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        said = await self._ask(path, review, doing="ask who this credential is")
        return str(at(said, "status", "userInfo", "username", default=""))

    async def _ask(self, path: str, review: Json, *, doing: str) -> Json:
        # It stores nothing, so a lost answer leaves nothing unknown: as with a dry run.
        answer = await self._transport.write(
            "POST", path, review, query={}, content_type="application/json", doing=doing, dry_run=True
        )
        return _object(expect(answer, doing=doing), doing)

    # The one write

    def acting_as(self, subject: Subject) -> Self:
        """Return this cluster with whatever is sent to it sent in somebody's name (impersonation); reads stay ours."""
        other = copy.copy(self)
        other._subject = subject
        return other

    async def send(
        self,
        request: Request,
        *,
        dry_run: bool,
        field_manager: str,
        uid: str = "",
        resource_version: str = "",
        timeout: float | None = None,
    ) -> Sent:
        """Send a rendered request; only the gateway does. Once, never again by itself.

        `uid` and `resource_version` are the preconditions of the compare-and-swap: where the object is another, or
        moved, nothing is written and `Conflict` or (a JSON Patch on another uid) `Invalid` is raised. `OutcomeUnknown`
        where no answer came to a real write.
        """
        bound = conditional(request, uid=uid, resource_version=resource_version)
        method, query, body = route(dry(bound) if dry_run else bound, dry_run=dry_run, field_manager=field_manager)
        doing = f"{request.verb} {request.target}"
        answer = expect(
            await self._transport.write(
                method,
                request.path,
                body,
                query=query,
                content_type=request.content_type,
                doing=doing,
                dry_run=dry_run,
                timeout=timeout,
                headers=[*self._named(), agent(field_manager, dry_run=dry_run)],
            ),
            doing=doing,
        )
        return Sent(status=answer.status, object=_object(answer, doing), warnings=answer.warnings, at=answer.at)

    async def run(self, request: Request, *, field_manager: str = "") -> Ran:
        """Run what a rendered `run` request says (see `running`); only the gateway does. Once, never again by itself.

        Raises what the API server answered, or `Unreachable`, where nothing was started; `OutcomeUnknown` where it was
        started and the connection ended before it said how it went.
        """
        if self._streams is None:
            raise NotAvailable(f"run in {request.target}: this connection has no way into pods.")
        return await running.run(self._streams, request, headers=[*self._named(), agent(field_manager)])

    def _named(self) -> tuple[tuple[str, str], ...]:
        return self._subject.headers() if self._subject else ()


def _selected(label_selector: str, field_selector: str) -> dict[str, str | int | bool]:
    said = {"labelSelector": label_selector, "fieldSelector": field_selector}
    return {name: value for name, value in said.items() if value}


def _object(answer: Answer, doing: str) -> Json:
    decoded = answer.decoded()
    if not isinstance(decoded, dict):
        raise ApiError(
            f"{doing}: expected a JSON object, got {answer.media_type or 'something else'}.",
            next_step="Is this address a Kubernetes API server?",
            status=answer.status,
        )
    return decoded
