"""Lint names each problem with its cell, its line, its rule, and what to do."""

import copy
import json
from pathlib import Path

import pytest

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook.compile import compile_plan
from skyflo_runbooks.notebook.digest import runbook_digest
from skyflo_runbooks.notebook.lint import RULES, Problem, lint
from skyflo_runbooks.notebook.parse import parse, read_notebook
from skyflo_runbooks.notebook.render import VERDICT
from tests.notebook import examples

TOOLS = {"k8s_get": "read", "k8s_events": "read", "k8s_top_pods": "read", "k8s_set_resources": "change"}


def notebook() -> Json:
    """The flagship's notebook."""
    return compile_plan(examples.flagship())


def edited(id_: str, old: str, new: str) -> Json:
    """The flagship with one cell edited by hand."""
    found = notebook()
    cell = next(cell for cell in found["cells"] if cell["id"] == id_)
    assert old in cell["source"]
    cell["source"] = cell["source"].replace(old, new)
    return found


def without(id_: str) -> Json:
    """The flagship without one cell."""
    found = notebook()
    found["cells"] = [cell for cell in found["cells"] if cell["id"] != id_]
    return found


def found_in(document: Json) -> dict[str, Problem]:
    """The problems by rule, but that the digest moved."""
    return {problem.rule: problem for problem in lint(document, TOOLS) if problem.rule != "digest"}


def test_a_generated_runbook_has_no_problem() -> None:
    """What compile writes is clean."""
    assert lint(notebook(), TOOLS) == ()


def test_an_edited_cell_moves_the_digest() -> None:
    """The recorded digest no longer covers the cells: a warning."""
    (problem,) = [p for p in lint(edited("parameters", "512Mi", "1Gi"), TOOLS) if p.rule == "digest"]
    assert problem.severity == "warning"


@pytest.mark.parametrize(
    ("document", "rule", "cell"),
    [
        (edited("pods", "pods = ", "import os; pods = "), "free-code", "pods"),
        (edited("recovered", "check.http_ok", "check.https_ok"), "unknown-check", "recovered"),
        (edited("parameters", "memory_limit: str", "memory_limit: print(1)"), "annotation", "parameters"),
        (edited("parameters", '"512Mi"', "512"), "wrong-type", "parameters"),
        (edited("parameters", "settle", "runbook"), "reserved-name", "parameters"),
        (edited("pods", "namespace=namespace", "namespace=ns"), "unknown-name", "pods"),
        (edited("roll_back_raise_memory", "raise_memory", "lower"), "unknown-name", "roll_back_raise_memory"),
        (edited("pods", "k8s_get", "k8s_got"), "unknown-tool", "pods"),
        (edited("pods", "k8s_get", "k8s_set_resources"), "tool-effect", "pods"),
        (edited("raise_memory", "k8s_set_resources", "k8s_get"), "tool-effect", "raise_memory"),
        (edited("recovered", 'within="10m"', 'within="soon"'), "duration", "recovered"),
        (edited("state", "state = ", "pods = "), "duplicate-name", "state"),
        (edited("state", "state = ", "namespace = "), "duplicate-name", "state"),
        (without("recovered"), "change-unverified", "raise_memory"),
        (without("roll_back_raise_memory"), "no-roll-back", "raise_memory"),
        (without("parameters"), "no-parameters", "imports"),
        (without("imports"), "no-import", ""),
    ],
)
def test_each_fault_is_named(document: Json, rule: str, cell: str) -> None:
    """Edited by hand: the rule, the cell and the next step."""
    problem = found_in(document)[rule]
    assert problem.cell == cell
    assert problem.line >= 1
    assert problem.next_step
    assert rule in RULES


def test_a_problem_has_the_line_within_its_cell() -> None:
    """The third parameter is on the third line."""
    assert found_in(edited("parameters", "settle: str", "settle: dict"))["annotation"].line == 3


def test_an_unknown_tool_has_its_nearest_name() -> None:
    """A misspelt tool is answered with the one that was meant."""
    assert "k8s_get" in found_in(edited("pods", "k8s_get", "k8s_gett"))["unknown-tool"].next_step


