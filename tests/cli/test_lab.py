"""`lab`: two processes with a wall between them."""

import http.client
import os
import re
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from skyflo_kernel.sandbox import Mode, available_modes, landlock

from skyflo_runbooks.cli import jupyter, lab, shelf
from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.cli.jupyter import Room
from skyflo_runbooks.cli.launch import Child
from skyflo_runbooks.model.errors import BadInput
from tests.cli.conftest import TEXT, Terminal


def test_the_strongest_wall_is_taken() -> None:
    """Unless another one that there is was asked for."""
    assert jupyter.choose_mode("", "nobody") == available_modes("nobody")[0]
    assert jupyter.choose_mode("none", "nobody") == "none"


def test_a_wall_that_is_not_there_is_refused() -> None:
    """Never silently a weaker one."""
    with pytest.raises(BadInput, match="no such mode"):
        jupyter.choose_mode("magic", "nobody")
    with pytest.raises(BadInput, match="not available"):
        jupyter.choose_mode("user", "no-such-user-here")


def room(work: Path, home: Path) -> Room:
    """A room that denies `home`."""
    return jupyter.room(port=1, mode="landlock", user="nobody", work=work, home=home)


def test_what_opens_a_cluster_or_decides_is_denied(tmp_path: Path) -> None:
    """The gateway's home, and the kubeconfig that it was given."""
    home, kubeconfig = tmp_path / "home", tmp_path / "config"
    home.mkdir()
    kubeconfig.touch()
    made = jupyter.room(port=1, mode="user", user="nobody", work=tmp_path / "w", home=home, secret=[kubeconfig])
    assert {home, kubeconfig} <= set(made.denied)


def test_a_folder_inside_what_is_denied_is_refused(tmp_path: Path) -> None:
    """Jupyter could not work there."""
    home = tmp_path / "home"
    (home / "runs").mkdir(parents=True)
    with pytest.raises(BadInput, match="closed to Jupyter"):
        room(home / "runs", home)


def test_the_token_is_in_no_representation(tmp_path: Path) -> None:
    """A room in a log shows no token, and the address that opens it does."""
    made = room(tmp_path, tmp_path / "none")
    assert made.token not in repr(made)
    assert made.address("a b.ipynb") == f"http://localhost:1/lab/tree/a%20b.ipynb?token={made.token}"


def test_the_opened_file_lies_in_the_work_folder(tmp_path: Path) -> None:
    """Without another user it is worked on where it is; with one it is a copy in a folder of that user's."""
    file = tmp_path / "r.ipynb"
    file.write_text("{}")
    assert lab.work_folder(None, file, "landlock", "nobody") == (tmp_path, "r.ipynb")
    if "user" in available_modes():
        folder, name = lab.work_folder(None, file, "user", "nobody")
        assert folder != tmp_path
        assert (folder / name).read_text() == "{}"
        assert folder.stat().st_uid == (folder / name).stat().st_uid != os.geteuid()


def test_a_curated_runbook_is_opened_as_a_copy(tmp_path: Path) -> None:
    """By its bare name; the next one beside the first, and a file of one's own as it is."""
    first, second = (lab.own_copy(Path("oom"), tmp_path) for _ in range(2))
    assert (first, second) == (tmp_path / "oom.ipynb", tmp_path / "oom-2.ipynb")
    assert first.read_text() == second.read_text() == (shelf.folder() / "oom.ipynb").read_text()
    assert lab.own_copy(first, tmp_path) == first
    with pytest.raises(BadInput, match="no runbook at oomm"):
        lab.own_copy(Path("oomm"), tmp_path)


