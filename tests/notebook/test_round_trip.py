"""plan → cell → plan is the identity, and a cell of the grammar is to IPython what it is to Python."""

import ast

import nbformat
import pytest
from hypothesis import given, settings
from IPython.core.inputtransformer2 import TransformerManager

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.plan import ChangeStep, Parameter, ProseStep, ReadStep, RecordStep, RollbackStep, Step
from skyflo_runbooks.notebook import write
from skyflo_runbooks.notebook.compile import Observed, compile_plan
from skyflo_runbooks.notebook.grammar import parse_cell
from skyflo_runbooks.notebook.parse import parameters_of, parse
from tests.notebook import examples


@given(examples.steps)
@settings(max_examples=300, deadline=None)
def test_a_step_written_and_read_is_the_same_step(step: Step) -> None:
    """For every step: parse(write(step)) == step."""
    assert parse_cell(write.step_cell(step)).step == step


@given(examples.steps)
@settings(max_examples=100, deadline=None)
def test_ipython_runs_exactly_what_was_read(step: Step) -> None:
    """IPython's own transformations leave every cell of the grammar as Python reads it."""
    source = write.step_cell(step)
    manager = TransformerManager()  # type: ignore[no-untyped-call]  # IPython declares no types here
    transformed = manager.transform_cell(source)
    assert ast.dump(ast.parse(transformed)) == ast.dump(ast.parse(source))


def test_the_flagship_reads_as_in_the_design() -> None:
    """A change and a verify are written in the design's own layout."""
    assert write.step_cell(examples.change_step()) == (
        "raise_memory = runbook.change(\n"
        '    "k8s_set_resources",\n'
        '    kind="Deployment", namespace=namespace, name="payment-service", container="payment-service",\n'
        '    limits={"memory": memory_limit},\n'
        '    why="Each of the 14 restarts was OOMKilled at the 256Mi limit.",\n'
        ")"
    )
    assert write.step_cell(examples.verify_step()) == (
        "recovered = runbook.verify(\n"
        '    check.rollout_complete("Deployment", "payment-service", namespace=namespace),\n'
        '    check.no_restarts("Deployment", "payment-service", namespace=namespace, window=settle),\n'
        '    check.http_ok(service="payment-service", namespace=namespace, path="/checkout"),\n'
        '    after=[raise_memory], within="10m",\n'
        ")"
    )


def test_steps_without_a_name_of_their_own_are_written_without_one() -> None:
    """A record and a roll-back with the id that follows from the call need no assignment."""
    assert write.step_cell(RecordStep("record")) == "runbook.record()"
    assert write.step_cell(RollbackStep("roll_back_a", "a")) == "runbook.rollback(a)"
    assert write.step_cell(RollbackStep("back", "a")) == "back = runbook.rollback(a)"


def test_a_long_argument_is_spread_over_lines() -> None:
    """No line of a patch grows beyond what can be read."""
    patch = [
        {"op": "replace", "path": f"/spec/template/spec/containers/{i}/image", "value": "x" * 30} for i in range(3)
    ]
    source = write.step_cell(ChangeStep("p", "k8s_patch", {"kind": "Deployment", "patch": patch}))
    assert max(len(line) for line in source.splitlines()) <= write.WIDTH
    assert parse_cell(source).step == ChangeStep("p", "k8s_patch", {"kind": "Deployment", "patch": patch})


@pytest.mark.parametrize(
    "step",
    [
        ReadStep("class", "k8s_get"),
        ReadStep("runbook", "k8s_get"),
        ReadStep("a b", "k8s_get"),
        ReadStep("a", "k8s_get", {"not-a-name": 1}),
        ReadStep("a", "k8s_get", {"x": float("nan")}),
        ReadStep("a", "k8s_get", {"x": object()}),
        ReadStep("a", "k8s_get", {"x": {"$param": "import os"}}),
        ChangeStep("a", "k8s_patch", {"why": "twice"}),
        ProseStep("a", "words"),
    ],
)
def test_what_the_grammar_cannot_say_is_refused_when_it_is_written(step: Step) -> None:
    """A step that no cell can carry is bad input, not a broken cell."""
    with pytest.raises(BadInput):
        write.step_cell(step)


