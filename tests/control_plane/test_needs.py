"""A missing tool is a skip that says how to get it, and under STRICT=1 a failure."""

from __future__ import annotations

import pytest

from tests import needs


def test_a_missing_program_is_a_skip_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what is missing and how to get it."""
    monkeypatch.delenv("STRICT", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"^needs no-such-tool: apt-get install no-such-tool$"):
        needs.program("no-such-tool", "apt-get install no-such-tool")


def test_strict_makes_it_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Continuous integration cannot go green by skipping."""
    monkeypatch.setenv("STRICT", "1")
    with pytest.raises(pytest.fail.Exception, match="needs no-such-tool"):
        needs.program("no-such-tool", "apt-get install no-such-tool")


def test_what_is_there_is_returned() -> None:
    """The test then uses exactly what was looked for."""
    assert needs.program("sh", "install a shell").endswith("/sh")
