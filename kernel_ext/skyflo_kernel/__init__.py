"""What runs in a runbook's kernel and in Jupyter Server. Importing it costs next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "skyflo_kernel"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    from skyflo_kernel.extension import load

    load(server)
