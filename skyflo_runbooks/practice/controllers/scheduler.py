"""The scheduler: a node for each pod, or the reason why there is none, in the real scheduler's words.

Filters: unschedulable, taints, node selector and required node affinity, pods per node, CPU and memory requests.
Score: least allocated, then by name. Source of the texts: k8s.io/kubernetes/pkg/scheduler/framework (types.go) and
the plug-ins' failure reasons; preemption never helps here, since all pods have one priority.
"""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.practice.clock import stamp
from skyflo_runbooks.practice.controllers.common import set_condition
from skyflo_runbooks.practice.events import SCHEDULER, Occurrence, record
from skyflo_runbooks.practice.kinds import NODE, POD
from skyflo_runbooks.practice.selectors import labels_of
from skyflo_runbooks.practice.store import Author, Store, clone

_BIND = Author("kube-scheduler")
# The scheduler tries pods that nothing new could help again after five minutes.
RETRY = timedelta(minutes=5)


def reconcile(store: Store, pod: Json) -> datetime | None:
    """Bind one pod, or say why it stays pending and return when to try again."""
    if at(pod, "spec", "nodeName") or pod["metadata"].get("deletionTimestamp"):
        return None
    nodes = store.list(NODE)
    load = _load(store)
    refusals = {node["metadata"]["name"]: _refusal(pod, node, load) for node in nodes}
    fitting = [node for node in nodes if not refusals[node["metadata"]["name"]]]
    if fitting:
        _bind(store, pod, min(fitting, key=lambda node: (_share(node, load), node["metadata"]["name"])))
        return None
    text = _message(pod, nodes, refusals)
    record(store, pod, Occurrence("Warning", "FailedScheduling", text, SCHEDULER))
    _condition(store, pod, "False", "Unschedulable", text)
    return store.clock.now() + RETRY


def requests(pod: Json) -> dict[str, Decimal]:
    """Return what a pod asks of a node."""
    out = {"cpu": Decimal(0), "memory": Decimal(0)}
    for container in at(pod, "spec", "containers", default=[]):
        for name, amount in at(container, "resources", "requests", default={}).items():
            out[name] = out.get(name, Decimal(0)) + parse_quantity(amount)
    return out


def _load(store: Store) -> dict[str, dict[str, Decimal]]:
    load: dict[str, dict[str, Decimal]] = {}
    for pod in store.list(POD):
        node = at(pod, "spec", "nodeName", default="")
        if node and at(pod, "status", "phase") not in {"Succeeded", "Failed"}:
            held = load.setdefault(node, {"pods": Decimal(0)})
            held["pods"] += 1
            for name, amount in requests(pod).items():
                held[name] = held.get(name, Decimal(0)) + amount
    return load


def _free(node: Json, load: dict[str, dict[str, Decimal]], name: str) -> Decimal:
    total = parse_quantity(at(node, "status", "allocatable", name, default="0"))
    return total - load.get(node["metadata"]["name"], {}).get(name, Decimal(0))


def _share(node: Json, load: dict[str, dict[str, Decimal]]) -> Decimal:
    parts = []
    for name in ("cpu", "memory"):
        total = parse_quantity(at(node, "status", "allocatable", name, default="0"))
        parts.append(1 - _free(node, load, name) / total if total else Decimal(1))
    # The number of pods breaks ties between nodes whose pods request nothing.
    return sum(parts, Decimal(0)) + load.get(node["metadata"]["name"], {}).get("pods", Decimal(0)) / 1000


