"""Repairs of family F, Services and network: NET-01."""

from skyflo_runbooks.diagnosis.rules.network import written
from skyflo_runbooks.model.check import Check, build
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, param
from skyflo_runbooks.planning.way import Case, Repair, Way, named, web_checks


def set_selector(case: Case) -> Repair:
    """Let the Service choose the pods that it was meant for."""
    facts = case.finding.facts
    present, meant = _labels(facts, "selector:"), _labels(facts, "meant:")
    if not meant:
        return Repair(advice=(case.finding.advice,))
    service = case.finding.object
    # A merge patch: null takes a key away, and what is not named stays.
    wanted: Json = {key: None for key in present if key not in meant}
    wanted |= {key: value for key, value in meant.items() if present.get(key) != value}
    change = ChangeStep(
        id="set_selector",
        tool="k8s_patch",
        arguments={**named(case), "patch": {"spec": {"selector": wanted}}, "patch_type": "merge"},
        why=f"No pod carries {written(present)}; the pods of {facts['workload']} carry {written(meant)}.",
    )
    way = Way(
        title=f"Set the selector of {service} to {written(meant)}",
        change=change,
        checks=(build("endpoints_ready", [service.name], {"namespace": param("namespace")}), *_held(case, meant)),
        reasons=(
            f"{facts['workload']} is the one workload whose labels miss the selector by a single one.",
            f"{written(meant)} chooses its pods and no others.",
        ),
    )
    return Repair(ways=(way,))


def _held(case: Case, meant: dict[str, str]) -> tuple[Check, ...]:
    service = case.finding.object
    held = tuple(
        build(
            "field_equals",
            ["Service", service.name],
            {"namespace": param("namespace"), "path": f"/spec/selector/{_pointer(key)}", "value": value},
        )
        for key, value in sorted(meant.items())
    )
    return (*held, *web_checks(case))


def _pointer(key: str) -> str:
    # RFC 6901: '~' and '/' are escaped in a pointer.
    return key.replace("~", "~0").replace("/", "~1")


def _labels(facts: dict[str, str], prefix: str) -> dict[str, str]:
    return {key.removeprefix(prefix): value for key, value in facts.items() if key.startswith(prefix)}


REPAIRS = {"NET-01": set_selector}

__all__ = ["REPAIRS", "set_selector"]
