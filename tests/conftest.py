"""What holds for every test: how they are shared among workers, and one line for each reason to skip."""

from __future__ import annotations

from collections import Counter

import hypothesis
import pytest

# How long one example takes depends on the machine and says nothing about the law.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# What takes longest is begun first, so that no worker is left alone with it in the end.
_FIRST = (
    "docs",
    "real_node",
    "story",
    "control_plane",
    "planning",
    "faults",
    "browser",
    "benchmarks",
    "reliability",
    "binder",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a file's tests on one worker, and everything with a real node, or with JupyterLab in a browser, too.

    A machine has one real node at a time; two browsers that draw JupyterLab leave each other no processor.
    """
    if not hasattr(config, "workerinput"):
        return
    with_node = {item.path for item in items if item.get_closest_marker("real_node")}
    for item in items:
        group = "browser" if item.path.parent.name == "browser" else str(item.path)
        item.add_marker(pytest.mark.xdist_group("real node" if item.path in with_node else group))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.parent.name
    return _FIRST.index(folder) if folder in _FIRST else len(_FIRST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each reason, however many tests share it; the reason says what is missing and how to get it."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")
