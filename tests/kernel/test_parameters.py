"""A runbook's parameters are checked before a step runs."""

from collections.abc import MutableMapping

import pytest
from skyflo_kernel import parameters

from skyflo_runbooks.model.errors import BadInput

DECLARED = 'namespace: str = "checkout"  # where\nreplicas: int = 3\nshare: float = 0.5\ndry: bool = False'


def namespace(*cells: str, **values: object) -> MutableMapping[str, object]:
    """The namespace of a kernel that ran `cells`."""
    given: dict[str, object] = {"namespace": "checkout", "replicas": 3, "share": 0.5, "dry": False}
    return {"In": ["", DECLARED, *cells], **given, **values}


def test_the_defaults_pass() -> None:
    """Values of their declared types come back by name."""
    assert parameters.check(namespace()) == {"namespace": "checkout", "replicas": 3, "share": 0.5, "dry": False}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("namespace", 1, "must be str"),
        ("namespace", None, "must be str"),
        ("replicas", "3", "must be int"),
        ("replicas", True, "must be int"),
        ("replicas", 3.0, "must be int"),
        ("share", "half", "must be float"),
        ("share", True, "must be float"),
        ("dry", "perhaps", "must be bool"),
        ("dry", 1, "must be bool"),
        ("dry", ["true"], "must be bool"),
    ],
)
def test_a_value_of_another_type_is_named(name: str, value: object, said: str) -> None:
    """The error names the parameter, what was expected, and what came."""
    with pytest.raises(BadInput, match=said) as caught:
        parameters.check(namespace(**{name: value}))
    assert name in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize(("text", "meant"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_the_text_true_is_taken_for_a_bool(text: str, meant: bool) -> None:
    """papermill injects `-p flag true` as a text; it is put right in the namespace."""
    found = namespace(dry=text)
    assert parameters.check(found)["dry"] is meant
    assert found["dry"] is meant


def test_an_int_is_a_float() -> None:
    """Where a float is declared an int will do."""
    assert parameters.check(namespace(share=1))["share"] == 1


def test_an_injected_name_that_nobody_declared_is_refused() -> None:
    """A mistyped parameter does not run with the default."""
    with pytest.raises(BadInput, match="'replica'") as caught:
        parameters.check(namespace("# Parameters\nreplica = 5\n"))
    assert caught.value.next_step == "Did you mean 'replicas'?"


def test_an_injected_name_that_is_declared_passes() -> None:
    """papermill's cell of declared names is what it is for."""
    assert parameters.check(namespace("# Parameters\nreplicas = 5\n", replicas=5))["replicas"] == 5


def test_an_injected_value_of_no_scalar_type_is_named() -> None:
    """papermill can inject lists; a parameter cannot be one."""
    with pytest.raises(BadInput, match="must be str"):
        parameters.check(namespace("# Parameters\nnamespace = ['a']\n", namespace=["a"]))


def test_free_code_declares_nothing() -> None:
    """Only cells inside the grammar declare parameters."""
    assert "evil" not in parameters.check(namespace("evil: str = print('x')", evil="x"))


def test_the_last_declaration_counts() -> None:
    """An edited parameters cell replaces the earlier one."""
    assert parameters.check(namespace("replicas: str = 'three'", replicas="three"))["replicas"] == "three"


def test_annotations_declare_in_a_terminal() -> None:
    """Without cells the namespace's own annotations count; the runbook's own names are no parameters."""
    found: MutableMapping[str, object] = {
        "__annotations__": {"replicas": int, "runbook_id": str, "other": dict},
        "replicas": "3",
        "runbook_id": "rb-1",
    }
    with pytest.raises(BadInput, match="'replicas' must be int"):
        parameters.check(found)
    found["replicas"] = 3
    assert parameters.check(found) == {"replicas": 3}


REQUIRED = """name: str = ""  # required: which workload
limit: str = ""  # required: such as 1Gi
most: int = 0  # required: how many"""
READ = 'found = runbook.read("k8s_get", kind="Deployment", name=name)'
CHANGE = 'raised = runbook.change("k8s_scale", name=name, replicas=most)'


def kernel(*cells: str, **values: object) -> MutableMapping[str, object]:
    """The namespace of a kernel whose last cell runs now."""
    return {"In": ["", REQUIRED, *cells], "name": "", "limit": "", "most": 0, **values}


def test_a_step_whose_parameter_nobody_gave_is_refused() -> None:
    """The error names it and says what it is."""
    with pytest.raises(BadInput, match="'name' has no value: which workload") as caught:
        parameters.check(kernel(READ))
    assert "-p name=" in caught.value.next_step


def test_one_can_look_before_one_chooses() -> None:
    """A step that does without the missing one runs; the one that uses it does not."""
    assert parameters.check(kernel(READ, name="web"))["name"] == "web"
    with pytest.raises(BadInput, match="'most'"):
        parameters.check(kernel(READ, CHANGE, name="web"))


def test_what_was_given_suffices() -> None:
    """By papermill's cell, or in the parameters cell itself."""
    injected = '# Parameters\nname = "web"\nmost = 3'
    assert parameters.check(kernel(injected, CHANGE, name="web", most=3))["most"] == 3
    edited: MutableMapping[str, object] = {
        "In": ["", REQUIRED.replace('name: str = ""', 'name: str = "web"'), READ],
        "name": "web",
    }
    assert parameters.check(edited)["name"] == "web"


def test_free_code_is_not_read_for_parameters() -> None:
    """What is outside the grammar uses what it likes; a step in it checks its own arguments."""
    assert parameters.check(kernel("print(name)"))["name"] == ""
    parameters.check({"In": ["", "import os  # required: nothing", READ], "name": ""})
