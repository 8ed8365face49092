"""The README's commands do what it says: all of them but `make test`, which is what runs this."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.docs import readme
from tests.docs.readme import ROOT, Command
from tests.docs.terminal import Desk, browser, desk

GATEWAY = r"one-time link: http://\S+/login/\S+"
# Every name of a block, and so every test below; `test` is `make test` itself.
NAMES = {
    "demo", "test", "headless", "practice", "gateway", "login", "resolve", "notebook", "back", "lab", "control-plane",
    "real-node", "promises", "curated",
}  # fmt: skip


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Desk]:
    """A desk in a folder of its own."""
    with desk(tmp_path) as made:
        yield made


def open_gateway(made: Desk, command: Command) -> None:
    """Start the gateway in its terminal, on any free port, and log in by its link."""
    run = made.start(Command(f"{command.line} --port 0", 0))
    made.note(run.until(GATEWAY, 90))
    made.do(*readme.commands("login"))


def test_every_command_is_known_here() -> None:
    """A block without a name, or with a new one, would be run by nobody."""
    assert {name for name, _ in readme.blocks(readme.README.read_text())} == NAMES


def test_a_comment_is_no_part_of_a_command() -> None:
    """It promises the exit code, and a `#` in a word is none."""
    assert Command.read("skyrun run a#1.ipynb   # exit code 10: waits") == Command("skyrun run a#1.ipynb", 10)
    assert Command.read("make demo") == Command("make demo", 0)


@pytest.mark.browser
def test_make_demo(mine: Desk) -> None:
    """JupyterLab and the gateway are up, a browser is opened on both, and Ctrl-C ends everything."""
    needs.labextension()
    (command,) = readme.commands("demo")
    mine.environment |= browser(mine.folder)
    run = mine.start(command)
    run.until("Ctrl-C ends both", 200)
    run.interrupt()
    run.end(60)
    assert len((mine.folder / "opened").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("command", "result"),
    list(zip(readme.commands("headless"), ("Result: VERIFIED", "Result: FAILED"), strict=True)),
    ids=["verified", "too small"],
)
def test_the_demo_as_text(mine: Desk, command: Command, result: str) -> None:
    """Both endings, with exit code 0, and what they lead to."""
    assert result in mine.do(command, within=280)


def test_resolve_and_the_way_back(mine: Desk) -> None:
    """The practice cluster, the gateway, an operator, the whole story in one terminal, and back again."""
    mine.do(*readme.commands("practice"))
    open_gateway(mine, *readme.commands("gateway"))
    assert "VERIFIED" in mine.do(*readme.commands("resolve"))
    assert "512Mi" in mine.do(*readme.commands("back"))


@pytest.mark.browser
def test_the_notebook_and_jupyterlab(mine: Desk) -> None:
    """`new`, `run` up to the change, `approve`, `run` to the verdict; then the file is opened in JupyterLab."""
    needs.labextension()
    mine.do(*readme.commands("practice"))
    open_gateway(mine, *readme.commands("gateway"))
    assert "VERIFIED" in mine.do(*readme.commands("notebook"))
    assert json.loads((mine.folder / "payment.ipynb").read_text())["metadata"]["skyflo"]["generator"] == "rules"

    gateway = next(run for run in mine.open if " serve" in run.line)
    gateway.interrupt()
    assert gateway.end(30) in (0, 130)
    mine.environment |= browser(mine.folder)
    run = mine.start(*readme.commands("lab"))
    run.until("Ctrl-C ends both", 120)
    run.interrupt()
    assert run.end(60) == 130


def test_the_curated_runbooks_are_listed(mine: Desk) -> None:
    """No gateway and no cluster are needed."""
    assert "memory_limit" in mine.do(*readme.commands("curated"))


def test_the_promises_hold(mine: Desk) -> None:
    """Six of six, with the attacks that were tried."""
    assert "6 of 6 promises hold" in mine.do(*readme.commands("promises"))


def on_a_rung(made: Desk, name: str, story: str) -> str:
    """Up, the story with the gateway on it, and down, whatever came of it."""
    up, serve, down = readme.commands(name)
    made.do(up, within=280)
    try:
        open_gateway(made, serve)
        return made.do(*readme.commands(story), within=280)
    finally:
        made.do(down)


@pytest.mark.control_plane
@pytest.mark.timeout(600)
def test_the_same_story_on_a_real_control_plane(mine: Desk) -> None:
    """From `make control-plane-up` to VERIFIED."""
    binaries = needs.control_plane()
    mine.environment |= {"SKYFLO_CACHE": str(mine.folder / "cache"), "KUBEBUILDER_ASSETS": str(binaries["etcd"].parent)}
    assert "VERIFIED" in on_a_rung(mine, "control-plane", "notebook")


@pytest.mark.real_node
@pytest.mark.timeout(600)
def test_the_same_story_on_a_real_node(mine: Desk) -> None:
    """From `make real-node-up`, where the kernel kills the container, to VERIFIED."""
    needs.real_node()
    assert "VERIFIED" in on_a_rung(mine, "real-node", "resolve")


@pytest.mark.registry
@pytest.mark.timeout(1200)
def test_a_fresh_checkout_needs_one_command(tmp_path: Path) -> None:
    """Nothing but the repository's own files: the environment is made, and the story ends VERIFIED."""
    git = needs.program("git", "apt-get install git")
    checkout = tmp_path / "checkout"
    listed = subprocess.run(
        [git, "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
    with desk(tmp_path) as made:
        made.checkout = checkout
        assert "Result: VERIFIED" in made.do(readme.commands("headless")[0], within=900)
