"""ResourceQuota and LimitRange at the moment a pod is admitted, and a quota's `status.used`.

Source: k8s.io/kubernetes/plugin/pkg/admission/{resourcequota,limitranger}. Counted are pods and the sums of requests
and limits over pods that have not ended, and the objects of `count/…`-less kinds that scenarios use.
"""

from decimal import Decimal

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.practice import errors, quantities
from skyflo_runbooks.practice.kinds import CONFIG_MAP, LIMIT_RANGE, POD, QUOTA, SECRET, SERVICE, Kind
from skyflo_runbooks.practice.store import Author, Store, clone

_OBJECTS: dict[str, Kind] = {"configmaps": CONFIG_MAP, "secrets": SECRET, "services": SERVICE}
AUTHOR = Author("kube-controller-manager", "status")


def alive(pod: Json) -> bool:
    """Return whether a pod still counts: neither succeeded nor failed."""
    return at(pod, "status", "phase", default="") not in {"Succeeded", "Failed"}


def usage_of(pod: Json) -> dict[str, Decimal]:
    """Return what one pod takes of each quota resource."""
    used: dict[str, Decimal] = {"pods": Decimal(1)}
    for container in at(pod, "spec", "containers", default=[]):
        resources = container.get("resources", {})
        for part in ("requests", "limits"):
            for name, amount in resources.get(part, {}).items():
                for key in {f"{part}.{name}", name if part == "requests" else f"limits.{name}"}:
                    used[key] = used.get(key, Decimal(0)) + parse_quantity(amount)
    return used


def used(store: Store, namespace: str, hard: Json) -> dict[str, str]:
    """Return `status.used` for a quota's `hard`."""
    pods = [usage_of(pod) for pod in store.list(POD, namespace) if alive(pod)]
    out: dict[str, str] = {}
    for name, limit in hard.items():
        if name in _OBJECTS:
            out[name] = str(len(store.list(_OBJECTS[name], namespace)))
        else:
            out[name] = quantities.like(sum((pod.get(name, Decimal(0)) for pod in pods), Decimal(0)), limit)
    return out


def refresh(store: Store, namespace: str) -> None:
    """Bring the `status` of a namespace's quotas up to date."""
    for quota in store.list(QUOTA, namespace):
        hard = at(quota, "spec", "hard", default={})
        status = {"hard": hard, "used": used(store, namespace, hard)}
        if quota.get("status") != status:
            changed = clone(quota)
            changed["status"] = clone(status)
            store.update(QUOTA, changed, AUTHOR)


def admit(store: Store, pod: Json) -> None:
    """Raise what the admission plug-ins answer if the pod may not be created."""
    namespace = pod["metadata"]["namespace"]
    _limit_ranges(store, namespace, pod)
    wanted = usage_of(pod)
    for quota in store.list(QUOTA, namespace):
        hard = at(quota, "spec", "hard", default={})
        name = quota["metadata"]["name"]
        unset = [key for key in hard if key.startswith(("limits.", "requests.")) and not _sets(pod, key)]
        if unset:
            why = f"failed quota: {name}: must specify {','.join(sorted(unset))} for: {_containers(pod)}"
            raise errors.forbidden(POD, pod["metadata"]["name"], why)
        now = used(store, namespace, hard)
        over = [
            key
            for key in sorted(hard)
            if key in wanted and wanted[key] + parse_quantity(now[key]) > parse_quantity(hard[key])
        ]
        if over:
            ask = ",".join(f"{key}={quantities.like(wanted[key], hard[key])}" for key in over)
            had = ",".join(f"{key}={now[key]}" for key in over)
            most = ",".join(f"{key}={hard[key]}" for key in over)
            why = f"exceeded quota: {name}, requested: {ask}, used: {had}, limited: {most}"
            raise errors.forbidden(POD, pod["metadata"]["name"], why)


def _sets(pod: Json, key: str) -> bool:
    part, _, name = key.partition(".")
    return all(name in at(c, "resources", part, default={}) for c in pod["spec"]["containers"])


def _containers(pod: Json) -> str:
    return ",".join(container["name"] for container in pod["spec"]["containers"])


def _limit_ranges(store: Store, namespace: str, pod: Json) -> None:
    for limit_range in store.list(LIMIT_RANGE, namespace):
        for item in at(limit_range, "spec", "limits", default=[]):
            if item.get("type") != "Container":
                continue
            for container in pod["spec"]["containers"]:
                _fill(container, item)
                _bounds(pod, container, item)


def _fill(container: Json, item: Json) -> None:
    resources = container.setdefault("resources", {})
    for part, source in (("limits", "default"), ("requests", "defaultRequest")):
        for name, amount in item.get(source, {}).items():
            resources.setdefault(part, {}).setdefault(name, amount)


def _bounds(pod: Json, container: Json, item: Json) -> None:
    resources = container.get("resources", {})
    for name, most in item.get("max", {}).items():
        amount = resources.get("limits", {}).get(name)
        if amount is not None and parse_quantity(amount) > parse_quantity(most):
            why = f"maximum {name} usage per Container is {most}, but limit is {amount}"
            raise errors.forbidden(POD, pod["metadata"]["name"], why)
    for name, least in item.get("min", {}).items():
        amount = resources.get("requests", {}).get(name)
        if amount is not None and parse_quantity(amount) < parse_quantity(least):
            why = f"minimum {name} usage per Container is {least}, but request is {amount}"
            raise errors.forbidden(POD, pod["metadata"]["name"], why)
