"""A notebook's folder that somebody else filled: opening the notebook must not run his code."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from skyflo_kernel import extension

from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS

IMPORT = "from skyflo_kernel import check, runbook"


@contextmanager
def kernel_in(folder: Path) -> Iterator[BlockingKernelClient]:
    """A real kernel as Jupyter starts it for a notebook in that folder."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    client: BlockingKernelClient = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def run(client: BlockingKernelClient, code: str, *, silent: bool = False) -> str:
    """Run code to its end and return how it ended."""
    try:
        answer = client.execute_interactive(code, silent=silent, store_history=not silent, timeout=60)
    except (TimeoutError, queue.Empty):
        pytest.fail("the kernel did not answer")
    return str(answer["content"]["status"])


@pytest.mark.parametrize("name", ["skyflo_kernel", "brotli"])
@against(ATTACKS["hostile-folder"])
def test_a_module_beside_the_notebook(tmp_path: Path, gate: Gate, name: str) -> None:
    """Instead of our package, or of one that others look for and that is not installed."""
    planted = tmp_path / "ran"
    (tmp_path / f"{name}.py").write_text(f"open({str(planted)!r}, 'w').close()")
    with kernel_in(tmp_path) as client:
        assert run(client, extension.PREPARE, silent=True) == "ok"
        run(client, f"{IMPORT}\ntry:\n    import {name}\nexcept ImportError:\n    pass")
    gate.bites(planted.exists())


def test_a_prepared_kernel_imports_what_is_installed(tmp_path: Path) -> None:
    """And nothing of the preparation is left in the notebook's namespace."""
    with kernel_in(tmp_path) as client:
        run(client, extension.PREPARE, silent=True)
        assert run(client, f"{IMPORT}\nassert not [n for n in globals() if n in ('_os', '_sys', '_path')]") == "ok"
