"""`history` and `ledger`: the append-only record, for a person and for a program."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from skyflo_runbooks.cli import client, operator
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.files import write_new
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.text import clock, columns
from skyflo_runbooks.model.errors import ExitCode
from skyflo_runbooks.model.json import Json

Run: TypeAlias = Annotated[str, typer.Option("--run", help="Only the entries of one run.")]

ledger = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@ledger.callback()
def about() -> None:
    """The append-only, hash-chained record."""


def history(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, the latest first.")] = 20,
    as_json: AsJson = False,
) -> ExitCode:
    """What was proposed, decided and measured, the latest first."""
    screen = Screen(as_json)
    gateway = client.find(current())
    views, verdicts = gateway.get("/api/v1/proposals"), measured(gateway.get("/api/v1/ledger"))
    latest = sorted(views, key=_when, reverse=True)[:limit]
    latest = [{**view, "verdict": verdicts.get(str(view["id"]), "")} for view in latest]
    screen.json(latest)
    if not latest:
        screen.line("Nothing was proposed yet.")
        return ExitCode.DONE
    rows = [_row(view) for view in latest]
    for line in columns(rows, ("id", "time", "state", "verdict", "decided by", "change")):
        screen.line(line)
    return ExitCode.DONE


def measured(entries: Iterable[Json]) -> dict[str, str]:
    """Return the last recorded verdict over each proposal, by its id."""
    bodies = (entry["body"] for entry in entries if entry["kind"] == "verdict")
    return {str(id_): str(body["verdict"]) for body in bodies for id_ in body["changes"]}


@ledger.command("show")
def ledger_show(run: Run = "", as_json: AsJson = False) -> ExitCode:
    """Show the entries."""
    screen = Screen(as_json)
    entries = _entries(run)
    screen.json(entries)
    rows = [
        [str(entry["seq"]), str(entry["at"]), str(entry["kind"]), str(entry["hash"])[:19], _said(entry)]
        for entry in entries
    ]
    for line in columns(rows, ("seq", "at", "kind", "hash", "says")):
        screen.line(line)
    return ExitCode.DONE


@ledger.command("verify")
def ledger_verify(as_json: AsJson = False) -> ExitCode:
    """Compute the chain of hashes again, and say whether the record is whole. Needs an operator."""
    environment, screen = current(), Screen(as_json)
    gateway = client.find(environment)
    who = operator.for_gateway(environment, gateway)
    answer: Json = gateway.using(who.session).get("/api/v1/ledger/verify")
    screen.json(answer)
    whole = bool(answer.get("ok"))
    screen.line(
        f"The record is whole: {answer.get('entries', '?')} entries." if whole else "THE RECORD IS NOT WHOLE.",
        "green" if whole else "bold red",
    )
    for problem in answer.get("problems") or []:
        screen.line(f"  {problem}", "red")
    return ExitCode.DONE if whole else ExitCode.FAILED


@ledger.command("export")
def ledger_export(
    output: Annotated[Path, typer.Option("-o", "--output", help="A new file; one JSON entry per line.")], run: Run = ""
) -> ExitCode:
    """Write the entries to a file, one JSON document per line, with their hashes."""
    import json

    entries = _entries(run)
    write_new(output, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), mode=0o600)
    Screen().line(f"{len(entries)} entries in {output}.")
    return ExitCode.DONE


def _entries(run: str) -> list[Json]:
    gateway = client.find(current())
    entries: list[Json] = gateway.get("/api/v1/ledger", query={"run": run} if run else {})
    return entries


def _when(view: Json) -> str:
    said = view.get("receipt") or {}
    return str(said.get("applied_at") or said.get("decided_at") or view.get("created") or view.get("expires") or "")


def _row(view: Json) -> list[str]:
    when, verdict = clock(_when(view)), str(view["verdict"] or "-")
    return [str(view["id"]), when, str(view["state"]), verdict, _operator(view), str(view["title"])]


def _operator(view: Json) -> str:
    return str((view.get("receipt") or {}).get("operator") or "")


def _said(entry: Json) -> str:
    body = entry.get("body") or {}
    told = [
        str(body[key]) for key in ("proposal", "id", "step", "title", "verdict", "state", "operator") if key in body
    ]
    return " ".join(dict.fromkeys(told))[:100]
