"""Fixtures that run against a real control plane; import them into a `conftest.py` that wants them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TypeAlias

import pytest

from skyflo_runbooks.practice import scenario
from tests import needs
from tests.control_plane import played
from tests.control_plane.harness import ControlPlane, running
from tests.control_plane.stage import Staged

Stage: TypeAlias = Callable[[str], Staged]


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One real control plane without nodes, for the whole session. Tests use namespaces of their own."""
    binaries = needs.control_plane()
    with running(tmp_path_factory.mktemp("control-plane"), binaries) as plane:
        yield plane


@pytest.fixture(scope="module")
def stage_on_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Stages a scenario on a control plane of its own with played nodes: about 15 s for each call."""
    binaries = needs.control_plane()
    with ExitStack() as stack:

        def staged(name: str) -> Staged:
            folder = tmp_path_factory.mktemp("staged")
            return stack.enter_context(played.staged(folder, binaries, scenario.load(name)))

        yield staged
