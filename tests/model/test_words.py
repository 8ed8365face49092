"""Quantities, durations, names, texts, checks and errors: read strictly, written back the same."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.model import check
from skyflo_runbooks.model.errors import BadInput, ExitCode, worst
from skyflo_runbooks.model.incident import read_text
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.objects import ObjectRef, check_name, check_namespace
from skyflo_runbooks.model.plan import bind, param
from skyflo_runbooks.model.quantity import (
    format_cpu,
    format_duration,
    format_memory,
    parse_duration,
    parse_quantity,
    same_form,
)


@pytest.mark.parametrize(
    ("text", "value"), [("512Mi", 536870912), ("1Gi", 2**30), ("250m", "0.25"), ("1e3", 1000), ("2", 2), ("1k", 1000)]
)
def test_quantities_are_read_as_kubernetes_reads_them(text: str, value: int | str) -> None:
    """Suffixes of resource.Quantity."""
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "Mi", "1 Gi x", "12Qi", "--1", "1.2.3", "0x10", "512mi"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """With an example of how to write one."""
    with pytest.raises(BadInput, match="Write it like"):
        parse_quantity(text)


@given(st.integers(1, 2**50))
def test_memory_is_never_written_smaller_than_it_is(size: int) -> None:
    """Rounding goes up, by less than one step."""
    assert size <= parse_quantity(format_memory(size)) < size + 2**20


@given(st.integers(1, 10**6))
def test_cpu_round_trips_in_milli(milli: int) -> None:
    """What is written is read back."""
    assert parse_quantity(format_cpu(Decimal(milli) / 1000)) == Decimal(milli) / 1000


@given(st.integers(0, 10**6))
def test_durations_round_trip(seconds: int) -> None:
    """What is written is read back."""
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5", "m5", "5m 3", "-5m", "1d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A number without unit says nothing."""
    with pytest.raises(BadInput, match="Write it like"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("default", "value", "fits"),
    [
        ("5m", "30s", True),
        ("5m", "banana", False),
        ("512Mi", "1Gi", True),
        ("512Mi", "lots", False),
        ("512Mi", "30s", False),
        ("250m", "1.5", True),
        ("250m", "2m", True),
        ("checkout", "anything goes", True),
    ],
)
def test_a_value_is_written_as_its_default_is(default: str, value: str, fits: bool) -> None:
    """A duration for a duration, a quantity for a quantity; other text is free."""
    assert same_form(default, value) is fits


@pytest.mark.parametrize("name", ["../x", "a/b", "-x", "x\n", "A", "", "x" * 254, "ａ", "x y", "--kubeconfig", "a\x00"])
def test_names_that_kubernetes_would_not_take_are_refused(name: str) -> None:
    """So none of them reaches a path."""
    with pytest.raises(BadInput):
        check_name(name)
    with pytest.raises(BadInput):
        check_namespace(name)


def test_rbac_names_may_hold_a_colon() -> None:
    """As `system:node` does."""
    assert check_name("system:node", kind="ClusterRole") == "system:node"


@pytest.mark.parametrize("text", ["Deployment/checkout/payment-service", "Node/node-1"])
def test_object_names_round_trip(text: str) -> None:
    """With and without a namespace."""
    assert str(ObjectRef.parse(text)) == text


@pytest.mark.parametrize("text", ["", "a", "a/b/c/d", "a//c"])
def test_what_is_no_object_name_is_refused(text: str) -> None:
    """The form is said."""
    with pytest.raises(BadInput, match="Kind/namespace/name"):
        ObjectRef.parse(text)


@pytest.mark.parametrize("text", ["", "   ", "???", "\x1b[2J", "42"])
def test_an_incident_that_says_nothing_is_refused(text: str) -> None:
    """The next step shows how to say it."""
    with pytest.raises(BadInput, match="plain words"):
        read_text(text if text != "\x1b[2J" else "\x1b\x1b")


def test_control_characters_leave_the_incident() -> None:
    """A terminal escape in the words never reaches a terminal."""
    assert "\x1b" not in read_text("pods \x1b[31mcrash")


@given(st.lists(st.sampled_from(list(ExitCode))))
def test_the_worst_outcome_decides_the_exit_code(codes: list[ExitCode]) -> None:
    """In the order of the design."""
    order = [11, 13, 12, 10, 14, 0]
    assert worst(codes) == next((code for code in order if code in codes), 0)


def test_every_check_is_built_by_its_name() -> None:
    """The catalogue and the functions agree, and each says its tense."""
    for name, function in check.CATALOGUE.items():
        assert function.__name__ == name
        said = (function.__doc__ or "").split(":")[0]
        assert said in ("Eventually", "Steadily")


def test_a_check_that_does_not_exist_or_fit_is_refused() -> None:
    """With how it is called."""
    with pytest.raises(BadInput, match="Known checks"):
        check.build("looks_good", [], {})
    with pytest.raises(BadInput, match="It is called as"):
        check.build("pods_ready", ["Deployment"], {})


def test_parameters_are_bound_at_any_depth() -> None:
    """And an unknown one is refused."""
    found = bind({"limits": {"memory": param("m")}, "l": [param("n")]}, {"m": "1Gi", "n": 2})
    assert found == {"limits": {"memory": "1Gi"}, "l": [2]}
    with pytest.raises(BadInput, match="no parameter named 'x'"):
        bind(param("x"), {})


def test_reading_into_nested_json_never_fails() -> None:
    """Missing, null and wrong types are the default."""
    tree = {"a": [{"b": None}]}
    assert at(tree, "a", 0, "b", default=1) == 1
    assert at(tree, "a", 7, "b", default=2) == 2
    assert at(tree, "a", "b", default=3) == 3
    assert at(None, "x") is None
