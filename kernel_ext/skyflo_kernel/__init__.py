"""What runs in a runbook's kernel and in Jupyter Server. Importing it costs next to nothing.

A runbook's cells say `from skyflo_kernel import check, runbook`: `runbook` has the steps (`read`, `gather`, `change`,
`verify`, `rollback`, `record`), `check` the conditions that a verify step can measure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyflo_kernel.parameters import watch_cells
from skyflo_kernel.steps import Runbook
from skyflo_runbooks.model import check

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["check", "runbook"]

runbook = Runbook()
watch_cells()


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "skyflo_kernel"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    from skyflo_kernel.extension import load

    load(server)
