"""The curated runbooks: one module for each field, one `Book` for each incident, and when `new` offers them.

A new one is a `Book` and a name in its module's `BOOKS`; `make runbooks` writes its notebook and its place in
`docs/runbooks.md`.
"""

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook.compile import compile_plan
from skyflo_runbooks.planning.curated import cluster, serving, workloads
from skyflo_runbooks.planning.curated.book import Book

BOOKS: dict[str, Book] = {book.name: book for book in (*workloads.BOOKS, *serving.BOOKS, *cluster.BOOKS)}


def notebook(book: Book) -> Json:
    """Return the notebook of a book."""
    return compile_plan(book.plan)


__all__ = ["BOOKS", "Book", "notebook"]
