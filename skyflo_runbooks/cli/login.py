"""`login`: a one-time link makes this terminal an operator; `--new-link` makes a link for one more."""

from typing import Annotated

import typer

from skyflo_runbooks.cli import client, operator
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import BadInput, ExitCode


def login(
    link: Annotated[
        str, typer.Argument(help="The one-time link that 'serve' printed; '-' reads it from standard input.")
    ] = "",
    name: Annotated[
        str, typer.Option("--operator", help="Your name in the record; without it the system's user.")
    ] = "",
    new_link: Annotated[bool, typer.Option("--new-link", help="As an operator: make a link for one more.")] = False,
    role: Annotated[
        str, typer.Option("--role", help="With --new-link: viewer, requester, approver or admin; at most your own.")
    ] = "",
    for_: Annotated[
        str, typer.Option("--for", metavar="NAME", help="With --new-link, as an admin: for this operator alone.")
    ] = "",
    as_json: AsJson = False,
) -> ExitCode:
    """Make this terminal an operator. A link serves one browser or terminal, once."""
    if new_link == bool(link):
        raise BadInput(
            "Expected either LINK or --new-link.",
            next_step="Log in with the link that 'serve' printed, or make one more with --new-link.",
        )
    if (role or for_) and not new_link:
        raise BadInput("--role and --for are about a link that you make.", next_step="Add --new-link.")
    return _new_link(role, for_, as_json) if new_link else _log_in(link, name, as_json)


def _log_in(text: str, name: str, as_json: bool) -> ExitCode:
    environment, screen = current(), Screen(as_json)
    if text == "-":
        # Arguments of a process can be read by every user of the machine; standard input cannot.
        text = typer.get_text_stream("stdin").readline()
    link = operator.read_link(text)
    made = operator.pair(link, name.strip() or operator.system_user())
    operator.save(made, environment.operator_file)
    screen.line(f"Logged in at {made.origin} as {made.name}.", "green")
    screen.line("This terminal can now approve, reject, modify and roll back.")
    screen.json({"operator": made.name, "origin": made.origin})
    return ExitCode.DONE


def _new_link(role: str, name: str, as_json: bool) -> ExitCode:
    environment, screen = current(), Screen(as_json)
    gateway = client.find(environment)
    who = operator.for_gateway(environment, gateway)
    answer = operator.new_link(gateway, who, role=role, name=name)
    screen.line(str(answer["login"]))
    screen.json({"login": answer["login"]})
    return ExitCode.DONE
