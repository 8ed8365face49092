"""Ctrl-C while a run waits: the record is kept, nothing is claimed, and the kernel is gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.kernel.fake_gateway import FakeGateway
from tests.replay.conftest import Write, load, statuses

SCRIPT = """
import sys
from pathlib import Path
from skyflo_runbooks.replay.run import run
try:
    run(Path(sys.argv[1]), output=Path(sys.argv[2]), wait=120)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_keeps_the_record(gateway: FakeGateway, write: Write, tmp_path: Path) -> None:
    """Interrupted at the open change: exit 130, the file has its name, the change is not called passed."""
    command = [sys.executable, "-c", SCRIPT, str(write()), str(tmp_path / "out.ipynb")]
    process = subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.PIPE, text=True)
    with gateway.changed:
        waits = "/api/v1/proposals/ap-000000"
        assert gateway.changed.wait_for(
            lambda: gateway.proposals and any(path == waits for _, path, _ in gateway.asked), timeout=60
        )
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    found = statuses(load(tmp_path / "out.ipynb"))
    assert (found["raise_memory"], found["recovered"]) == ("error", "not_reached")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert gateway.proposals["ap-000000"]["state"] == "proposed"
