"""`resolve`: the whole story in one terminal, over the same gate as everywhere.

A person answers each card: approve, modify, reject, why, or later. Where there is no terminal to ask on, nothing is
decided: the commands that decide are said, and the exit code is 10.
"""

from pathlib import Path
from typing import Annotated

import typer

from skyflo_runbooks.cli import card, client, operator, values
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.environment import Environment, current
from skyflo_runbooks.cli.new import request
from skyflo_runbooks.cli.operator import Operator
from skyflo_runbooks.cli.options import AsJson, Namespaces, Parameters
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.story import CardAnswer, Story
from skyflo_runbooks.model.errors import BadInput, ExitCode, NotAllowed
from skyflo_runbooks.model.json import Json

_CARD_QUESTION = "\n[a]pprove, [m]odify, [r]eject, [w]hy, [l]ater? "


def resolve(
    text: Annotated[str, typer.Argument(help="What is wrong, in your own words.")] = "",
    namespaces: Namespaces = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The runbook's file; it must not exist yet.")
    ] = None,
    sets: Parameters = None,
    resume: Annotated[str, typer.Option("--resume", metavar="SESSION", help="Go on where a story was left.")] = "",
    as_json: AsJson = False,
) -> ExitCode:
    """Finding, plan, each change's card with approve / modify / reject / why, execution, verdict."""
    environment, screen = current(), Screen(as_json)
    if bool(text) == bool(resume):
        raise BadInput("Expected either TEXT or --resume SESSION.", next_step="Say what is wrong in plain words.")
    body = {} if resume else {**request(text, namespaces or []), "parameters": values.pairs(sets or [])}
    gateway = client.find(environment)
    session = resume or start(gateway, body)
    screen.line(f"Session {session}. If this ends early: skyflo-runbooks resolve --resume {session}", "dim")
    story = Story(
        gateway=gateway,
        session=session,
        screen=screen,
        decider=Prompt(screen, session),
        operator=_operator(environment, gateway),
        output=output,
        write_notebook=output is not None or not resume,
    )
    code = story.follow()
    screen.json(story.document(code))
    return code


def start(gateway: Gateway, body: Json) -> str:
    """Begin a story in the gateway and return its session."""
    sent = {key: value for key, value in body.items() if value or key != "parameters"}
    return str(gateway.post("/api/v1/resolve", sent, timeout=180.0)["session"])


def _operator(environment: Environment, gateway: Gateway) -> Operator | None:
    """Return the credential if this terminal has one; without, the story is told up to the gate."""
    if not environment.operator_file.exists():
        return None
    return operator.for_gateway(environment, gateway)


class Prompt:
    """A person at this terminal."""

    def __init__(self, screen: Screen, session: str) -> None:
        self.screen = screen
        self.session = session

    def card(self, view: Json, status: Json) -> CardAnswer:
        """Ask until the answer is one of the offered ones."""
        id_ = view["id"]
        while (answer := self.screen.ask(_CARD_QUESTION)) is not None:
            choice = answer[:1].lower()
            if choice in ("a", "m", "r"):
                self._logged_in()
                return self._answer(choice, view)
            if choice == "w":
                self.screen.lines(why(view, status))
            if choice == "l":
                break
        self.screen.note(f"Nothing was decided. To decide: skyflo-runbooks approve {id_}")
        self.screen.note(f"                    or: skyflo-runbooks reject {id_} --reason …")
        self.screen.note(f"To go on afterwards:    skyflo-runbooks resolve --resume {self.session}")
        return CardAnswer("leave")

    def _logged_in(self) -> None:
        if not current().operator_file.exists():
            raise NotAllowed(
                "This terminal is not logged in as an operator.",
                next_step=f"{operator.LOG_IN} Then: skyflo-runbooks resolve --resume {self.session}",
            )

    def _answer(self, choice: str, view: Json) -> CardAnswer:
        if choice == "r":
            return CardAnswer("reject", self.screen.ask("Why not? ") or "no reason given")
        if choice == "m":
            names = values.flatten(view["arguments"])
            self.screen.line(f"Values: {', '.join(f'{name}={value}' for name, value in names.items())}")
            return CardAnswer("modify", values=values.pairs((self.screen.ask("NAME=VALUE: ") or "").split()))
        return CardAnswer("approve")

    def option(self, options: list[str]) -> str | None:
        """Ask which way goes on."""
        while (answer := self.screen.ask(f"{' / '.join(options)} / stop? ")) is not None:
            if answer in options:
                self._logged_in()
                return answer
            if answer in ("stop", "s", ""):
                break
        self.screen.note(f"To go on later: skyflo-runbooks resolve --resume {self.session}")
        return None


def why(view: Json, status: Json) -> list[card.Line]:
    """Return what speaks for a change: its reason, what that rests on, what would decide it, and what else there is."""
    lines = [card.Line(str(view.get("why") or "No reason was given."))]
    for finding in (status.get("diagnosis") or {}).get("findings") or []:
        lines += card.grounds(finding)
    for other in (status.get("plan") or {}).get("alternatives") or []:
        lines.append(card.Line(f"  instead: {other['title']}. {other.get('why', '')}"))
    return lines
