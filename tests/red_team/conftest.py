"""The gate that an attack meets."""

from collections.abc import Iterator

import pytest

from tests.red_team.weakening import Gate, weakened


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    """The real gate or a weakened one, as `against` says."""
    met: Gate = request.param
    with weakened(met):
        yield met
