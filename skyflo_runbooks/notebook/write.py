"""Steps and parameters as the source of cells: pretty, many-lined where it has to be, and exact.

`grammar.parse_cell(step_cell(step)).step == step` is a law. What cannot be written in the grammar (a name that Python
does not allow, a number that JSON does not have) is `BadInput` here, before anybody reads it in a notebook.
"""

import inspect
import math
from collections.abc import Iterable

from skyflo_runbooks.model import check as checks
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import (
    PARAMETER,
    ChangeStep,
    GatherStep,
    Parameter,
    Plan,
    ReadStep,
    RecordStep,
    RollbackStep,
    Step,
    VerifyStep,
)
from skyflo_runbooks.notebook.cell import CLUSTER_NAME, ID_NAME, MODULE, REQUIRED, fits, is_name, step_id

WIDTH = 100
INDENT = "    "


def step_cell(step: Step) -> str:
    """Return the source of a step's code cell; prose has none and is `BadInput`."""
    match step:
        case ReadStep(id=id_, tool=tool, arguments=arguments):
            return _call(id_, "read", [text(tool)], _pairs(arguments))
        case GatherStep(id=id_, reads=reads):
            pairs = [(_argument(name), f"({text(read.tool)}, ", read.arguments) for name, read in reads.items()]
            rows = [f"{name}={head}{value(arguments, len(name) + len(head) + 6)})" for name, head, arguments in pairs]
            return _call(id_, "gather", [], rows, one_each=True)
        case ChangeStep():
            return _change(step)
        case VerifyStep():
            return _verify(step)
        case RollbackStep(id=id_, of=of):
            said = f"runbook.rollback({_name(of)})"
            return said if id_ == step_id("rollback", of=of) else f"{_name(id_)} = {said}"
        case RecordStep(id=id_):
            return "runbook.record()" if id_ == step_id("record") else f"{_name(id_)} = runbook.record()"
    raise BadInput(f"The step {step.id!r} is prose and has no code.")


def parameters_cell(parameters: Iterable[Parameter]) -> str:
    """Return the parameters cell: one typed assignment a line, its help as a comment, as papermill reads it."""
    return "\n".join(_parameter(parameter) for parameter in parameters)


def import_cell(plan: Plan) -> str:
    """Return the second code cell: the fixed import line, the runbook's id, and the cluster it was made for."""
    lines = [f"from {MODULE} import check, runbook", "", f"{ID_NAME}: str = {text(plan.id)}"]
    if plan.target.cluster:
        lines.append(f"{CLUSTER_NAME}: str = {text(plan.target.cluster)}")
    return "\n".join(lines)


def text(said: str) -> str:
    """Return a Python literal of a text, in double quotes where that needs no escape."""
    literal = repr(said)
    if literal.startswith("'") and '"' not in said:
        return '"' + literal[1:-1] + '"'
    return literal


def value(item: object, used: int = 0) -> str:
    """Return a JSON value as Python; one line where it fits into what `used` columns leave."""
    line = _line(item)
    return line if used + len(line) <= WIDTH or _flat(item) else _spread(item, INDENT)


def _spread(item: object, indent: str) -> str:
    deeper = indent + INDENT
    if isinstance(item, dict):
        members = [f"{text(str(key))}: {_member(member, deeper)}" for key, member in item.items()]
        opening, closing = "{", "}"
    else:
        members = [_member(member, deeper) for member in item] if isinstance(item, list) else []
        opening, closing = "[", "]"
    return opening + "".join(f"\n{deeper}{member}," for member in members) + f"\n{indent}{closing}"


def _member(item: object, indent: str) -> str:
    line = _line(item)
    return line if len(indent) + len(line) < WIDTH or _flat(item) else _spread(item, indent)


def _flat(item: object) -> bool:
    return not isinstance(item, dict | list) or not item or (isinstance(item, dict) and set(item) == {PARAMETER})


