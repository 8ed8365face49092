"""The cell grammar: what a cell may say so that it is at once readable Python, safe to run unasked, and exactly a step.

Rules:
  1. A step cell is one call of `runbook.read`, `gather`, `change`, `verify`, `rollback` or `record`, with or without an
     assignment to one name; the name is the step's id. Without it the id follows from the call (`step_id`).
  2. Arguments are JSON literals and bare names of parameters. A bare name is `{"$param": name}` in the step. Only
     `after=[…]` and `rollback(…)` name steps, and only a verify holds `check.…(…)` calls.
  3. A parameters cell holds literal assignments, annotated with `str`, `int`, `float` or `bool` and nothing else
     (an annotation is code too), or without annotation as papermill injects them.
  4. The import cell is `from skyflo_kernel import …` of `check` and `runbook`, then `runbook_id` and `runbook_cluster`.
  5. Everything else is free code. So is a source that IPython would read differently than Python does: a line that
     begins with a prompt or an escape, and any line separator but a newline (IPython splits lines at U+2028, where
     Python sees the middle of a comment).
"""

import ast
import re
from collections.abc import Collection

from skyflo_runbooks.model.plan import ParameterType
from skyflo_runbooks.notebook import calls
from skyflo_runbooks.notebook.cell import (
    AUTO_RUN,
    CLUSTER_NAME,
    ID_NAME,
    MODULE,
    TYPES,
    Assignment,
    CellKind,
    Classified,
    OutsideGrammar,
    ParsedCell,
    Scalar,
    fits,
    is_name,
)

_SEPARATORS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
_ESCAPES = ("%", "!", "?", ",", ";", "/", ">>>", "...", "In [", "In[")


def parse_cell(source: str) -> ParsedCell:
    """Return what a cell says, or raise `OutsideGrammar` with the rule that it breaks."""
    body = _statements(source)
    if not body:
        return ParsedCell("empty")
    if len(body) == 1 and calls.is_call(body[0]):
        return calls.parse_step(body[0])
    imports = sum(isinstance(node, ast.ImportFrom) for node in body)
    for node in body[:imports]:
        _parse_import(node)
    assignments = tuple(_parse_assignment(node, own=bool(imports)) for node in body[imports:])
    return ParsedCell("import" if imports else "parameters", assignments=assignments)


def classify(source: str, parameters: Collection[str] = (), steps: Collection[str] = ()) -> CellKind:
    """Return the kind of a cell: `free` where it is outside the grammar, or uses a name that nobody declared before.

    `parameters` are the names assigned in the cells above, and `steps` the ids of the steps above.
    """
    try:
        cell = parse_cell(source)
    except OutsideGrammar:
        return "free"
    known = set(cell.parameters) <= set(parameters) and set(cell.after) <= set(steps)
    return cell.kind if known else "free"


def classify_cells(sources: list[str]) -> list[Classified]:
    """Classify the code cells of a notebook in their order; each sees the names that the cells above it declare."""
    parameters: set[str] = set()
    steps: set[str] = set()
    found: list[Classified] = []
    for source in sources:
        kind = classify(source, parameters, steps)
        if kind == "free":
            found.append(Classified("free"))
            continue
        cell = parse_cell(source)
        name = cell.step.id if cell.step else ""
        found.append(Classified(kind, name, cell.after, kind in AUTO_RUN))
        parameters.update(item.name for item in cell.assignments)
        steps.update({name} - {""})
    return found


def _statements(source: str) -> list[ast.stmt]:
    odd = _SEPARATORS.search(source)
    if odd:
        line = source.count("\n", 0, odd.start()) + 1
        raise OutsideGrammar("free-code", f"The cell holds the control character {odd.group()!r}.", line=line)
    for number, line_text in enumerate(source.split("\n"), 1):
        if line_text.lstrip().startswith(_ESCAPES):
            raise OutsideGrammar("free-code", "A line begins with a prompt or an IPython escape.", line=number)
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        said = getattr(error, "msg", None) or str(error) or "it is nested too deeply"
        raise OutsideGrammar("free-code", f"This is not Python: {said}.", line=line) from None


def _parse_import(node: ast.stmt) -> None:
    fixed = (
        isinstance(node, ast.ImportFrom)
        and node.module == MODULE
        and node.level == 0
        and all(alias.name in ("check", "runbook") and alias.asname is None for alias in node.names)
    )
    if not fixed:
        raise OutsideGrammar(
            "free-code",
            "An import other than that of 'check' and 'runbook'.",
            line=node.lineno,
            next_step=f"A runbook's cells import 'from {MODULE} import check, runbook' and nothing else.",
        )


def _parse_assignment(node: ast.stmt, *, own: bool) -> Assignment:
    """Read `name: type = literal` or `name = literal`; `own` allows the runbook's own two names."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        target: ast.expr = node.target
        value, declared = node.value, _annotation(node.annotation)
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, value, declared = node.targets[0], node.value, None
    else:
        raise OutsideGrammar(
            "free-code",
            "Neither a step of the runbook nor a literal assignment.",
            line=node.lineno,
            next_step='A step is one call, such as \'pods = runbook.read("k8s_get", kind="Pod")\'.',
        )
    if not isinstance(target, ast.Name):
        raise OutsideGrammar("free-code", "An assignment to something that is no plain name.", line=node.lineno)
    if not (is_name(target.id) or (own and target.id in (ID_NAME, CLUSTER_NAME))):
        raise OutsideGrammar("reserved-name", f"{target.id!r} cannot be a parameter's name.", line=node.lineno)
    return Assignment(target.id, _scalar(value, declared, target.id), declared, node.lineno)


def _annotation(node: ast.expr) -> ParameterType:
    for name in TYPES:
        if isinstance(node, ast.Name) and node.id == name:
            return name
    raise OutsideGrammar(
        "annotation",
        f"The annotation {ast.unparse(node)!r} is code.",
        line=node.lineno,
        next_step="Annotate a parameter with str, int, float or bool.",
    )


def _scalar(node: ast.expr, declared: ParameterType | None, name: str) -> Scalar:
    value = calls.literal(node, names=None)
    if not isinstance(value, str | int | float | bool):
        raise OutsideGrammar("wrong-type", f"{name} must be a text, a number or a truth value.", line=node.lineno)
    if declared is not None and not fits(value, declared):
        raise OutsideGrammar(
            "wrong-type", f"{name} is declared {declared} and its value is {value!r}.", line=node.lineno
        )
    return value
