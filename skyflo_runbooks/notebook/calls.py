"""One call of the runbook, read from Python's syntax tree into a typed step. The rules are those of `grammar`."""

import ast
import math
from collections.abc import Callable
from typing import TypeAlias

from skyflo_runbooks.model import check as checks
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import (
    PARAMETER,
    ChangeStep,
    GatherStep,
    ReadCall,
    ReadStep,
    RecordStep,
    RollbackStep,
    Step,
    VerifyStep,
)
from skyflo_runbooks.notebook.cell import CALLS, OutsideGrammar, ParsedCell, is_name, kind_of, step_id

# Names of parameters that were met, in the order of their use; None where no name may stand.
Names: TypeAlias = dict[str, None] | None
_Reader: TypeAlias = Callable[[ast.Call, str, dict[str, None]], tuple[Step, tuple[str, ...]]]


def is_call(node: ast.stmt) -> bool:
    """Whether a statement is a call of something of `runbook`, assigned or not."""
    value = _value(node)
    return isinstance(value, ast.Call) and _owner(value.func) == "runbook"


def parse_step(node: ast.stmt) -> ParsedCell:
    """Return the step of a statement for which `is_call` holds."""
    call = _value(node)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        raise OutsideGrammar("free-code", "This is no call of the runbook.", line=node.lineno)
    reader = _READERS.get(call.func.attr)
    if reader is None:
        raise OutsideGrammar(
            "free-code",
            f"The runbook has no step named {call.func.attr!r}.",
            line=node.lineno,
            next_step=f"Steps are {', '.join(CALLS)}.",
        )
    names: dict[str, None] = {}
    step, after = reader(call, _assigned(node), names)
    return ParsedCell(kind_of(step), step=step, parameters=tuple(names), after=after)