def test_a_plan_compiled_and_parsed_is_the_same_plan() -> None:
    """The whole plan comes back from its notebook, with its digest."""
    plan = examples.flagship()
    notebook = compile_plan(plan)
    runbook = parse(notebook)
    assert runbook.plan == plan
    assert runbook.digest == runbook.recorded == notebook["metadata"]["skyflo"]["digest"]


def test_the_notebook_is_valid_nbformat() -> None:
    """nbformat accepts the compiled notebook, with outputs of the diagnosis."""
    observed = {"pods": Observed("2026-01-01T00:00:00Z", {"columns": ["name"], "rows": [["a"]]})}
    notebook = compile_plan(examples.flagship(), observed=observed)
    nbformat.validate(nbformat.from_dict(notebook))  # type: ignore[no-untyped-call]  # nbformat declares no types
    assert [cell["id"] for cell in notebook["cells"]] == [
        cell["id"] for cell in compile_plan(examples.flagship())["cells"]
    ]


def test_only_reads_carry_outputs_from_the_diagnosis() -> None:
    """A verdict or a receipt is never written beforehand, even where something is handed in for it."""
    observed = {name: Observed("now", {"x": 1}) for name in ("pods", "state", "raise_memory", "recovered")}
    cells = {cell["id"]: cell for cell in compile_plan(examples.flagship(), observed=observed)["cells"]}
    assert [id_ for id_, cell in cells.items() if cell.get("outputs")] == ["pods", "state"]
    assert "during the diagnosis" in cells["pods"]["outputs"][0]["data"]["text/plain"]


def test_the_order_is_that_of_an_incident() -> None:
    """What happened, parameters, reads, why, change, verify, roll back, record."""
    cells = compile_plan(examples.flagship())["cells"]
    assert [cell["id"] for cell in cells if not cell["id"].startswith("heading-")] == [
        "what-happened",
        "parameters",
        "imports",
        "pods",
        "state",
        "why",
        "raise_memory",
        "recovered",
        "roll_back_raise_memory",
        "record",
    ]


def test_papermill_reads_the_parameters() -> None:
    """papermill infers name, type, default and help of each parameter."""
    from papermill.inspection import _infer_parameters

    notebook = nbformat.from_dict(compile_plan(examples.flagship()))  # type: ignore[no-untyped-call]
    found = {item.name: item for item in _infer_parameters(notebook)}
    assert found["memory_limit"].inferred_type_name == "str"
    assert found["memory_limit"].default == '"512Mi"'
    assert found["memory_limit"].help == "the new limit"


def test_two_steps_of_one_name_are_refused() -> None:
    """A plan whose names collide does not become a notebook."""
    plan = examples.flagship()
    import msgspec

    with pytest.raises(BadInput, match="'pods'"):
        compile_plan(msgspec.structs.replace(plan, steps=(*plan.steps, RecordStep("pods"))))


def test_a_default_of_another_type_is_refused() -> None:
    """A parameter's default has its declared type."""
    with pytest.raises(BadInput, match="declared int"):
        write.parameters_cell([Parameter("n", "int", "3")])


def test_a_required_parameter_comes_back() -> None:
    """Its cell has the empty value of its type, and says before the help that it is required."""
    wanted = (
        Parameter("limit", "str", "", "new limit, such as 512Mi", required=True),
        Parameter("most", "int", 0, "", required=True),
        Parameter("settle", "str", "5m", "how long"),
    )
    source = write.parameters_cell(wanted)
    assert source.splitlines()[:2] == [
        'limit: str = ""  # required: new limit, such as 512Mi',
        "most: int = 0  # required:",
    ]
    assert parameters_of(source, parse_cell(source).assignments) == wanted


def test_a_default_cannot_say_that_it_is_required() -> None:
    """Its help would be read back as something else."""
    with pytest.raises(BadInput, match="says that it is required"):
        write.parameters_cell([Parameter("n", "int", 3, "required: no")])
