"""The checks, each observed once: of workloads and what is in front of them here, what
controllers answer in `controllers`, the others in `platform`.

A read that fails is `unknown`, never `yes`.

Adding a check: its claim in `model/check.py`, its observer here, one test.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from skyflo_mcp.kubernetes.errors import NotFound

from skyflo_runbooks.gateway.checks import controllers, platform
from skyflo_runbooks.gateway.checks.view import Observation, Seen, View, containers, is_ready, name_of, seen
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.errors import BadInput, SkyfloError, Unknown
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import format_memory, parse_quantity

Observer = Callable[..., Awaitable[Seen]]


async def observe(check: Check, view: View) -> Observation:
    """Return what one look at `check` shows."""
    try:
        holds, observed, evidence = await OBSERVERS[check.name](view, **check.arguments)
    except SkyfloError as error:
        return Observation("unknown", f"could not be read: {error.message}", view.now)
    return Observation(holds, observed, view.now, evidence)


async def rollout_complete(view: View, *, kind: str, name: str, namespace: str) -> Seen:
    """https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#complete-deployment, and no old pod."""
    pods = await view.pods(kind, name, namespace)
    status: Json = pods.workload.get("status") or {}
    generation = at(pods.workload, "metadata", "generation", default=0)
    if status.get("observedGeneration", -1) < generation:
        return seen(False, f"generation {generation} is not observed yet ({status.get('observedGeneration')})")
    if kind == "DaemonSet":
        updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    else:
        updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    total = len(pods.new) + len(pods.old)
    done = updated == available == pods.desired == total and not pods.old
    said = f"{updated} of {pods.desired} updated, {available} available, {len(pods.old)} old pods left"
    return seen(done, said, *_conditions(pods.workload))


async def pods_ready(view: View, *, kind: str, name: str, namespace: str, count: int | None) -> Seen:
    """Only pods of the current template count."""
    pods = await view.pods(kind, name, namespace)
    wanted = pods.desired if count is None else count
    ready = [name_of(pod) for pod in pods.new if is_ready(pod)]
    ok = len(ready) == wanted and (wanted > 0 or count == 0)
    waiting = [f"{name_of(pod)}: {_state(pod)}" for pod in pods.new if not is_ready(pod)]
    return seen(ok, f"{len(ready)} of {wanted} pods ready", *waiting)


async def no_restarts(view: View, *, kind: str, name: str, namespace: str, window: str) -> Seen:
    """Here only the counts are read; `watch` compares them over the window."""
    pods = await view.pods(kind, name, namespace)
    if not pods.new:
        return "unknown", "there is no pod of the current template", ()
    counts = [f"{name_of(pod)}/{c.get('name')}={c.get('restartCount', 0)}" for pod in pods.new for c in containers(pod)]
    if not counts:
        return "unknown", "no container has reported yet", ()
    total = sum(int(text.rpartition("=")[2]) for text in counts)
    return "yes", f"{total} restarts", tuple(sorted(counts))


async def no_oom_kills(view: View, *, kind: str, name: str, namespace: str, window: str) -> Seen:
    """Every container state of the current pods is read; the kill stands in `state` or `lastState`."""
    pods = await view.pods(kind, name, namespace)
    if not pods.new:
        return "unknown", "there is no pod of the current template", ()
    kills = []
    for pod in pods.new:
        for container in containers(pod):
            for where in ("state", "lastState"):
                ended: Json = at(container, where, "terminated", default={})
                if ended.get("reason") == "OOMKilled" and _time(ended.get("finishedAt"), view.now) >= view.since:
                    kills.append(f"{name_of(pod)}/{container.get('name')} OOMKilled at {ended.get('finishedAt')}")
    limits = ", ".join(sorted({_limit_of(pod, c["name"]) or "no limit" for pod in pods.new for c in containers(pod)}))
    if kills:
        return seen(False, f"{len(set(kills))} OOMKilled since the change, limit {limits}", *sorted(set(kills)))
    return seen(True, "no OOMKilled since the change")


