"""A runbook's parameters, checked before a step runs.

Rules:
  1. A parameter is declared by an annotated literal: in a cell of this notebook, or in the namespace's annotations.
     The last declaration counts.
  2. Its value has the declared type exactly, but that an int is a float too. `"true"` and `"false"` for a bool are
     taken as meant, because `papermill -p flag true` injects the text.
  3. A cell that papermill injected (its first line is `# Parameters`) may name declared parameters only: papermill
     itself only warns of others, and a mistyped name must not run with the default.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, MutableMapping

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.plan import ParameterType

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
    return values


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
