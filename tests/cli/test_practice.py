"""`practice`: start, look, break, stop; each can be said twice."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.cli.conftest import Terminal


@pytest.fixture
def practice(terminal: Terminal) -> Iterator[Terminal]:
    """A terminal whose practice cluster is stopped afterwards."""
    yield terminal
    terminal("practice", "stop")


def test_the_life_of_a_practice_cluster(practice: Terminal) -> None:
    """Started once, said once more; another scenario is staged; stopped, and stopped again."""
    first = practice("practice", "start", "--json")
    assert first.code == 0
    assert first.json["scenario"] == "oomkilled-payment"
    assert practice("practice", "start", "--json").json["pid"] == first.json["pid"]
    path = practice("practice", "kubeconfig").out.strip()
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert practice("practice", "break", "wrong-image-tag", "--json").json["scenario"] == "wrong-image-tag"
    assert practice("practice", "status", "--json").json["scenario"] == "wrong-image-tag"
    assert practice("practice", "stop", "--json").json == {"stopped": True}
    assert practice("practice", "stop", "--json").json == {"stopped": False}


def test_kubectl_talks_to_it(practice: Terminal) -> None:
    """The printed kubeconfig is all that kubectl needs."""
    kubectl = needs.kubectl()
    practice("practice", "start")
    path = practice("practice", "kubeconfig").out.strip()
    command = [kubectl, "--kubeconfig", path, "-n", "checkout", "get", "deploy", "-o", "name"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "deployment.apps/payment-service" in done.stdout


@pytest.mark.parametrize("command", [["kubeconfig"], ["break", "healthy"], ["status"]])
def test_without_one_it_says_how_to_start_it(terminal: Terminal, command: list[str]) -> None:
    """Exit 20."""
    said = terminal("practice", *command)
    assert said.code == 20
    assert "practice start" in said.err


def test_an_unknown_scenario_is_bad_input(terminal: Terminal) -> None:
    """Nothing is started for it."""
    assert terminal("practice", "start", "no-such").code == 2
    assert terminal("practice", "status").code == 20


def test_the_list_has_the_operators_words(terminal: Terminal) -> None:
    """Each scenario can be tried with its own incident."""
    said = terminal("practice", "list", "--json")
    names = {one["name"]: one["incident"] for one in said.json}
    assert {"oomkilled-payment", "healthy", "wrong-image-tag"} <= set(names)
    assert all(names.values())
