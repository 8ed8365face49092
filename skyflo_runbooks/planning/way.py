"""What a repair rule gives: ways to repair, ranked, and words where there is none.

A way is one change with the checks that encode its invariant. Nothing here is approved or executed; a way that the
API server refuses in a dry run never reaches a plan.
"""

from collections.abc import Awaitable, Callable

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph
from skyflo_runbooks.model.check import Check, build
from skyflo_runbooks.model.errors import OurBug
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Parameter, param

SETTLE = "5m"


class DryRun(msgspec.Struct, frozen=True):
    """What the API server said to a change that it was asked to try; `in_place`: it would change nothing.

    Not `tried`: there was no server to ask.
    """

    ok: bool
    message: str = ""
    in_place: bool = False
    tried: bool = True


# Tries a change: the tool's name and its complete arguments.
DryRunner = Callable[[str, Json], Awaitable[DryRun]]
# GETs a path of a Service: namespace, Service, path. The status that the service itself answered, or None.
Probe = Callable[[str, str, str], Awaitable[int | None]]


class Web(msgspec.Struct, frozen=True):
    """Where requests come in: the Service, a path of it, its port if it has several, and who says so.

    Not `known`: nobody has shown that the path is one, so that there is no such page would be no failure.
    """

    service: str
    path: str
    port: int | None
    source: str
    known: bool = True


class Case(msgspec.Struct, frozen=True):
    """Everything that a repair rule may look at."""

    finding: Finding
    graph: Graph
    incident: Incident
    web: Web | None = None

    @property
    def workload(self) -> Json:
        """The object that has to change, as it was read."""
        found = self.graph.get(self.finding.object)
        if found is None:
            raise OurBug(f"The finding's object {self.finding.object} is not in the snapshot.")
        return found


class Way(msgspec.Struct, frozen=True):
    """One way to repair: a title, the change, the checks after it, its parameters, and the reasons for its values."""

    title: str
    change: ChangeStep
    checks: tuple[Check, ...]
    parameters: tuple[Parameter, ...] = ()
    reasons: tuple[str, ...] = ()


class Repair(msgspec.Struct, frozen=True):
    """The ways, the best first, and what a person can do beside them."""

    ways: tuple[Way, ...] = ()
    advice: tuple[str, ...] = ()


def advised(case: Case) -> tuple[str, ...]:
    """Return what the finding itself advises, if anything."""
    return (case.finding.advice,) if case.finding.advice else ()


def named(case: Case) -> Json:
    """Return the arguments that name the object that has to change; its namespace is a parameter of the plan."""
    subject = case.finding.object
    where: Json = {"namespace": param("namespace")} if subject.namespace else {}
    return {"kind": subject.kind, **where, "name": subject.name}


def settle() -> Parameter:
    """Return the parameter for the window in which nothing may go wrong."""
    return Parameter("settle", "str", SETTLE, "how long it must stay well, in the cluster's time")


def check_of(case: Case, name: str, **arguments: object) -> Check:
    """Return a check of the object that has to change."""
    subject = case.finding.object
    return build(name, [subject.kind, subject.name], {"namespace": param("namespace"), **arguments})


def web_checks(case: Case, **window: Json) -> tuple[Check, ...]:
    """Return the check that requests are answered, where it is known where they come in; `window` as of the others."""
    if case.web is None:
        return ()
    said: dict[str, object] = {"service": case.web.service, "namespace": param("namespace"), "path": case.web.path}
    said |= window
    if case.web.port is not None:
        said["port"] = case.web.port
    return (build("http_ok" if case.web.known else "http_answers", [], said),)


def steady(case: Case) -> tuple[Check, ...]:
    """Return what holds for every repaired workload: rolled out, all pods Ready, no restart in the window."""
    return (
        check_of(case, "rollout_complete"),
        check_of(case, "pods_ready"),
        check_of(case, "no_restarts", window=param("settle")),
    )
