"""The gate that an attack meets, and the clusters on which it takes place."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.control_plane.fixtures import control_plane
from tests.red_team import grounds
from tests.red_team.house import House
from tests.red_team.weakening import Gate, weakened

__all__ = ["control_plane"]

REAL = "control plane"


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    """The real gate or a weakened one, as `against` says."""
    met: Gate = request.param
    with weakened(met):
        yield met


@pytest.fixture(params=["practice", pytest.param(REAL, marks=pytest.mark.control_plane)])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """The flagship on the practice cluster, and on a real control plane."""
    real = request.param == REAL
    async with grounds.real(request.getfixturevalue("control_plane")) if real else grounds.practice() as app:
        yield House(app, tmp_path)


@pytest.fixture
async def practice_house(tmp_path: Path) -> AsyncIterator[House]:
    """The flagship on the practice cluster alone: the cluster has no say in it, or its nodes have to be there."""
    async with grounds.practice() as app:
        yield House(app, tmp_path)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Gates that lack one guard of several are a matter of this process: they are met on the practice cluster alone."""
    left_out = [item for item in items if _one_layer_on_the_real_one(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _one_layer_on_the_real_one(item: pytest.Item) -> bool:
    met = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    gate = met.get("gate")
    return met.get("house") == REAL and isinstance(gate, Gate) and bool(gate.missing) and not gate.weakened
