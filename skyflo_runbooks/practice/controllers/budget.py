"""PodDisruptionBudgets: the status that the disruption controller keeps, and what an eviction may do under it.

Source: k8s.io/kubernetes/pkg/controller/disruption/disruption.go and pkg/registry/core/pod/rest/eviction.go.
"""

import math

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import errors
from skyflo_runbooks.practice.controllers.common import active, controller_of, is_ready, write_status
from skyflo_runbooks.practice.kinds import BUDGET, POD, REPLICA_SET, STATEFUL_SET
from skyflo_runbooks.practice.selectors import labels_of, selects
from skyflo_runbooks.practice.store import Store, clone

_SCALED = {kind.kind: kind for kind in (REPLICA_SET, STATEFUL_SET)}


def reconcile(store: Store, budget: Json) -> None:
    """Write how many pods are healthy, how many have to be, and so how many may go."""
    pods = [pod for pod in _pods(store, budget) if active(pod)]
    healthy = sum(is_ready(pod) for pod in pods)
    expected, desired = _wanted(store, budget.get("spec", {}), pods)
    status = {
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": max(0, healthy - desired) if pods else 0,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"]["generation"],
    }
    write_status(store, BUDGET, budget, {**budget.get("status", {}), **status})


def evict(store: Store, pod: Json, *, dry_run: bool) -> None:
    """Let the pod go as far as budgets are concerned, and count it; else raise what the API server answers."""
    if at(pod, "status", "phase") in {"Succeeded", "Failed", "Pending"} or pod["metadata"].get("deletionTimestamp"):
        return
    found = [one for one in store.list(BUDGET, pod["metadata"]["namespace"]) if _about(one, pod)]
    if len(found) > 1:
        said = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise errors.ApiError(500, "InternalError", said, {})
    for budget in found:
        status = budget.get("status", {})
        name, wanted, healthy = (
            budget["metadata"]["name"],
            status.get("desiredHealthy", 0),
            status.get("currentHealthy", 0),
        )
        if not is_ready(pod) and healthy >= wanted > 0:
            return
        if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
            raise errors.too_many(f"The disruption budget {name} is still being processed by the server.")
        if status.get("disruptionsAllowed", 0) <= 0:
            raise errors.too_many(
                f"The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
            )
        if not dry_run:
            write_status(
                store, BUDGET, budget, {**clone(status), "disruptionsAllowed": status["disruptionsAllowed"] - 1}
            )


def concerned(store: Store, pod: Json) -> list[Json]:
    """Return the budgets whose status follows a pod."""
    return [one for one in store.list(BUDGET, pod["metadata"]["namespace"]) if _about(one, pod)]


def _about(budget: Json, pod: Json) -> bool:
    return selects(at(budget, "spec", "selector"), labels_of(pod))


def _pods(store: Store, budget: Json) -> list[Json]:
    return [pod for pod in store.list(POD, budget["metadata"]["namespace"]) if _about(budget, pod)]


def _wanted(store: Store, spec: Json, pods: list[Json]) -> tuple[int, int]:
    """Return how many pods there should be, and how many of them have to be healthy."""
    if isinstance(spec.get("minAvailable"), int):
        return len(pods), spec["minAvailable"]
    expected = _scale(store, pods)
    if "maxUnavailable" in spec:
        return expected, max(0, expected - _portion(spec["maxUnavailable"], expected))
    return expected, _portion(spec.get("minAvailable", 0), expected)


def _scale(store: Store, pods: list[Json]) -> int:
    """Return how many pods the controllers of these want; a pod that nobody controls counts for itself."""
    wanted: dict[str, int] = {}
    for pod in pods:
        owner = controller_of(pod)
        kind = _SCALED.get(owner["kind"]) if owner else None
        found = store.find(kind, pod["metadata"]["namespace"], owner["name"]) if owner and kind else None
        key = str(at(found or pod, "metadata", "uid"))
        wanted[key] = at(found, "spec", "replicas", default=1)
    return sum(wanted.values())


def _portion(value: int | str, of: int) -> int:
    """Return a number of pods; a share is rounded up, as the controller does for both fields."""
    return value if isinstance(value, int) else math.ceil(int(value.rstrip("%")) * of / 100)
