"""Runbooks on disk, and the fake gateway of the kernel's tests."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook.compile import compile_plan
from tests.kernel.conftest import gateway
from tests.notebook import examples

__all__ = ["gateway"]

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the flagship's notebook; further code cells can be put before a step."""

    def written(name: str = "flagship.ipynb", *, before: str = "", code: str = "", cluster: str = "uid-1") -> Path:
        notebook = compile_plan(examples.flagship(cluster=cluster))
        if before:
            place = next(index for index, cell in enumerate(notebook["cells"]) if cell["id"] == before)
            notebook["cells"].insert(place, cell("extra", code))
        file = tmp_path / name
        file.write_text(json.dumps(notebook))
        return file

    return written


def cell(id_: str, source: str) -> Json:
    """A code cell."""
    return {
        "cell_type": "code",
        "id": id_,
        "metadata": {"tags": []},
        "outputs": [],
        "source": source,
        "execution_count": None,
    }


def load(path: str | Path) -> Json:
    """Read a notebook that a run wrote."""
    found: Json = json.loads(Path(path).read_text())
    return found


def statuses(notebook: Json) -> dict[str, str]:
    """The status of each code cell by its id."""
    return {id_: record["status"] for id_, record in notebook["metadata"]["skyflo"]["run"]["cells"].items()}


def texts(notebook: Json, id_: str) -> str:
    """The text of a cell's outputs."""
    found = next(item for item in notebook["cells"] if item["id"] == id_)
    return "\n".join("".join(output.get("data", {}).get("text/plain", "")) for output in found["outputs"])
