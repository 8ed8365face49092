"""Everything below may ask for a real control plane."""

from __future__ import annotations

from tests.control_plane.fixtures import control_plane, stage_on_control_plane

__all__ = ["control_plane", "stage_on_control_plane"]
