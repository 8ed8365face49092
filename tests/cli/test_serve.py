"""`serve`: its first line, and the starts that it refuses."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from skyflo_runbooks.cli import config
from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.cli.config import File
from skyflo_runbooks.cli.environment import Environment, current
from skyflo_runbooks.cli.launch import Child
from skyflo_runbooks.cli.serve import is_practice, settings_of
from tests.cli.conftest import Terminal

SERVE = [sys.executable, "-m", "skyflo_runbooks.cli", "serve"]


def test_the_first_line_is_address_and_link(terminal: Terminal, flagship: Bench) -> None:
    """Plain or as JSON; gateway.json is private and goes with the process; Ctrl-C is 130 without a traceback."""
    options = ["--port", "0", "--kubeconfig", flagship.practice.kubeconfig, "--data-dir", "data"]
    log = terminal.folder / "log"
    with Child([*SERVE, *options, "--json"], environment=os.environ, log=log) as child:
        said = json.loads(child.first_line(60, what="The gateway"))
        assert set(said) == {"url", "login"}
        assert said["login"].startswith(f"{said['url']}/login/")
        written = terminal.home / "run" / "gateway.json"
        assert written.stat().st_mode & 0o777 == 0o600
        assert json.loads(written.read_text())["url"] == said["url"]
        child.process.send_signal(signal.SIGINT)
        assert child.process.wait(30) == 130
    assert not written.exists()
    assert "Traceback" not in log.read_text()


def test_a_port_in_use_is_bad_input(terminal: Terminal, flagship: Bench) -> None:
    """The port is named, and nothing is written."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = terminal("serve", "--port", str(port), "--kubeconfig", flagship.practice.kubeconfig)
    assert said.code == 2
    assert str(port) in said.err
    assert not (terminal.home / "run" / "gateway.json").exists()


def test_a_second_gateway_on_one_record_is_bad_input(terminal: Terminal, flagship: Bench) -> None:
    """One record has one writer."""
    options = ["--port", "0", "--kubeconfig", flagship.practice.kubeconfig, "--data-dir", str(flagship.data)]
    done = subprocess.run([*SERVE, *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert str(flagship.data) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_kubeconfig_is_bad_input(terminal: Terminal) -> None:
    """It is named before anything is started."""
    for flag in ("--kubeconfig", "--read-kubeconfig"):
        said = terminal("serve", flag, "nowhere")
        assert said.code == 2
        assert "nowhere" in said.err


@pytest.mark.parametrize("flag", ["--no-approval", "--auto-approve", "--yes", "--dangerously-skip-permissions"])
def test_no_flag_weakens_the_approval(terminal: Terminal, flag: str) -> None:
    """What tries is refused at the start."""
    assert terminal("serve", flag).code == 2


def test_practice_is_known_by_its_kubeconfig(tmp_path: Path) -> None:
    """Only this home's practice cluster is labelled as one."""
    environment = Environment(home=tmp_path)
    assert is_practice(environment, tmp_path / "practice" / "kubeconfig")
    assert not is_practice(environment, tmp_path / "kubeconfig")
    assert not is_practice(environment, None)


def test_flag_over_file_over_default(tmp_path: Path) -> None:
    """What a flag leaves open the file says, and what both leave open is the default."""
    (tmp_path / "skyflo.toml").write_text('port = 7000\ncontext = "blue"\ndata_dir = "/var/lib/skyflo"\n')
    environment = Environment(home=tmp_path)
    settings = settings_of(environment, config.over(File(context="green"), config.load(tmp_path)), "none")
    assert (settings.host, settings.port, settings.context) == ("localhost", 7000, "green")
    assert settings.data_dir == Path("/var/lib/skyflo")
    assert settings_of(environment, File(), "none").port == 7717
    assert settings_of(environment, File(port=0), "none").data_dir == tmp_path / "data"


def test_both_kubeconfigs_arrive(tmp_path: Path) -> None:
    """The one that writes and the one that reads."""
    (tmp_path / "write").touch()
    (tmp_path / "read").touch()
    said = File(kubeconfig=str(tmp_path / "write"), read_kubeconfig=str(tmp_path / "read"))
    settings = settings_of(Environment(home=tmp_path), said, "none")
    assert (settings.kubeconfig, settings.read_kubeconfig) == (tmp_path / "write", tmp_path / "read")


@pytest.mark.parametrize(
    "text", ["auto_approve = true", "approval = false", "port = 99999", 'port = "x"', "not toml ="]
)
def test_a_file_that_says_something_else_is_refused(terminal: Terminal, text: str) -> None:
    """Nothing in it can weaken the approval: there is no such member, and it is refused at the start."""
    terminal.home.mkdir()
    (terminal.home / "skyflo.toml").write_text(text)
    said = terminal("serve", "--port", "0")
    assert said.code == 2
    assert "skyflo.toml" in said.err
    assert "may say" in said.err


def test_the_file_names_the_gateway_too(terminal: Terminal) -> None:
    """The environment wins over it."""
    terminal.home.mkdir()
    (terminal.home / "skyflo.toml").write_text('gateway_url = "http://localhost:9/"\nmodel = "m"\n')
    assert (current().gateway_url, current().model) == ("http://localhost:9", "m")
    terminal.setenv("SKYFLO_GATEWAY_URL", "http://localhost:8")
    assert current().gateway_url == "http://localhost:8"
