"""Hostile code where a kernel's code runs: what the wall around Jupyter keeps from it, and what it gets without one."""

import os
import socket
import subprocess
import tempfile
import textwrap
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
    "data": """
        said = open(data + "/operator.json").read()
    """,
    "environment": """
        said = os.environ["SKYFLO_TEST_CREDENTIAL"]
    """,
    "another process": """
        said = open(f"/proc/{outside}/environ").read()
    """,
    "signal": """
        os.kill(outside, 0)
        said = secret
    """,
    "local socket": """
        asked = socket.socket(socket.AF_UNIX)
        asked.connect(work + "/bus")
        said = secret
    """,
}


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


@pytest.mark.parametrize("what", LOOKS)
@against(ATTACKS["no-wall"])
def test_hostile_code_looks_around(lab: Path, gate: Gate, wall: str, what: str) -> None:
    """Each thing by itself; what it found it prints."""
    given = {"data": str(lab / "data"), "work": str(lab / "work"), "outside": os.getpid(), "secret": SECRET}
    code = f"import os, socket\nglobals().update({given!r})\n{textwrap.dedent(LOOKS[what])}\nprint(said)"
    folders = ["--work", str(lab / "work"), "--deny", str(lab / "data"), "--home", str(lab / "home")]
    launched = command(gate, "skyflo_kernel.sandbox", ["--mode", wall, *folders, "--", "python3", "-P", "-c", code])
    found = subprocess.run(
        launched,
        env={**os.environ, "SKYFLO_TEST_CREDENTIAL": SECRET},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert gate.weakened or "Error" in found.stderr, found.stderr
    gate.bites(SECRET in found.stdout or (what == "another process" and "PATH=" in found.stdout), found.stderr)
