"""When nothing is wrong, and when nothing can be known."""

import json
import os
import signal
from collections.abc import Iterator

import pytest

from skyflo_runbooks.cli.bench import Bench
from tests.cli.conftest import Terminal

WORDS = "storefront pods in the checkout namespace are slow"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A cluster in which nothing is wrong."""
    with Bench(tmp_path_factory.mktemp("healthy"), "healthy") as bench:
        yield bench


def test_nothing_wrong_is_3_and_writes_nothing(terminal: Terminal, healthy: Bench) -> None:
    """Not an error, and not a runbook."""
    said = terminal.at(healthy)("new", WORDS, "--json")
    assert said.code == 3
    assert said.json["findings"] == []
    assert said.json["path"] is None
    assert list(terminal.folder.glob("*.ipynb")) == []
    assert "Nothing wrong was found." in terminal("new", WORDS).out


def test_a_runbook_of_reads_is_written_when_asked(terminal: Terminal, healthy: Bench) -> None:
    """With -o, also where nothing is wrong: reads, and no change."""
    said = terminal.at(healthy)("new", WORDS, "-o", "reads.ipynb", "--json")
    assert said.code == 3
    assert said.json["path"] == "reads.ipynb"
    notebook = json.loads((terminal.folder / "reads.ipynb").read_text())
    kinds = {cell["metadata"].get("skyflo", {}).get("kind") for cell in notebook["cells"]}
    assert "read" in kinds or "gather" in kinds
    assert "change" not in kinds


def test_resolve_has_nothing_to_do(terminal: Terminal, healthy: Bench) -> None:
    """The same answer, the same code."""
    assert terminal.at(healthy)("resolve", WORDS).code == 3


def test_a_cluster_that_does_not_answer_is_not_healthy(
    terminal: Terminal, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Unreachable (20) or unknown (4), never 3; and doctor names it."""
    with Bench(tmp_path_factory.mktemp("gone"), "healthy") as bench:
        os.kill(bench.cluster.process.pid, signal.SIGKILL)
        bench.cluster.process.wait(10)
        said = terminal.at(bench)("new", WORDS)
        assert said.code in (4, 20)
        assert "Traceback" not in said.err
