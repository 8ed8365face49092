"""An approval binds what a person saw: pods may flap under it, but nobody may change the object."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from skyflo_runbooks.model.json import Json
from tests.control_plane import flagship
from tests.control_plane.command import FLAGSHIP
from tests.control_plane.fixtures import Stage
from tests.control_plane.headless import Headless, headless
from tests.control_plane.processes import wait_until
from tests.control_plane.stage import Staged

pytestmark = [pytest.mark.control_plane, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def staged(stage_on_control_plane: Stage) -> Staged:
    """Three pods that crash all the time, and so move their Deployment's resourceVersion."""
    return stage_on_control_plane(FLAGSHIP)


@pytest.fixture(scope="module")
def terminal(staged: Staged, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headless]:
    """A gateway on it."""
    with headless(tmp_path_factory.mktemp("gateway"), staged.plane.kubeconfig("operator")) as logged_in:
        yield logged_in


@pytest.fixture(scope="module")
def runbook(terminal: Headless, staged: Staged) -> Path:
    """The runbook that raises the limit."""
    return flagship.diagnosed(terminal, staged)


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"labels": {"team": "payments"}}},
        {"metadata": {"annotations": {"example.com/owner": "somebody"}}},
        {"spec": {"minReadySeconds": 1}},
        {"spec": {"template": {"metadata": {"annotations": {"example.com/restarted": "yes"}}}}},
    ],
    ids=["label", "annotation", "spec", "template"],
)
def test_a_foreign_change_voids_it(terminal: Headless, staged: Staged, runbook: Path, change: Json) -> None:
    """Whatever part of the object moved, nothing is applied; the next test's `run` proposes it on the new object."""
    proposal = _proposed(terminal, runbook)
    before = len(flagship.applied(staged))
    staged.plane.merge(staged.deployment("payment-service"), change)
    decided = terminal.command("approve", proposal, "--yes")
    assert decided.returncode == 13, decided.stdout + decided.stderr
    assert terminal.answer("show", proposal)["state"] == "void"
    assert len(flagship.applied(staged)) == before


def test_flapping_pods_do_not(terminal: Headless, staged: Staged, runbook: Path) -> None:
    """The Deployment's resourceVersion moves while the card is read; the approval stays good, and is used once."""
    proposal = _proposed(terminal, runbook)
    before = len(flagship.applied(staged))
    seen: set[str] = set()

    def moved() -> bool:
        seen.add(staged.plane.get(staged.deployment("payment-service"))["metadata"]["resourceVersion"])
        return len(seen) >= 3

    wait_until("the Deployment's resourceVersion moved twice", moved, within=120)
    assert terminal.command("approve", proposal, "--yes").returncode == 0
    assert len(flagship.applied(staged)) == before + 1
    assert terminal.answer("show", proposal)["state"] == "executed"
    again = terminal.command("approve", proposal, "--yes")
    assert again.returncode != 0
    assert len(flagship.applied(staged)) == before + 1
    staged.set_limit("payment-service", "256Mi")


def _proposed(terminal: Headless, runbook: Path) -> str:
    """The open proposal of the runbook's change; `run` without `--wait` stops there."""
    stopped = terminal.command("run", str(runbook), within=120)
    assert stopped.returncode == 10, stopped.stdout + stopped.stderr
    return terminal.waiting("raise_memory")
