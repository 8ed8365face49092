"""`explain`: what a fault is and how it is recognised, from the rules themselves. Works without a gateway."""

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.text import columns, listed
from skyflo_runbooks.model.errors import BadInput, ExitCode
from skyflo_runbooks.model.json import Json

if TYPE_CHECKING:
    from skyflo_runbooks.diagnosis.rules import Rule


def explain(
    fault: Annotated[str, typer.Argument(help="A fault's id, for example CON-07; without it all are listed.")] = "",
    as_json: AsJson = False,
) -> ExitCode:
    """What a fault is, how it is recognised, and which reads it needs."""
    screen = Screen(as_json)
    known = {known["fault"]: known for known in _catalogue()}
    if not fault:
        screen.json(list(known.values()))
        rows = [[name, str(said["means"]).splitlines()[0]] for name, said in known.items()]
        for line in columns(rows, ("fault", "means")):
            screen.line(line)
        return ExitCode.DONE
    said = known.get(fault.upper())
    if said is None:
        raise BadInput(f"There is no rule for {fault[:40]!r}.", next_step=f"There are rules for {listed(known)}.")
    screen.line(f"{said['fault']}", "bold")
    screen.line(said["means"])
    screen.line(
        f"Needs to read: {listed(said['needs'])}. Where one is refused, the answer is 'unknown', not 'healthy'."
    )
    screen.json(said)
    return ExitCode.DONE


def _catalogue() -> list[Json]:
    from skyflo_runbooks.diagnosis.rules import RULES

    return [
        {"fault": rule.fault, "means": _means(rule), "needs": list(rule.needs)}
        for rule in sorted(RULES, key=lambda rule: rule.fault)
    ]


def _means(rule: "Rule") -> str:
    """Return what the rule's function says of itself, as a sentence for a person."""
    said = (inspect.getdoc(rule.find) or "").removeprefix("Yield ")
    return said[:1].upper() + said[1:]
