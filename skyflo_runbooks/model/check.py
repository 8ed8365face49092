"""The checks that a verify step can make, and what each one claims.

Every function here builds a `Check`; none measures anything. The gateway measures. The same functions are what
a runbook's cell calls, and their signatures are the grammar of a check in a cell.

Two tenses:
  eventually  must become true within the step's `within`, and must still be true at the last observation
  steadily    must be true at every observation of the window, which begins when the eventual checks hold
"""

import inspect
from collections.abc import Callable
from typing import Literal

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json

CheckResult = Literal["PASS", "FAIL", "UNKNOWN"]
Tense = Literal["eventually", "steadily"]
Value = str | int | float | bool | None


class Check(msgspec.Struct, frozen=True):
    """One typed condition: its name and its arguments, complete."""

    name: str
    arguments: Json

    def __str__(self) -> str:
        said = ", ".join(str(value) for value in self.arguments.values() if value is not None)
        return f"{self.name}({said})"


class Outcome(msgspec.Struct, frozen=True):
    """What a check came to: result, what was expected, what was observed, the evidence and its time (RFC 3339)."""

    check: str
    result: CheckResult
    expected: str
    observed: str
    evidence: tuple[str, ...] = ()
    at: str = ""


def rollout_complete(kind: str, name: str, *, namespace: str) -> Check:
    """Eventually: observedGeneration is the generation, all replicas updated and available, no old pod left."""
    return Check("rollout_complete", {"kind": kind, "name": name, "namespace": namespace})


def pods_ready(kind: str, name: str, *, namespace: str, count: int | None = None) -> Check:
    """Eventually: as many pods of the workload are Running and Ready as desired (or `count`)."""
    return Check("pods_ready", {"kind": kind, "name": name, "namespace": namespace, "count": count})


def no_restarts(kind: str, name: str, *, namespace: str, window: str = "5m") -> Check:
    """Steadily: no container of the workload's pods restarts during `window`."""
    return Check("no_restarts", {"kind": kind, "name": name, "namespace": namespace, "window": window})


def no_oom_kills(kind: str, name: str, *, namespace: str, window: str = "5m") -> Check:
    """Steadily: no container of the workload's current pods was OOMKilled since the change."""
    return Check("no_oom_kills", {"kind": kind, "name": name, "namespace": namespace, "window": window})


def memory_below(kind: str, name: str, *, namespace: str, percent: int = 80, window: str = "5m") -> Check:
    """Steadily: each container's measured working set stays below `percent` of its memory limit."""
    return Check(
        "memory_below", {"kind": kind, "name": name, "namespace": namespace, "percent": percent, "window": window}
    )


def http_ok(*, service: str, namespace: str, path: str = "/", port: int | None = None, window: str = "30s") -> Check:
    """Steadily: a GET of the Service's `path` through the API server answers 200 to 399."""
    return Check("http_ok", {"service": service, "namespace": namespace, "path": path, "port": port, "window": window})


def http_answers(
    *, service: str, namespace: str, path: str = "/", port: int | None = None, window: str = "30s"
) -> Check:
    """Steadily: a GET of the Service's `path` is answered by the service, and by no error of its own (500 to 599)."""
    return Check(
        "http_answers", {"service": service, "namespace": namespace, "path": path, "port": port, "window": window}
    )


def endpoints_ready(service: str, *, namespace: str) -> Check:
    """Eventually: the Service selects pods, and as many of its endpoints are ready as pods it selects."""
    return Check("endpoints_ready", {"service": service, "namespace": namespace})


def image_running(kind: str, name: str, *, namespace: str, container: str, image: str) -> Check:
    """Eventually: every pod of the workload runs `image` in `container`."""
    return Check(
        "image_running", {"kind": kind, "name": name, "namespace": namespace, "container": container, "image": image}
    )


def pods_scheduled(kind: str, name: str, *, namespace: str) -> Check:
    """Eventually: every desired pod has a node, and no node is asked for more than it can allocate."""
    return Check("pods_scheduled", {"kind": kind, "name": name, "namespace": namespace})


def field_equals(kind: str, name: str, *, namespace: str, path: str, value: Value) -> Check:
    """Steadily: the object's field at JSON Pointer `path` is `value` (quantities are compared by size)."""
    return Check("field_equals", {"kind": kind, "name": name, "namespace": namespace, "path": path, "value": value})


