"""The story of one incident, told by commands: `new`, `run --wait`, `approve` in another process, and what is left.

Each telling checks what every ending promises: the source is untouched, the record has receipt and verdict, and the
ledger's chain holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skyflo_runbooks.model.json import Json
from tests.story.home import OPERATOR, Home, step_of
from tests.story.rungs import Rung

RECEIPT = "application/vnd.skyflo.receipt.v1+json"
VERDICT = "application/vnd.skyflo.verdict.v1+json"


@dataclass(frozen=True)
class Diagnosed:
    """What `new` said, and the runbook that it wrote."""

    faults: tuple[tuple[str, str], ...]
    change: Json
    answer: Json
    path: Path


@dataclass(frozen=True)
class Told:
    """What of a story must not depend on the rung, and what is left for a look at one of them."""

    diagnosed: Diagnosed
    diff: str
    code: int
    answer: Json
    attempts: tuple[str, ...]
    container: Json

    @property
    def outcome(self) -> tuple[str, list[tuple[str, str]]]:
        """Status, and how each check came out."""
        (verdict,) = self.answer["verdicts"]
        return self.answer["status"], [(each["check"], each["result"]) for each in verdict["checks"]]


def diagnose(home: Home, rung: Rung, file: str = "incident.ipynb") -> Diagnosed:
    """`new` with the scenario's words."""
    answer = home.json("new", rung.scenario.incident, "-n", rung.scenario.namespace, "-o", file)
    named = tuple((found["fault"], found["object"]) for found in answer["findings"])
    change = step_of(answer, "change")
    return Diagnosed(named, {"tool": change["tool"], **change["arguments"]}, answer, home.folder / answer["path"])


def tell(home: Home, rung: Rung, *parameters: str) -> Told:
    """Diagnose, run, approve what is proposed, and wait for the end."""
    found = diagnose(home, rung)
    before = found.path.read_bytes()
    given = [word for value in (f"settle={rung.settle}", *parameters) for word in ("-p", value)]
    with home.beside("run", found.path, *given, "--wait", "2m", "--json") as process:
        id_ = home.waiting(process)
        assert rung.attempts() == [], "something was written before anybody approved"
        diff = str(home.json("show", id_)["diff"])
        approved = home.command("approve", id_, "--yes", "--reason", "seen")
        assert approved.returncode == 0, approved.stdout + approved.stderr
        out, errors = process.communicate(timeout=180)
    assert out, errors
    answer = json.loads(out)
    assert found.path.read_bytes() == before
    _recorded(Path(answer["output"]), id_, answer)
    verified = home.command("ledger", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    return Told(found, diff, process.returncode, answer, tuple(rung.attempts()), rung.container())


def outputs(notebook: Path, type_: str) -> list[Any]:
    """The data of one type in a notebook's outputs, in order."""
    cells = json.loads(notebook.read_text())["cells"]
    found = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return [data[type_] for data in found if type_ in data]


def _recorded(notebook: Path, id_: str, answer: Json) -> None:
    """The output notebook names approval, operator and time, and the verdict that was printed."""
    (receipt,) = outputs(notebook, RECEIPT)
    said = json.dumps(receipt)
    assert id_ in said
    assert OPERATOR in said
    (verdict,) = outputs(notebook, VERDICT)
    assert verdict == answer["verdicts"][0]
    texts = " ".join("".join(text) for text in outputs(notebook, "text/plain"))
    assert verdict["verdict"] in texts
    assert id_ in texts
