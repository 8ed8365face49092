"""How a run's kernel ends: by itself, and without an interrupt that it might complain of on the terminal."""

from pathlib import Path

import pytest

from skyflo_runbooks.replay.run import run
from tests.kernel.fake_gateway import FakeGateway
from tests.replay.conftest import Write, load

# papermill's last message asks what the kernel is. Its answer comes before the kernel is through with the message: here
# half a second before, so that an interrupt would surely meet it.
LINGERS = """
import atexit, inspect, pathlib, threading
handlers = get_ipython().kernel.shell_handlers
answered = handlers["kernel_info_request"]
async def lingers(*message):
    said = answered(*message)
    if inspect.isawaitable(said):
        await said
    threading.Event().wait(0.5)
handlers["kernel_info_request"] = lingers
atexit.register(pathlib.Path({ended!r}).touch)
"""


def test_a_kernel_ends_by_itself_and_is_not_interrupted(
    gateway: FakeGateway, write: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is through with its last message, what was to happen at its end happens, and nothing is said."""
    ended = tmp_path / "ended"
    code = LINGERS.format(ended=str(ended))
    run(write(before="raise_memory", code=code), output=tmp_path / "out.ipynb")
    assert load(tmp_path / "out.ipynb")["metadata"]["language_info"]["name"] == "python"
    assert ended.exists()
    assert "KeyboardInterrupt" not in capfd.readouterr().err