def _refusal(pod: Json, node: Json, load: dict[str, dict[str, Decimal]]) -> list[str]:
    """Return why the pod does not fit on the node; the first filter that refuses decides, resources all at once."""
    if at(node, "spec", "unschedulable") and not _tolerates(
        pod, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    ):
        return ["node(s) were unschedulable"]
    if any(not _tolerates(pod, t) for t in at(node, "spec", "taints", default=[]) if t["effect"] != "PreferNoSchedule"):
        return ["node(s) had untolerated taint(s)"]
    if not _selected(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    out = ["Too many pods"] if _free(node, load, "pods") < 1 else []
    asked = requests(pod)
    return out + [
        f"Insufficient {name}" for name in sorted(asked) if asked[name] and asked[name] > _free(node, load, name)
    ]


def _tolerates(pod: Json, taint: Json) -> bool:
    for item in at(pod, "spec", "tolerations", default=[]):
        if item.get("effect") not in {None, "", taint["effect"]}:
            continue
        if item.get("operator") == "Exists" and item.get("key", taint["key"]) == taint["key"]:
            return True
        if item.get("key") == taint["key"] and item.get("value", "") == taint.get("value", ""):
            return bool(item.get("operator", "Equal") == "Equal")
    return False


def _selected(pod: Json, node: Json) -> bool:
    labels = labels_of(node)
    if any(labels.get(key) != value for key, value in at(pod, "spec", "nodeSelector", default={}).items()):
        return False
    path = ("spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
    terms = at(pod, *path, default=None)
    return terms is None or any(_term(term, labels) for term in terms)


def _term(term: Json, labels: dict[str, str]) -> bool:
    for item in term.get("matchExpressions", []):
        found, values = labels.get(item["key"]), item.get("values", [])
        fits = {
            "In": found in values,
            "NotIn": found not in values,
            "Exists": found is not None,
            "DoesNotExist": found is None,
        }
        if not fits.get(item["operator"], False):
            return False
    return True


def _message(pod: Json, nodes: list[Json], refusals: dict[str, list[str]]) -> str:
    """Return the FailedScheduling text."""
    total = len(nodes)
    if not total:
        return "no nodes available to schedule pods"
    reasons = Counter(reason for listed in refusals.values() for reason in listed)
    why = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    empty: dict[str, dict[str, Decimal]] = {}
    # A node that would refuse the pod even when empty is not helped by evicting others.
    hopeless = sum(bool(_refusal(pod, node, empty)) for node in nodes)
    parts = []
    if total - hopeless:
        parts.append(f"{total - hopeless} No preemption victims found for incoming pod")
    if hopeless:
        parts.append(f"{hopeless} Preemption is not helpful for scheduling")
    preemption = f"0/{total} nodes are available: {', '.join(parts)}."
    return f"0/{total} nodes are available: {why}. no new claims to deallocate, preemption: {preemption}"


def _bind(store: Store, pod: Json, node: Json) -> None:
    meta, name = pod["metadata"], node["metadata"]["name"]
    bound = clone(pod)
    bound["spec"]["nodeName"] = name
    bound = store.update(POD, bound, _BIND)
    text = f"Successfully assigned {meta['namespace']}/{meta['name']} to {name}"
    record(store, bound, Occurrence("Normal", "Scheduled", text, SCHEDULER))
    _condition(store, bound, "True", "", "")


def _condition(store: Store, pod: Json, status: str, reason: str, message: str) -> None:
    now = stamp(store.clock.now())
    conditions = at(pod, "status", "conditions", default=[])
    made = set_condition(conditions, "PodScheduled", status, reason, message, now)
    if made == conditions:
        return
    shaped = [_pod_condition(item) if item["type"] == "PodScheduled" else item for item in made]
    changed = clone(pod)
    changed["status"]["conditions"] = shaped
    store.update(POD, changed, Author("kube-scheduler", "status"))


def _pod_condition(item: Json) -> Json:
    """Return a condition in the form pods have it: a probe time, no update time, no empty reason."""
    made = {key: value for key, value in item.items() if key != "lastUpdateTime" and value}
    return (
        {**made, "lastProbeTime": None, "reason": item["reason"], "message": item["message"]}
        if item["reason"]
        else {**made, "lastProbeTime": None}
    )
