"""The one boundary: errors become a message, a next step and an exit code, and never a traceback."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from skyflo_runbooks.cli.app import COMMANDS, guarded, load, of_system
from skyflo_runbooks.model.errors import (
    BadInput,
    NotAllowed,
    OurBug,
    OutcomeUnknown,
    Refused,
    SkyfloError,
    Unknown,
    Unreachable,
)
from tests.cli.conftest import Terminal

COMMAND = [sys.executable, "-m", "skyflo_runbooks.cli"]


@pytest.mark.parametrize(
    ("kind", "code"),
    [(BadInput, 2), (NotAllowed, 5), (Unknown, 4), (Refused, 13), (Unreachable, 20), (OutcomeUnknown, 20), (OurBug, 1)],
)
def test_each_error_has_its_exit_code(kind: type[SkyfloError], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Message and next step go to stderr, one line each, and the code is the table's."""

    def fails() -> int:
        raise kind("It did not work.", next_step="Do this.")

    assert guarded(fails) == code
    out, err = capsys.readouterr()
    assert (out, err) == ("", "It did not work.\nDo this.\n")


def test_an_error_of_our_own_shows_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody foresaw is exit 1 in one sentence, with how to report it."""

    def fails() -> int:
        raise ZeroDivisionError("division by zero")

    assert guarded(fails) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err
    assert "SKYFLO_DEBUG=1" in err
    assert "Traceback" not in err


def test_debug_shows_the_traceback(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    """SKYFLO_DEBUG is the one way to see it."""
    terminal.setenv("SKYFLO_DEBUG", "1")

    def fails() -> int:
        raise BadInput("no")

    assert guarded(fails) == 2
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C says in a line that nothing was approved by it."""

    def interrupted() -> int:
        raise KeyboardInterrupt

    assert guarded(interrupted) == 130
    assert "Interrupted." in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOENT])
def test_a_full_disk_and_its_like_are_bad_input(number: int) -> None:
    """What the system refuses names the file, and what to do."""
    message, step, code = of_system(OSError(number, os.strerror(number), "/some/file"))
    assert "/some/file" in message
    assert step
    assert code == 2


def test_escape_sequences_in_an_error_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """An error may quote a cluster."""

    def fails() -> int:
        raise BadInput("\x1b[2Jgone \x1b]0;title\x07")

    guarded(fails)
    assert "\x1b" not in capsys.readouterr().err


def test_a_misspelt_command_names_the_nearest(terminal: Terminal) -> None:
    """`aprove` means `approve`."""
    said = terminal("aprove")
    assert said.code == 2
    assert "approve" in said.err


def test_a_missing_argument_is_usage(terminal: Terminal) -> None:
    """Usage errors are exit 2 too."""
    said = terminal("show")
    assert said.code == 2
    assert "ID" in said.err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_the_table_exists(name: str) -> None:
    """The table's modules and names are there, and each command says what it does."""
    assert load(name).help


def test_every_command_of_the_design_is_in_the_table() -> None:
    """The contract of section 8, without what comes later."""
    assert set(COMMANDS) >= {
        "demo", "lab", "serve", "login", "new", "resolve", "run", "approvals", "show", "approve", "reject", "modify",
        "rollback", "history", "ledger", "lint", "tools", "practice", "doctor", "verify-promises", "explain",
    }  # fmt: skip


def test_help_imports_no_command() -> None:
    """`--help` reads the table and nothing else, so that it stays fast."""
    heavy = ("httpx", "rich", "uvicorn", "starlette", "papermill", "langgraph", "litellm", "kubernetes", "fastmcp")
    program = (
        "import sys\n"
        "from skyflo_runbooks.cli.app import main\n"
        "main(['--help'])\n"
        f"heavy = sorted({{m.split('.')[0] for m in sys.modules}} & {set(heavy)!r})\n"
        "own = sorted(m for m in sys.modules if m.startswith('skyflo_runbooks.cli.'))\n"
        "print(heavy, own, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr.strip() == "[] ['skyflo_runbooks.cli.app']"
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


def test_a_closed_pipe_is_silent() -> None:
    """`skyflo-runbooks tools | head -1` says nothing on stderr."""
    process = subprocess.Popen([*COMMAND, "tools"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait(60) != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_process_says_so(tmp_path: Path, number: signal.Signals) -> None:
    """A real Ctrl-C, or a TERM, while a command waits for its standard input, is 130 and no traceback."""
    environment = {**os.environ, "SKYFLO_HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [*COMMAND, "login", "-", "--operator", "ops"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    _until_it_sleeps(process.pid)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted." in err
    assert "Traceback" not in err


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_an_interrupt_before_the_commands_are_imported(number: str) -> None:
    """A signal that comes in the middle of `import typer` is one line and 130, and no traceback."""
    program = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'typer':\n"
        f"            os.kill(os.getpid(), signal.{number})\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Finder)\n"
        "from skyflo_runbooks.cli.main import run\n"
        "run()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


def test_the_entry_point_imports_next_to_nothing() -> None:
    """Signals are in hand before anything of weight is imported."""
    program = "import sys, skyflo_runbooks.cli.main\nprint(*sorted({'typer', 'click', 'asyncio'} & set(sys.modules)))\n"
    program += "print(*sorted(name for name in sys.modules if name.startswith('skyflo')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["", "skyflo_runbooks skyflo_runbooks.cli skyflo_runbooks.cli.main"]


def _until_it_sleeps(pid: int) -> None:
    """Wait until the process waits in a read of its pipe (proc(5): wchan, or state S without more CPU time)."""
    import time

    ends = time.monotonic() + 60
    before = ""
    while time.monotonic() < ends:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        now = f"{fields[11]} {fields[12]}"
        if fields[0] == "S" and now == before and int(fields[11]) > 5:
            return
        before = now
        time.sleep(0.2)
    raise AssertionError("the process did not come to its read")


def test_the_shell_completes_commands() -> None:
    """As typer's completion script asks for it, without importing what is completed elsewhere."""
    asked = {"_SKYFLO_RUNBOOKS_COMPLETE": "complete_bash", "COMP_WORDS": "skyflo-runbooks app", "COMP_CWORD": "1"}
    done = subprocess.run(COMMAND, env={**os.environ, **asked}, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["approvals", "approve"]


def test_version(terminal: Terminal) -> None:
    """The version is the package's."""
    said = terminal("--version")
    assert said.code == 0
    assert said.out.startswith("skyflo-runbooks 0.")
