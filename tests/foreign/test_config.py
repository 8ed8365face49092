"""What `[mcp_servers.<name>]` may say, and what its references stand for."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes.catalogue import TOOLS

from skyflo_runbooks.cli import config
from skyflo_runbooks.gateway.foreign.config import RESERVED, checked, looks, offered_as, resolved
from skyflo_runbooks.gateway.foreign.file import ServerFile
from skyflo_runbooks.model.errors import BadInput

URL = "https://grafana.example/mcp"


def one(name: str = "grafana", **said: Any) -> Any:
    """Return the one server that a file with these members configures."""
    return checked({name: ServerFile(**{"url": URL, **said})})[0]


def test_a_file_of_two_servers(tmp_path: Path) -> None:
    """As an operator writes it."""
    (tmp_path / "skyflo.toml").write_text("""
[mcp_servers.grafana]
url = "https://grafana.example/mcp"
headers = {Authorization = "Bearer ${GRAFANA_TOKEN}"}
reads = ["query", "search@0123456789ab"]

[mcp_servers.shop-eu]
command = ["npx", "-y", "shop-mcp"]
env = {HOME = "${HOME}", SHOP_KEY = "${file:/run/secrets/shop}", LEVEL = "info"}
""")
    grafana, shop = config.load(tmp_path).servers
    assert grafana.reads == {"query": "", "search": "0123456789ab"}
    assert shop.command == ("npx", "-y", "shop-mcp")
    assert shop.reads == {}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "neither": ({"url": ""}, "by url or by command"),
    "both": ({"command": ("x",)}, "by url or by command"),
    "an empty argument": ({"url": "", "command": ("x", "")}, "list of arguments"),
    "a NUL": ({"url": "", "command": ("x", "a\0b")}, "list of arguments"),
    "headers for a command": ({"url": "", "command": ("x",), "headers": {"A": "b"}}, "no headers"),
    "env for a url": ({"env": {"A": "b"}}, "env is for a command"),
    "a file": ({"url": "file:///etc/passwd"}, "its url is none"),
    "no host": ({"url": "https:///mcp"}, "its url is none"),
    "a bad port": ({"url": "https://host:port/mcp"}, "its url is none"),
    "two lines": ({"url": "https://host/\nmcp"}, "its url is none"),
    "a password": ({"url": "https://me:secret@host/mcp"}, "a password does not stand in a url"),
    "plain http": ({"url": "http://host/mcp", "headers": {"A": "${B}"}}, "over plain http"),
    "a secret in the file": ({"headers": {"Authorization": "Bearer abc"}}, "written down here"),
    "an odd secret in the file": ({"headers": {"X-Api-Key": "abc"}}, "written down here"),
    "half a reference": ({"headers": {"A": "${B"}}, "a reference is"),
    "a shell's reference": ({"headers": {"A": "${B:-c}"}}, "a reference is"),
    "a relative file": ({"headers": {"A": "${file:token}"}}, "a reference is"),
    "a header of two lines": ({"headers": {"A": "b\r\nC: d"}}, "one line"),
    "a header's name": ({"headers": {"A B": "c"}}, "cannot be a name"),
    "a tool with a slash": ({"reads": ("a/b",)}, "no tool's name"),
    "a tool with a look-alike": ({"reads": ("quеry",)}, "no tool's name"),  # the e is Cyrillic
    "a tool with a line": ({"reads": ("a\nb",)}, "no tool's name"),
    "a short digest": ({"reads": ("a@0123",)}, "no tool's name"),
    "a tool twice": ({"reads": ("a", "a")}, "looks like"),
    "two that look alike": ({"reads": ("get_all", "get-a11")}, "looks like"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    """Each in its own words; and none of them tells a value."""
    said, words = REFUSED[case]
    with pytest.raises(BadInput, match=words) as refused:
        one(**said)
    assert "secret@" not in str(refused.value)
    assert "abc" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["k8s", "K8S", "k8s-prod", "kbs", "k85", "wait", "he1m", "kubernetes", "a_b", "", "-a", "а", "a" * 32, "a\n"],
)
def test_a_name_that_is_or_looks_like_ours(name: str) -> None:
    """It is refused before anything is reached. One of them is a Cyrillic a."""
    with pytest.raises(BadInput, match="cannot be named"):
        one(name)


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,30}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
)
def test_no_tool_of_theirs_is_named_like_one_of_ours(name: str, tool: str) -> None:
    """Whatever a server and its tool are called, the name is none of ours, and leads back to that server alone."""
    try:
        one(name, reads=(tool,))
    except BadInput:
        return
    offered = offered_as(name, tool)
    assert offered not in TOOLS
    assert looks(offered) not in {looks(ours) for ours in TOOLS}
    assert offered.partition("_")[0] == name


def test_every_tool_of_ours_begins_as_reserved() -> None:
    """So that a new domain is not forgotten."""
    assert all(name.startswith(RESERVED) for name in TOOLS)


def test_there_is_no_member_for_changes() -> None:
    """Read one by one: nothing here lets a server of somebody else's change anything."""
    assert set(ServerFile.__struct_fields__) == {"url", "command", "headers", "env", "reads"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"url": URL, "changes": ["scale"]}, ServerFile)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"command": "sh -c true"}, ServerFile)


def test_what_references_stand_for(tmp_path: Path) -> None:
    """Variables and files are looked up when it is reached; what is no secret of its own is not hidden."""
    (tmp_path / "token").write_text("from-the-file\n")
    server = one(
        url="",
        command=("x",),
        env={"A": "Bearer ${TOKEN}", "B": f"${{file:{tmp_path}/token}}", "HOME": "${HOME}", "LEVEL": "info"},
    )
    variables = {"TOKEN": "from-the-variable", "HOME": "/home/me", "OTHER": "stays here", "PATH": "/bin"}
    way, secrets = resolved(server, variables)
    assert way.environment == {
        "A": "Bearer from-the-variable",
        "B": "from-the-file",
        "HOME": "/home/me",
        "LEVEL": "info",
        "LANG": "C.UTF-8",
        "PATH": "/bin",
    }
    assert secrets == {"from-the-variable", "from-the-file"}
    assert "from-the" not in repr(way)


@pytest.mark.parametrize("value", ["${NOT_THERE}", "${file:/not/there}", "${LINES}"])
def test_a_reference_to_nothing(value: str) -> None:
    """It is said by its name, and its value is not."""
    server = one(headers={"X-Key": value})
    with pytest.raises(BadInput, match="is not there, is empty") as refused:
        resolved(server, {"LINES": "one\ntwo"})
    assert value in str(refused.value)
    assert "two" not in str(refused.value)


def test_no_configuration_costs_no_import() -> None:
    """Reading a file without servers loads neither FastMCP nor what checks them."""
    import subprocess
    import sys

    script = "import sys, skyflo_runbooks.cli.config as c, pathlib; c.load(pathlib.Path('/nowhere')); "
    script += "print([m for m in sys.modules if m.split('.')[0] in ('fastmcp', 'mcp') or m.startswith('skyflo_mcp')])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
