"""What k8sgpt lists is read fairly: its cause counts wherever it stands, and only noise is a false alarm."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skyflo_runbooks.model.json import Json
from tests.control_plane import builds
from tests.faults.staging import Case
from tests.scoreboard import gpt_build, k8sgpt

CASE = Case("SCH-01", "shop", "Deployment/shop/web", app={"name": "web"})


def listed(text: str, kind: str = "Pod", name: str = "shop/web-1") -> Json:
    """One result as `k8sgpt analyze -o json` prints it."""
    return {"kind": kind, "name": name, "error": [{"Text": text}], "parentObject": ""}


def test_results_are_read_from_what_it_prints() -> None:
    """JSON, after whatever it says before; nothing where there is none."""
    said = json.dumps({"provider": "", "results": [listed("x")]})

    assert k8sgpt.results(f"warning: no AI\n{said}") == [listed("x")]
    assert k8sgpt.results('{"results": null}') == []
    assert k8sgpt.results("") == []


@pytest.mark.parametrize(
    ("one", "fault", "named"),
    [
        (listed("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."), "SCH-01", True),
        (listed("0/3 nodes are available: 3 Insufficient cpu."), "SCH-01", False),
        (listed("stuck", "Deployment", "shop/web"), "ROL-99", True),
        (listed("stuck", "Deployment", "shop/other"), "ROL-99", False),
    ],
)
def test_the_cause_is_named_by_its_evidence_or_its_object(one: Json, fault: str, named: bool) -> None:
    """By the catalogue's evidence; where it has no text, by the object that has to change."""
    assert k8sgpt.names_the_cause(one, CASE, fault) is named


def test_a_false_alarm_is_of_the_noise() -> None:
    """The noise itself, or a pod of it."""
    noise = frozenset({"mailer-1"})

    assert k8sgpt.is_noise(listed("x", "Service", "shop/mailer-1"), noise)
    assert k8sgpt.is_noise(listed("x", "Pod", "shop/mailer-1-7d4-abc"), noise)
    assert not k8sgpt.is_noise(listed("x"), noise)


def test_every_sign_is_of_a_fault_and_bites() -> None:
    """No sign that matches the empty text: it would grant everything."""
    import re

    assert [fault for fault, sign in k8sgpt.SIGNS.items() if re.search(sign, "")] == []


def test_it_is_looked_for_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside the checkout, by version; what is not executable is not there."""
    monkeypatch.setenv("SKYFLO_CACHE", str(tmp_path))
    assert gpt_build.find() is None

    program = gpt_build.folder() / "k8sgpt"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    assert gpt_build.find() == program
    assert gpt_build.folder().is_relative_to(builds.cache())
