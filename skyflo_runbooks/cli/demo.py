"""`demo`: the flagship incident on the practice cluster.

Without `--headless` it opens JupyterLab on the generated runbook. With it the operator's part is played in text: a
real gateway, a real one-time link, a real signature over the digest, and the ending that was asked for.

Rules:
  1. Everything lies in a temporary home and goes with it: a demo leaves nothing behind and touches no other cluster.
  2. `--ending verified` approves what is proposed. `--ending too-small` lowers it to 300Mi first; the verdict is then
     FAILED, and the way back is chosen, approved by itself, and applied.
  3. The exit code is 0 where the story went as it should have, also where that is FAILED and rolled back; else 11.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from skyflo_runbooks.cli import launch, operator
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.operator import Operator
from skyflo_runbooks.cli.resolve import start
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.story import CardAnswer, Story
from skyflo_runbooks.model.errors import ExitCode
from skyflo_runbooks.model.json import Json

SCENARIO = "oomkilled-payment"
TEXT = "payment-service pods are crash-looping in the checkout namespace. Customers are getting 500 errors on checkout."
NAMESPACE = "checkout"
SETTLE = "10s"
SPEED = 3.0
TOO_SMALL = "300Mi"


class Ending(StrEnum):
    """How the headless story ends."""

    VERIFIED = "verified"
    TOO_SMALL = "too-small"


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Play the operator's part in text, and exit.")] = False,
    ending: Annotated[Ending, typer.Option("--ending", help="With --headless: how the story ends.")] = Ending.VERIFIED,
    name: Annotated[str, typer.Option("--operator", help="Your name in the demo's record.")] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Say the addresses, and open nothing.")] = False,
    jupyter_user: Annotated[
        str, typer.Option("--jupyter-user", help="As root: the user that Jupyter runs as.")
    ] = "nobody",
) -> ExitCode:
    """The flagship: payment-service is OOMKilled; diagnosed, repaired after your approval, and verified."""
    screen = Screen()
    who = name or operator.system_user()
    if headless:
        return _headless(screen, ending, who)
    from skyflo_runbooks.cli.lab import demonstrate

    return demonstrate(screen, name=who, browser=not no_browser, jupyter_user=jupyter_user)


def _headless(screen: Screen, ending: Ending, name: str) -> ExitCode:
    with stage(screen) as (gateway, link, home):
        who = operator.pair(operator.read_link(link), name)
        screen.line(f"Logged in at the gateway as {who.name}, by its one-time link.")
        screen.heading("Incident")
        screen.line(f'  "{TEXT}"')
        player = Player(screen, ending)
        story = _story(screen, gateway, who, player, home)
        story.follow()
        verdicts = [str(judged["verdict"]) for judged in story.document(ExitCode.DONE)["verdicts"]]
        return player.judge(verdicts, _restored(gateway))


def _story(screen: Screen, gateway: Gateway, who: Operator, player: "Player", home: Path) -> Story:
    session = start(gateway, {"text": TEXT, "namespaces": [NAMESPACE], "parameters": {"settle": SETTLE}})
    output = home / "payment-service.ipynb"
    return Story(gateway=gateway, session=session, screen=screen, decider=player, operator=who, output=output)


@contextmanager
def stage(screen: Screen) -> Iterator[tuple[Gateway, str, Path]]:
    """Start the practice cluster and a gateway on it; gives the gateway, its one-time link, and the temporary home."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skyflo-demo-")))
        screen.line("The practice cluster is a simulation: what you learn here is real, the pods are not.")
        screen.line(f"Its clock runs {SPEED:g} times as fast, and 'settle' is {SETTLE} here (5m by default).", "dim")
        with screen.progress("Starting the practice cluster and the gateway…"):
            child, practice = launch.practice(SCENARIO, home / "practice", speed=SPEED, log=home / "practice.log")
            stack.enter_context(child)
            options = ["--port", "0", "--kubeconfig", practice.kubeconfig]
            served, said = launch.gateway(options, environment=launch.bare(home), log=home / "gateway.log")
            stack.enter_context(served)
        yield Gateway(said.url, launch.kernel_token(home)), said.login, home


def _restored(gateway: Gateway) -> str:
    """Return the memory limit that the cluster has now."""
    arguments = {"kind": "Deployment", "name": "payment-service", "namespace": NAMESPACE}
    answer = gateway.post("/api/v1/tools/k8s_get", {"arguments": arguments})
    containers = answer["result"]["spec"]["template"]["spec"]["containers"]
    return str(containers[0]["resources"]["limits"]["memory"])


class Player:
    """The operator of the story: approves, or lowers the limit first and takes the way back afterwards."""

    def __init__(self, screen: Screen, ending: Ending) -> None:
        self.screen = screen
        self.ending = ending
        self._lowered = False

    def card(self, view: Json, status: Json) -> CardAnswer:  # a Decider's signature
        """Answer a card, and say so as a person would type it."""
        if self.ending is Ending.TOO_SMALL and not self._lowered:
            self._lowered = True
            self.screen.heading(f"> modify: limits.memory={TOO_SMALL} (too little for a process that needs 340Mi)")
            return CardAnswer("modify", values={"limits.memory": TOO_SMALL})
        self.screen.heading("> approve")
        return CardAnswer("approve", reason="the demo's operator looked at the diff")

    def option(self, options: list[str]) -> str | None:
        """After a verdict that is not VERIFIED: take the way back."""
        self.screen.heading("> rollback")
        return "rollback" if "rollback" in options else None

    def judge(self, verdicts: list[str], limit: str) -> ExitCode:
        """Return 0 where the story ended as it was asked to."""
        if self.ending is Ending.VERIFIED:
            return ExitCode.DONE if verdicts[-1:] == ["VERIFIED"] else ExitCode.FAILED
        told = verdicts[:1] == ["FAILED"] and limit == "256Mi"
        self.screen.line(f"The limit is {limit} again; {TOO_SMALL} was not enough, and nobody said it was.")
        return ExitCode.DONE if told else ExitCode.FAILED
