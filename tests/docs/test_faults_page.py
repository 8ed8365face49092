"""`docs/faults.md` is what the rules, the repairs and the catalogue say, and nothing else."""

import re

import pytest

from skyflo_runbooks.cli.app import main
from skyflo_runbooks.cli.catalogue import CATALOGUE
from skyflo_runbooks.cli.explain import known_faults
from skyflo_runbooks.cli.faults_page import FAMILIES, page
from skyflo_runbooks.diagnosis.rules import RULES
from skyflo_runbooks.planning.rules import REPAIRS
from tests.docs.readme import ROOT

FAULTS = sorted(fault for rule in RULES for fault in rule.faults)
PAGE = (ROOT / "docs" / "faults.md").read_text()


def test_the_page_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """`make faults-doc` writes it, by a flag of `explain`."""
    assert main(["explain", "--page"]) == 0
    assert capsys.readouterr().out == PAGE == page(known_faults())


def test_every_fault_stands_on_it_once() -> None:
    """Each in its family, and no family is unknown to the page."""
    named = re.findall(r"^### ([A-Z]{3}-\d\d)", PAGE, flags=re.MULTILINE)
    assert sorted(named) == FAULTS
    assert {name[:3] for name in named} == set(FAMILIES)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_its_words(fault: str) -> None:
    """A title and its evidence; and where there is a repair, what must hold after it and what the way back does."""
    entry = CATALOGUE[fault]
    assert entry.title
    assert entry.evidence
    assert bool(entry.verify and entry.way_back) == (fault in REPAIRS), "verify and way back belong to a repair"


def test_no_entry_is_of_a_fault_that_no_rule_names() -> None:
    """It would never be shown."""
    assert set(CATALOGUE) == set(FAULTS)


def test_a_rule_finds_no_fault_that_it_does_not_say() -> None:
    """What the sources of the rules name as a finding's fault is what the rules say that they find."""
    folder = ROOT / "skyflo_runbooks" / "diagnosis" / "rules"
    sources = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    assert set(re.findall(r'"([A-Z]{3}-\d\d)"', sources)) == set(FAULTS)
