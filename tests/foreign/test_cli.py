"""What the command line says of the operator's own servers: tools, lint, doctor; with a gateway and without one."""

import asyncio
import json
from pathlib import Path

import pytest

from skyflo_runbooks.cli import doctor, guests
from skyflo_runbooks.cli.environment import Environment
from skyflo_runbooks.gateway.foreign.config import Server
from tests.cli.conftest import Terminal
from tests.foreign.reaching import VARIABLES, configured
from tests.service.running import Service, running

TOML = """
[mcp_servers.shop]
command = ["shop-mcp"]
reads = ["status"]
"""


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Terminal:
    """A terminal whose home configures a server."""
    made = Terminal(capsys, monkeypatch, tmp_path)
    made.home.mkdir()
    (made.home / "skyflo.toml").write_text(TOML)
    return made


def test_without_a_gateway_the_file_is_said(terminal: Terminal) -> None:
    """`tools` names its reads and that they were not looked at; `doctor` has a note, and is well."""
    listed = {tool["name"]: tool for tool in terminal("tools", "--json").json}
    assert listed["shop_status"] | {"digest": ""} == {
        "name": "shop_status",
        "domain": "shop",
        "effect": "read",
        "replaces": "",
        "problem": guests.NOT_ASKED,
        "digest": "",
    }
    assert set(listed["k8s_get"]) == {"name", "domain", "effect", "replaces"}
    assert guests.NOT_ASKED in terminal("tools").out
    said = terminal("doctor", "--json")
    assert said.code == 0
    (look,) = [one for one in said.json if one["what"] == "mcp shop"]
    assert look["state"] == "note"


def test_a_file_that_is_wrong_is_refused_by_every_command(terminal: Terminal) -> None:
    """In one line, with what to do, and without a value of it."""
    (terminal.home / "skyflo.toml").write_text('[mcp_servers.k8s]\nurl = "https://host/mcp"\n')
    said = terminal("tools")
    assert said.code == 2
    assert "its tools would look like our own" in said.err
    (terminal.home / "skyflo.toml").write_text(
        '[mcp_servers.a]\nurl = "https://host/mcp"\nheaders = {Cookie = "s3cret"}\n'
    )
    said = terminal("doctor")
    assert said.code == 2
    assert "${NAME}" in said.err
    assert "s3cret" not in said.err + said.out


def test_a_runbook_that_reads_there_is_well_formed(terminal: Terminal) -> None:
    """Where the file names the tool; any other of theirs is unknown."""
    source = 'state = runbook.read("shop_{}", shop="main street")'
    for tool, code in (("status", 0), ("wipe", 2)):
        cell: dict[str, object] = {
            "cell_type": "code",
            "id": "state",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        parameters = {
            **cell,
            "id": "parameters",
            "metadata": {"tags": ["parameters"]},
            "source": 'namespace: str = "a"',
        }
        imports = {
            **cell,
            "id": "import",
            "source": 'from skyflo_kernel import check, runbook\n\nrunbook_id: str = "rb-abc123"',
        }
        notebook = {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"skyflo": {"schema": "skyflo.dev/runbook/v1"}},
            "cells": [parameters, imports, {**cell, "source": source.format(tool)}],
        }
        (terminal.folder / "shop.ipynb").write_text(json.dumps(notebook))
        said = terminal("lint", "shop.ipynb", "--json")
        rules = {problem["rule"] for problem in said.json[0]["problems"] if problem["severity"] == "error"}
        assert ("unknown-tool" in rules) == bool(code), said.out


def looked(service: Service, home: Path) -> list[doctor.Look]:
    """Return `doctor`'s lines about the servers."""
    environment = Environment(home=home, gateway_url=service.url, kernel_token=service.kernel)
    return list(doctor._servers(environment))


async def test_with_a_gateway_each_server_has_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it offers and what it does not, what is refused and why, and that it is away, each with its exit code."""
    monkeypatch.setenv("SHOP_KEY", VARIABLES["SHOP_KEY"])
    changed = Server(name="changed", command=configured("says-it-changes").command, reads={"status": ""})
    away = Server(name="away", url="http://127.0.0.1:1/mcp", reads={"status": ""})
    async with running(tmp_path, servers=(configured("says-it-reads"), changed, away)) as service:
        lines = {look.what: look for look in await asyncio.to_thread(looked, service, tmp_path)}
    shop = lines["mcp shop"]
    assert (shop.state, shop.code) == ("ok", 0)
    assert shop.said == "reads: shop_status; not in reads: wipe; not fenced: this system has no Landlock"
    assert (lines["mcp changed"].state, lines["mcp changed"].code) == ("broken", 4)
    assert lines["mcp changed"].said == "changed_status: its server says itself that it changes something."
    assert (lines["mcp away"].state, lines["mcp away"].code) == ("broken", 20)
    assert "cannot be reached" in lines["mcp away"].said
