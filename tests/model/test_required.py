"""Parameters without a default: which are missing, and what a value is written like."""

import pytest

from skyflo_runbooks.model.plan import Parameter, missing

LIMIT = Parameter("limit", "str", "", "new limit, such as 512Mi", required=True)
MOST = Parameter("most", "int", 0, "how many", required=True)
SETTLE = Parameter("settle", "str", "", "may be empty")


@pytest.mark.parametrize(
    ("values", "left"),
    [
        ({}, ["limit", "most"]),
        ({"limit": ""}, ["limit", "most"]),
        ({"limit": "1Gi"}, ["most"]),
        ({"limit": "1Gi", "most": 0}, ["most"]),
        ({"limit": "1Gi", "most": 3, "settle": ""}, []),
    ],
)
def test_what_is_missing(values: dict[str, str | int | float | bool], left: list[str]) -> None:
    """An empty text and 0 are no value where one is required; elsewhere they may be meant."""
    assert [item.name for item in missing((LIMIT, MOST, SETTLE), values)] == left


def test_a_default_that_was_written_in_suffices() -> None:
    """Whoever edits the notebook gives a required parameter its default there."""
    assert missing((Parameter("limit", "str", "1Gi", "new limit", required=True),), {}) == ()


@pytest.mark.parametrize(
    ("parameter", "form"),
    [
        (LIMIT, "512Mi"),
        (Parameter("p", "str", "", "a path, such as /spec/x, and no more", required=True), "/spec/x"),
        (MOST, 0),
        (Parameter("settle", "str", "5m", "how long, such as 1h"), "5m"),
        (Parameter("odd", "str", "", "such as ", required=True), ""),
    ],
)
def test_the_form_of_a_value(parameter: Parameter, form: object) -> None:
    """The default where there is one, else the example of the help."""
    assert parameter.form == form
