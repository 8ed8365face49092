"""The registry: every guard is there, every attack has its test, and an attack that does not bite is told."""

import ast
import re
from pathlib import Path

import pytest

from tests.red_team.weakening import Attack, Gate, Guard, gates, weakened
from tests.red_team.weaknesses import ATTACKS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ATTACKS)
def test_every_guard_is_there(name: str) -> None:
    """A guard that was moved or renamed is found here, and not where its attack runs."""
    for guard in ATTACKS[name].guards:
        guard.found()


def test_every_attack_has_a_test_and_every_test_its_attack() -> None:
    """By the mark that parametrises them."""
    text = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    used = set(re.findall(r'against\(ATTACKS\["([\w-]+)"\]\)', text))
    assert used - set(ATTACKS) == set()
    assert set(ATTACKS) - used == set()


def test_what_is_weakened_is_whole_again_afterwards() -> None:
    """The next test meets the real gate."""
    attack = ATTACKS["foreign-key"]
    owner, name = attack.guards[0].found()
    before = getattr(owner, name)
    with weakened(Gate(attack, (0,))):
        assert getattr(owner, name) is not before
    assert getattr(owner, name) is before


def test_an_attack_is_judged_on_every_gate() -> None:
    """It has to bite on the weakened gate, and nowhere else; layers are tried one by one."""
    guard = Guard("json:loads", lambda original: original)
    met = gates(Attack("x", (guard, guard)))
    assert [gate.missing for gate in met] == [(), (0,), (1,), (0, 1)]
    for gate in met[:3]:
        gate.bites(False)
        with pytest.raises(AssertionError, match="THE ATTACK SUCCEEDED"):
            gate.bites(True)
    met[3].bites(True)
    with pytest.raises(AssertionError, match="does not bite"):
        met[3].bites(False)


def rows(columns: int = 5) -> dict[str, list[str]]:
    """Return the cells of each attack's row in the table of docs/security.md that has so many columns."""
    lines = (ROOT / "docs" / "security.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {row[0].strip("`"): row for row in cells if len(row) == columns}


def met() -> dict[str, set[str]]:
    """Return the fixtures that the tests of each attack ask for."""
    found: dict[str, set[str]] = {name: set() for name in ATTACKS}
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                marks = " ".join(ast.unparse(mark) for mark in node.decorator_list)
                for name in re.findall(r"against\(ATTACKS\['([\w-]+)'\]\)", marks):
                    found[name] |= {one.arg for one in node.args.args}
    return found


def test_every_attack_meets_the_real_control_plane_or_it_is_said_why_not() -> None:
    """The table of those that run once is exactly of those that do."""
    once = {name for name, fixtures in met().items() if "house" not in fixtures}
    said = {name for cell in rows(columns=2) for name in re.findall(r"[\w-]+", cell)}
    assert said == once


def test_every_attack_stands_in_the_document() -> None:
    """With its claim, the code, the test and what remains; and no row is of an attack that nobody tries."""
    found = rows()
    assert set(found) == set(ATTACKS)
    for name, (_, claim, code, test, remains) in found.items():
        assert claim, name
        assert remains, name
        assert (ROOT / code.strip("`")).exists(), code
        assert f'ATTACKS["{name}"]' in (ROOT / test.strip("`")).read_text(), f"{name} is not tried in {test}"
