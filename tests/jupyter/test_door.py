"""Finding the gateway: by the environment, by the file, or not at all and in words."""

import json
from pathlib import Path

import pytest
from skyflo_kernel.door import Door, find_door

from skyflo_runbooks.model.errors import ExitCode, Unreachable


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which a gateway wrote where it is."""
    (tmp_path / "run").mkdir()
    written = {"url": "http://localhost:7717", "token": "of-the-file", "pid": 1}
    (tmp_path / "run" / "gateway.json").write_text(json.dumps(written))
    return tmp_path


def test_the_environment_says_both(home: Path) -> None:
    """Then the file is not looked at, and a slash at the end makes no difference."""
    said = {"SKYFLO_GATEWAY_URL": "http://gateway:1/", "SKYFLO_KERNEL_TOKEN": "t", "SKYFLO_HOME": str(home)}
    assert find_door(said) == Door("http://gateway:1", "t")


def test_the_file_says_it_where_the_environment_does_not(home: Path) -> None:
    """Plain papermill, a terminal's Python."""
    assert find_door({"SKYFLO_HOME": str(home)}) == Door("http://localhost:7717", "of-the-file")


def test_an_address_takes_the_files_token_only_for_the_same_address(home: Path) -> None:
    """The token of one gateway is never sent to another."""
    same = {"SKYFLO_HOME": str(home), "SKYFLO_GATEWAY_URL": "http://localhost:7717/"}
    assert find_door(same).token == "of-the-file"
    other = {"SKYFLO_HOME": str(home), "SKYFLO_GATEWAY_URL": "http://elsewhere:7717"}
    with pytest.raises(Unreachable, match="elsewhere"):
        find_door(other)


@pytest.mark.parametrize("written", ["", "{}", '{"url": 1, "token": "x"}', "[]"])
def test_a_broken_file_is_no_gateway(home: Path, written: str) -> None:
    """Half a file, or another file, says how to start one."""
    (home / "run" / "gateway.json").write_text(written)
    with pytest.raises(Unreachable, match="skyflo-runbooks serve"):
        find_door({"SKYFLO_HOME": str(home)})


def test_no_gateway_says_how_to_start_one(tmp_path: Path) -> None:
    """Exit code 20, and nothing is started."""
    with pytest.raises(Unreachable, match="skyflo-runbooks lab") as refused:
        find_door({"SKYFLO_HOME": str(tmp_path)})
    assert refused.value.exit_code == ExitCode.UNREACHABLE


def test_the_token_shows_in_no_representation() -> None:
    """What ends up in a log or a traceback holds the address only."""
    door = Door("http://localhost:1", "very-secret")
    assert "very-secret" not in f"{door!r} {door!s}"
    assert "localhost:1" in repr(door)
