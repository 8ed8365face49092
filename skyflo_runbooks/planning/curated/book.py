"""A curated runbook: one incident that comes again and again, as a plan that stands on its own.

Rules:
  1. A book is one source; its notebook is what the compiler makes of `Book.plan`, and nothing else.
  2. What a person has to choose is a required parameter. A default stands only where it is sound on any cluster.
  3. It first shows the evidence, then says what will change and why, changes one thing, verifies the invariant and not
     only the symptom, and has the way back. A book without a safe change reads, and verifies what it read.
  4. The verify step also judges what the approved diff left alone: an object that is not as the approval left it makes
     the verdict INCONCLUSIVE. So replicas, probes and limits that no check names are kept all the same.
"""

from collections.abc import Callable

import msgspec

from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import (
    ChangeStep,
    GatherStep,
    Parameter,
    Plan,
    ProseStep,
    ReadCall,
    ReadStep,
    RecordStep,
    RollbackStep,
    Step,
    VerifyStep,
    param,
)
from skyflo_runbooks.notebook.story import CURATED

VERIFY = "recovered"
Values = Callable[[Finding], dict[str, str]]


class Book(msgspec.Struct, frozen=True):
    """One curated runbook.

    `title` is the incident, `use` and `not_for` say when to take it, `look` how to read the evidence, `will` what the
    change does. `faults` are the findings that it fits, `words` the words of an incident that make it worth reading,
    and `values` gives the parameters that a finding knows.
    """

    name: str
    title: str
    use: tuple[str, ...]
    not_for: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    reads: tuple[ReadStep | GatherStep, ...]
    look: tuple[str, ...]
    will: tuple[str, ...]
    checks: tuple[Check, ...]
    faults: tuple[str, ...]
    words: tuple[str, ...]
    values: Values
    change: ChangeStep | None = None
    within: str = "10m"

    @property
    def plan(self) -> Plan:
        """The steps, in the order of every runbook."""
        changes: tuple[Step, ...] = (self.change,) if self.change else ()
        after = tuple(step.id for step in changes)
        back = tuple(RollbackStep(f"roll_back_{name}", name) for name in after)
        return Plan(
            id=f"rb-{self.name}",
            incident=Incident(self.title),
            steps=(
                ProseStep("when", _when(self)),
                *self.reads,
                ProseStep("reasons", _reasons(self)),
                *changes,
                VerifyStep(VERIFY, self.checks, after=after, within=self.within),
                *back,
                RecordStep("record"),
            ),
            parameters=self.parameters,
            generator=CURATED,
        )


def _when(book: Book) -> str:
    parts = ["## When to use it", _bullets(book.use)]
    if book.not_for:
        parts += ["**Not for:**", _bullets(book.not_for)]
    return "\n\n".join([*parts, "## Evidence", _bullets(book.look)])


def _reasons(book: Book) -> str:
    head = "## What will change, and why" if book.change else "## What is verified, and what to do"
    return f"{head}\n\n{_bullets(book.will)}"


def _bullets(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {line}" for line in lines)


# Parameters -----------------------------------------------------------------------------------------------------------


def required(name: str, help_: str) -> Parameter:
    """Return a text that a person has to give."""
    return Parameter(name, "str", "", help_, required=True)


def number(name: str, help_: str) -> Parameter:
    """Return a whole number that a person has to give."""
    return Parameter(name, "int", 0, help_, required=True)


NAMESPACE = required("namespace", "namespace of the incident, such as checkout")
NAME = required("name", "name of the workload, such as payment-service")
KIND = Parameter("kind", "str", "Deployment", "kind of the workload: Deployment, StatefulSet or DaemonSet")
CONTAINER = required("container", "container that it concerns, such as payment-service")
SETTLE = Parameter("settle", "str", "5m", "how long it must stay well, in the cluster's time")
WORKLOAD: Json = {"kind": param("kind"), "namespace": param("namespace"), "name": param("name")}


# Reads ----------------------------------------------------------------------------------------------------------------


def call(tool: str, **arguments: object) -> ReadCall:
    """Return one call of a gather."""
    return ReadCall(tool, dict(arguments))


def workload_reads(**more: ReadCall) -> GatherStep:
    """Return what is looked at for any workload: itself with its pods, its events, its revisions, and more."""
    return GatherStep(
        "state",
        {
            "workload": ReadCall("k8s_describe", WORKLOAD),
            "rollout": ReadCall("k8s_rollout_status", WORKLOAD),
            "revisions": ReadCall("k8s_rollout_history", WORKLOAD),
            "events": ReadCall("k8s_events", {**WORKLOAD, "related": True}),
            **more,
        },
    )


# Checks and values ----------------------------------------------------------------------------------------------------


def of_workload(name: str, **arguments: object) -> Check:
    """Return a check of the workload that the parameters name."""
    from skyflo_runbooks.model.check import build

    place = {"namespace": param("namespace"), **arguments}
    return build(name, [param("kind"), param("name")], place)


def steady() -> tuple[Check, ...]:
    """Return what holds of every workload that is well: rolled out, all pods Ready, no restart in the window."""
    return (
        of_workload("rollout_complete"),
        of_workload("pods_ready"),
        of_workload("no_restarts", window=param("settle")),
    )


def named(finding: Finding) -> dict[str, str]:
    """Return the parameters of the workload that a finding is about."""
    subject = finding.object
    kind = {} if subject.kind == "Deployment" else {"kind": subject.kind}
    return {"namespace": subject.namespace, **kind, "name": subject.name}


def contained(finding: Finding) -> dict[str, str]:
    """Return the parameters of the workload, and of its container where the finding knows one."""
    container = finding.facts.get("container")
    return {**named(finding), **({"container": container} if container else {})}
