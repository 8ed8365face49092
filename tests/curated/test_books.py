"""What every curated runbook is: one source, well-formed, complete, and true in what it says of itself."""

import json
import re
from itertools import pairwise

import pytest
from skyflo_mcp.kubernetes import TOOLS

from skyflo_runbooks.cli import shelf
from skyflo_runbooks.cli.app import main
from skyflo_runbooks.cli.runbooks_page import page
from skyflo_runbooks.diagnosis.rules import RULES
from skyflo_runbooks.model.plan import ChangeStep, GatherStep, ReadStep, RecordStep, RollbackStep, VerifyStep
from skyflo_runbooks.notebook.lint import lint
from skyflo_runbooks.notebook.parse import parse
from skyflo_runbooks.planning.curated import BOOKS, notebook
from tests.curated.driving import shipped
from tests.docs.readme import ROOT

EACH = pytest.mark.parametrize("name", sorted(BOOKS))
EFFECTS = {name: tool.effect for name, tool in TOOLS.items()}


def test_the_twelve_are_there() -> None:
    """One for each incident; going and coming back of a node are two runs, so they are two books."""
    assert set(BOOKS) == {
        *("oom", "crash-loop", "image-pull", "pending", "no-endpoints", "rollback", "certificate"),
        *("quota", "hpa-max", "pvc", "dns", "node-drain", "node-return"),
    }
    assert shelf.names() == sorted(BOOKS)


@EACH
def test_the_notebook_is_what_the_compiler_writes(name: str) -> None:
    """`make runbooks` writes it; the plan read back from its cells is the book's."""
    assert shipped(name) == json.loads(json.dumps(notebook(BOOKS[name])))
    assert parse(shipped(name)).plan == BOOKS[name].plan


@EACH
def test_it_is_well_formed(name: str) -> None:
    """No error and no warning: each change is verified and has its way back, each tool is of the right effect."""
    assert lint(shipped(name), EFFECTS) == ()


@EACH
def test_its_steps_stand_in_order(name: str) -> None:
    """Evidence, then the change, then its verify step, the way back, and the record."""
    order = [(ReadStep, GatherStep), (ChangeStep,), (VerifyStep,), (RollbackStep,), (RecordStep,)]
    steps = [step for step in BOOKS[name].plan.steps if step.id not in ("when", "reasons")]
    places = [next(i for i, kinds in enumerate(order) if isinstance(step, kinds)) for step in steps]
    assert places == sorted(places)
    assert {0, 2, 4} <= set(places)
    assert (1 in places) == (3 in places)
    assert sum(isinstance(step, ChangeStep) for step in steps) <= 1


@EACH
def test_parameters_are_explained_and_used(name: str) -> None:
    """Each has a line of help; what has a form shows it by an example or a default; none is there for nothing."""
    book = BOOKS[name]
    for item in book.parameters:
        assert item.help, item.name
        if item.required:
            assert item.default in ("", 0)
            assert item.form != item.default, f"{item.name} has no example"
    cells = json.dumps([cell["source"] for cell in notebook(book)["cells"][2:]])
    assert all(re.search(rf"\b{item.name}\b", cells) for item in book.parameters)


@EACH
def test_what_a_person_must_choose_has_no_default(name: str) -> None:
    """A name, an amount, an image or a revision is never made up."""
    sound = {"kind", "settle", "days", "delete_emptydir_data"}
    dns = {"namespace", "name", "service", "replicas"} if name == "dns" else set()
    assert {item.name for item in BOOKS[name].parameters if not item.required} <= sound | dns


@EACH
def test_its_words_are_true(name: str) -> None:
    """What stands in back-quotes is a read, a parameter, a tool or another book, or said to be something else."""
    book = BOOKS[name]
    reads = {key for step in book.reads for key in (step.reads if isinstance(step, GatherStep) else {step.id: None})}
    known = reads | {item.name for item in book.parameters} | set(BOOKS) | set(TOOLS)
    elsewhere = {"missing", "issued_by", "forward", "within", "tls.crt", "cmctl renew", "kubectl describe certificate"}
    said = re.findall(r"`([^`]+)`", "\n".join((*book.use, *book.not_for, *book.look, *book.will)))
    assert set(said) <= known | elsewhere
    assert book.within.removesuffix("m") in " ".join(book.will) or "within" not in said


@EACH
def test_sentences_are_short(name: str) -> None:
    """A person reads them at night."""
    book = BOOKS[name]
    for line in (book.title, *book.use, *book.not_for, *book.look, *book.will):
        assert len(line) <= 320, line
        assert len(re.findall(r"\w+", line)) <= 60, line


@EACH
def test_it_fits_faults_that_exist(name: str) -> None:
    """A fault's id that no rule has would never bring it."""
    assert set(BOOKS[name].faults) <= {rule.fault for rule in RULES}
    assert BOOKS[name].words


def test_a_fault_brings_one_book() -> None:
    """Two for one fault would leave the choice to a person at night."""
    faults = sorted(fault for book in BOOKS.values() for fault in book.faults)
    assert all(one != other for one, other in pairwise(faults))


def test_the_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """`make runbooks` writes it; the command prints the same."""
    written = (ROOT / "docs" / "runbooks.md").read_text()
    assert page(BOOKS.values()) == written
    assert main(["runbooks", "--page"]) == 0
    assert capsys.readouterr().out == written


def test_the_making_writes_what_is_shipped(tmp_path: str) -> None:
    """The maker and the test do not disagree about line ends or order."""
    import subprocess
    import sys
    from pathlib import Path

    done = subprocess.run(
        [sys.executable, "-m", "skyflo_runbooks.planning.curated", str(tmp_path)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for name in BOOKS:
        made = (Path(tmp_path) / f"{name}.ipynb").read_bytes()
        assert made == (shelf.folder() / f"{name}.ipynb").read_bytes()
