"""`history` and `ledger`: the append-only record, for a person and for a program."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec
import typer

from skyflo_runbooks.cli import client, operator
from skyflo_runbooks.cli import ledger_files as files
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.files import write_new
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.text import clock, columns
from skyflo_runbooks.model.errors import BadInput, ExitCode
from skyflo_runbooks.model.json import Json

Run: TypeAlias = Annotated[str, typer.Option("--run", help="Only the entries of one run.")]

ledger = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@ledger.callback()
def about() -> None:
    """The append-only, hash-chained record."""


def history(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="How many, the latest first.")] = 20,
    as_json: AsJson = False,
) -> ExitCode:
    """What was proposed, decided and measured, the latest first."""
    screen = Screen(as_json)
    gateway = client.find(current())
    views = gateway.get("/api/v1/proposals", query={"limit": limit})
    verdicts = measured(_verdicts_since(gateway, min((str(view["created"]) for view in views), default="")))
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


def _verdicts_since(gateway: Gateway, moment: str) -> list[Json]:
    """Return the verdicts of this moment and later, oldest first: a verdict comes after what it judges."""
    found: list[Json] = []
    for entry in pages(gateway, {"kind": "verdict", "newest": 1}):
        if str(entry["at"]) < moment:
            break
        found.append(entry)
    return found[::-1]


@ledger.command("show")
def ledger_show(
    run: Run = "",
    since: Annotated[int, typer.Option("--since", min=0, help="Only entries after this place.")] = 0,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Only the latest so many; 0: all.")] = 0,
    as_json: AsJson = False,
) -> ExitCode:
    """Show the entries."""
    screen = Screen(as_json)
    query: Json = {"run": run, "since": since}
    if limit:
        newest = pages(client.find(current()), {**query, "newest": 1})
        entries = list(itertools.islice(newest, limit))[::-1]
    else:
        entries = list(pages(client.find(current()), query))
    screen.json(entries)
    if run and not entries:
        screen.note(f"The record has no entry of a run {run}. 'skyflo-runbooks ledger show' lists all entries.")
    rows = [
        [str(entry["seq"]), str(entry["at"]), str(entry["kind"]), str(entry["hash"])[:19], _said(entry)]
        for entry in entries
    ]
    for line in columns(rows, ("seq", "at", "kind", "hash", "says")):
        screen.line(line)
    return ExitCode.DONE


def pages(gateway: Gateway, query: Json) -> Iterator[Json]:
    """Yield the entries that a query asks for, a page at a time; they end when the caller has enough."""
    query = {name: value for name, value in query.items() if value}
    while found := gateway.get("/api/v1/ledger", query=query):
        yield from found
        query["before" if query.get("newest") else "since"] = found[-1]["seq"]


@ledger.command("verify", short_help="Is the record whole? Of the running gateway, or of a file.")
def ledger_verify(
    file: Annotated[
        Path | None, typer.Argument(help="An export, or a gateway.db; default: the running gateway.")
    ] = None,
    key: Annotated[
        list[str] | None, typer.Option("--key", help="The gateway's public key ('ledger key'), for a file.")
    ] = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Compute the chain of hashes again, check every signed checkpoint, and say whether the record is whole.

    Without a file it asks the running gateway, as an operator. A file needs the public key that its reader trusts: it
    is taken from beside a gateway.db where that is readable; what is not signed by it is not known to be whole.
    """
    screen = Screen(as_json)
    if file is not None:
        report, code = files.verify(file, key or [])
        answer = msgspec.to_builtins(report)
    else:
        environment = current()
        gateway = client.find(environment)
        who = operator.for_gateway(environment, gateway)
        answer = gateway.using(who.session).get("/api/v1/ledger/verify", timeout=300)
        code = ExitCode.DONE if answer.get("ok") else ExitCode.FAILED
    screen.json(answer)
    screen.line(_verdict(answer, code), "green" if code == ExitCode.DONE else "bold red")
    for problem in answer.get("problems") or []:
        screen.line(f"  {problem}", "red")
    return code


def _verdict(answer: Json, code: ExitCode) -> str:
    if code == ExitCode.UNKNOWN:
        return "WHETHER THE RECORD IS WHOLE IS NOT KNOWN."
    if code != ExitCode.DONE:
        return "THE RECORD IS NOT WHOLE."
    signed = f"{answer['checkpoints']} checkpoints, signed up to entry {answer['signed']}"
    return f"The record is whole: {answer['entries']} entries, {signed}."


@ledger.command("reconcile", short_help="Compare it with the API server's audit log.")
def ledger_reconcile(
    audit_log: Annotated[Path, typer.Option("--audit-log", help="The API server's audit log, one event a line.")],
    user: Annotated[
        list[str] | None, typer.Option("--user", help="A user name of the gateway's: its writes need an attempt.")
    ] = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Compare the ledger with the API server's audit log: each write has its attempt, and the other way round.

    Without --user, writes are the gateway's by their user agent and field manager. With the gateway's own user, also
    one that hides them is found; give the gateway a user of its own. Differences are listed, and the exit code is 11.
    """
    from skyflo_runbooks.gateway import reconcile

    screen = Screen(as_json)
    try:
        with audit_log.open(encoding="utf-8") as lines:
            log = reconcile.read(lines, user or [])
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{audit_log} cannot be read: {error}.") from None
    gateway = client.find(current())
    entries = itertools.chain(*(pages(gateway, {"kind": kind}) for kind in ("dispatch", "applied")))
    said = reconcile.reconcile(log, reconcile.attempts(entries))
    screen.json(msgspec.to_builtins(said))
    outside = f"; {said.outside} attempts lie outside the log's time" if said.outside else ""
    screen.line(
        f"{said.writes} writes of the gateway in the audit log, {said.attempts} attempts in the ledger{outside}: "
        + ("they agree." if not said.differences else f"{len(said.differences)} DIFFERENCES."),
        "bold red" if said.differences else "green",
    )
    for difference in said.differences:
        screen.line(f"  {difference}", "red")
    return ExitCode.FAILED if said.differences else ExitCode.DONE


@ledger.command("key", short_help="Print the public key that it is signed by.")
def ledger_key(as_json: AsJson = False) -> ExitCode:
    """Print the public key that the gateway's checkpoints and exports are signed by."""
    screen = Screen(as_json)
    said = client.find(current()).get("/api/v1/ledger/key")
    screen.json(said)
    screen.line(str(said["key"]))
    return ExitCode.DONE


@ledger.command("export", short_help="Write it to a file, signed, to be verified offline.")
def ledger_export(
    output: Annotated[Path, typer.Option("-o", "--output", help="A new file.")],
    run: Run = "",
    since: Annotated[int, typer.Option("--since", min=0, help="Only entries after this place.")] = 0,
) -> ExitCode:
    """Write the entries and their checkpoints to a file as a signed envelope (DSSE), to be verified offline.

    docs/verify_ledger.py is a page of code that does it; so does 'ledger verify FILE --key KEY'.
    """
    import json

    gateway = client.find(current())
    query: dict[str, str | float] = {"run": run, "since": since} if run else {"since": since}
    envelope = gateway.get("/api/v1/ledger/export", query=query, timeout=300)
    write_new(output, json.dumps(envelope) + "\n", mode=0o600)
    said = gateway.get("/api/v1/ledger/key")
    Screen().line(f"{output}: signed by {said['key']}")
    return ExitCode.DONE


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
