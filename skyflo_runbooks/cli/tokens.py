"""`tokens list`, `tokens new`, `tokens revoke`: the credentials that serve at the gateway, by an operator's signature.

A new token is printed once, and is nowhere else: the gateway keeps its hash.
"""

from typing import Annotated

import typer

from skyflo_runbooks.cli import client, operator
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.operator import Operator
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.text import columns
from skyflo_runbooks.model.errors import ExitCode

tokens = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Tokens, links, keys and passkeys: list, new, revoke.",
)
_COLUMNS = ("id", "kind", "name", "may", "owner", "expires")


@tokens.command("list")
def list_(as_json: AsJson = False) -> ExitCode:
    """List every credential that still serves. Nothing of what is listed can be used."""
    screen = Screen(as_json)
    gateway, who = _session()
    found = gateway.using(who.session).get("/api/v1/credentials")
    screen.json(found)
    rows = [[*(str(one.get(name) or "") for name in _COLUMNS), ", ".join(one.get("namespaces") or ())] for one in found]
    for line in columns(rows, (*_COLUMNS, "namespaces")):
        screen.line(line)
    return ExitCode.DONE


@tokens.command()
def new(
    name: Annotated[str, typer.Argument(help="What the token is for, as it stands in the record: ci, notebook.")],
    role: Annotated[str, typer.Option("--role", help="kernel or agent: both read, propose and ask for verdicts.")] = (
        "agent"
    ),
    namespaces: Annotated[
        list[str] | None, typer.Option("--namespace", "-n", help="Reaches only these; patterns as team-*.")
    ] = None,
    days: Annotated[float, typer.Option("--days", help="How long it serves; at most 365.")] = 30.0,
    for_: Annotated[str, typer.Option("--for", metavar="NAME", help="Whose program it is; else yours.")] = "",
    as_json: AsJson = False,
) -> ExitCode:
    """Make a token for a program. It is printed once."""
    screen = Screen(as_json)
    gateway, who = _session()
    members = {"role": role, "name": name, "owner": for_, "namespaces": namespaces or ["*"], "days": days}
    made = operator.wish(gateway, who, "token", "/api/v1/credentials/tokens", members)
    screen.line(str(made["token"]))
    screen.note(f"It is shown this once. To end it: skyflo-runbooks tokens revoke {made['id']}")
    screen.json(made)
    return ExitCode.DONE


@tokens.command()
def revoke(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="As 'tokens list' names them.")],
    as_json: AsJson = False,
) -> ExitCode:
    """End credentials: your own, or as an admin anybody's. A key that has ended signs nothing any more."""
    screen = Screen(as_json)
    gateway, who = _session()
    ended = []
    for id_ in dict.fromkeys(ids):
        answer = operator.wish(gateway, who, "revoke", "/api/v1/credentials/revoke", {"id": id_})
        ended.append(answer["revoked"])
        screen.line(f"{id_} serves no more.")
    screen.json(ended)
    return ExitCode.DONE


def _session() -> tuple[Gateway, Operator]:
    environment = current()
    gateway = client.find(environment)
    return gateway, operator.for_gateway(environment, gateway)