def env_set(kind: str, name: str, *, namespace: str, container: str, variable: str) -> Check:
    """Steadily: the workload's template gives `container` the environment variable `variable`."""
    return Check(
        "env_set",
        {"kind": kind, "name": name, "namespace": namespace, "container": container, "variable": variable},
    )


def node_ready(name: str, *, schedulable: bool = True, window: str = "5m") -> Check:
    """Steadily: the node is Ready, under no pressure, and takes pods (`schedulable`) or none."""
    return Check("node_ready", {"name": name, "schedulable": schedulable, "window": window})


def node_drained(name: str) -> Check:
    """Eventually: the node is cordoned and empty but for its DaemonSets, and no newer pod anywhere waits for a node."""
    return Check("node_drained", {"name": name})


def quota_kept(name: str, *, namespace: str) -> Check:
    """Eventually: the ResourceQuota counts by its present limits, and nothing is used beyond them."""
    return Check("quota_kept", {"name": name, "namespace": namespace})


def below_maximum(name: str, *, namespace: str) -> Check:
    """Eventually: the HorizontalPodAutoscaler measures, and wants fewer replicas than its maximum."""
    return Check("below_maximum", {"name": name, "namespace": namespace})


def condition_true(kind: str, name: str, *, namespace: str, condition: str) -> Check:
    """Eventually: the object's controller (a route's: each parent's) says that this is True, of the object as it is."""
    return Check("condition_true", {"kind": kind, "name": name, "namespace": namespace, "condition": condition})


def address_given(name: str, *, namespace: str) -> Check:
    """Eventually: a controller serves the Ingress and wrote down at which address."""
    return Check("address_given", {"name": name, "namespace": namespace})


def run_began(name: str, *, namespace: str) -> Check:
    """Eventually: the CronJob's schedule began a run since the change."""
    return Check("run_began", {"name": name, "namespace": namespace})


def on_more_nodes(name: str, *, namespace: str, than: int) -> Check:
    """Eventually: the DaemonSet is wanted on more nodes than `than`, and each of its pods is Running and Ready."""
    return Check("on_more_nodes", {"name": name, "namespace": namespace, "than": than})


def claim_bound(name: str, *, namespace: str) -> Check:
    """Eventually: the PersistentVolumeClaim is bound to a volume that holds what it asks for."""
    return Check("claim_bound", {"name": name, "namespace": namespace})


def eviction_allowed(name: str, *, namespace: str) -> Check:
    """Eventually: the PodDisruptionBudget lets a pod be evicted, or did and waits for the one in its place."""
    return Check("eviction_allowed", {"name": name, "namespace": namespace})


def certificate_valid(secret: str, *, namespace: str, days: int = 14) -> Check:
    """Steadily: every certificate in the Secret's tls.crt is valid now and for `days` more days."""
    return Check("certificate_valid", {"secret": secret, "namespace": namespace, "days": days})


CATALOGUE: dict[str, Callable[..., Check]] = {
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
        node_ready,
        node_drained,
        quota_kept,
        below_maximum,
        condition_true,
        address_given,
        run_began,
        on_more_nodes,
        claim_bound,
        eviction_allowed,
        certificate_valid,
    )
}


def tense(check: Check) -> Tense:
    """Return whether the check must become true or must stay true."""
    said = inspect.getdoc(CATALOGUE[check.name]) or ""
    return "steadily" if said.startswith("Steadily") else "eventually"


def build(name: str, positional: list[object], keywords: dict[str, object]) -> Check:
    """Return the check `name(*positional, **keywords)`, or raise `BadInput` where the catalogue has no such call."""
    function = CATALOGUE.get(name)
    if function is None:
        raise BadInput(f"There is no check named {name!r}.", next_step=f"Known checks: {', '.join(sorted(CATALOGUE))}.")
    try:
        inspect.signature(function).bind(*positional, **keywords)
    except TypeError as error:
        raise BadInput(
            f"check.{name}: {error}.", next_step=f"It is called as {name}{inspect.signature(function)}."
        ) from None
    return function(*positional, **keywords)