@pytest.mark.parametrize(
    ("mode", "closes", "opened", "isolation", "warning"),
    [
        ("user", True, (), "other user, ports closed", ""),
        ("landlock", True, (), "sandbox, ports closed", ""),
        ("landlock", True, (443, 80), "sandbox, some ports opened", "TCP 443, 80"),
        ("user", False, (443,), "other user, ports open", "closes no ports"),
        ("none", True, (443,), "none", "stop mistakes, not malware"),
    ],
)
def test_what_the_walls_leave_open_is_said(
    mode: Mode,
    closes: bool,
    opened: tuple[int, ...],
    isolation: str,
    warning: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a word for the gateway's pages, and in a warning where it is more than nothing."""
    monkeypatch.setattr(landlock, "closes_ports", lambda: closes)
    made = jupyter.room(port=1, mode=mode, user="nobody", work=tmp_path, home=tmp_path / "none", opened=opened)
    assert made.isolation == isolation
    assert [warning in line for line in lab.warnings(made)] == ([True] if warning else [])


def test_the_sandbox_is_told_its_ports(tmp_path: Path) -> None:
    """The gateway's to ask, Jupyter's own to serve, the kernels' block, and what was opened; nothing without a wall."""
    made = jupyter.room(port=7, mode="landlock", user="nobody", work=tmp_path, home=tmp_path / "none", opened=(443,))
    line = " ".join(jupyter.sandboxed(made, "http://localhost:9"))
    assert f"--ask 9 --serve 7 --kernels {made.kernels} --open-port 443" in line
    bare = jupyter.room(port=7, mode="none", user="nobody", work=tmp_path, home=tmp_path / "none", opened=(443,))
    assert "--ask" not in jupyter.sandboxed(bare, "http://localhost:9")


def test_doctor_says_which_wall_lab_would_take(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """As what `lab` would do, and that open ports are no small matter."""
    said = next(look for look in terminal("doctor", "--json").json if look["what"] == "isolation")
    strongest = available_modes()[0]
    assert {"user": "as another user", "landlock": "in a Landlock", "none": "without a wall"}[strongest] in said["said"]
    assert "'lab' would run Jupyter" in said["said"]
    monkeypatch.setattr(landlock, "closes_ports", lambda: False)
    said = next(look for look in terminal("doctor", "--json").json if look["what"] == "isolation")
    assert said["state"] == "note"
    assert strongest == "none" or "ports open" in said["said"]


def test_a_browser_is_opened_through_a_private_file(tmp_path: Path) -> None:
    """A one-time link never stands in a process's arguments."""
    pages = lab.pages(tmp_path, "http://localhost:1/login/secret?name=a&auto=1")
    assert [page.stat().st_mode & 0o777 for page in pages] == [0o600]
    assert "url=http://localhost:1/login/secret?name=a&amp;auto=1" in pages[0].read_text()


def test_what_is_no_notebook_is_refused(terminal: Terminal) -> None:
    """Before anything is started."""
    (terminal.folder / "x.ipynb").write_text("no")
    assert terminal("lab", "x.ipynb").code == 2


def test_both_run_and_both_end(terminal: Terminal, flagship: Bench) -> None:
    """Jupyter asks for its token, has no credential of the gateway's, and Ctrl-C ends both."""
    terminal.at(flagship)("new", TEXT, "-o", "r.ipynb")
    options = ["lab", "r.ipynb", "--no-browser", "--kubeconfig", flagship.practice.kubeconfig]
    environment = {**os.environ, "SKYFLO_GATEWAY_URL": "", "SKYFLO_KERNEL_TOKEN": "", "PYTHONUNBUFFERED": "1"}
    log = terminal.folder / "log"
    with Child([sys.executable, "-m", "skyflo_runbooks.cli", *options], environment=environment, log=log) as child:
        said = _until(child, "Ctrl-C")
        address = re.search(r"(http://localhost:\d+)/lab/tree/r\.ipynb\?token=(\w+)", said)
        assert address is not None, said
        assert _status(address[1], "/api/contents/r.ipynb") == 403
        assert _status(address[1], f"/api/contents/r.ipynb?token={address[2]}") == 200
        gateway = re.search(r"Gateway +(http://localhost:\d+)", said)
        assert gateway is not None
        child.process.send_signal(signal.SIGINT)
        assert child.process.wait(60) == 130
    for origin in (address[1], gateway[1]):
        with pytest.raises(ConnectionError):
            _status(origin, "/api")


def _until(child: Child, words: str) -> str:
    """Read lines until one holds the words, or none come any more; the test's own time-out bounds it."""
    said = line = child.first_line(120, what="lab")
    while words not in line and line:
        assert child.process.stdout is not None
        line = child.process.stdout.readline().decode()
        said += f"\n{line}"
    return said


def _status(origin: str, path: str) -> int:
    parts = urlsplit(origin)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