def test_without_a_catalogue_tools_are_not_judged() -> None:
    """Lint works without a gateway."""
    assert [p.rule for p in lint(edited("pods", "k8s_get", "k8s_got"))] == ["digest"]


def test_a_stored_verdict_is_named_but_not_in_a_run() -> None:
    """A runbook carries no verdict before it ran; the notebook of a run does."""
    document = notebook()
    cell = next(cell for cell in document["cells"] if cell["id"] == "recovered")
    cell["outputs"] = [{"output_type": "display_data", "data": {VERDICT: {"verdict": "VERIFIED"}}, "metadata": {}}]
    assert "stored-verdict" in found_in(document)
    document["metadata"]["skyflo"]["run"] = {"id": "run-1"}
    assert found_in(document) == {}


def test_any_notebook_can_be_linted() -> None:
    """A notebook that is no runbook says so, and its code is free."""
    cell = {"cell_type": "code", "source": ["import os\n", "os.getcwd()"], "metadata": {}, "outputs": []}
    rules = found_in({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 4})
    assert set(rules) == {"not-a-runbook", "free-code", "no-parameters"}
    assert rules["free-code"].cell == "cell-0"


def test_the_digest_covers_cells_and_defaults_only() -> None:
    """Outputs, metadata, execution counts and papermill's cells do not move it; each cell's source does."""
    document = notebook()
    before = runbook_digest(document)
    ran = copy.deepcopy(document)
    ran["metadata"]["skyflo"]["digest"] = "sha256:other"
    ran["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    ran["cells"][1]["execution_count"] = 3
    injected = {"cell_type": "code", "source": "x = 1", "metadata": {"tags": ["injected-parameters"]}, "outputs": []}
    ran["cells"].insert(2, injected)
    ran["cells"].insert(0, {"cell_type": "markdown", "source": "!", "metadata": {"tags": ["papermill-error-cell-tag"]}})
    assert runbook_digest(ran) == before
    for index in range(len(document["cells"])):
        moved = copy.deepcopy(document)
        moved["cells"][index]["source"] += " # more"
        assert runbook_digest(moved) != before


def test_the_source_says_what_runs_and_metadata_does_not() -> None:
    """A change cell that calls itself a read is a change."""
    document = notebook()
    cell = next(cell for cell in document["cells"] if cell["id"] == "raise_memory")
    cell["metadata"] = {"tags": ["skyflo-read"], "skyflo": {"step": "pods", "kind": "read"}}
    parsed = next(cell for cell in parse(document).cells if cell.id == "raise_memory")
    assert parsed.kind == "change"


def test_broken_metadata_does_not_stop_parsing() -> None:
    """What cells say is read, whatever the metadata holds."""
    document = notebook()
    document["metadata"]["skyflo"].update(incident=[], findings="none", target=3, unknown={})
    found = parse(document).plan
    assert found.steps == examples.flagship().steps
    assert found.target.cluster == "uid-1"


def test_injected_values_are_read() -> None:
    """The values of a run stand in papermill's cell."""
    document = notebook()
    injected = {
        "cell_type": "code",
        "source": "# Parameters\nmemory_limit = '1Gi'\n",
        "metadata": {"tags": ["injected-parameters"]},
    }
    document["cells"].insert(2, {**injected, "outputs": []})
    assert parse(document).injected == {"memory_limit": "1Gi"}
    assert lint(document, TOOLS) == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON"),
        (b"{}", "nbformat 4"),
        (b"[1]", "nbformat 4"),
        (b"\xff\xfe", "no JSON"),
        (json.dumps({"nbformat": 3, "worksheets": []}).encode(), "nbformat 4"),
        (json.dumps({"nbformat": 4, "cells": [1]}).encode(), "not a cell"),
        (b"[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_notebook_is_bad_input(tmp_path: Path, content: bytes, said: str) -> None:
    """A file that cannot be read is named with what was expected."""
    file = tmp_path / "x.ipynb"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read_notebook(file)


def test_a_missing_file_is_bad_input(tmp_path: Path) -> None:
    """The path stands in the message."""
    with pytest.raises(BadInput, match=r"absent\.ipynb"):
        read_notebook(tmp_path / "absent.ipynb")
