"""Repairs of family C, containers that end: CON-07 and CON-04."""

import re
from decimal import Decimal

from skyflo_runbooks.diagnosis.pods import each, quantity, template_container
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Parameter, param
from skyflo_runbooks.model.quantity import format_memory
from skyflo_runbooks.planning.memory import raised
from skyflo_runbooks.planning.rules.common import roll_back
from skyflo_runbooks.planning.way import Case, Repair, Way, check_of, named, settle, steady, web_checks

# A repaired workload must stay this far below its new limit, or the next peak kills it again.
_PERCENT = 90
_LEAK = (
    "Whether the process leaks cannot be told from one reading: if it is killed again at the new limit after a while, "
    "it does, and no limit helps."
)
_SECRET = re.compile(r"(?i)pass|secret|token|api_?key|private|credential|auth|dsn|connection_?string|(^|_)key($|_)")
# user:password@host, a long unbroken run of letters and digits, a PEM block.
_SECRET_VALUE = re.compile(r"://[^/\s:]+:[^/\s@]+@|[A-Za-z0-9+/_-]{24,}|-----BEGIN")


# CON-07 ---------------------------------------------------------------------------------------------------------------


def raise_memory(case: Case) -> Repair:
    """Raise the limit to the next value that fits; or go back to the revision before."""
    facts = case.finding.facts
    limit = quantity(facts.get("limit", ""))
    if limit is None:
        return Repair(advice=(case.finding.advice,))
    found = raised(case.graph, case.workload, facts["container"], limit)
    back = roll_back(case, because="Its image may need less memory.", checks=_memory_checks(case))
    if found.limit is None:
        return Repair(ways=back, advice=(f"The limit of {facts['limit']} cannot be raised safely.", *found.reasons))
    return Repair(ways=(_raise(case, limit, found.limit, found.reasons), *back), advice=(_LEAK,))


def _raise(case: Case, old: Decimal, new: Decimal, reasons: tuple[str, ...]) -> Way:
    container = case.finding.facts["container"]
    change = ChangeStep(
        id="raise_memory",
        tool="k8s_set_resources",
        arguments={**named(case), "container": container, "limits": {"memory": param("memory_limit")}},
        why=_killed(case),
    )
    written = format_memory(new)
    return Way(
        title=f"Raise the memory limit of {container} from {format_memory(old)} to {written}",
        change=change,
        checks=(*steady(case), *_memory_checks(case), *_limit_check(case), *web_checks(case, window=param("settle"))),
        parameters=(Parameter("memory_limit", "str", written, f"new memory limit of {container}"), settle()),
        reasons=reasons,
    )


def _killed(case: Case) -> str:
    facts = case.finding.facts
    restarts, pods = int(facts["restarts"]), int(facts["pods"])
    whose = "the pod" if pods == 1 else f"each of {pods} pods"
    return f"The last end of {whose} was OOMKilled at the {facts['limit']} limit, after {restarts} restarts together."


def _memory_checks(case: Case) -> tuple[Check, ...]:
    """Return the checks on memory; use is measured only where the cluster lets it be measured."""
    killed = check_of(case, "no_oom_kills", window=param("settle"))
    measured = not case.graph.snapshot.gaps_in("Usage") and bool(case.graph.snapshot.usage)
    return (killed, check_of(case, "memory_below", percent=_PERCENT, window=param("settle"))) if measured else (killed,)


def _limit_check(case: Case) -> tuple[Check, ...]:
    found = template_container(case.workload, case.finding.facts["container"])
    if found is None:
        return ()
    path = f"/spec/template/spec/{found[0]}/{found[1]}/resources/limits/memory"
    return (check_of(case, "field_equals", path=path, value=param("memory_limit")),)


# CON-04 ---------------------------------------------------------------------------------------------------------------


def add_variable(case: Case) -> Repair:
    """Give the variable back from where the previous revision took it; or go back to that revision."""
    facts = case.finding.facts
    checks = (check_of(case, "env_set", container=facts["container"], variable=facts["variable"]),)
    back = roll_back(case, because=f"It sets {facts['variable']}.", checks=checks) if "source" in facts else ()
    value = _value(case)
    if value is None:
        advice = case.finding.advice or (
            f"The earlier value of {facts['variable']} looks like a secret, so it is not written here; rolling back "
            "restores it without showing it. Better: keep it in a Secret and refer to it."
        )
        return Repair(ways=back, advice=(advice,))
    change = ChangeStep(
        id="add_variable",
        tool="k8s_set_env",
        arguments={**named(case), "container": facts["container"], "set": {facts["variable"]: value}},
        why=f"The process ends without {facts['variable']}; the revision before set it from {_said(facts)}.",
    )
    way = Way(
        title=f"Set {facts['variable']} of {facts['container']} again, from {_said(facts)}",
        change=change,
        checks=(*steady(case), *checks, *web_checks(case, window=param("settle"))),
        parameters=(*_value_parameter(case), settle()),
        reasons=(f"The revision before set {facts['variable']} from {_said(facts)}; this one does not.",),
    )
    return Repair(ways=(way, *back))


def _said(facts: dict[str, str]) -> str:
    if facts.get("source") in ("secret", "config_map"):
        kind = "Secret" if facts["source"] == "secret" else "ConfigMap"
        return f"key {facts['source_key']} of {kind} {facts['source_name']}"
    return "its template"


def _value(case: Case) -> Json | None:
    """Return the variable's value as an argument, or None where it must not or cannot be written."""
    facts = case.finding.facts
    source = facts.get("source")
    if source in ("secret", "config_map"):
        return {source.replace("_", ""): facts["source_name"], "key": facts["source_key"]}
    return param("value") if _literal(case) is not None else None


def _value_parameter(case: Case) -> tuple[Parameter, ...]:
    written = _literal(case) if case.finding.facts.get("source") == "literal" else None
    if written is None:
        return ()
    return (
        Parameter("value", "str", written, f"value of {case.finding.facts['variable']}, as in the revision before"),
    )


def _literal(case: Case) -> str | None:
    """Return the literal that the previous revision had, unless its name or shape says that it is a secret."""
    facts = case.finding.facts
    before = case.graph.previous(case.workload)
    found = template_container(before, facts["container"]) if before else None
    if facts.get("source") != "literal" or found is None:
        return None
    values = [str(item.get("value", "")) for item in each(found[2], "env") if item["name"] == facts["variable"]]
    if not values or _SECRET.search(facts["variable"]) or _SECRET_VALUE.search(values[0]):
        return None
    return values[0]


REPAIRS = {"CON-07": raise_memory, "CON-04": add_variable}

__all__ = ["REPAIRS", "add_variable", "raise_memory"]
