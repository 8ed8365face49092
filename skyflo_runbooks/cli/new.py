"""`new`: diagnose an incident and write its runbook.

Rules:
  1. A file is written whenever something was found. Healthy (3) and unknown (4) write none unless `-o` is given; then
     it is a runbook of reads.
  2. Nothing is overwritten.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from skyflo_runbooks.cli import card, client, incident
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.files import free_name, write_new
from skyflo_runbooks.cli.options import AsJson, Namespaces
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import BadInput, ExitCode
from skyflo_runbooks.model.incident import read_text
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import check_namespace


def new(
    text: Annotated[str, typer.Argument(help="What is wrong, in your own words.")],
    namespaces: Namespaces = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The runbook's file; it must not exist yet.")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="A language model; none can be used yet.")] = "",
    no_model: Annotated[bool, typer.Option("--no-model", help="Rules only.")] = False,
    from_snapshot: Annotated[
        Path | None,
        typer.Option("--from-snapshot", help="Read a saved snapshot, a dump's folder or a support bundle instead."),
    ] = None,
    as_json: AsJson = False,
) -> ExitCode:
    """Diagnose an incident and write an executable runbook. Nothing is changed."""
    environment, screen = current(), Screen(as_json)
    body = request(text, namespaces or [])
    chosen = _generator(model or environment.model, no_model, asked=bool(model))
    if output is not None:
        if output.exists():
            raise BadInput(f"{output} is there already.", next_step="Name another file with -o.")
        body["always"] = True
    if from_snapshot is not None:
        if chosen.get("generator", "rules") != "rules":
            raise BadInput("A file is diagnosed by the rules alone.", next_step="Give --no-model.")
        answer = _saved(from_snapshot, body, screen)
    else:
        with screen.progress("Reading the cluster…"):
            answer = diagnose(client.find(environment), body | chosen)
    code = incident.outcome(answer)
    path = _write(answer, output) if code == ExitCode.DONE or output is not None else None
    tell(screen, answer)
    if path is not None:
        screen.line()
        screen.line(f"Runbook: {path}", "green")
        screen.line(f"Open it in JupyterLab ('skyflo-runbooks lab {path}'), or 'skyflo-runbooks run {path}'.", "dim")
    _offer(screen, answer.get("runbooks") or [])
    screen.json(incident.summary(answer, str(path) if path else None))
    return code


def request(text: str, namespaces: list[str]) -> Json:
    """Return the body of an incident, checked before anything is asked."""
    return {"text": read_text(text), "namespaces": [check_namespace(name) for name in namespaces]}


def diagnose(gateway: Gateway, body: Json) -> Json:
    """Return the gateway's answer to an incident."""
    answer: Json = gateway.post("/api/v1/incidents", body, timeout=180.0)
    return answer


def _saved(path: Path, body: Json, screen: Screen) -> Json:
    """Return the answer of what was read before, without a gateway."""
    from skyflo_runbooks.cli import saved

    with screen.progress(f"Reading {path}…"):
        snapshot = saved.read(path)
        return saved.answer(snapshot, body["text"], tuple(body["namespaces"]), always=bool(body.get("always")))


def _generator(model: str, no_model: bool, *, asked: bool) -> Json:
    if no_model and asked:
        raise BadInput("--model and --no-model exclude each other.", next_step="Give one of them.")
    if no_model:
        return {"generator": "rules"}
    return {"generator": f"llm:{model}"} if model else {}


def tell(screen: Screen, answer: Json) -> None:
    """Say what was found, what was not, and what is proposed."""
    found = incident.findings(answer)
    diagnosis = answer.get("diagnosis") or {}
    # First: whether the words were taken otherwise than they stand, and whether what follows was asked for at all.
    for text in diagnosis.get("notes") or []:
        screen.line(f"Note: {text}")
    screen.lines(card.findings(found))
    screen.lines(card.timeline(incident.timeline(answer)))
    for text in diagnosis.get("unknown") or []:
        screen.line(f"Not known: {text}", "yellow")
    if not found:
        unknown = bool(diagnosis.get("unknown"))
        screen.line("It is not known whether something is wrong." if unknown else "Nothing wrong was found.", "bold")
        for text in diagnosis.get("healthy") or []:
            screen.line(f"  ✓ {text}", "green")
    steps = incident.steps(answer.get("plan"))
    if steps:
        screen.line()
        screen.lines(card.plan(steps))
        if untried := answer.get("untried"):
            screen.line("  Read from a file: nothing was tried. On the cluster 'new' would try:", "yellow")
            for one in untried:
                screen.line(f"    {card.call(one)}", "yellow")
        elif not any(step["kind"] == "change" for step in steps) and found:
            advice = at(diagnosis, "findings", 0, "advice") or "The runbook says what was left out, and why."
            screen.line(f"  No safe change is known. {advice}", "yellow")


def _offer(screen: Screen, offers: list[Json]) -> None:
    """Name the curated runbooks that fit, each with the line that runs it."""
    if not offers:
        return
    screen.line()
    screen.line(
        "Curated runbooks that fit, or are worth reading ('skyflo-runbooks runbooks NAME' says what is in one):"
    )
    for offer in offers:
        screen.line(f"  {offer['runbook']}: {offer['title']} ({offer['why']})")
        screen.line(f"    {incident.command(offer)}", "dim")


def _write(answer: Json, output: Path | None) -> Path | None:
    notebook = answer.get("notebook")
    if notebook is None:
        return None
    path = output or free_name(Path.cwd(), incident.stem(answer), ".ipynb")
    write_new(path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return path
