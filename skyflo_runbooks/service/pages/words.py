"""The words of the pages: what a state, a risk and a check are called, and what comes next.

A state or check that is not listed here is shown under its own name: a page never hides what it does not know.
"""

from collections.abc import Callable
from typing import NamedTuple

from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import PARAMETER


class Said(NamedTuple):
    """A state in words: its name, how it is coloured, and what it means for who reads it."""

    name: str
    tone: str
    means: str


_STATES: dict[str, Said] = {
    "proposed": Said("Waiting", "warn", "Waiting for a decision. Nothing is applied until then."),
    "in_place": Said("Already in place", "ok", "The dry run changed nothing, so there is nothing to decide."),
    "approved": Said("Approved", "ok", "Approved. It is being applied, once."),
    "executing": Said("Applying", "warn", "It is being applied, once."),
    "executed": Said("Applied", "ok", "Applied once, as approved."),
    "failed": Said("Failed", "bad", "The API server refused it. What it answered is below."),
    "unknown": Said(
        "Outcome unknown", "warn", "No answer came. The gateway looks at the object and does not send it again."
    ),
    "rejected": Said("Rejected", "soft", "Nothing was applied."),
    "expired": Said("Expired", "soft", "Nobody decided in time, so nothing was applied. Run the change step again."),
    "superseded": Said("Replaced", "soft", "Nothing was applied. Another proposal took its place."),
    "void": Said(
        "Void",
        "bad",
        "What was approved no longer holds, so nothing was sent. Run the change step again and look at the new diff.",
    ),
    "rolled_back": Said("Rolled back", "soft", "It was applied, and then taken back by a change of its own."),
}
_TONES = {"VERIFIED": "ok", "FAILED": "bad", "INCONCLUSIVE": "warn", "PASS": "ok", "FAIL": "bad", "UNKNOWN": "warn"}


def state(name: str) -> Said:
    """Return a proposal's state in words."""
    return _STATES.get(name, Said(name, "warn", ""))


def tone(result: str) -> str:
    """Return how a verdict or a check's result is coloured; what is not known is a warning."""
    return _TONES.get(result, "warn")


def check(name: str, arguments: Json) -> str:
    """Return in words what a check will measure."""
    values = {key: _value(value) for key, value in arguments.items()}
    said = _CHECKS.get(name)
    if said is None:
        return str(Check(name, dict(values)))
    return said(values)


def _value(value: object) -> object:
    return at(value, PARAMETER, default=value)


def _over(values: Json) -> str:
    return f" for {values['window']}" if values.get("window") else ""


def _ready(values: Json) -> str:
    count = values.get("count")
    return f"{count} pods ready" if count else "all desired pods ready"


def _reach(values: Json) -> str:
    return f"200 on {values.get('path', '/')} of {values.get('service', 'the Service')}{_over(values)}"


_CHECKS: dict[str, Callable[[Json], str]] = {
    "rollout_complete": lambda values: f"rollout of {values.get('name', 'the workload')} complete",
    "pods_ready": _ready,
    "no_restarts": lambda values: f"0 restarts{_over(values)}",
    "no_oom_kills": lambda values: f"no OOMKilled{_over(values)}",
    "memory_below": lambda values: f"memory under {values.get('percent', 80)} % of its limit{_over(values)}",
    "http_ok": _reach,
    "http_answers": lambda values: (
        f"no error of the server on {values.get('path', '/')} of {values.get('service', 'the Service')}{_over(values)}"
    ),
    "endpoints_ready": lambda values: f"every endpoint of {values.get('service', 'the Service')} ready",
    "image_running": lambda values: f"every pod runs {values.get('image', 'the image')}",
    "pods_scheduled": lambda values: f"every pod of {values.get('name', 'the workload')} has a node",
    "field_equals": lambda values: f"{values.get('path', 'the field')} is {values.get('value')}",
    "env_set": lambda values: f"{values.get('variable', 'the variable')} is set",
    "node_ready": lambda values: f"node {values.get('name')} Ready{_over(values)}",
    "node_drained": lambda values: f"node {values.get('name')} empty, and its pods have places",
    "quota_kept": lambda values: f"nothing used beyond quota {values.get('name')}",
    "below_maximum": lambda values: f"autoscaler {values.get('name')} measures, and stays below its maximum",
    "condition_true": lambda values: f"{values.get('kind')} {values.get('name')} is {values.get('condition')}",
    "address_given": lambda values: f"Ingress {values.get('name')} has an address",
    "run_began": lambda values: f"CronJob {values.get('name')} began a run",
    "on_more_nodes": lambda values: f"DaemonSet {values.get('name')} ready on more than {values.get('than')} nodes",
    "claim_bound": lambda values: f"claim {values.get('name')} is bound",
    "eviction_allowed": lambda values: f"budget {values.get('name')} lets a pod be evicted",
    "certificate_valid": lambda values: (
        f"certificate in {values.get('secret')} valid for {values.get('days', 14)} days"
    ),
}
