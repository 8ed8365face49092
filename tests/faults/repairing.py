"""A staged case from its diagnosis to what is left after its plan's change was sent: what tests judge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.diagnosis.take import take
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan, VerifyStep, bind, defaults
from skyflo_runbooks.planning import plan
from tests.faults import staging
from tests.faults.staging import Case
from tests.planning.staged import dry_run_on, send
from tests.planning.tries import prose_of


@dataclass(frozen=True)
class Outcome:
    """What was said of a case, what was planned, and what is said after the change; None where nothing was changed."""

    found: Diagnosis
    made: Plan | None
    after: Diagnosis | None


async def diagnosed(cluster: Cluster, case: Case) -> Diagnosis:
    """Return what the diagnosis says of a case's namespace."""
    return diagnose(await take(cluster, [case.namespace]), Incident(case.words, (case.namespace,)))


async def outcome(cluster: Cluster, case: Case) -> Outcome:
    """Look until the fault is all that is found, plan, and send the plan's change where the case says that it repairs.

    The cluster is asked as its administrator: which role may repair what is not the question here.
    """

    def named(found: Diagnosis) -> bool:
        return [item.fault for item in found.findings] == [case.fault] and not found.unknown

    found = await staging.until(partial(diagnosed, cluster, case), named, within=100)
    incident, snapshot = Incident(case.words, (case.namespace,)), await take(cluster, [case.namespace])
    made = await plan(found, incident, snapshot, dry_run_on(cluster))
    for change in changes_of(made):
        arguments: Json = dict(bind(change.arguments, defaults(made)))  # type: ignore[arg-type,call-overload]  # an object
        await send(cluster, change.tool, arguments, dry_run=False)
    if case.repair != "change" or case.stays:
        return Outcome(found, made, None)
    return Outcome(found, made, await staging.until(partial(diagnosed, cluster, case), well, within=100))


def changes_of(made: Plan | None) -> list[ChangeStep]:
    """Return the plan's changes."""
    return [step for step in made.steps if isinstance(step, ChangeStep)] if made else []


def well(found: Diagnosis) -> bool:
    """Return whether nothing is wrong and nothing unknown."""
    return not found.findings and not found.unknown


def judge(case: Case, seen: Outcome) -> None:
    """Assert that the fault alone was named with its object, that the plan is the case's, and that it repaired."""
    assert [(item.fault, str(item.object)) for item in seen.found.findings] == [(case.fault, case.finds)]
    assert seen.found.unknown == ()
    assert seen.made is not None
    changes = changes_of(seen.made)
    assert bool(changes) == (case.repair != "advice")
    assert changes or "Advice" in prose_of(seen.made)
    if changes:
        assert next(step for step in seen.made.steps if isinstance(step, VerifyStep)).checks
    if case.repair == "change" and not case.stays:
        assert seen.after is not None
        assert [(item.fault, item.title) for item in seen.after.findings] == []
        assert seen.after.unknown == ()
