"""What is wrong with a runbook's notebook: each problem with its cell, its line, its rule, and what to do.

An `error` means that a step cannot run or that a promise is weakened; a `warning` that something differs from what was
generated. Rules are named in `RULES`. Nothing is run, and no gateway is asked: the tools' effects are an argument.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import ChangeStep, GatherStep, ReadStep, RollbackStep, VerifyStep
from skyflo_runbooks.model.quantity import parse_duration
from skyflo_runbooks.notebook.cell import ID_NAME
from skyflo_runbooks.notebook.parse import CodeCell, Runbook, is_runbook, parse
from skyflo_runbooks.notebook.render import VERDICT

Severity = Literal["error", "warning"]

RULES: dict[str, str] = {
    "annotation": "An annotation other than str, int, float, bool is code.",
    "change-unverified": "Every change is followed by a verify step that names it.",
    "digest": "The cells are those that the recorded digest covers.",
    "duplicate-name": "A step or parameter has a name of its own.",
    "duration": "`within` is a duration such as 90s or 10m.",
    "free-code": "A cell outside the grammar is allowed, but never runs by itself.",
    "no-import": "The import cell with the runbook's id comes before the first step.",
    "no-parameters": "The first code cell has the tag `parameters`.",
    "no-roll-back": "Every change has a roll-back cell.",
    "not-a-runbook": "`metadata.skyflo.schema` says what the notebook is.",
    "reserved-name": "A step or parameter does not take a name of the runbook or of IPython.",
    "stored-verdict": "A runbook does not carry a verdict before it ran.",
    "tool-effect": "`read` and `gather` take read-only tools, `change` takes the others.",
    "unknown-check": "A check is one of the catalogue, called as it is declared.",
    "unknown-name": "A name is a parameter, or the id of a step above.",
    "unknown-tool": "A tool is one of the gateway's catalogue.",
    "wrong-type": "A parameter's value has its declared type.",
}
_WARNINGS = {"digest", "free-code", "no-roll-back", "stored-verdict"}


class Problem(msgspec.Struct, frozen=True):
    """One problem. `cell` is the cell's id (empty: the notebook), `line` counts within the cell from 1."""

    rule: str
    message: str
    cell: str = ""
    line: int = 1
    next_step: str = ""
    severity: Severity = "error"


