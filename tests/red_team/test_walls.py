"""Hostile code where a kernel's code runs: what the wall around Jupyter keeps from it, and what it gets without one."""

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from skyflo_kernel.sandbox import landlock

from tests import needs
from tests.red_team.weakening import Gate, against, command
from tests.red_team.weaknesses import ATTACKS

SECRET = "the-operator-credential"
LOOKS: dict[str, str] = {
    "data": "open(data + '/operator.json').read()",
    "environment": "os.environ['SKYFLO_TEST_CREDENTIAL']",
    "another process": "open(f'/proc/{outside}/environ').read(1)",
    "signal": "os.kill(outside, 0)",
    "local socket": "socket.socket(socket.AF_UNIX).connect(work + '/bus')",
}
# Each by itself; what it could do it prints.
HOSTILE = """
import json, os, socket
globals().update({given!r})
done = []
for name, look in looks.items():
    try:
        eval(look)
        done.append(name)
    except (OSError, KeyError):
        pass
print(json.dumps(done))
"""


@pytest.fixture
def lab() -> Iterator[Path]:
    """Folders as `lab` has them, where another user can walk to them; the data is readable by all on purpose."""
    with tempfile.TemporaryDirectory(prefix="skyflo-walls-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("data", "work"):
            (folder / each).mkdir()
        (folder / "work").chmod(0o777)
        (folder / "data" / "operator.json").write_text(SECRET)
        bus = stack.enter_context(socket.socket(socket.AF_UNIX))
        bus.bind(str(folder / "work" / "bus"))
        (folder / "work" / "bus").chmod(0o777)
        bus.listen()
        yield folder


@pytest.fixture(params=["user", "landlock"])
def wall(request: pytest.FixtureRequest) -> str:
    """Each wall that can stand here."""
    if request.param == "user":
        needs.root()
    elif landlock.version() < 6:
        needs.missing("Landlock ABI 6", "Linux 6.12 or newer with the landlock security module")
    return str(request.param)


@against(ATTACKS["no-wall"])
def test_hostile_code_looks_around(lab: Path, gate: Gate, wall: str) -> None:
    """It gets nothing behind either wall, and everything without one."""
    given = {"data": str(lab / "data"), "work": str(lab / "work"), "outside": os.getpid(), "looks": LOOKS}
    folders = ["--work", str(lab / "work"), "--deny", str(lab / "data"), "--home", str(lab / "home")]
    code = ["--", "python3", "-P", "-c", HOSTILE.format(given=given)]
    found = subprocess.run(
        command(gate, "skyflo_kernel.sandbox", ["--mode", wall, *folders, *code]),
        env={**os.environ, "SKYFLO_TEST_CREDENTIAL": SECRET},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    done = json.loads(found.stdout)
    gate.bites(done == list(LOOKS) if gate.weakened else bool(done), done)
