"""Stories that are told once and looked at by several tests, and a flagship in practice for what changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from tests.control_plane.fixtures import control_plane
from tests.story.home import Home, home
from tests.story.rungs import ON, Rung, RungName, practice
from tests.story.telling import Told, tell

__all__ = ["control_plane"]
Stories: TypeAlias = Callable[[RungName, str], Told]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Stories:
    """Tells a scenario's story on a rung, once."""
    told: dict[tuple[str, str], Told] = {}

    def of(rung_name: RungName, scenario: str) -> Told:
        if (rung_name, scenario) not in told:
            folder = tmp_path_factory.mktemp("rung")
            with ON[rung_name](folder, scenario) as rung, home(tmp_path_factory.mktemp("home")) as mine:
                told[rung_name, scenario] = tell(mine.open(rung.kubeconfig), rung)
        return told[rung_name, scenario]

    return of


@pytest.fixture(scope="module")
def flagship(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rung]:
    """The flagship on a practice server, for tests that leave the cluster as it is."""
    with practice(tmp_path_factory.mktemp("rung")) as rung:
        yield rung


@pytest.fixture(scope="module")
def logged_in(flagship: Rung, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with a gateway on that flagship, and a terminal that is an operator."""
    with home(tmp_path_factory.mktemp("home")) as mine:
        yield mine.open(flagship.kubeconfig)