def lint(notebook: Json, tools: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """Return a notebook's problems in the order of its cells.

    `tools` maps each known tool to `read` or `change`; without it tools are not judged.
    """
    runbook = parse(notebook)
    found = [*_whole(notebook, runbook), *_outside(runbook), *_names(runbook), *_changes(runbook)]
    for cell in runbook.cells:
        found += _tools(cell, tools) if tools is not None else []
        found += _within(cell)
    found += _stored(notebook, runbook)
    order = {cell.id: cell.index for cell in runbook.cells}
    return tuple(sorted(found, key=lambda problem: (order.get(problem.cell, -1), problem.line)))


def _problem(rule: str, message: str, cell: str = "", line: int = 1, next_step: str = "") -> Problem:
    return Problem(rule, message, cell, line, next_step, "warning" if rule in _WARNINGS else "error")


def _whole(notebook: Json, runbook: Runbook) -> Iterator[Problem]:
    if not is_runbook(notebook):
        yield _problem(
            "not-a-runbook",
            "The notebook does not say that it is a runbook.",
            next_step="Make one with 'skyflo-runbooks new'.",
        )
    own = [cell for cell in runbook.cells if not cell.injected]
    if not own or "parameters" not in own[0].tagged:
        id_ = own[0].id if own else ""
        next_step = "Give the first code cell the tag 'parameters'; papermill looks for it."
        yield _problem("no-parameters", "The first code cell is not the parameters cell.", id_, next_step=next_step)
    first = next((cell.index for cell in own if cell.step), None)
    imports = [cell for cell in own if cell.kind == "import" and ID_NAME in {item.name for item in cell.assignments}]
    if first is not None and not any(cell.index < first for cell in imports):
        next_step = (
            f'Add a cell: from skyflo_kernel import check, runbook, and {ID_NAME}: str = "{runbook.id or "rb-…"}".'
        )
        yield _problem(
            "no-import", "No import cell with the runbook's id comes before the first step.", next_step=next_step
        )
    if runbook.recorded and runbook.recorded != runbook.digest:
        both = f"the recorded digest is {runbook.recorded[:19]}…, theirs is {runbook.digest[:19]}…"
        message = f"The cells were changed: {both}."
        yield _problem(
            "digest", message, next_step="Approvals and standing approvals bind the digest of what runs now."
        )


def _outside(runbook: Runbook) -> Iterator[Problem]:
    for cell in runbook.cells:
        if cell.outside is not None:
            error = cell.outside
            advice = error.next_step or "It runs only when a person runs it."
            yield _problem(error.rule, error.message, cell.id, error.line, advice)


def _names(runbook: Runbook) -> Iterator[Problem]:
    parameters: set[str] = set()
    steps: set[str] = set()
    for cell in runbook.cells:
        if cell.injected:
            for item in [item for item in cell.assignments if item.name not in parameters]:
                yield _problem("unknown-name", f"{item.name!r} was injected and is no parameter.", cell.id, item.line)
            continue
        yield from _used(cell, cell.parameters, parameters, "parameter")
        yield from _used(cell, cell.after, steps, "step")
        for name in [*(item.name for item in cell.assignments), *([cell.step.id] if cell.step else [])]:
            if name in parameters | steps:
                advice = "Give it a name of its own."
                yield _problem("duplicate-name", f"{name!r} was a name already.", cell.id, next_step=advice)
            (steps if cell.step else parameters).add(name)


def _used(cell: CodeCell, names: tuple[str, ...], known: set[str], what: str) -> Iterator[Problem]:
    for name in [name for name in names if name not in known]:
        advice = f"Above are {', '.join(sorted(known)) or 'none'}."
        yield _problem("unknown-name", f"There is no {what} {name!r} above.", cell.id, next_step=advice)


def _changes(runbook: Runbook) -> Iterator[Problem]:
    for place, cell in enumerate(runbook.cells):
        if not isinstance(cell.step, ChangeStep):
            continue
        later = [other.step for other in runbook.cells[place + 1 :]]
        id_ = cell.step.id
        if not any(isinstance(step, VerifyStep) and id_ in step.after and step.checks for step in later):
            next_step = f"Add a verify cell below it with checks and after=[{id_}]."
            yield _problem("change-unverified", f"Nothing verifies the change {id_!r}.", cell.id, next_step=next_step)
        if not any(isinstance(step, RollbackStep) and step.of == id_ for step in later):
            next_step = f"Add a cell below it: runbook.rollback({id_})."
            yield _problem("no-roll-back", f"There is no roll-back cell for {id_!r}.", cell.id, next_step=next_step)


def _tools(cell: CodeCell, tools: Mapping[str, str]) -> Iterator[Problem]:
    if isinstance(cell.step, GatherStep):
        wanted, effect = [read.tool for read in cell.step.reads.values()], "read"
    elif isinstance(cell.step, ReadStep | ChangeStep):
        wanted, effect = [cell.step.tool], "read" if isinstance(cell.step, ReadStep) else "change"
    else:
        return
    for tool in wanted:
        if tool not in tools:
            near = _nearest(tool, tools)
            yield _problem("unknown-tool", f"There is no tool {tool!r}.", cell.id, next_step=f"Nearest: {near}.")
        elif tools[tool] != effect:
            next_step = f"Call it with runbook.{tools[tool]}(…)."
            yield _problem("tool-effect", f"{tool} is a {tools[tool]} tool.", cell.id, next_step=next_step)


def _nearest(name: str, known: Mapping[str, str]) -> str:
    import difflib

    return ", ".join(difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)) or "none"


def _within(cell: CodeCell) -> Iterator[Problem]:
    if isinstance(cell.step, VerifyStep):
        try:
            parse_duration(cell.step.within)
        except BadInput as error:
            yield _problem("duration", error.message, cell.id, next_step=error.next_step or 'Write within="10m".')


def _stored(notebook: Json, runbook: Runbook) -> Iterator[Problem]:
    if at(notebook, "metadata", "skyflo", "run") is not None:
        return
    for cell in runbook.cells:
        outputs = notebook["cells"][cell.index].get("outputs") or []
        if any(VERDICT in (at(output, "data", default={}) or {}) for output in outputs):
            next_step = "A verdict of a run belongs to the run's own notebook: clear this output."
            yield _problem(
                "stored-verdict", "The cell holds a verdict of an earlier run.", cell.id, next_step=next_step
            )
