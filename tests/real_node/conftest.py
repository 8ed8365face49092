"""Everything below needs a real node."""

from __future__ import annotations

from tests.real_node.fixtures import real_node

__all__ = ["real_node"]
