"""Get, list and watch: selection, pages, and the stream of changes.

Rules: https://kubernetes.io/docs/reference/using-api/api-concepts/. Items of a list carry no kind of their own; a
page continues after the last key; a watch from a version older than the kept history is answered 410 Gone.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Callable, Mapping

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import errors, selectors
from skyflo_runbooks.practice.kinds import Kind
from skyflo_runbooks.practice.store import Change, Store, key_of

Render = Callable[[Json], Json]
MOST_WATCH_SECONDS = 1800.0


def matcher(kind: Kind, query: Mapping[str, str]) -> selectors.Match:
    """Return the test for a query's selectors."""
    by_label = selectors.by_labels(query.get("labelSelector", ""))
    by_field = selectors.by_fields(kind, query.get("fieldSelector", ""))
    return lambda obj: by_label(obj) and by_field(obj)


def page(store: Store, kind: Kind, namespace: str, query: Mapping[str, str]) -> Json:
    """Return one page of a list."""
    fits = matcher(kind, query)
    after = _continued(query.get("continue", ""))
    found = [obj for obj in store.list(kind, namespace) if fits(obj) and (after is None or key_of(obj) > after)]
    meta: Json = {"resourceVersion": str(store.version)}
    limit = _number(query, "limit")
    if limit and len(found) > limit:
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            meta["remainingItemCount"] = len(found) - limit
        found = found[:limit]
        token = json.dumps({"v": "meta.k8s.io/v1", "start": list(key_of(found[-1]))})
        meta["continue"] = base64.urlsafe_b64encode(token.encode()).decode()
    items = [{key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}} for obj in found]
    return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta, "items": items}


def _continued(token: str) -> tuple[str, str] | None:
    if not token:
        return None
    try:
        namespace, name = json.loads(base64.urlsafe_b64decode(token))["start"]
    except (ValueError, KeyError, TypeError, binascii.Error) as wrong:
        raise errors.bad_request("continue key is not valid") from wrong
    return (str(namespace), str(name))


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not text:
        return 0
    try:
        return int(text)
    except ValueError as wrong:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from wrong


class Watch:
    """One watch: what it has seen is in a queue, which the store feeds."""

    def __init__(self, store: Store, kind: Kind, namespace: str, query: Mapping[str, str]) -> None:
        self.store, self.kind, self.namespace = store, kind, namespace
        self.fits = matcher(kind, query)
        self.seconds = min(float(_number(query, "timeoutSeconds") or MOST_WATCH_SECONDS), MOST_WATCH_SECONDS)
        self.initial = query.get("sendInitialEvents") == "true"
        self.version = _number(query, "resourceVersion")
        if self.version and store.history and self.version < store.history[0].version - 1:
            raise errors.expired(f"too old resource version: {self.version} ({store.history[0].version - 1})")

    async def events(self) -> AsyncGenerator[Json, None]:
        """Yield watch events until the time is over."""
        queue: asyncio.Queue[Change] = asyncio.Queue()
        backlog = self._backlog()
        self.store.listeners.append(queue.put_nowait)
        try:
            for event in backlog:
                yield event
            async with asyncio.timeout(self.seconds):
                while True:
                    for event in self._event(await queue.get()):
                        yield event
        except TimeoutError:
            return
        finally:
            self.store.listeners.remove(queue.put_nowait)

    def _backlog(self) -> list[Json]:
        if self.version and not self.initial:
            return [
                event for change in self.store.history if change.version > self.version for event in self._event(change)
            ]
        listed = [
            {"type": "ADDED", "object": obj} for obj in self.store.list(self.kind, self.namespace) if self.fits(obj)
        ]
        if self.initial:
            mark = {"resourceVersion": str(self.store.version), "annotations": {"k8s.io/initial-events-end": "true"}}
            listed.append(
                {
                    "type": "BOOKMARK",
                    "object": {"kind": self.kind.kind, "apiVersion": self.kind.api_version, "metadata": mark},
                }
            )
        return listed

    def _event(self, change: Change) -> list[Json]:
        """Return the event as this watch's selection sees it."""
        obj = change.object
        if change.kind is not self.kind or (self.namespace and obj["metadata"].get("namespace") != self.namespace):
            return []
        now = change.type != "DELETED" and self.fits(obj)
        before = change.before is not None and self.fits(change.before)
        if now:
            return [{"type": "MODIFIED" if before else "ADDED", "object": obj}]
        return [{"type": "DELETED", "object": obj}] if before else []
