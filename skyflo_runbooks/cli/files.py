"""Files that a command writes: whole or not at all, and never over something that is there."""

import os
import tempfile
from pathlib import Path

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json


def write_new(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that must not exist yet, by a temporary file beside it; `BadInput` where it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))  # takes the name, or finds it taken
    except FileExistsError:
        raise BadInput(f"{path} is there already.", next_step="Name another file with -o.") from None
    try:
        _temporary(path, text, mode).replace(path)
    except (OSError, ValueError):
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, text: str, *, mode: int) -> None:
    """Write a file in place of the one that is there, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _temporary(path, text, mode).replace(path)


def _temporary(path: Path, text: str, mode: int) -> Path:
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as handle:
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        Path(name).chmod(mode)
    except (OSError, ValueError):
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def free_name(folder: Path, stem: str, suffix: str) -> Path:
    """Return `folder/stem.suffix`, or with a number where that is taken."""
    path = folder / f"{stem}{suffix}"
    number = 2
    while path.exists():
        path = folder / f"{stem}-{number}{suffix}"
        number += 1
    return path


def read_notebook(path: Path) -> Json:
    """Return a notebook's JSON, or say why the file is none."""
    import json

    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadInput(f"{path} is not a notebook: {error}.", next_step="Expected a file like runbook.ipynb.") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise BadInput(f"{path} is not a notebook: it has no cells.", next_step="Expected a file like runbook.ipynb.")
    return notebook
