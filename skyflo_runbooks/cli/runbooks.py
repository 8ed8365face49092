"""`runbooks`: the curated runbooks, what each is for, and a copy of one to work with. Works without a gateway."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skyflo_runbooks.cli import shelf
from skyflo_runbooks.cli.card import Line
from skyflo_runbooks.cli.files import write_new
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.text import columns, listed
from skyflo_runbooks.model.errors import BadInput, ExitCode
from skyflo_runbooks.model.json import Json

if TYPE_CHECKING:
    from skyflo_runbooks.planning.curated import Book

AsPage = Annotated[bool, typer.Option("--page", hidden=True, help="Write docs/runbooks.md.")]


def runbooks(
    name: Annotated[str, typer.Argument(help="Which one; without it all are listed.")] = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write a copy of it here, to change it or to open it.")
    ] = None,
    as_json: AsJson = False,
    as_page: AsPage = False,
) -> ExitCode:
    """List the curated runbooks, say what is in one, or copy it."""
    from skyflo_runbooks.planning.curated import BOOKS

    screen = Screen(as_json)
    if as_page:
        from skyflo_runbooks.cli.runbooks_page import page

        typer.echo(page(BOOKS.values()), nl=False)
        return ExitCode.DONE
    if name:
        return _one(screen, _book(name), output)
    if output is not None:
        raise BadInput("Which runbook is to be copied?", next_step=f"Name one of {', '.join(BOOKS)}.")
    screen.json([known(book) for book in BOOKS.values()])
    for line in columns([[book.name, book.title] for book in BOOKS.values()], ("name", "for")):
        screen.line(line)
    screen.line()
    screen.line("'skyflo-runbooks runbooks NAME' says what is in one; 'skyflo-runbooks run NAME -p …' runs it.", "dim")
    return ExitCode.DONE


def known(book: "Book") -> Json:
    """Return the JSON of one curated runbook; a parameter without a default has none here either."""
    return {
        "name": book.name,
        "title": book.title,
        "faults": list(book.faults),
        "changes": [book.change.tool] if book.change else [],
        "file": str(shelf.folder() / f"{book.name}{shelf.SUFFIX}"),
        "parameters": [
            {
                "name": item.name,
                "type": item.type,
                "default": None if item.required else item.default,
                "help": item.help,
                "required": item.required,
            }
            for item in book.parameters
        ],
    }


def command(book: "Book") -> str:
    """Return the line that runs a book; what a person has to give stands as `…`."""
    return " ".join(["skyflo-runbooks run", book.name, *(f"-p {i.name}=…" for i in book.parameters if i.required)])


def _book(name: str) -> "Book":
    from difflib import get_close_matches

    from skyflo_runbooks.planning.curated import BOOKS

    if name not in BOOKS:
        near = get_close_matches(name, BOOKS) or list(BOOKS)
        raise BadInput(f"There is no curated runbook {name[:40]!r}.", next_step=f"There is: {', '.join(near)}.")
    return BOOKS[name]


def _one(screen: Screen, book: "Book", output: Path | None) -> ExitCode:
    path = shelf.folder() / f"{book.name}{shelf.SUFFIX}"
    if output is not None:
        write_new(output, path.read_text(encoding="utf-8"))
        screen.line(f"Runbook: {output}", "green")
        screen.json({**known(book), "file": str(output)})
        return ExitCode.DONE
    screen.lines(told(book))
    screen.json(known(book))
    return ExitCode.DONE


def told(book: "Book") -> list[Line]:
    """Say one book: when to use it, what it changes, its parameters, and the line that runs it."""
    changes = book.change.tool if book.change else "nothing"
    rows = [
        [item.name, item.type, "required" if item.required else json.dumps(item.default), item.help]
        for item in book.parameters
    ]
    return [
        Line(book.title, "bold"),
        *(Line(f"  use it: {text}") for text in book.use),
        *(Line(f"  not for: {text}") for text in book.not_for),
        Line(f"  changes: {changes}; fits: {listed(book.faults)}"),
        Line(""),
        *(Line(line) for line in columns(rows, ("parameter", "type", "default", "help"))),
        Line(""),
        Line(command(book), "dim"),
    ]