async def memory_below(view: View, *, kind: str, name: str, namespace: str, percent: int, window: str) -> Seen:
    """The measured working set of each container against its limit; a missing figure is unknown.

    A container without a limit has none to stay below, and says nothing where another one has; where none has, that is
    unknown.
    """
    pods = await view.pods(kind, name, namespace)
    if not pods.new:
        return "unknown", "there is no pod of the current template", ()
    usage = await view.usage(pods.new)
    worst = (0.0, "")
    lines: list[str] = []
    missing: list[str] = []
    free: list[str] = []
    for pod in pods.new:
        for container in at(pod, "spec", "containers", default=[]):
            limit = _limit_of(pod, container["name"])
            sample = usage.of(namespace, name_of(pod), container["name"])
            used = None if sample is None else sample.memory
            if not limit or used is None:
                (missing if limit else free).append(f"{name_of(pod)}/{container['name']}")
                continue
            share = 100 * used / float(parse_quantity(limit))
            lines.append(f"{name_of(pod)}/{container['name']}: {_mebi(used)} of {limit}")
            worst = max(worst, (share, f"{_mebi(used)} of {limit} ({share:.0f} %)"))
    if missing or not lines:
        told = (*(f"{one}: no figure" for one in missing), *(f"{one}: no memory limit" for one in free))
        return "unknown", "memory use is not known: " + "; ".join((*told, *usage.gaps))[:400], tuple(lines)
    return seen(worst[0] < percent, worst[1], *lines)


async def http_ok(view: View, *, service: str, namespace: str, path: str, port: int | None, window: str) -> Seen:
    """An answer of the API server itself says nothing about the service, but that it has no endpoint does."""
    return await _asked(view, service, namespace, path, port, range(200, 400))


async def http_answers(view: View, *, service: str, namespace: str, path: str, port: int | None, window: str) -> Seen:
    """That it has no such page is an answer: nobody knows whether the path is one."""
    return await _asked(view, service, namespace, path, port, range(200, 500))


async def _asked(view: View, service: str, namespace: str, path: str, port: int | None, good: range) -> Seen:
    if port is None:
        found = await view.get("Service", service, namespace)
        port = at(found, "spec", "ports", 0, "port")
    answer = await view.http(namespace, service, path, port)
    if answer.by == "service":
        return seen(answer.status in good, f"{answer.status} on {path}")
    if "no endpoints available" in answer.text:
        return seen(False, f"service {service} has no ready endpoint", answer.text)
    return "unknown", f"{path} could not be asked through the API server: {answer.text[:200]}", ()


async def endpoints_ready(view: View, *, service: str, namespace: str) -> Seen:
    """Endpoints as EndpointSlices say; the pods that the selector means, as the Service says."""
    found = await view.get("Service", service, namespace)
    selector = at(found, "spec", "selector", default={})
    pods = [
        pod
        for pod in await view.list("Pod", namespace)
        if selector and selector.items() <= at(pod, "metadata", "labels", default={}).items()
        if at(pod, "status", "phase") not in ("Succeeded", "Failed") and not at(pod, "metadata", "deletionTimestamp")
    ]
    slices = [
        one
        for one in await view.list("EndpointSlice", namespace)
        if at(one, "metadata", "labels", "kubernetes.io/service-name") == service
    ]
    points = [point for one in slices for point in one.get("endpoints") or []]
    ready = sum(at(point, "conditions", "ready", default=True) is not False for point in points)
    said = f"{ready} ready endpoints for {len(pods)} selected pods"
    return seen(bool(pods) and ready == len(pods), said, f"selector {selector}")


async def image_running(view: View, *, kind: str, name: str, namespace: str, container: str, image: str) -> Seen:
    """The image in the spec of the running pods, old ones included."""
    pods = await view.pods(kind, name, namespace)
    images = {
        name_of(pod): str(spec.get("image"))
        for pod in (*pods.new, *pods.old)
        for spec in at(pod, "spec", "containers", default=[])
        if spec.get("name") == container
    }
    right = [pod for pod, found in images.items() if found == image]
    lines = [f"{pod}: {found}" for pod, found in sorted(images.items())]
    return seen(bool(images) and len(right) == len(images), f"{len(right)} of {len(images)} pods run {image}", *lines)


async def pods_scheduled(view: View, *, kind: str, name: str, namespace: str) -> Seen:
    """Every desired pod has a node; requests on each of those nodes stay within what it can allocate."""
    pods = await view.pods(kind, name, namespace)
    placed = [pod for pod in pods.new if at(pod, "spec", "nodeName")]
    waiting = [f"{name_of(pod)}: {_state(pod)}" for pod in pods.new if not at(pod, "spec", "nodeName")]
    over = await _overcommitted(view, {str(at(pod, "spec", "nodeName")) for pod in placed})
    ok = len(placed) == pods.desired > 0 and not over
    return seen(ok, f"{len(placed)} of {pods.desired} pods have a node", *waiting, *over)


