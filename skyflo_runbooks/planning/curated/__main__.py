"""`python -m skyflo_runbooks.planning.curated FOLDER` writes each book's notebook there: what `make runbooks` does."""

import json
import sys
from pathlib import Path

from skyflo_runbooks.planning.curated import BOOKS, notebook

for book in BOOKS.values():
    text = json.dumps(notebook(book), indent=1, ensure_ascii=False) + "\n"
    (Path(sys.argv[1]) / f"{book.name}.ipynb").write_text(text, encoding="utf-8")
