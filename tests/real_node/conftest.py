"""Everything below may ask for a real node."""

from __future__ import annotations

from tests.real_node.fixtures import real_node, stage_on_real_node

__all__ = ["real_node", "stage_on_real_node"]
