"""Nothing in the configuration, on the command line or in the environment removes or weakens the gate."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyflo_runbooks.cli import config
from skyflo_runbooks.cli.app import COMMANDS, load
from skyflo_runbooks.cli.config import File
from skyflo_runbooks.gateway.policy.compose import compose
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.model.errors import BadInput
from tests.docs.readme import ROOT

# What each member may do: say who somebody is, or add a condition. A new one is entered here with its reason.
WHO = {"operators", "kubernetes_user", "groups", "keys"}
ADDS = {"not_the_requester", "approvals", "passkey_from", "approvals_per_hour", "windows", "freezes", "irreversible",
        "passkey", "impersonate"}  # fmt: skip
GRANTS = {"bindings"}  # with any, whoever is in none of them only looks: fewer than without
WITHIN = {"role", "namespaces", "up_to", "days", "from_", "to", "timezone", "reason"}
VARIABLES = {
    "SKYFLO_HOME",
    "SKYFLO_MCP_TOKEN",
    "SKYFLO_GATEWAY_URL",
    "SKYFLO_KERNEL_TOKEN",
    "SKYFLO_MODEL",
    "SKYFLO_DEBUG",
    "SKYFLO_EXPIRES",
}
WEAK = re.compile(
    r"auto.?approve|no.?approv|skip|force|bypass|disable|insecure|unsafe|allow|trust|without|self|dry|policy|sudo|admin"
)
TEXT = """
[policy]
approvals = {high = 2}
passkey_from = "high"
approvals_per_hour = 20
not_the_requester = true

[[policy.bindings]]
role = "approver"
operators = ["alice", "bob"]
namespaces = ["team-*"]
up_to = "medium"

[policy.operators.alice]
kubernetes_user = "alice@example.com"
groups = ["sre"]

[[policy.windows]]
days = ["mon", "tue"]
from = "08:00"
to = "18:00"
timezone = "Europe/Berlin"

[[policy.freezes]]
from = 2026-12-20T00:00:00Z
to = 2027-01-03T00:00:00Z
reason = "year-end"
"""


def members(kind: Any) -> set[str]:
    """Return the names of all members of a struct and of those inside it."""
    found: set[str] = set()
    for field in msgspec.structs.fields(kind):
        found.add(field.name)
        for inner in re.findall(r"policy\.file\.(\w+)", str(field.type)):
            found |= members(getattr(__import__("skyflo_runbooks.gateway.policy.file", fromlist=[inner]), inner))
    return found


def options() -> dict[str, set[str]]:
    """Return the options of each command."""
    found: dict[str, set[str]] = {}

    def walk(command: Any, name: str) -> None:
        for child, inner in getattr(command, "commands", {}).items():
            walk(inner, f"{name} {child}".strip())
        found[name] = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}

    for name in COMMANDS:
        walk(load(name), name)
    return found


def test_every_member_of_the_policy_adds_or_names() -> None:
    """Read from the schema: there is no other."""
    assert members(PolicyFile) == WHO | ADDS | GRANTS | WITHIN


def test_no_other_member_of_the_file_is_about_deciding() -> None:
    """Where things are, and nothing more."""
    assert set(File.__struct_fields__) - {"policy"} == {
        "gateway_url", "model", "host", "port", "data_dir", "kubeconfig", "read_kubeconfig", "context",
        "jupyter_origin", "expires", "mcp_servers",
    }  # fmt: skip


def test_no_option_of_any_command_weakens_the_gate() -> None:
    """By name, of every command; the only one that skips anything skips the terminal's question."""
    found = options()
    assert len(found) > 15
    said = {(command, option) for command, all_ in found.items() for option in all_ if WEAK.search(option)}
    assert said == set()
    assert {command for command, all_ in found.items() if "--yes" in all_} == {"approve"}


def test_no_variable_of_the_environment_weakens_the_gate() -> None:
    """Every name that the sources know."""
    sources = [*(ROOT / "skyflo_runbooks").rglob("*.py"), *(ROOT / "mcp_servers").rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"\bSKYFLO_[A-Z_]+[A-Z]\b", path.read_text())}
    assert named <= VARIABLES


def test_the_file_is_read_as_the_documents_write_it(tmp_path: Path) -> None:
    """TOML's own times and tables."""
    (tmp_path / config.NAME).write_text(TEXT)
    file = config.load(tmp_path)
    assert file.policy is not None
    name = compose(file.policy).policy.name
    for part in ("approvals(1,1,2)", "passkey(high)", "per-hour(20)", "not-the-requester", "windows(mon", "freezes("):
        assert part in name


@pytest.mark.parametrize(
    "text",
    ["[policy]\nenabled = false", "[policy]\napprovals = 0", "policy = false", "approvals = 'off'",
     "[policy]\ntyped_names = false", "[policy.operators.alice]\napproves = 'all'"],
)  # fmt: skip
def test_a_file_that_tries_does_not_start_a_gateway(tmp_path: Path, text: str) -> None:
    """It is told which member it was."""
    (tmp_path / config.NAME).write_text(text)
    with pytest.raises(BadInput, match="cannot be used"):
        config.load(tmp_path)
