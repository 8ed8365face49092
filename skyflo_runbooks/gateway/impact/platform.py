"""Changes that others build upon: nodes, namespaces, quotas, classes, definitions, custom resources. Pure.

Rules:
  1. Quotas and limit ranges hold for pods that start from then on; what runs goes on running.
  2. A taint NoExecute evicts what does not tolerate it at once, and no disruption budget holds that back
     (https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/).
  3. What the controller of a custom resource makes of a change is not known here, and is said so.
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.capacity import tolerates
from skyflo_runbooks.diagnosis.pods import each, finished, labels_of, name_of, namespace_of, quantity, texts
from skyflo_runbooks.gateway.impact.capacity import beyond, silent_about
from skyflo_runbooks.gateway.impact.change import Change, Line, Lines, high, listed, medium, plural, some
from skyflo_runbooks.gateway.impact.dependents import custom
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_POD_SECURITY = "pod-security.kubernetes.io/enforce"
_COUNTING = ("StorageClass", "PriorityClass", "IngressClass", "CustomResourceDefinition")
_READS = {
    "Node": (Need("Pod"), Need("Node"), Need("DaemonSet")),
    "StorageClass": (Need("PersistentVolumeClaim"), Need("StorageClass")),
    "PriorityClass": (Need("Pod"),),
    "IngressClass": (Need("Ingress"),),
}


def needs(change: Change) -> Iterable[Need]:
    """What builds upon the object."""
    if change.kind == "Namespace" and not change.deletes and not change.creates:
        yield Need("Pod", change.name)
    elif change.kind in ("ResourceQuota", "LimitRange"):
        yield Need("Pod", change.namespace)
    elif change.kind == "CustomResourceDefinition" and not (change.creates or change.deletes):
        yield Need(f"{at(change.live, 'spec', 'names', 'plural')}.{at(change.live, 'spec', 'group')}", count=True)
    elif change.kind == "PersistentVolumeClaim" and not (change.creates or change.deletes):
        yield Need("Pod", change.namespace)
    elif not change.creates:
        yield from _READS.get(change.kind, ())


def said(change: Change, scene: Scene) -> Impact:
    """Say what the change means to what builds upon the object."""
    questions = {
        "Node": _node,
        "Namespace": _namespace,
        "ResourceQuota": _quota,
        "LimitRange": _range,
        "StorageClass": _storage_class,
        "PriorityClass": _priority_class,
        "IngressClass": _ingress_class,
        "CustomResourceDefinition": _definition,
        "PersistentVolumeClaim": _claim,
    }
    ask = questions.get(change.kind)
    if change.kind in _COUNTING and not scene.has(needs(change)):
        ask = None  # No number without its list.
    found = list(ask(change, scene)) if ask else []
    unknown: tuple[str, ...] = ()
    if custom(change) and not change.deletes and change.kind not in ("ScaledObject", "VerticalPodAutoscaler"):
        unknown = (f"What the controller of {change.kind} makes of this is not known here",)
    risks = [risk for _, risk in found if risk]
    risks += [("medium", "what a controller makes of it is not known")] if unknown else []
    return Impact(also_touched=tuple(text for text, _ in found), risks=tuple(risks), unknown=unknown)


def _node(change: Change, scene: Scene) -> Lines:
    here = [pod for pod in scene.of("Pod") if at(pod, "spec", "nodeName") == change.name and not finished(pod)]
    if change.deletes:
        number = f": {plural(len(here), 'pod')} ({_pods(here)})" if here else ""
        yield high(f"The pods on it are deleted with it{number}", "pods are deleted with a node")
        return
    if change.switched("spec", "unschedulable"):
        if at(change.will, "spec", "unschedulable") is True:
            number = f": {plural(len(here), 'pod')}" if scene.knows("Pod") else ""
            yield Line(f"No new pod comes to it; what runs there stays{number}")
            yield from _open_nodes(change, scene)
        else:
            yield Line("New pods may come to it again")
    if scene.knows("Pod"):
        yield from _taints(change, here)
    yield from _node_labels(change, here, scene)


def _pods(pods: Iterable[Json]) -> str:
    return some(f"{namespace_of(pod)}/{name_of(pod)}" for pod in pods)


def _open_nodes(change: Change, scene: Scene) -> Lines:
    nodes = scene.of("Node")
    rest = [one for one in nodes if name_of(one) != change.name and at(one, "spec", "unschedulable") is not True]
    if scene.knows("Node"):
        yield Line(
            f"{len(rest)} of {plural(len(nodes), 'node')} stay open for new pods",
            None if rest else ("high", "no node is left open for new pods"),
        )


def _taints(change: Change, here: list[Json]) -> Lines:
    was, will = each(change.was, "spec", "taints"), each(change.will, "spec", "taints")
    for taint in (one for one in will if one not in was):
        name = f"{taint.get('key')}={taint.get('value', '')}:{taint.get('effect')}"
        away = [pod for pod in here if not any(tolerates(t, taint) for t in each(pod, "spec", "tolerations"))]
        if taint.get("effect") == "NoExecute" and away:
            yield high(
                f"Taint {name} EVICTS {plural(len(away), 'pod')} at once, whatever budgets say: {_pods(away)}",
                "a taint evicts running pods",
            )
        elif taint.get("effect") == "NoSchedule":
            yield Line(f"Taint {name} keeps new pods away that do not tolerate it; {len(away)} such pods run there on")
        else:
            yield Line(f"Taint {name}: nothing that runs there is evicted")
    gone = [f"{one.get('key')}:{one.get('effect')}" for one in was if one not in will]
    if gone:
        yield Line(f"Taint {some(gone)} no longer keeps pods away")


def _node_labels(change: Change, here: list[Json], scene: Scene) -> Lines:
    was, will = labels_of(change.was), labels_of(change.will)
    gone = {key: value for key, value in was.items() if will.get(key) != value}
    if not gone or change.after is None:
        return
    wanting = [pod for pod in here if gone.items() & texts(pod, "spec", "nodeSelector").items()]
    sets = [
        name_of(one)
        for one in scene.of("DaemonSet")
        if gone.items() & texts(one, "spec", "template", "spec", "nodeSelector").items()
    ]
    if wanting:
        yield Line(f"{plural(len(wanting), 'pod')} there wants the label {some(gone)}, and would not come here again")
    if sets:
        yield high(f"DaemonSet {some(sets)} takes its pod away from this node", "a DaemonSet leaves the node")


def _namespace(change: Change, scene: Scene) -> Lines:
    if change.deletes or change.creates:
        return
    was, will = labels_of(change.was), labels_of(change.will)
    moved = sorted(key for key in {*was, *will} if was.get(key) != will.get(key))
    pods = [pod for pod in scene.of("Pod", change.name) if not finished(pod)]
    if _POD_SECURITY in moved:
        level = will.get(_POD_SECURITY, "privileged")
        number = f"; {plural(len(pods), 'pod')} there now" if scene.knows("Pod", change.name) else ""
        yield high(
            f"New pods that break the pod security level {level} are refused{number}",
            "another pod security level holds",
        )
    elif moved:
        yield medium(
            f"Webhooks, network policies and quotas that choose by {some(moved)} may hold otherwise for it",
            "others choose the namespace by its labels",
        )


def _quota(change: Change, scene: Scene) -> Lines:
    """Say what a quota refuses from then on, by rule 1."""
    if change.deletes:
        yield Line("Nothing bounds what the namespace asks for")
        return
    hard = texts(change.will, "spec", "hard")
    pods = [pod for pod in scene.of("Pod", change.namespace) if not finished(pod)]
    for key, limit in hard.items():
        used, most = quantity(at(change.was, "status", "used", key, default="0")), quantity(limit)
        if used is not None and most is not None and used > most:
            yield high(
                f"{key}: {at(change.was, 'status', 'used', key)} is used of {limit}: nothing more is ADMITTED",
                "the quota is below what is used",
            )
        full = key if "." in key or key == "pods" else f"requests.{key}"
        bare = [pod for pod in pods if silent_about(at(pod, "spec", default={}), full)]
        if bare:
            yield high(
                f"{key}: {plural(len(bare), 'pod')} there say nothing of it and would not start again: {_pods(bare)}",
                "running pods would not be admitted again",
            )


def _range(change: Change, scene: Scene) -> Lines:
    if change.deletes:
        yield Line("New containers get no defaults and no bounds from it")
        return
    rules = [rule for rule in each(change.will, "spec", "limits") if rule.get("type") == "Container"]
    outside = [
        pod
        for pod in scene.of("Pod", change.namespace)
        if not finished(pod)
        and any(problem for rule in rules for one in each(pod, "spec", "containers") for problem in beyond(one, rule))
    ]
    yield Line("It holds for pods that start from now on")
    if outside:
        yield high(
            f"{plural(len(outside), 'pod')} there would not start again: {_pods(outside)}",
            "running pods would not be admitted again",
        )


def _storage_class(change: Change, scene: Scene) -> Lines:
    claims = [one for one in scene.of("PersistentVolumeClaim") if at(one, "spec", "storageClassName") == change.name]
    waiting = [one for one in claims if at(one, "status", "phase") == "Pending"]
    yield Line(
        f"{plural(len(claims), 'claim')} {'names' if len(claims) == 1 else 'name'} it, {len(waiting)} not bound yet"
    )
    was = texts(change.was, "metadata", "annotations").get(_DEFAULT_CLASS) == "true"
    will = not change.deletes and texts(change.will, "metadata", "annotations").get(_DEFAULT_CLASS) == "true"
    others = [
        name_of(one)
        for one in scene.of("StorageClass")
        if name_of(one) != change.name and texts(one, "metadata", "annotations").get(_DEFAULT_CLASS) == "true"
    ]
    if was and not will and not others:
        yield high("There is no default class any more: claims that name none stay Pending", "no default storage class")
    if will and others:
        yield medium(f"{some(others)} is a default class too: the newest one is taken", "two default storage classes")


def _priority_class(change: Change, scene: Scene) -> Lines:
    pods = [pod for pod in scene.of("Pod") if at(pod, "spec", "priorityClassName") == change.name and not finished(pod)]
    again = "; new pods that name it are refused" if change.deletes and pods else ""
    yield Line(
        f"{plural(len(pods), 'pod')} {'names' if len(pods) == 1 else 'name'} it{again}",
        ("high", "pods that name it cannot start again") if again else None,
    )


def _ingress_class(change: Change, scene: Scene) -> Lines:
    found = [one for one in scene.of("Ingress") if at(one, "spec", "ingressClassName") == change.name]
    yield Line(
        f"{plural(len(found), 'Ingress')} {'names' if len(found) == 1 else 'name'} it: {_pods(found) or 'none'}",
        ("high", "Ingresses lose their controller") if found and change.deletes else None,
    )


def _definition(change: Change, scene: Scene) -> Lines:
    if change.creates or change.deletes:
        return
    number = sum(
        scene.counts(f"{at(change.live, 'spec', 'names', 'plural')}.{at(change.live, 'spec', 'group')}").values()
    )
    yield Line(f"{plural(number, 'object')} of this kind in the cluster")
    was, will = _versions(change.was), _versions(change.will)
    gone = sorted(was - will)
    if gone:
        yield high(f"No longer served: {some(gone)}; programs that ask for it fail", "a version is no longer served")


def _versions(definition: Json) -> set[str]:
    return {str(one.get("name")) for one in each(definition, "spec", "versions") if one.get("served") is True}


def _claim(change: Change, scene: Scene) -> Lines:
    if change.creates or change.deletes:
        return
    using = [
        pod
        for pod in scene.of("Pod", change.namespace)
        if not finished(pod)
        and any(at(v, "persistentVolumeClaim", "claimName") == change.name for v in each(pod, "spec", "volumes"))
    ]
    was, will = (at(side, "spec", "resources", "requests", "storage") for side in (change.was, change.will))
    if was != will:
        who = f" (used by {_pods(using)})" if using else ""
        yield Line(f"The claim grows: {was} → {will}{who}; some drivers grow the file system at the next start only")
    kept = listed(change.was, "metadata", "finalizers")
    if kept and not listed(change.will, "metadata", "finalizers"):
        yield high("It is no longer protected while pods use it", "a claim in use loses its protection")
