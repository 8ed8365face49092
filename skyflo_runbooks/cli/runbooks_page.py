"""`docs/runbooks.md`, made from the curated runbooks themselves. `make runbooks` writes the notebooks and this page."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from skyflo_runbooks.cli.runbooks import command

if TYPE_CHECKING:
    from skyflo_runbooks.planning.curated import Book

_HEAD = """# Curated runbooks

Made by `make runbooks` from their one source, `skyflo_runbooks/planning/curated`; do not edit.

They stand on their own, for incidents that come again and again: evidence first, then one change that waits for an
approval, a verify step that measures what must hold, the way back, and the record. `new` names those that fit an
incident, with the parameters that it knows. They are shipped with the package:

    skyflo-runbooks runbooks               # the list
    skyflo-runbooks runbooks oom           # what is in one
    skyflo-runbooks run oom -p …           # run it from anywhere; without what is required it stops before anything
    skyflo-runbooks runbooks oom -o my.ipynb    # a copy, to change it or to open it in JupyterLab

Where a value must be chosen by a person (a limit, an image) there is no default. A verdict also rests on what no check
names: if anything of the changed object is not as the approval left it, the verdict is INCONCLUSIVE.
"""


def page(books: "Iterable[Book]") -> str:
    """Return the page."""
    known = list(books)
    rows = [f"| [`{book.name}`](#{book.name}) | {book.title} | {_changes(book)} |" for book in known]
    table = "\n".join(["| name | for | changes |", "| --- | --- | --- |", *rows])
    return "\n".join([_HEAD, table, *(_section(book) for book in known)]) + "\n"


def _changes(book: "Book") -> str:
    return f"`{book.change.tool}`" if book.change else "nothing"


def _section(book: "Book") -> str:
    rows = [
        f"| `{item.name}` | {item.type} | {'**required**' if item.required else f'`{json.dumps(item.default)}`'} "
        f"| {item.help} |"
        for item in book.parameters
    ]
    checks = ", ".join(dict.fromkeys(f"`{check.name}`" for check in book.checks))
    fits = f" Offered for {', '.join(book.faults)}." if book.faults else ""
    return "\n".join(
        [
            f"\n## {book.name}\n",
            f"{book.title}. [The notebook](../runbooks/{book.name}.ipynb).\n",
            *(f"- {text}" for text in book.use),
            *(f"- *Not for:* {text}" for text in book.not_for),
            f"\nChanges {_changes(book)}, and verifies {checks}.{fits}\n",
            f"    {command(book)}\n",
            "| parameter | type | default | help |",
            "| --- | --- | --- | --- |",
            *rows,
        ]
    )
