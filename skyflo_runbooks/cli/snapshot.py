"""`snapshot`: keep what `new` would read for an incident, to diagnose it later or elsewhere.

Rules:
  1. Secrets are masked by the gateway, before anything arrives here.
  2. `--anonymise` replaces names (`diagnosis.anonymise`); logs are in it unless `--no-logs`, and this is said.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from skyflo_runbooks.cli import client, new
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.files import free_name, write_new
from skyflo_runbooks.cli.options import AsJson, Namespaces
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import BadInput, ExitCode


def snapshot(
    text: Annotated[str, typer.Argument(help="What is wrong, in your own words.")],
    namespaces: Namespaces = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The file; it must not exist yet.")] = None,
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Replace names of objects, labels, images, hosts.")
    ] = False,
    no_logs: Annotated[bool, typer.Option("--no-logs", help="Leave out what containers logged.")] = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Keep what 'new' would read, in a file for 'new --from-snapshot'. Secrets are masked. Nothing is changed."""
    from skyflo_runbooks.diagnosis.anonymise import anonymise as anonymised
    from skyflo_runbooks.diagnosis.snapshot import Snapshot, dump

    environment, screen = current(), Screen(as_json)
    body = new.request(text, namespaces or [])
    if output is not None and output.exists():
        raise BadInput(f"{output} is there already.", next_step="Name another file with -o.")
    with screen.progress("Reading the cluster…"):
        taken = msgspec.convert(client.find(environment).post("/api/v1/snapshots", body, timeout=180.0), Snapshot)
    if no_logs:
        taken = msgspec.structs.replace(taken, logs=())
    if anonymise:
        taken = anonymised(taken)
    path = output or free_name(Path.cwd(), f"snapshot-{taken.time.replace(':', '')}", ".json")
    write_new(path, dump(taken).decode() + "\n", mode=0o600)
    count = sum(len(items) for items in taken.objects.values())
    where = ", ".join(taken.namespaces) or "all namespaces"
    screen.line(f"{count} objects and {len(taken.logs)} logs of {where}, as of {taken.time}: {path}", "green")
    for gap in taken.gaps:
        screen.line(f"Not in it: {gap}", "yellow")
    if taken.logs:
        screen.line("Logs are free text: read them before you give the file away, or leave them out: --no-logs.", "dim")
    screen.line(f"Diagnose it anywhere: skyflo-runbooks new {text!r} --from-snapshot {path}", "dim")
    screen.json(
        {
            "path": str(path),
            "at": taken.time,
            "namespaces": list(taken.namespaces),
            "objects": count,
            "logs": len(taken.logs),
            "gaps": [str(gap) for gap in taken.gaps],
            "anonymised": anonymise,
        }
    )
    return ExitCode.DONE
