"""FastMCP and what belongs to it, loaded once and by one thread at a time.

Its import takes seconds, so it happens in a thread, beside an event loop. Its modules import one another in circles:
two threads that begin at different ends would wait for each other.
"""

import importlib
import threading
from typing import Any

_ONE = threading.Lock()
_PARTS = ("fastmcp", "fastmcp.server", "fastmcp.client", "mcp.client.streamable_http", "mcp.shared.message")


def load() -> Any:
    """Return FastMCP's client module, with everything loaded that a client or a server of ours imports afterwards."""
    with _ONE:
        for part in _PARTS:
            importlib.import_module(part)
        return importlib.import_module("fastmcp.client")
