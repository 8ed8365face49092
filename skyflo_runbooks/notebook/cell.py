"""The values of the cell grammar: kinds, names, and what a parsed cell is. The rules are those of `grammar`."""

import keyword
import re
from typing import Literal

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.plan import (
    ChangeStep,
    GatherStep,
    ParameterType,
    ReadStep,
    RecordStep,
    RollbackStep,
    Step,
    VerifyStep,
)

CellKind = Literal["empty", "import", "parameters", "read", "change", "verify", "rollback", "record", "free"]
Rule = Literal["free-code", "unknown-check", "unknown-name", "wrong-type", "annotation", "reserved-name"]
Scalar = str | int | float | bool

TYPES: dict[ParameterType, type[Scalar]] = {"str": str, "int": int, "float": float, "bool": bool}
AUTO_RUN: frozenset[CellKind] = frozenset({"import", "parameters", "read"})
MODULE = "skyflo_kernel"
ID_NAME = "runbook_id"
CLUSTER_NAME = "runbook_cluster"
# How the help of a parameter begins that has no default: what stands in its place only says the type.
REQUIRED = "required:"
CALLS = ("read", "gather", "change", "verify", "rollback", "record")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# What IPython keeps in a notebook's namespace, and what a step would break by taking its name.
_RESERVED = {"runbook", "check", ID_NAME, CLUSTER_NAME, "In", "Out", "get_ipython", "exit", "quit"}
_KINDS: dict[type[object], CellKind] = {
    ReadStep: "read",
    GatherStep: "read",
    ChangeStep: "change",
    VerifyStep: "verify",
    RollbackStep: "rollback",
    RecordStep: "record",
}


class OutsideGrammar(BadInput):
    """A cell says something that the grammar does not know: the rule, and the line (from 1)."""

    def __init__(self, rule: Rule, message: str, *, line: int = 1, next_step: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.rule: Rule = rule
        self.line = line


class Assignment(msgspec.Struct, frozen=True):
    """One literal assignment; `type` is None where it has no annotation, as in papermill's injected cell."""

    name: str
    value: Scalar
    type: ParameterType | None = None
    line: int = 1


class ParsedCell(msgspec.Struct, frozen=True):
    """What a cell inside the grammar says. `parameters` and `after` name the parameters and steps that it uses."""

    kind: CellKind
    step: Step | None = None
    assignments: tuple[Assignment, ...] = ()
    parameters: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class Classified(msgspec.Struct, frozen=True):
    """One cell of a notebook as the notebook's page needs it; `step` is empty where the cell is no step."""

    kind: CellKind
    step: str = ""
    after: tuple[str, ...] = ()
    auto_run: bool = False


def kind_of(step: Step) -> CellKind:
    """Return the kind of the code cell that carries `step` (prose has none and is a `KeyError`)."""
    return _KINDS[type(step)]


def step_id(call: str, *, tool: str = "", of: str = "") -> str:
    """Return the id of a step whose cell assigns no name: the tool's, or one made of the call."""
    return f"roll_back_{of}" if call == "rollback" else tool or call


def is_name(name: str) -> bool:
    """Whether `name` can stand in a cell as the name of a step or a parameter."""
    return bool(_NAME.fullmatch(name)) and not keyword.iskeyword(name) and name not in _RESERVED


def fits(value: object, declared: ParameterType) -> bool:
    """Whether `value` is of a parameter's type: exactly, but that an int is a float too."""
    if declared == "float":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is TYPES[declared]
