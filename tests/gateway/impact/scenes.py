"""Small manifests, changes of them, and the scene around them."""

import asyncio
import copy
from typing import Any

from skyflo_runbooks.gateway.impact import Change, Scene, assess, needs
from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.proposal import Impact
from skyflo_runbooks.model.request import Request, Verb

NS = "shop"


class Around:
    """A cluster of these objects; reading a kind in `refused` fails. It remembers which lists were read.

    Where there is no Node among them, one has room for everything.
    """

    def __init__(self, *objects: Any, refused: tuple[str, ...] = ()) -> None:
        self.objects = objects
        self.refused = refused
        self.read: list[tuple[str, str]] = []

    async def items(self, kind: str, namespace: str) -> list[Json]:
        """See `Lister`."""
        self.read.append((kind, namespace))
        if kind in self.refused:
            raise Unknown(f"{kind}: forbidden")
        if kind == "Node" and not any(isinstance(one, dict) and one.get("kind") == "Node" for one in self.objects):
            return [node("roomy", memory="1Ti", cpu="100")]
        wanted = [one for one in self.objects if not isinstance(one, dict) or one.get("kind") == kind]
        return [one for one in wanted if not namespace or not isinstance(one, dict) or _namespace(one) == namespace]

    async def counts(self, kind: str, namespace: str) -> tuple[dict[str, int], dict[str, str]]:
        """See `Lister`."""
        numbers: dict[str, int] = {}
        for one in (found for found in self.objects if isinstance(found, dict)):
            if kind in ("*", one["kind"]) and (not namespace or _namespace(one) == namespace):
                numbers[one["kind"]] = numbers.get(one["kind"], 0) + 1
        failed = {one: "forbidden" for one in self.refused if kind in ("*", one)}
        return {name: number for name, number in numbers.items() if name not in failed}, failed


def _namespace(manifest: Json) -> object:
    metadata = manifest.get("metadata")
    return metadata.get("namespace") if isinstance(metadata, dict) else None


def told(change: Change, around: Around, *others: Request) -> Impact:
    """Return the impact of a change, as a proposal gets it: read what is needed, then assess."""

    async def read() -> Scene:
        scene = Scene(around, (change.request, *others))
        await scene.read(needs(change))
        return scene

    return assess(change, asyncio.run(read()))


def lines(impact: Impact) -> str:
    """Return everything that an impact says, as one text."""
    return "\n".join((*impact.while_it_runs, *impact.also_touched, *impact.ownership, *impact.unknown))


def level(impact: Impact) -> str:
    """Return the highest risk that an impact gives."""
    levels = [risk for risk, _ in impact.risks]
    return next((one for one in ("high", "medium") if one in levels), "low")


def request(verb: Verb, manifest: Json, body: object = None) -> Request:
    """Return a request about an object."""
    return Request(verb, ObjectRef.of(manifest), "/", {} if body is None else body)


def changed(before: Json, **members: Any) -> Change:
    """Return the patch of an object that sets members: `spec__replicas=3`."""
    after = copy.deepcopy(before)
    for path, value in members.items():
        *parents, last = path.split("__")
        place = after
        for part in parents:
            place = place.setdefault(part, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return Change(request("patch", before), before, after)


def created(manifest: Json) -> Change:
    """Return the creation of an object."""
    return Change(request("create", manifest, manifest), None, manifest)


def deleted(manifest: Json, **options: Any) -> Change:
    """Return the deletion of an object."""
    return Change(request("delete", manifest, options), manifest, None)


def made(kind: str, name: str, *, namespace: str = NS, api: str = "v1", **members: Any) -> Json:
    """Return an object; `labels`, `annotations`, `owner` (an object that controls it) go into its metadata."""
    metadata: Json = {"name": name, "namespace": namespace, "uid": f"uid-{kind}-{name}"}
    if not namespace:
        metadata.pop("namespace")
    for member in ("labels", "annotations"):
        if member in members:
            metadata[member] = members.pop(member)
    owner = members.pop("owner", None)
    if owner:
        uid = owner["metadata"]["uid"]
        reference = {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": uid, "controller": True}
        metadata["ownerReferences"] = [reference]
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **members}


def container(name: str = "app", memory: str = "", cpu: str = "", **members: Any) -> Json:
    """Return a container with limits of this size."""
    limits = {key: value for key, value in (("memory", memory), ("cpu", cpu)) if value}
    return {"name": name, "image": "app:1", "resources": {"limits": limits} if limits else {}, **members}


def workload(kind: str = "Deployment", name: str = "web", replicas: int = 3, **members: Any) -> Json:
    """Return a workload of pods labelled `app: <name>`, all of them ready."""
    spec: Json = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}
    spec["template"] = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container()]}}
    pod_spec = members.pop("pod", None)
    if pod_spec:
        spec["template"]["spec"] = pod_spec
    spec |= members.pop("spec", {})
    status = {"readyReplicas": replicas, **members.pop("status", {})}
    if kind == "DaemonSet":
        spec.pop("replicas")
        status |= {"desiredNumberScheduled": replicas, "numberReady": replicas}
    return made(kind, name, api="apps/v1", spec=spec, status=status, **members)


def pod(name: str, app: str = "web", *, ready: bool = True, node: str = "n1", **members: Any) -> Json:
    """Return a pod labelled `app: <app>`."""
    spec = {"nodeName": node, "containers": [container()], **members.pop("spec", {})}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]}
    return made("Pod", name, spec=spec, status=status, **{"labels": {"app": app}, **members})


def node(name: str, memory: str = "8Gi", cpu: str = "4", **spec: Any) -> Json:
    """Return a node that is ready."""
    allocatable = {"memory": memory, "cpu": cpu, "pods": "110"}
    status = {"allocatable": allocatable, "conditions": [{"type": "Ready", "status": "True"}]}
    return made("Node", name, namespace="", spec=spec, status=status)


def service(name: str = "web", app: str = "web", **members: Any) -> Json:
    """Return a Service of the pods labelled `app: <app>`."""
    spec = {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": "http"}], **members.pop("spec", {})}
    return made("Service", name, spec=spec, **members)
