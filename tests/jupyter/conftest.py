"""What the tests of the walls stand on."""

from collections.abc import Iterator

import pytest

from tests.jupyter.ground import WALLS, Ground, Wall, laid_out, needed


@pytest.fixture
def ground() -> Iterator[Ground]:
    """Folders as `lab` has them."""
    with laid_out() as made:
        yield made


@pytest.fixture(params=WALLS)
def wall(request: pytest.FixtureRequest) -> Wall:
    """Each wall that can be tried here."""
    found: Wall = request.param
    needed(found)
    return found