def _line(item: object) -> str:
    if isinstance(item, dict):
        if set(item) == {PARAMETER}:
            return _name(str(item[PARAMETER]))
        return "{" + ", ".join(f"{text(str(key))}: {_line(member)}" for key, member in item.items()) + "}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(_line(member) for member in item) + "]"
    if isinstance(item, str):
        return text(item)
    if item is None or isinstance(item, bool | int) or (isinstance(item, float) and math.isfinite(item)):
        return repr(item)
    raise BadInput(f"{item!r} is no JSON value and cannot stand in a cell.")


def _name(name: str) -> str:
    if not is_name(name):
        raise BadInput(
            f"{name!r} cannot be the name of a step or parameter.",
            next_step="Names hold letters, digits and '_', begin with a letter, and are no word of Python.",
        )
    return name


def _argument(name: str) -> str:
    import keyword

    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise BadInput(f"{name!r} cannot be the name of an argument.")
    return name


def _pairs(arguments: Json) -> list[str]:
    return [f"{_argument(name)}={value(item, len(name) + 6)}" for name, item in arguments.items()]


def _call(id_: str, call: str, head: list[str], arguments: list[str], *, one_each: bool = False) -> str:
    opening = f"{_name(id_)} = runbook.{call}("
    line = opening + ", ".join([*head, *arguments]) + ")"
    if "\n" not in line and len(line) <= WIDTH and not (one_each and len(arguments) > 1):
        return line
    rows = [*head, *(arguments if one_each else _filled(arguments))]
    return opening + "".join(f"\n{INDENT}{row}," for row in rows) + "\n)"


def _filled(arguments: list[str]) -> list[str]:
    """Pack arguments into rows; one that is many-lined stands alone."""
    rows: list[str] = []
    for argument in arguments:
        joined = f"{rows[-1]}, {argument}" if rows else argument
        if rows and "\n" not in joined and len(INDENT) + len(joined) < WIDTH:
            rows[-1] = joined
        else:
            rows.append(argument)
    return rows


def _change(step: ChangeStep) -> str:
    if "why" in step.arguments:
        raise BadInput(f"The tool {step.tool!r} of step {step.id!r} cannot take an argument named 'why'.")
    opening = f"{_name(step.id)} = runbook.change("
    rows = [text(step.tool), *_filled(_pairs(step.arguments))]
    if step.why:
        rows.append(f"why={text(step.why)}")
    return opening + "".join(f"\n{INDENT}{row}," for row in rows) + "\n)"


def _verify(step: VerifyStep) -> str:
    rows = [check_call(item) for item in step.checks]
    rows.append(f"after=[{', '.join(_name(name) for name in step.after)}], within={text(step.within)}")
    return f"{_name(step.id)} = runbook.verify(" + "".join(f"\n{INDENT}{row}," for row in rows) + "\n)"


def check_call(item: Check) -> str:
    """Return `check.name(…)`: positional where the check says so, without what is the default."""
    function = checks.CATALOGUE.get(item.name)
    if function is None:
        raise BadInput(f"There is no check named {item.name!r}.")
    said: list[str] = []
    for name, declared in inspect.signature(function).parameters.items():
        if name not in item.arguments:
            raise BadInput(f"The check {item.name} lacks its argument {name!r}.")
        given = item.arguments[name]
        if declared.kind is not declared.KEYWORD_ONLY:
            said.append(_line(given))
        elif declared.default is declared.empty or not _same(given, declared.default):
            said.append(f"{name}={_line(given)}")
    line = f"check.{item.name}({', '.join(said)})"
    if len(INDENT) + len(line) < WIDTH:
        return line
    return f"check.{item.name}(" + "".join(f"\n{INDENT * 2}{row}," for row in _filled(said)) + f"\n{INDENT})"


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _parameter(parameter: Parameter) -> str:
    if not fits(parameter.default, parameter.type):
        raise BadInput(
            f"The parameter {parameter.name!r} is declared {parameter.type} and its default is {parameter.default!r}."
        )
    line = f"{_name(parameter.name)}: {parameter.type} = {_line(parameter.default)}"
    said = " ".join(parameter.help.split())
    if said.startswith(REQUIRED) and not parameter.required:
        raise BadInput(f"The help of {parameter.name!r} says that it is required, and it has a default.")
    said = f"{REQUIRED} {said}".rstrip() if parameter.required else said
    return f"{line}  # {said}" if said else line
