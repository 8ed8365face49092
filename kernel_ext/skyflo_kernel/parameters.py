"""A runbook's parameters, checked before a step runs.

Rules:
  1. A parameter is declared by an annotated literal: in a cell of this notebook, or in the namespace's annotations.
     The last declaration counts.
  2. Its value has the declared type exactly, but that an int is a float too. `"true"` and `"false"` for a bool are
     taken as meant, because `papermill -p flag true` injects the text.
  3. One whose help begins with `required:` has no default. A step that uses it is refused while it is empty or 0; the
     steps that do without it run, so that one can look before one chooses.
  4. A cell that papermill injected (its first line is `# Parameters`) may name declared parameters only: papermill
     itself only warns of others, and a mistyped name must not run with the default.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, MutableMapping

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.plan import Parameter, ParameterType

INJECTED_HEAD = "# Parameters"
_MEANT = {"true": True, "false": False}


def declared(namespace: MutableMapping[str, object]) -> dict[str, ParameterType]:
    """Return the parameters that a namespace declares, with their types."""
    from skyflo_runbooks.notebook.cell import CLUSTER_NAME, ID_NAME, TYPES

    found: dict[str, ParameterType] = {}
    annotations = namespace.get("__annotations__")
    if isinstance(annotations, dict):
        for name, said in annotations.items():
            found.update({str(name): type_ for type_, class_ in TYPES.items() if said in (class_, type_)})
    for source in _cells(namespace):
        if not source.startswith(INJECTED_HEAD):
            found.update(_declared(source))
    return {name: type_ for name, type_ in found.items() if name not in (ID_NAME, CLUSTER_NAME)}


def check(namespace: MutableMapping[str, object]) -> dict[str, str | int | float | bool]:
    """Return the parameters' values by name, or raise `BadInput` that names the first that is wrong."""
    from skyflo_runbooks.notebook.cell import fits

    types = declared(namespace)
    for source in _cells(namespace):
        if source.startswith(INJECTED_HEAD):
            _check_names(_injected(source), types)
    coerce(namespace, types)
    values: dict[str, str | int | float | bool] = {}
    for name, type_ in types.items():
        value = namespace.get(name)
        if name not in namespace:
            continue
        if not fits(value, type_) or not isinstance(value, str | int | float | bool):
            raise BadInput(
                f"The parameter {name!r} must be {type_}; it is {value!r} ({type(value).__name__}).",
                next_step=_advice(name, type_),
            )
        values[name] = value
    _check_given(_cells(namespace), values)
    return values


def _check_given(sources: list[str], values: dict[str, str | int | float | bool]) -> None:
    """Raise `BadInput` where the step of the cell that runs now uses a parameter which nobody gave (rule 3)."""
    from skyflo_runbooks.model.plan import missing

    left = missing([item for source in sources for item in _described(source)], values)
    used = set(_used(sources[-1])) if left else set()
    for item in left:
        if item.name in used:
            raise BadInput(
                f"The parameter {item.name!r} has no value: {item.help}.",
                next_step=f"Give it one in the parameters cell, or with -p {item.name}=….",
            )


def coerce(namespace: MutableMapping[str, object], types: dict[str, ParameterType]) -> None:
    """Put True and False in place of the texts that papermill injects for them."""
    for name, type_ in types.items():
        value = namespace.get(name)
        if type_ == "bool" and isinstance(value, str) and value.lower() in _MEANT:
            namespace[name] = _MEANT[value.lower()]


def watch_cells() -> None:
    """In IPython, coerce before each cell: a step's arguments are evaluated before the step can look at them."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return

    def before_cell(_: object) -> None:
        coerce(shell.user_ns, declared(shell.user_ns))

    shell.events.register("pre_run_cell", before_cell)


def _cells(namespace: MutableMapping[str, object]) -> list[str]:
    """The sources of the cells that were run, where IPython keeps them."""
    cells = namespace.get("In")
    return [cell for cell in cells if isinstance(cell, str)] if isinstance(cells, list) else []


def _described(source: str) -> tuple[Parameter, ...]:
    """The required parameters that a cell declares."""
    from skyflo_runbooks.notebook.cell import REQUIRED, OutsideGrammar
    from skyflo_runbooks.notebook.grammar import parse_cell
    from skyflo_runbooks.notebook.parse import parameters_of

    if REQUIRED not in source:
        return ()
    try:
        return parameters_of(source, parse_cell(source).assignments)
    except OutsideGrammar:
        return ()


def _used(source: str) -> tuple[str, ...]:
    """The parameters that a step's cell uses."""
    from skyflo_runbooks.notebook.cell import OutsideGrammar
    from skyflo_runbooks.notebook.grammar import parse_cell

    try:
        return parse_cell(source).parameters
    except OutsideGrammar:
        return ()


def _declared(source: str) -> dict[str, ParameterType]:
    from skyflo_runbooks.notebook.cell import OutsideGrammar
    from skyflo_runbooks.notebook.grammar import parse_cell

    try:
        cell = parse_cell(source)
    except OutsideGrammar:
        return {}
    return {item.name: item.type for item in cell.assignments if item.type is not None}


def _injected(source: str) -> Iterable[str]:
    import ast

    try:
        body = ast.parse(source).body
    except SyntaxError:
        return []
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _check_names(names: Iterable[str], types: dict[str, ParameterType]) -> None:
    import difflib

    for name in names:
        if name not in types:
            near = difflib.get_close_matches(name, list(types), n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(types) or 'none'}."
            raise BadInput(f"This runbook has no parameter {name!r}.", next_step=hint)


def _advice(name: str, type_: ParameterType) -> str:
    if type_ == "str":
        return f"Write it in quotes; with papermill pass it raw: -r {name} VALUE."
    example = {"int": "3", "float": "0.5", "bool": "true"}[type_]
    return f"Give it a value such as {example}."
