"""A notebook read back into the plan it says.

The cells are the truth: steps and parameters come from their source by the grammar, whatever the metadata claims. The
metadata gives only what cells do not say: the incident, the findings, the target, and the digest that was recorded.
A cell outside the grammar stays what it is: free code, named with its reason, and no step.
"""

import io
import json
import tokenize
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from skyflo_runbooks.model.digest import Digest
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import Alternative, Parameter, ParameterType, Plan, ProseStep, Step, Target
from skyflo_runbooks.notebook.cell import CLUSTER_NAME, ID_NAME, REQUIRED, Assignment, CellKind, OutsideGrammar, Scalar
from skyflo_runbooks.notebook.digest import INJECTED, SCHEMA, is_foreign, runbook_digest, source, tags
from skyflo_runbooks.notebook.grammar import parse_cell

MAX_BYTES = 64 * 1024 * 1024
_WRITTEN = ("summary", "heading")
_T = TypeVar("_T")


class CodeCell(msgspec.Struct, frozen=True):
    """One code cell: its id and place, its kind, and the step or the reason why it has none."""

    id: str
    index: int
    kind: CellKind
    source: str
    step: Step | None = None
    assignments: tuple[Assignment, ...] = ()
    parameters: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    injected: bool = False
    tagged: tuple[str, ...] = ()
    outside: OutsideGrammar | None = None


class Runbook(msgspec.Struct, frozen=True):
    """A notebook as it was read. `digest` is that of its cells now, `recorded` the one its metadata holds.

    `injected` are the values that papermill put in, by name. `id` is that of the import cell, else the metadata's.
    """

    plan: Plan
    cells: tuple[CodeCell, ...]
    digest: Digest
    recorded: str
    injected: dict[str, Scalar]

    @property
    def id(self) -> str:
        """The runbook's id; empty where the notebook is none."""
        return self.plan.id


def read_notebook(path: Path) -> Json:
    """Read a notebook file of nbformat 4, or raise `BadInput` that says what is wrong with it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.") from None
    if len(raw) > MAX_BYTES:
        raise BadInput(f"{path} has {len(raw)} bytes; at most {MAX_BYTES} are read.")
    try:
        notebook = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadInput(
            f"{path} is not a notebook: it is no JSON.", next_step="Expected a Jupyter notebook (.ipynb)."
        ) from None
    return check_shape(notebook, str(path))


def check_shape(notebook: object, name: str = "The notebook") -> Json:
    """Return `notebook` if it has the shape of nbformat 4, else raise `BadInput`."""
    cells = at(notebook, "cells")
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4 or not isinstance(cells, list):
        raise BadInput(f"{name} is not a notebook of nbformat 4.", next_step="Open and save it in JupyterLab 4.")
    if not all(isinstance(cell, dict) and "cell_type" in cell for cell in cells):
        raise BadInput(f"{name} holds something that is not a cell.")
    return notebook


def is_runbook(notebook: Json) -> bool:
    """Whether a notebook says that it is a runbook of a form that is read here."""
    return bool(at(notebook, "metadata", "skyflo", "schema") == SCHEMA)


def parse(notebook: Json) -> Runbook:
    """Return what a notebook says; nothing in it is run."""
    check_shape(notebook)
    steps: list[Step] = []
    cells: list[CodeCell] = []
    for index, raw in enumerate(notebook["cells"]):
        if raw["cell_type"] == "markdown" and not is_foreign(raw) and _kind(raw) not in _WRITTEN:
            steps.append(ProseStep(str(at(raw, "metadata", "skyflo", "step") or _id(raw, index)), source(raw)))
        elif raw["cell_type"] == "code":
            cell = _code(raw, index)
            cells.append(cell)
            steps += [cell.step] if cell.step else []
    return Runbook(
        _plan(notebook, tuple(steps), cells),
        tuple(cells),
        runbook_digest(notebook),
        str(at(notebook, "metadata", "skyflo", "digest", default="")),
        {item.name: item.value for cell in cells if cell.injected for item in cell.assignments},
    )


def _id(raw: Json, index: int) -> str:
    return str(raw.get("id") or f"cell-{index}")


def _kind(raw: Json) -> str:
    return str(at(raw, "metadata", "skyflo", "kind", default=""))


def _code(raw: Json, index: int) -> CodeCell:
    said, id_, tagged = source(raw), _id(raw, index), tuple(tags(raw))
    injected = INJECTED in tagged
    try:
        found = parse_cell(said)
    except OutsideGrammar as error:
        return CodeCell(id_, index, "free", said, injected=injected, tagged=tagged, outside=error)
    return CodeCell(
        id_, index, found.kind, said, found.step, found.assignments, found.parameters, found.after, injected, tagged
    )


def _plan(notebook: Json, steps: tuple[Step, ...], cells: list[CodeCell]) -> Plan:
    said = at(notebook, "metadata", "skyflo", default={})
    own = {item.name: item.value for cell in cells if cell.kind == "import" for item in cell.assignments}
    target = _convert(said.get("target"), Target, Target())
    if CLUSTER_NAME in own:
        target = msgspec.structs.replace(target, cluster=str(own[CLUSTER_NAME]))
    return Plan(
        id=str(own.get(ID_NAME) or said.get("id") or ""),
        incident=_convert(said.get("incident"), Incident, Incident("")),
        steps=steps,
        parameters=_parameters(cells),
        findings=_convert(said.get("findings"), tuple[Finding, ...], ()),
        unknown=_convert(said.get("unknown"), tuple[str, ...], ()),
        alternatives=_convert(said.get("alternatives"), tuple[Alternative, ...], ()),
        generator=str(said.get("generator") or "curated"),
        target=target,
        created=str(said.get("created") or ""),
    )


def _convert(value: object, type_: type[_T], otherwise: _T) -> _T:
    """Read a part of the metadata; one that does not fit is as if it were missing, because nothing rests on it."""
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError:
        return otherwise


def _parameters(cells: list[CodeCell]) -> tuple[Parameter, ...]:
    cell = next((cell for cell in cells if "parameters" in cell.tagged and cell.kind == "parameters"), None)
    if cell is None:
        return ()
    return parameters_of(cell.source, cell.assignments)


def parameters_of(said: str, assignments: Iterable[Assignment]) -> tuple[Parameter, ...]:
    """Return the parameters that a cell declares: name, type and default from its code, the rest from the comments."""
    help_ = _comments(said)
    return tuple(_parameter(item, item.type, help_.get(item.line, "")) for item in assignments if item.type is not None)


def _parameter(item: Assignment, type_: ParameterType, help_: str) -> Parameter:
    required = help_.startswith(REQUIRED)
    return Parameter(item.name, type_, item.value, help_.removeprefix(REQUIRED).strip(), required)


def _comments(said: str) -> dict[int, str]:
    found = tokenize.generate_tokens(io.StringIO(said).readline)
    return {token.start[0]: token.string.lstrip("# ").rstrip() for token in found if token.type == tokenize.COMMENT}
