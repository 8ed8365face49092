"""`tokens` and `login --new-link --role`: what makes or ends a credential is signed, and says what it made."""

import json

from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.cli.client import Gateway
from tests.cli.conftest import Terminal


def operator_at(terminal: Terminal, bench: Bench, name: str) -> Terminal:
    """Log the terminal in at the bench's gateway."""
    there = terminal.at(bench)
    link = there_link(bench)
    assert there("login", link, "--operator", name).code == 0
    return there


def there_link(bench: Bench) -> str:
    """Return a fresh link by the bench's own operator."""
    from skyflo_runbooks.cli import operator

    return str(operator.new_link(Gateway(bench.operator.origin), bench.operator)["login"])


def test_a_token_is_made_listed_and_ended(terminal: Terminal, flagship: Bench) -> None:
    """Shown once, listed by its name, and of no use afterwards."""
    there = operator_at(terminal, flagship, "token-maker")
    made = json.loads(there("tokens", "new", "ci", "-n", "checkout", "--days", "1", "--json").out)
    asked = Gateway(flagship.operator.origin, made["token"])
    assert str(asked.get("/api/v1/status")["you"]) == "agent:ci for token-maker"
    listed = there("tokens", "list")
    assert made["id"] in listed.out
    assert made["token"] not in listed.out
    assert there("tokens", "revoke", made["id"]).code == 0
    assert made["id"] not in there("tokens", "list").out


def test_a_link_of_a_lower_role(terminal: Terminal, flagship: Bench) -> None:
    """Whoever logs in by it looks, and makes no link in turn."""
    there = operator_at(terminal, flagship, "link-maker")
    link = there("login", "--new-link", "--role", "viewer").out.strip()
    assert there("login", link, "--operator", "looks-on").code == 0
    assert there("login", "--new-link").code == 5
    assert there("tokens", "new", "ci").code == 5
    assert there("login", "--role", "viewer", link).code == 2


def test_a_list_says_what_each_may(terminal: Terminal, flagship: Bench) -> None:
    """What the policy leaves of a rank, of programs that they decide nothing, of links whom they make."""
    there = operator_at(terminal, flagship, "list-reader")
    there("login", "--new-link", "--role", "viewer")
    found = there("tokens", "list", "--json").json
    said = {one["may"] for one in found}
    assert {"admin everywhere", "reads and asks, decides nothing", "whoever logs in by it: at most viewer"} <= said
    assert "admin everywhere" in there("tokens", "list").out
