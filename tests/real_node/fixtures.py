"""Fixtures that run against a real node; import them into a `conftest.py` that wants them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from skyflo_runbooks.practice import scenario
from tests import needs
from tests.control_plane import stage
from tests.control_plane.command import FLAGSHIP
from tests.real_node.node import RealNode, running


@pytest.fixture(scope="session")
def real_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """One real node with its control plane and the flagship's images, for the whole session.

    Tests use namespaces of their own.
    """
    binaries = needs.real_node()
    with running(tmp_path_factory.mktemp("node"), binaries, stage.paced(scenario.load(FLAGSHIP)).images) as node:
        yield node
