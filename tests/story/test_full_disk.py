"""A disk that is full: said in words, exit 2, nothing applied, and the record is whole when there is room again."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.story.home import Done, home
from tests.story.rungs import Rung, practice
from tests.story.telling import diagnose

pytestmark = pytest.mark.timeout(200)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MiB."""
    needs.root()
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place], check=True, timeout=10)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True, timeout=10)


def _fill(place: Path) -> Path:
    """Leave not one byte; the file that does it."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with pytest.raises(OSError, match="No space left"):
                _write_on(file, size)
    return filler


def _write_on(file: io.FileIO, size: int) -> None:
    while file.write(b"\0" * size):
        pass


def _full(done: Done, code: int = 2) -> None:
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert "disk" in said.lower() or "no space" in said.lower(), said


def test_a_runbook_and_a_run_that_have_no_room(flagship: Rung, small: Path, tmp_path: Path) -> None:
    """`new -o` and `run -o` onto a full disk: exit 2; no half file is left under the name that was asked for."""
    with home(tmp_path) as mine:
        path = diagnose(mine.open(flagship.kubeconfig), flagship).path
        _fill(small)
        _full(mine.command("new", flagship.scenario.incident, "-n", "checkout", "-o", small / "new.ipynb"))
        assert not (small / "new.ipynb").exists()
        _full(mine.command("run", path, "-o", small / "out.ipynb"))
        assert not (small / "out.ipynb").exists() or json.loads((small / "out.ipynb").read_text())["cells"]
        assert flagship.attempts() == []


def test_a_gateway_does_not_start_on_a_full_disk(flagship: Rung, small: Path, tmp_path: Path) -> None:
    """It would have nowhere to write what it does."""
    _fill(small)
    with home(tmp_path) as mine:
        _full(mine.command("serve", "--port", "0", "--kubeconfig", flagship.kubeconfig, "--data-dir", small / "data"))


def test_nothing_is_applied_that_the_ledger_cannot_hold(small: Path, tmp_path: Path) -> None:
    """The disk fills while the card is read: the approval is refused and the object stays; with room it is applied."""
    with practice(tmp_path / "rung") as rung, home(tmp_path) as mine:
        path = diagnose(mine.open(rung.kubeconfig, "--data-dir", small / "data"), rung).path
        assert mine.command("run", path).returncode == 10
        (id_,) = mine.open_ids()
        filler = _fill(small)
        _full(mine.command("approve", id_, "--yes"))
        assert rung.attempts() == []

        os.truncate(filler, 0)
        approved = mine.command("approve", id_, "--yes")
        assert approved.returncode == 0, approved.stdout + approved.stderr
        assert len(rung.attempts()) == 1
        assert mine.command("ledger", "verify").returncode == 0
