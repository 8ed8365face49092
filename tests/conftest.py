"""What holds for every test: how they are shared among workers, and one line for each reason to skip."""

from __future__ import annotations

from collections import Counter

import hypothesis
import pytest

# How long one example takes depends on the machine and says nothing about the law.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

# What measures time, draws in a browser, or holds a cluster: one after the other, on one worker. Longest first.
_ONE_BY_ONE = ("real_node", "story", "control_plane", "browser", "benchmarks")


# Before xdist's own, which reads the groups once.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the tests: one has everything that needs the machine to itself, the others share the files.

    Two clusters, or two browsers that draw JupyterLab, leave each other no processor.
    """
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        item.add_marker(pytest.mark.xdist_group("one by one" if _alone(item) else item.path.stem))
    items.sort(key=_turn)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Say so where the groups are not kept: without them two clusters run beside each other, and nobody is told.

    pytest-xdist 3.8 does not keep them with pytest 9.2: https://github.com/pytest-dev/pytest-xdist/issues/1386
    """
    if hasattr(session.config, "workerinput") and not all("@" in item.nodeid for item in session.items):
        raise pytest.UsageError("this pytest and this pytest-xdist do not group tests: take those of constraints.txt")


def _alone(item: pytest.Item) -> bool:
    marked = any(item.get_closest_marker(name) for name in ("control_plane", "real_node", "browser"))
    return marked or item.path.parent.name in _ONE_BY_ONE


def _turn(item: pytest.Item) -> tuple[bool, int]:
    folder = item.path.parent.name
    return not _alone(item), _ONE_BY_ONE.index(folder) if folder in _ONE_BY_ONE else len(_ONE_BY_ONE)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each reason, however many tests share it; the reason says what is missing and how to get it."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")
