"""Fixtures that run against a real node; import them into a `conftest.py` that wants them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from skyflo_runbooks.practice import scenario
from tests import needs
from tests.control_plane.command import FLAGSHIP
from tests.control_plane.fixtures import Stage
from tests.control_plane.stage import Staged
from tests.real_node.images import Stock
from tests.real_node.node import RealNode, running, staged


@pytest.fixture(scope="session")
def real_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """One real node with its control plane and the flagship's images, for the whole session.

    Tests use namespaces of their own.
    """
    binaries = needs.real_node()
    with running(tmp_path_factory.mktemp("node"), binaries, Stock(scenario.load(FLAGSHIP).images)) as node:
        yield node


@pytest.fixture(scope="module")
def stage_on_real_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Stages a scenario on a real node of its own, with its control plane: about 25 s for each call."""
    binaries = needs.real_node()
    with ExitStack() as stack:

        def stage(name: str) -> Staged:
            folder = tmp_path_factory.mktemp("node")
            return stack.enter_context(staged(folder, binaries, scenario.load(name)))

        yield stage
