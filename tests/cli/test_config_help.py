"""A configuration that says something else is told what may stand at that very place."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from skyflo_runbooks.cli import config
from skyflo_runbooks.cli.config import File
from skyflo_runbooks.cli.config_help import next_step
from skyflo_runbooks.cli.environment import Environment, read
from skyflo_runbooks.cli.serve import settings_of
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.service.settings import life
from tests.cli.conftest import Terminal

BINDING = '[[policy.bindings]]\nrole = "approver"\noperators = ["alice"]\n'
WINDOW = '[[policy.windows]]\ndays = ["mon"]\nfrom = "08:00"\nto = "18:00"\ntimezone = "UTC"\n'


def told(text: str) -> str:
    """Return the next step for a file that cannot be used."""
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(tomllib.loads(text), File)
    return next_step(str(error.value), File)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "Did you mean port? It may say gateway_url,"),
        ("port = 99999", "port may say a whole number of 0 to 65535."),
        ('port = "x"', "port may say a whole number of 0 to 65535."),
        ("policy = false", "policy may say bindings, operators, not_the_requester,"),
        ("[policy]\napproval = 2", "Did you mean approvals? policy may say bindings,"),
        ("[policy]\napprovals = 0", "a whole number, at least 1 or a table of low, medium, high"),
        ("[policy]\napprovals = {hihg = 2}", "Did you mean high? policy.approvals may say low, medium, high."),
        ('[policy]\npasskey_from = "hgih"', "Did you mean high? policy.passkey_from may say low, medium, high."),
        ('[policy]\nnot_the_requester = "yes"', "policy.not_the_requester may say true or false."),
        ("[policy.irreversible]\napproval = 2", "Did you mean approvals? policy.irreversible may say approvals,"),
        (BINDING.replace("approver", "aprover"), "Did you mean approver? policy.bindings[0].role may say viewer,"),
        (BINDING.replace('role = "approver"\n', ""), "policy.bindings[0] may say role, operators, namespaces, up_to."),
        (BINDING.replace('"alice"', ""), "policy.bindings[0].operators may say a list of at least one: a text"),
        ('[policy.operators.alice]\nkey = ["zz"]', "Did you mean keys? policy.operators[...] may say"),
        ('[policy.operators.alice]\nkeys = ["zz"]', "may say a key's thumbprint in quotes, 64 hex digits."),
        (WINDOW.replace('"mon"', '"monday"'), "Did you mean mon? policy.windows[0].days[0] may say mon, tue, wed,"),
        (WINDOW.replace("08:00", "8am"), 'policy.windows[0].from may say a time of day like "08:00".'),
        ("[[policy.freezes]]\nfrom = 2026-12-20\nto = 2027-01-03T00:00:00Z\nreason = 'x'", "a time with its zone"),
        ('[policy.operators]\n"" = {}', "policy.operators may say a text in quotes of 1 to 120 characters."),
    ],
)  # fmt: skip
def test_the_nearest_name_and_what_is_allowed(text: str, said: str) -> None:
    """At each depth: unknown names, values of another kind, out of range, misspelt, missing."""
    assert said in told(text)


def test_every_member_is_named_by_the_type_it_is_read_into() -> None:
    """So that a new one is listed without anybody's doing."""
    said = told("[policy]\nzzzzzz = 1")
    assert all(field.encode_name in said for field in msgspec.structs.fields(PolicyFile))
    assert "Did you mean" not in said


def test_the_command_says_the_file_and_the_fix(terminal: Terminal) -> None:
    """Exit 2, before anything starts."""
    terminal.home.mkdir()
    (terminal.home / "skyflo.toml").write_text('[policy]\npasskey_from = "hgih"\n')
    said = terminal("serve", "--port", "0")
    assert said.code == 2
    assert "skyflo.toml cannot be used" in said.err
    assert "Did you mean high? policy.passkey_from may say low, medium, high." in said.err


@pytest.mark.parametrize(("text", "seconds"), [("1m", 60), ("30m", 1800), ("1h30m", 5400), ("24h", 86400)])
def test_a_life_within_the_range(text: str, seconds: float) -> None:
    """From a minute to a day."""
    assert life(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "59s", "24h1s", "48h", "forever", "-5m", "30", "1d"])
def test_a_life_outside_of_the_range_is_refused_with_it(text: str) -> None:
    """Never longer than a day, whatever is asked for."""
    with pytest.raises(BadInput, match="for 1m to 24h, got"):
        life(text)


def test_flag_over_environment_over_file_over_default(tmp_path: Path, terminal: Terminal) -> None:
    """How long a proposal waits: four places, and bad ones are refused at the start in each."""
    environment = Environment(home=tmp_path)
    assert settings_of(environment, File(), "none").expires == 1800
    (tmp_path / config.NAME).write_text('expires = "2h"\n')
    assert settings_of(environment, config.over(File(), config.load(tmp_path)), "none").expires == 7200
    assert settings_of(environment, config.over(File(expires="3h"), config.load(tmp_path)), "none").expires == 10800
    assert read({"SKYFLO_HOME": str(tmp_path), "SKYFLO_EXPIRES": "45m"}).expires == "45m"
    flagged = terminal("serve", "--port", "0", "--expires", "2d")
    terminal.setenv("SKYFLO_EXPIRES", "25h")
    varied = terminal("serve", "--port", "0")
    for said, word in ((flagged, "2d"), (varied, "25h")):
        assert (said.code, f"for 1m to 24h, got '{word}'" in said.err) == (2, True)