def literal(node: ast.expr, names: Names) -> object:
    """Return a JSON literal; a bare name becomes a parameter's reference and is noted in `names`."""
    if isinstance(node, ast.Name) and names is not None:
        return _parameter(node, names)
    if isinstance(node, ast.Constant):
        return _constant(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number = _constant(node.operand)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number
    if isinstance(node, ast.List):
        return [literal(item, names) for item in node.elts]
    if isinstance(node, ast.Dict):
        return _mapping(node, names)
    raise OutsideGrammar(
        "free-code", f"{_said(node)} is neither a literal nor a parameter.", line=node.lineno, next_step=_LITERALS
    )


_LITERALS = "Arguments are texts, numbers, True, False, None, lists, dictionaries and names of parameters."


def _said(node: ast.expr) -> str:
    text = ast.unparse(node)
    return repr(text if len(text) <= 60 else text[:57] + "…")


def _constant(node: ast.Constant) -> object:
    value = node.value
    finite = not isinstance(value, float) or math.isfinite(value)
    if (value is None or isinstance(value, str | int | float | bool)) and finite:
        return value
    raise OutsideGrammar("free-code", f"{_said(node)} is no JSON value.", line=node.lineno, next_step=_LITERALS)


def _parameter(node: ast.Name, names: dict[str, None]) -> Json:
    if not is_name(node.id):
        raise OutsideGrammar("reserved-name", f"{node.id!r} is not a parameter's name.", line=node.lineno)
    names[node.id] = None
    return {PARAMETER: node.id}


def _mapping(node: ast.Dict, names: Names) -> Json:
    found: Json = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
            raise OutsideGrammar("free-code", "A dictionary's key must be a literal text.", line=node.lineno)
        if key.value in found:
            raise OutsideGrammar("free-code", f"The key {key.value!r} stands twice.", line=node.lineno)
        found[key.value] = literal(value, names)
    if set(found) == {PARAMETER}:
        raise OutsideGrammar("free-code", "A parameter is written as its bare name.", line=node.lineno)
    return found


def _value(node: ast.stmt) -> ast.expr | None:
    if isinstance(node, ast.Assign | ast.Expr):
        return node.value
    return None


def _assigned(node: ast.stmt) -> str:
    if not isinstance(node, ast.Assign):
        return ""
    target = node.targets[0]
    if len(node.targets) != 1 or not isinstance(target, ast.Name):
        raise OutsideGrammar("free-code", "A step is assigned to one name.", line=node.lineno)
    if not is_name(target.id):
        raise OutsideGrammar("reserved-name", f"{target.id!r} cannot be a step's name.", line=node.lineno)
    return target.id


def _owner(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return node.value.id
    return ""


def _keywords(call: ast.Call, names: Names) -> Json:
    found: Json = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise OutsideGrammar("free-code", "Arguments are named one by one, without '**'.", line=call.lineno)
        if keyword.arg in found:
            raise OutsideGrammar("free-code", f"{keyword.arg!r} is given twice.", line=call.lineno)
        found[keyword.arg] = literal(keyword.value, names)
    return found


def _tool(call: ast.Call) -> str:
    if len(call.args) == 1 and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
        return call.args[0].value
    raise OutsideGrammar("free-code", "The first argument is the tool's name, alone.", line=call.lineno)


def _read(call: ast.Call, name: str, names: dict[str, None]) -> tuple[Step, tuple[str, ...]]:
    tool = _tool(call)
    return ReadStep(name or step_id("read", tool=tool), tool, _keywords(call, names)), ()


def _gather(call: ast.Call, name: str, names: dict[str, None]) -> tuple[Step, tuple[str, ...]]:
    if call.args:
        raise OutsideGrammar("free-code", "Each read of a gather has a name.", line=call.lineno)
    reads: dict[str, ReadCall] = {}
    for keyword in call.keywords:
        pair = keyword.value.elts if isinstance(keyword.value, ast.Tuple) else []
        fits = len(pair) == 2 and isinstance(pair[0], ast.Constant) and isinstance(pair[0].value, str)
        if keyword.arg is None or not fits or not isinstance(pair[1], ast.Dict) or keyword.arg in reads:
            raise OutsideGrammar(
                "free-code",
                "A read of a gather is not of its form.",
                line=keyword.value.lineno,
                next_step='It is written name=("tool", {"argument": value}).',
            )
        reads[keyword.arg] = ReadCall(str(literal(pair[0], None)), _mapping(pair[1], names))
    return GatherStep(name or step_id("gather"), reads), ()


def _change(call: ast.Call, name: str, names: dict[str, None]) -> tuple[Step, tuple[str, ...]]:
    tool = _tool(call)
    arguments = _keywords(call, names)
    why = arguments.pop("why", "")
    if not isinstance(why, str):
        raise OutsideGrammar("free-code", "'why' is a literal text.", line=call.lineno)
    return ChangeStep(name or step_id("change", tool=tool), tool, arguments, why), ()


def _verify(call: ast.Call, name: str, names: dict[str, None]) -> tuple[Step, tuple[str, ...]]:
    found = tuple(_check(argument, names) for argument in call.args)
    after: tuple[str, ...] = ()
    within = "10m"
    for keyword in call.keywords:
        if keyword.arg == "after" and isinstance(keyword.value, ast.List):
            after = tuple(_step(item) for item in keyword.value.elts)
        elif keyword.arg == "within" and isinstance(text := literal(keyword.value, None), str):
            within = text
        else:
            raise OutsideGrammar(
                "free-code",
                'A verify takes checks, after=[steps] and within="10m".',
                line=keyword.value.lineno,
            )
    return VerifyStep(name or step_id("verify"), found, after, within), after


def _check(node: ast.expr, names: Names) -> Check:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _owner(node.func) == "check"):
        raise OutsideGrammar("free-code", f"{_said(node)} is not a check.", line=node.lineno)
    positional = [literal(item, names) for item in node.args]
    try:
        return checks.build(node.func.attr, positional, _keywords(node, names))
    except OutsideGrammar:
        raise
    except BadInput as error:
        raise OutsideGrammar("unknown-check", error.message, line=node.lineno, next_step=error.next_step) from None


def _step(node: ast.expr) -> str:
    if isinstance(node, ast.Name) and is_name(node.id):
        return node.id
    raise OutsideGrammar("free-code", f"{_said(node)} is not the name of a step.", line=node.lineno)


def _rollback(call: ast.Call, name: str, names: dict[str, None]) -> tuple[Step, tuple[str, ...]]:
    del names
    if len(call.args) != 1 or call.keywords:
        raise OutsideGrammar("free-code", "A roll-back names one step.", line=call.lineno)
    of = _step(call.args[0])
    return RollbackStep(name or step_id("rollback", of=of), of), (of,)


def _record(call: ast.Call, name: str, names: dict[str, None]) -> tuple[Step, tuple[str, ...]]:
    del names
    if call.args or call.keywords:
        raise OutsideGrammar("free-code", "record() takes no arguments.", line=call.lineno)
    return RecordStep(name or step_id("record")), ()


_READERS: dict[str, _Reader] = {
    "read": _read,
    "gather": _gather,
    "change": _change,
    "verify": _verify,
    "rollback": _rollback,
    "record": _record,
}
