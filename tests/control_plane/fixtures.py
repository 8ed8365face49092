"""Fixtures that run against a real control plane; import them into a `conftest.py` that wants them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import needs
from tests.control_plane.harness import ControlPlane, running


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """One real control plane without nodes, for the whole session. Tests use namespaces of their own."""
    binaries = needs.control_plane()
    with running(tmp_path_factory.mktemp("control-plane"), binaries) as plane:
        yield plane
