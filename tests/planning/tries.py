"""Dry runs that answer by rule and remember what they were asked."""

from collections.abc import Mapping

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan, ProseStep, VerifyStep
from skyflo_runbooks.planning import DryRun, plan

WORDS = Incident("payment-service in checkout answers with 500 errors", namespaces=())


class Tries:
    """Answers a dry run by the tool's name, with yes where nothing else is said."""

    def __init__(self, answers: Mapping[str, DryRun] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[tuple[str, Json]] = []

    async def __call__(self, tool: str, arguments: Json) -> DryRun:
        """Answer, and remember."""
        self.asked.append((tool, arguments))
        return self.answers.get(tool, DryRun(ok=True))


async def planned(found: Snapshot, tries: Tries | None = None, *, incident: Incident = WORDS) -> Plan:
    """Return the plan for what a snapshot shows."""
    made = await plan(diagnose(found, incident), incident, found, tries or Tries())
    assert made is not None
    return made


def change_of(made: Plan) -> ChangeStep:
    """Return the plan's one change."""
    (found,) = (step for step in made.steps if isinstance(step, ChangeStep))
    return found


def checks_of(made: Plan) -> dict[str, Json]:
    """Return the arguments of the plan's checks by name."""
    (found,) = (step for step in made.steps if isinstance(step, VerifyStep))
    return {check.name: check.arguments for check in found.checks}


def prose_of(made: Plan) -> str:
    """Return all prose of a plan."""
    return "\n".join(step.text for step in made.steps if isinstance(step, ProseStep))


def value_of(made: Plan, name: str) -> str | int | float | bool:
    """Return a parameter's default."""
    return next(item.default for item in made.parameters if item.name == name)
