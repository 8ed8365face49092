"""Files are written whole or not at all, and never over another."""

import json
from pathlib import Path

import pytest

from skyflo_runbooks.cli.files import free_name, read_notebook, replace, write_new
from skyflo_runbooks.model.errors import BadInput


def test_a_new_file_is_complete_and_alone(tmp_path: Path) -> None:
    """No temporary file stays beside it."""
    write_new(tmp_path / "deep" / "a.txt", "hello", mode=0o600)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.txt"]
    assert (tmp_path / "deep" / "a.txt").read_text() == "hello"
    assert (tmp_path / "deep" / "a.txt").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_not_touched(tmp_path: Path) -> None:
    """It is bad input, and the file is as it was."""
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(BadInput, match="there already"):
        write_new(tmp_path / "a.txt", "yours")
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """The name is free again when writing failed."""
    with pytest.raises(UnicodeEncodeError):
        write_new(tmp_path / "a.txt", "\ud800")
    assert not (tmp_path / "a.txt").exists()


def test_replace_is_one_step(tmp_path: Path) -> None:
    """The new content has the asked mode."""
    (tmp_path / "a").write_text("old")
    replace(tmp_path / "a", "new", mode=0o600)
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_free_name_counts_up(tmp_path: Path) -> None:
    """Each taken name gives the next number."""
    for expected in ("r.ipynb", "r-2.ipynb", "r-3.ipynb"):
        path = free_name(tmp_path, "r", ".ipynb")
        assert path.name == expected
        path.touch()


@pytest.mark.parametrize("text", ["no json", "[]", '{"cells": 1}', "{}"])
def test_what_is_no_notebook_is_named(tmp_path: Path, text: str) -> None:
    """The file and the reason are said."""
    (tmp_path / "x.ipynb").write_text(text)
    with pytest.raises(BadInput, match=r"x\.ipynb is not a notebook"):
        read_notebook(tmp_path / "x.ipynb")


def test_a_notebook_is_read(tmp_path: Path) -> None:
    """Its JSON comes back."""
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": []}))
    assert read_notebook(tmp_path / "x.ipynb") == {"cells": []}
