"""A plan becomes a notebook (nbformat 4.5, as plain JSON; nbformat itself is slow to import and not needed to write).

Order: what happened · parameters · the import cell · the plan's steps in their order, under a heading where no prose
precedes them. Cell ids are the step ids, so they stay the same from one generation to the next. Reads carry what they
answered during the diagnosis, with its time; nothing else has an output: a verdict is never written beforehand.
"""

from collections.abc import Mapping

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import GatherStep, Plan, ProseStep, ReadStep, Step
from skyflo_runbooks.notebook import render, write
from skyflo_runbooks.notebook.cell import kind_of
from skyflo_runbooks.notebook.digest import SCHEMA, runbook_digest
from skyflo_runbooks.notebook.story import what_happened

KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
SUMMARY = "summary"
HEADING = "heading"
MAX_ID = 64

_HEADINGS = {
    "read": "## Evidence",
    "change": "## Change",
    "verify": "## Verify",
    "rollback": "## Roll back\n\nLocked until its change ran; only an operator's own click or command proposes it.",
    "record": "## Record",
}


class Observed(msgspec.Struct, frozen=True):
    """What a read answered during the diagnosis, and when (RFC 3339). For a gather: the results by name."""

    at: str
    result: object


def compile_plan(plan: Plan, *, observed: Mapping[str, Observed] | None = None, graph: str = "") -> Json:
    """Return the notebook of a plan.

    `observed` holds the answers of read and gather steps by step id; `graph` is Mermaid source for the objects
    involved, in place of the one drawn from the findings.
    """
    _check_ids(plan)
    cells = [
        _markdown("what-happened", SUMMARY, what_happened(plan, graph)),
        _code("parameters", write.parameters_cell(plan.parameters), ["parameters"]),
        _code("imports", write.import_cell(plan), []),
    ]
    before: Step | None = None
    for step in plan.steps:
        cells += _cells(step, before, (observed or {}).get(step.id))
        before = step
    notebook: Json = {"cells": cells, "metadata": _metadata(plan), "nbformat": 4, "nbformat_minor": 5}
    notebook["metadata"]["skyflo"]["digest"] = runbook_digest(notebook)
    return notebook


def cell_id(name: str) -> str:
    """Return a cell id that nbformat accepts: the name, cut and made unique by a digest where it is too long."""
    if len(name) <= MAX_ID:
        return name
    import hashlib

    return f"{name[: MAX_ID - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _check_ids(plan: Plan) -> None:
    seen: set[str] = set()
    for name in [step.id for step in plan.steps] + [parameter.name for parameter in plan.parameters]:
        if name in seen:
            raise BadInput(f"The name {name!r} stands for two steps or parameters of the plan.")
        seen.add(name)


def _metadata(plan: Plan) -> Json:
    return {
        "kernelspec": dict(KERNELSPEC),
        "language_info": {"name": "python"},
        "skyflo": {
            "schema": SCHEMA,
            "id": plan.id,
            "digest": "",
            "incident": msgspec.to_builtins(plan.incident),
            "generator": plan.generator,
            "target": msgspec.to_builtins(plan.target),
            "created": plan.created,
            "findings": msgspec.to_builtins(plan.findings),
            "unknown": list(plan.unknown),
            "alternatives": msgspec.to_builtins(plan.alternatives),
        },
    }


def _cells(step: Step, before: Step | None, observed: Observed | None) -> list[Json]:
    if isinstance(step, ProseStep):
        return [_markdown(step.id, "prose", step.text)]
    kind = kind_of(step)
    headed = isinstance(before, ProseStep) or (before is not None and kind_of(before) == kind)
    heading = [] if headed else [_markdown(f"heading-{step.id}", HEADING, _HEADINGS[kind])]
    cell = _code(step.id, write.step_cell(step), [f"skyflo-{kind}"])
    cell["metadata"]["skyflo"] = {"step": step.id, "kind": kind}
    if observed is not None and isinstance(step, ReadStep | GatherStep):
        cell["outputs"] = [_output(step, observed)]
    return [*heading, cell]


def _output(step: ReadStep | GatherStep, observed: Observed) -> Json:
    if isinstance(step, ReadStep):
        data = render.result_bundle(step.id, step.tool, observed.result, at=observed.at, from_diagnosis=True)
    else:
        results = observed.result if isinstance(observed.result, dict) else {}
        parts = {name: (read.tool, results.get(name), observed.at) for name, read in step.reads.items()}
        data = render.gather_bundle(step.id, parts, from_diagnosis=True)
    return {"output_type": "display_data", "data": data, "metadata": {"skyflo": {"from": "diagnosis"}}}


def _markdown(name: str, kind: str, said: str) -> Json:
    return {
        "cell_type": "markdown",
        "id": cell_id(name),
        "metadata": {"skyflo": {"step": name, "kind": kind}, "tags": []},
        "source": said,
    }


def _code(name: str, said: str, tags: list[str]) -> Json:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": cell_id(name),
        "metadata": {"tags": tags},  # always there: papermill's inspection fails on a cell without
        "outputs": [],
        "source": said,
    }
