"""Planning may ask for a real control plane and a real node."""

from tests.control_plane.fixtures import stage_on_control_plane
from tests.real_node.fixtures import stage_on_real_node

__all__ = ["stage_on_control_plane", "stage_on_real_node"]