async def field_equals(view: View, *, kind: str, name: str, namespace: str, path: str, value: Any) -> Seen:
    """JSON Pointer (RFC 6901); a list member may also be named, as in `/containers/payment-service/image`.

    A secret value is neither shown nor compared: who may ask again and again could guess it.
    """
    found: Any = await view.get(kind, name, namespace)
    shown: Any = Redactor().mask(found)
    for part in path.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found, shown = _member(found, key), _member(shown, key)
    if _is_masked(found, shown):
        raise Unknown(f"{path} of {kind} {name} holds a secret value, which is neither shown nor compared.")
    return seen(_same(found, value), f"{path} is {found!r}")


def _is_masked(found: object, shown: object) -> bool:
    """Return whether a value is another one where it may be shown."""
    return found != shown


async def env_set(view: View, *, kind: str, name: str, namespace: str, container: str, variable: str) -> Seen:
    """The value itself is neither read nor shown."""
    workload = await view.get(kind, name, namespace)
    for spec in at(workload, "spec", "template", "spec", "containers", default=[]):
        if spec.get("name") == container:
            names = [entry.get("name") for entry in spec.get("env") or []]
            return seen(variable in names, f"{variable} is {'set' if variable in names else 'not set'}")
    raise NotFound(f"{kind} {name} has no container {container}.")


OBSERVERS: dict[str, Observer] = (
    {
        function.__name__: function
        for function in (
            rollout_complete,
            pods_ready,
            no_restarts,
            no_oom_kills,
            memory_below,
            http_ok,
            http_answers,
            endpoints_ready,
            image_running,
            pods_scheduled,
            field_equals,
            env_set,
        )
    }
    | platform.OBSERVERS
    | controllers.OBSERVERS
)


async def _overcommitted(view: View, nodes: set[str]) -> list[str]:
    if not nodes:
        return []
    pods = await view.list("Pod", "")
    said = []
    for node in await view.list("Node", ""):
        if name_of(node) not in nodes:
            continue
        own = [p for p in pods if at(p, "spec", "nodeName") == name_of(node)]
        own = [p for p in own if at(p, "status", "phase") not in ("Succeeded", "Failed")]
        for resource in ("cpu", "memory"):
            asked = sum(
                parse_quantity(at(c, "resources", "requests", resource, default="0"))
                for pod in own
                for c in at(pod, "spec", "containers", default=[])
            )
            if asked > parse_quantity(at(node, "status", "allocatable", resource, default="0")):
                said.append(f"node {name_of(node)} is asked for more {resource} than it can allocate")
    return said


def _member(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list):
        if part.isdigit():
            return value[int(part)] if int(part) < len(value) else None
        return next((item for item in value if isinstance(item, dict) and item.get("name") == part), None)
    return None


def _same(found: Any, value: Any) -> bool:
    if found == value:
        return True
    try:
        return isinstance(found, str) and isinstance(value, str) and parse_quantity(found) == parse_quantity(value)
    except BadInput:
        return False


def _limit_of(pod: Json, container: str) -> str:
    specs = at(pod, "spec", "containers", default=[])
    return next((at(s, "resources", "limits", "memory", default="") for s in specs if s.get("name") == container), "")


def _mebi(size: int | float) -> str:
    return format_memory(int(size) // 2**20 * 2**20 or int(size))


def _conditions(workload: Json) -> list[str]:
    return [
        f"{c.get('type')}={c.get('status')} {c.get('reason', '')}"
        for c in at(workload, "status", "conditions", default=[])
    ]


def _state(pod: Json) -> str:
    for container in containers(pod):
        waiting: Json = at(container, "state", "waiting", default={})
        if waiting:
            return f"{waiting.get('reason')} {waiting.get('message', '')}".strip()[:200]
    for condition in at(pod, "status", "conditions", default=[]):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason')} {condition.get('message', '')}".strip()[:200]
    return str(at(pod, "status", "phase", default="unknown"))


def _time(text: str | None, fallback: datetime) -> datetime:
    return datetime.fromisoformat(text) if text else fallback
