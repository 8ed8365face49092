"""The second ending, headless, on a real control plane with played nodes (`tests/story` tells the first)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.control_plane import flagship
from tests.control_plane.command import FLAGSHIP
from tests.control_plane.fixtures import Stage
from tests.control_plane.headless import headless

pytestmark = [pytest.mark.control_plane, pytest.mark.timeout(400)]


def test_too_little_memory_fails_and_goes_back(stage_on_control_plane: Stage, tmp_path: Path) -> None:
    """The second ending."""
    staged = stage_on_control_plane(FLAGSHIP)
    with headless(tmp_path, staged.plane.kubeconfig("operator")) as terminal:
        flagship.fails_and_goes_back(terminal, staged)
