"""`NAME=VALUE` takes the type of what it replaces, or is bad input that says what was expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.cli.values import Scalar, flatten, full_name, pairs, typed, value_like
from skyflo_runbooks.model.errors import BadInput

PRESENT: dict[str, Scalar] = {"limits.memory": "256Mi", "limits.cpu": "1", "replicas": 3, "ratio": 0.5, "paused": False}
SCALARS = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())


@given(SCALARS)
def test_a_value_written_out_reads_back(value: Scalar) -> None:
    """What a present value is written as gives that value again."""
    assert value_like(value, str(value), name="x") == value


@given(st.dictionaries(st.text(st.characters(categories=["Ll"]), min_size=1), st.text()))
def test_pairs_read_back(values: dict[str, str]) -> None:
    """Values may hold equals signs; names may not."""
    assert pairs([f"{name}={value}" for name, value in values.items()]) == values


@pytest.mark.parametrize("text", ["memory", "=1", " =1"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    """The message says the form."""
    with pytest.raises(BadInput, match="NAME=VALUE"):
        pairs([text])


def test_a_name_given_twice_is_refused() -> None:
    """Nobody has to guess which of the two counts."""
    with pytest.raises(BadInput, match="twice"):
        pairs(["a=1", "a=2"])


def test_the_unique_end_of_a_name_is_enough() -> None:
    """`memory` is `limits.memory` while there is one."""
    assert typed({"memory": "1Gi", "replicas": "5"}, PRESENT) == {"limits.memory": "1Gi", "replicas": 5}


def test_an_end_of_two_names_is_refused() -> None:
    """Both are named."""
    with pytest.raises(BadInput, match=r"limits\.memory or requests\.memory"):
        full_name("memory", {"limits.memory": "1", "requests.memory": "1"}, what="value")


def test_an_unknown_name_says_the_nearest() -> None:
    """A misspelt name is answered with what there is."""
    with pytest.raises(BadInput) as error:
        full_name("replica", PRESENT, what="value")
    assert "replicas" in error.value.next_step


@pytest.mark.parametrize(("name", "text"), [("replicas", "three"), ("ratio", "half"), ("paused", "yes")])
def test_a_wrong_type_is_refused(name: str, text: str) -> None:
    """The message names the parameter and what came."""
    with pytest.raises(BadInput, match=f"{name} expects .*{text}"):
        typed({name: text}, PRESENT)


def test_nested_arguments_are_flattened() -> None:
    """Lists and nulls cannot be set from a command line."""
    nested = {"kind": "Deployment", "limits": {"memory": "1Gi"}, "tags": ["a"], "to": None, "n": 1}
    assert flatten(nested) == {"kind": "Deployment", "limits.memory": "1Gi", "n": 1}
