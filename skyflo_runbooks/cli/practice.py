"""`practice`: the practice cluster of this home, in the background. It is a simulation and says so."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.text import columns
from skyflo_runbooks.model.errors import ExitCode, Unreachable
from skyflo_runbooks.model.json import Json

if TYPE_CHECKING:
    from skyflo_runbooks.practice.fleet import Status

practice = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@practice.callback()
def about() -> None:
    """A cluster to practise on: a simulation that speaks the Kubernetes API."""


@practice.command()
def start(
    scenario: Annotated[str, typer.Argument(help="A shipped scenario, or a scenario file.")] = "oomkilled-payment",
    speed: Annotated[float, typer.Option("--speed", min=0.1, max=100, help="Cluster seconds per second.")] = 1.0,
    as_json: AsJson = False,
) -> ExitCode:
    """Start it; returns when the scenario is staged."""
    from skyflo_runbooks.practice import fleet

    screen = Screen(as_json)
    with screen.progress("Staging the scenario…"):
        running = fleet.start(current().home, scenario, speed=speed)
    screen.line("The practice cluster is up." if running.new else "A practice cluster runs here already.", "green")
    _tell(screen, running)
    return ExitCode.DONE


@practice.command()
def stop(as_json: AsJson = False) -> ExitCode:
    """Stop it; it is no error if none runs."""
    from skyflo_runbooks.practice import fleet

    screen = Screen(as_json)
    stopped = fleet.stop(current().home)
    screen.line("Stopped." if stopped else "No practice cluster ran here.")
    screen.json({"stopped": stopped})
    return ExitCode.DONE


@practice.command()
def status(as_json: AsJson = False) -> ExitCode:
    """Say whether it runs, and what is staged; 20 where none runs."""
    from skyflo_runbooks.practice import fleet

    screen = Screen(as_json)
    running = fleet.status(current().home)
    if running is None:
        screen.json({"running": False})
        screen.note("No practice cluster runs here. Start one: skyflo-runbooks practice start")
        return ExitCode.UNREACHABLE
    _tell(screen, running)
    return ExitCode.DONE


@practice.command("list")
def list_(as_json: AsJson = False) -> ExitCode:
    """List the scenarios."""
    from skyflo_runbooks.practice import fleet

    screen = Screen(as_json)
    known = fleet.scenarios()
    screen.json([{"name": s.name, "title": s.title, "incident": s.incident, "namespace": s.namespace} for s in known])
    for line in columns([[s.name, s.title] for s in known], ("scenario", "what is wrong")):
        screen.line(line)
    return ExitCode.DONE


@practice.command("break", short_help="Stage another scenario in the place of everything.")
def break_(
    scenario: Annotated[str, typer.Argument(help="As 'practice list' names it, or a scenario file.")],
    as_json: AsJson = False,
) -> ExitCode:
    """Stage another scenario: everything in the running cluster is replaced."""
    from skyflo_runbooks.practice import fleet

    screen = Screen(as_json)
    running = fleet.break_(current().home, scenario)
    screen.line(f"Staged {running.scenario}.", "green")
    _tell(screen, running)
    return ExitCode.DONE


@practice.command(short_help="Print the path of its kubeconfig.")
def kubeconfig() -> ExitCode:
    """Print the path of its kubeconfig, for kubectl and for 'serve --kubeconfig'."""
    from skyflo_runbooks.practice import fleet

    path: Path = fleet.kubeconfig_path(current().home)
    if not path.exists():
        raise Unreachable("No practice cluster runs here.", next_step="Start one: skyflo-runbooks practice start")
    print(path)
    return ExitCode.DONE


def _tell(screen: Screen, running: "Status") -> None:
    said: Json = {
        "running": True,
        "pid": running.pid,
        "url": running.url,
        "scenario": running.scenario,
        "title": running.title,
        "incident": running.incident,
        "namespace": running.namespace,
        "kubeconfig": str(running.kubeconfig),
    }
    screen.json(said)
    screen.line(f"  scenario    {running.scenario}: {running.title}")
    screen.line(f'  said        "{running.incident}"')
    screen.line(f"  kubeconfig  {running.kubeconfig}")
    screen.line(f"  Next: skyflo-runbooks serve --kubeconfig {running.kubeconfig}", "dim")
