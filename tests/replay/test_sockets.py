"""How a run speaks to its kernel: by sockets that are no other run's, wherever both were started."""

from pathlib import Path

import nbformat
import pytest
from papermill.engines import NotebookExecutionManager

from skyflo_runbooks.replay.client import LONGEST_RUNTIME_DIR, Client

NOTHING = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]


def client() -> Client:
    """A client that has started no kernel yet."""
    return Client(NotebookExecutionManager(NOTHING), kernel_name="python3")


async def test_two_runs_of_one_folder_share_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both kernels run at once; nothing of them lies in the folder where they were started."""
    monkeypatch.chdir(tmp_path)
    managers = [client().create_kernel_manager() for _ in range(2)]
    try:
        for manager in managers:
            await manager.start_kernel()
        assert [manager.transport for manager in managers] == ["ipc", "ipc"]
        assert len({manager.ip for manager in managers}) == 2
        assert all(Path(manager.ip).is_absolute() for manager in managers)
        assert nothing_lies_in(tmp_path)
    finally:
        for manager in managers:
            if manager.has_kernel:
                await manager.shutdown_kernel(now=True)


def nothing_lies_in(folder: Path) -> bool:
    """Whether a folder is empty."""
    return list(folder.iterdir()) == []


def test_a_folder_whose_name_is_too_long_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP then: the system would cut the path, or refuse it."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / ("x" * LONGEST_RUNTIME_DIR)))
    assert client().create_kernel_manager().transport == "tcp"
