"""`verify-promises`: each promise with its attacks, and no proof that is none."""

from typing import cast

import pytest

from skyflo_runbooks.cli import operator, promises
from skyflo_runbooks.cli.bench import Bench, Standing
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.operator import Operator
from skyflo_runbooks.cli.promises import PROMISES, refused, survived
from skyflo_runbooks.model.errors import NotAllowed, Refused
from skyflo_runbooks.model.json import Json
from tests.cli.conftest import Terminal


def test_all_six_hold(terminal: Terminal) -> None:
    """On a practice cluster of its own, in under a minute; each attack says what stopped it."""
    said = terminal("verify-promises", "--json")
    assert said.code == 0, said.out
    assert said.json["broken"] == []
    promises = said.json["promises"]
    assert list(promises) == list(PROMISES)
    assert len(promises) == 6
    proofs = [proof for tried in promises.values() for proof in tried]
    assert len(proofs) >= 15
    assert all(proof["held"] and proof["attack"] and proof["stopped"] for proof in proofs)


def _raise(error: Exception) -> object:
    raise error


@pytest.mark.parametrize(
    ("error", "unharmed", "held"),
    [(NotAllowed("no"), True, True), (NotAllowed("no"), False, False), (Refused("no"), True, False)],
)
def test_only_the_expected_refusal_of_an_unharmed_cluster_is_a_proof(
    error: Exception, unharmed: bool, held: bool
) -> None:
    """Another error, or a cluster that was touched, is a broken promise."""
    assert refused("x", lambda: _raise(error), NotAllowed, lambda: unharmed).held is held


def test_an_attack_that_is_answered_is_no_proof() -> None:
    """It says what was answered."""
    proof = refused("x", lambda: {"state": "approved"}, NotAllowed, lambda: True)
    assert not proof.held
    assert "approved" in proof.stopped


_BEFORE, _APPLIED = Standing("512Mi", 4), Standing("768Mi", 5)
_VOID = {"state": "void", "receipt": {"message": "it was not applied"}}


@pytest.mark.parametrize(
    ("after", "now", "held"),
    [
        ({"state": "executed"}, _APPLIED, True),
        ({"state": "executed"}, _BEFORE, False),
        ({"state": "executed"}, Standing("768Mi", 6), False),
        ({"state": "executed"}, Standing("512Mi", 5), False),
        (_VOID, _BEFORE, True),
        (_VOID, _APPLIED, False),
        (_VOID, Standing("512Mi", 6), False),
        ({"state": "void", "receipt": {"message": ""}}, _BEFORE, False),
        ({"state": "void", "receipt": None}, _BEFORE, False),
        ({"state": "approved"}, _BEFORE, False),
        ({"state": "unknown"}, _APPLIED, False),
        ({"state": "failed"}, _BEFORE, False),
    ],
)
def test_after_a_kill_the_record_has_to_agree_with_the_cluster(after: Json, now: Standing, held: bool) -> None:
    """Applied once or not at all, and said so; neither lost, nor repeated, nor left lying."""
    assert survived(after, asked="768Mi", before=_BEFORE, now=now).held is held


class _Ends:
    """A bench of which each kill ends as it is told: the state that the record says, one after another."""

    def __init__(self, *ends: str) -> None:
        self._ends = iter(ends)
        self._now = Standing("512Mi", 4)
        self._asked = ""

    operator = Operator("promises", "", "", "")
    as_operator = Gateway("http://localhost:1", "")

    def propose(self, memory: str, step: str) -> Json:
        self._asked = memory
        return {"id": step}

    def kill_and_restart(self) -> None:
        return

    def standing(self) -> Standing:
        return self._now

    def settled(self, view: Json) -> Json:
        state = next(self._ends)
        if state == "executed":
            self._now = Standing(self._asked, self._now.writes + 1)
        return {"state": state, "receipt": {"message": "it was not applied"}}


@pytest.mark.parametrize(
    ("ends", "held"),
    [
        (["executed"], [True]),
        (["void", "executed"], [True, True]),
        (["void", "void", "void"], [True, True, True, False]),
        (["void", "approved"], [True, False]),
    ],
)
def test_a_change_that_came_to_nothing_is_tried_again(
    ends: list[str], held: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill may meet the moment in which void is right; a gateway of which no approval survives is broken."""
    monkeypatch.setattr(operator, "decide", lambda *_, **__: {})
    assert [proof.held for proof in promises.killed(cast(Bench, _Ends(*ends)))] == held
