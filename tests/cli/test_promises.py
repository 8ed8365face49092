"""`verify-promises`: each promise with its attacks, and no proof that is none."""

import pytest

from skyflo_runbooks.cli.promises import PROMISES, refused
from skyflo_runbooks.model.errors import NotAllowed, Refused
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
