"""`run`: execute a runbook headless with papermill; changes become proposals and wait for their decisions."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skyflo_runbooks.cli import card, client, shelf, values
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.options import AsJson, Parameters
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import BadInput, ExitCode
from skyflo_runbooks.model.quantity import parse_duration

if TYPE_CHECKING:
    from skyflo_runbooks.replay.run import RunResult


def run(
    file: Annotated[Path, typer.Argument(help="The runbook, or the name of a curated one; it is never written.")],
    sets: Parameters = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Default: a new file in $SKYFLO_HOME/runs.")
    ] = None,
    wait: Annotated[
        str, typer.Option("--wait", metavar="DURATION", help="Wait so long at each change for its decision.")
    ] = "",
    replay: Annotated[bool, typer.Option("--replay", help="Propose nothing: say what would change.")] = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Execute a runbook. Without --wait it stops at the first change that nobody has decided (10)."""
    screen = Screen(as_json)
    if replay and wait:
        raise BadInput("--wait and --replay exclude each other.", next_step="A replay proposes nothing to wait for.")
    path = shelf.find(file)
    given, seconds = values.pairs(sets or []), parse_duration(wait) if wait else 0.0
    client.find(current())  # says how to start a gateway before papermill is imported, which takes seconds
    from skyflo_runbooks.replay.run import run as execute

    result = execute(path, parameters=given, output=output, wait=seconds, replay=replay, say=screen.note)
    for judged in result.verdicts:
        screen.line()
        screen.lines(card.judgement(judged))
    for made in result.proposals:
        screen.line(f"{made['id']}  {made['state']}  {made['tool']}  ({made['step']})")
    if result.message:
        screen.line(result.message)
    screen.line(f"{result.status}: {result.output}", "bold")
    if result.exit_code == ExitCode.WAITING:
        waiting = " ".join(str(made["id"]) for made in result.proposals if made["state"] == "proposed")
        screen.note(f"A change waits: skyflo-runbooks approve {waiting}".rstrip())
        again = shlex.join(
            ["skyflo-runbooks", "run", str(file), *(word for pair in sets or [] for word in ("-p", pair))]
        )
        screen.note(f"Then: {again}   (or with --wait 10m, and approve meanwhile)")
    for step in onward(file, result):
        screen.note(step)
    screen.json(result.to_json())
    return result.exit_code


def onward(file: Path, result: "RunResult") -> list[str]:
    """Return what a person can do after a verdict other than VERIFIED: another value, the way back, somebody else."""
    if all(judged["verdict"] == "VERIFIED" for judged in result.verdicts):
        return []
    executed = [str(made["id"]) for made in result.proposals if made["state"] == "executed"]
    return [
        "What can be done now:",
        f"  try again with another value: skyflo-runbooks run {shlex.quote(str(file))} -p NAME=VALUE",
        *(f"  take it back, after its own approval: skyflo-runbooks rollback {id_}" for id_ in executed),
        f"  escalate, with the record: skyflo-runbooks ledger export -o record.json --run {result.run}",
    ]
