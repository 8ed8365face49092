"""Where the curated runbooks lie, and how a command finds one by its bare name.

Rules:
  1. They are shipped in the package, so a name is found from any folder; in a checkout they lie under `runbooks/`.
  2. A file that exists is taken as it is named: a curated runbook never hides one of the user's own.
"""

from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from skyflo_runbooks.model.errors import BadInput

SUFFIX = ".ipynb"


def folder() -> Path:
    """Return where the curated runbooks lie: in the package when installed, in the checkout otherwise."""
    packed = Path(str(resources.files("skyflo_runbooks"))) / "library"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "runbooks"


def names() -> list[str]:
    """Return the names of the curated runbooks."""
    return sorted(path.stem for path in folder().glob(f"*{SUFFIX}"))


def find(file: Path) -> Path:
    """Return the runbook that a command was given: a file, or a curated one by its name."""
    if file.is_file():
        return file
    known = names()
    if str(file) in known:
        return folder() / f"{file}{SUFFIX}"
    near = get_close_matches(str(file), known)
    hint = f"Did you mean {' or '.join(near)}? " if near and _bare(file) else ""
    step = f"{hint}Make one with 'skyflo-runbooks new'; 'skyflo-runbooks runbooks' lists the curated ones."
    raise BadInput(f"There is no runbook at {file}.", next_step=step)


def _bare(file: Path) -> bool:
    return len(file.parts) == 1 and not file.suffix
