"""A snapshot is saved and loaded as it was, and tells times in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.diagnosis.snapshot import Gap, ago, dump, load, seconds_between
from skyflo_runbooks.model.errors import BadInput
from tests.diagnosis import world
from tests.diagnosis.world import FAULTS, Names


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_loading_gives_what_was_saved(fault: str) -> None:
    """An incident can be diagnosed again later and elsewhere."""
    found = world.without(FAULTS[fault](Names()), "HorizontalPodAutoscaler")

    assert load(dump(found)) == found


@pytest.mark.parametrize("data", [b"", b"[]", b'{"time": 3}', b"\xff\xfe", b'{"time": "x", "schema": "other"}'])
def test_what_is_no_snapshot_is_bad_input(data: bytes) -> None:
    """A file of another kind is refused with a message, not with a traceback of the parser."""
    with pytest.raises(BadInput, match="snapshot"):
        load(data)


@given(st.binary(max_size=200))
def test_no_bytes_break_loading(data: bytes) -> None:
    """Anything is either a snapshot or bad input."""
    with pytest.raises(BadInput):
        load(data)


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        ("2026-05-04T10:21:59Z", "1 second"),
        ("2026-05-04T10:21:00Z", "1 minute"),
        ("2026-05-04T10:00:00Z", "22 minutes"),
        ("2026-05-04T09:00:00Z", "82 minutes"),
        ("2026-05-04T07:00:00Z", "3 hours"),
        ("2026-05-01T10:00:00Z", "3 days"),
        ("2026-05-04T10:23:00Z", "0 seconds"),
        ("", ""),
    ],
)
def test_times_are_told_in_words(earlier: str, said: str) -> None:
    """Rounded down, in the unit that a person would use; nothing where nothing is known."""
    assert ago(earlier, world.NOW) == said


def test_times_without_a_zone_are_not_compared() -> None:
    """A local time and a UTC time have no difference."""
    assert seconds_between("2026-05-04T10:00:00", world.NOW) is None


def test_a_gap_says_what_was_refused_and_why() -> None:
    """For a namespace and for the whole cluster."""
    assert str(Gap("Pod", "checkout", "forbidden")) == "Pod in namespace checkout could not be read: forbidden"
    assert str(Gap("Node", "", "forbidden")) == "Node could not be read: forbidden"
