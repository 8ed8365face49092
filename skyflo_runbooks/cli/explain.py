"""`explain`: what a fault is and how it is recognised, from the rules themselves. Works without a gateway."""

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from skyflo_runbooks.cli.card import Line
from skyflo_runbooks.cli.catalogue import CATALOGUE, Entry
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
    as_page: Annotated[bool, typer.Option("--page", hidden=True, help="Write docs/faults.md.")] = False,
) -> ExitCode:
    """What a fault is, how it is recognised, which reads it needs, and what repairs it."""
    screen = Screen(as_json)
    known = {known["fault"]: known for known in known_faults()}
    if as_page:
        from skyflo_runbooks.cli.faults_page import page

        typer.echo(page(known.values()), nl=False)
        return ExitCode.DONE
    if not fault:
        screen.json(list(known.values()))
        rows = [[name, str(said["means"]).splitlines()[0]] for name, said in known.items()]
        for line in columns(rows, ("fault", "means")):
            screen.line(line)
        return ExitCode.DONE
    said = known.get(fault.upper())
    if said is None:
        raise _unknown(fault, known)
    screen.lines(told(said))
    screen.json(said)
    return ExitCode.DONE


def _unknown(fault: str, known: Iterable[str]) -> BadInput:
    """Return that there is no such fault, with those of its family; where there is no such family either, with all."""
    family = fault.upper()[:3]
    near = [name for name in known if name.startswith(f"{family}-")] or known
    return BadInput(
        f"There is no rule for {fault[:40]!r}.",
        next_step=f"There are rules for {listed(near)}; 'skyflo-runbooks explain' lists what each is.",
    )


def told(said: Json) -> list[Line]:
    """Say one fault: what it is, its evidence, what else decides it, repair, how that is verified, and the way back."""
    unread = "Where one is refused, the answer is 'unknown', not 'healthy'."
    rows = [
        ("evidence", said["evidence"]),
        ("reads", f"{listed(said['needs'])}. {unread}"),
        *(
            ("decides", f"{one['look']}. It is this if {one['confirms']}; it is not if {one['refutes']}.")
            for one in said["decided_by"]
        ),
        ("repair", said["repair"] or "none by rule: the finding's advice says what a person can do"),
        ("verify", said["verify"]),
        ("way back", f"{said['way_back']}: skyflo-runbooks rollback ap-…" if said["way_back"] else ""),
    ]
    head = [Line(f"{said['fault']}  {said['title']}".rstrip(), "bold"), Line(said["means"])]
    return head + [Line(f"  {name:<9} {text}") for name, text in rows if text]


def known_faults() -> list[Json]:
    """Return what is known of each fault, by its id: the rules' words, the repairs', and the catalogue's."""
    from skyflo_runbooks.diagnosis.rules import RULES

    found = [(fault, rule) for rule in RULES for fault in rule.faults]
    return [_known(fault, rule) for fault, rule in sorted(found, key=lambda one: one[0])]


def _known(fault: str, rule: "Rule") -> Json:
    from skyflo_runbooks.diagnosis.certainty import questions
    from skyflo_runbooks.planning.rules import REPAIRS

    repair = REPAIRS.get(fault)
    return {
        "fault": fault,
        "means": _sentence(rule.find),
        "needs": list(rule.needs),
        "decided_by": msgspec.to_builtins(questions(fault)),
        "repair": _sentence(repair) if repair else "",
        **msgspec.to_builtins(CATALOGUE.get(fault, Entry())),
    }


def _sentence(function: Callable[..., object]) -> str:
    """Return what a rule's function says of itself, as a sentence for a person."""
    said = (inspect.getdoc(function) or "").removeprefix("Yield ")
    return said[:1].upper() + said[1:]
