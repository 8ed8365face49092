"""Everything below needs a real control plane."""

from __future__ import annotations

from tests.control_plane.fixtures import control_plane

__all__ = ["control_plane"]
