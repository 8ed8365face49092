"""The benchmark measures everything that it promises, and says plainly what it could not measure."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import crowd
from tests.benchmarks.figures import Figure, Target, median, p95
from tests.control_plane import builds

ROOT = Path(__file__).parents[2]
NAMES = {
    "new_flagship",
    "diagnosis_100_pods",
    "read_overhead",
    "read_overhead_mcp",
    "gather_five_reads",
    "approve_applied_practice",
    "approve_applied",
    "import_skyflo_kernel",
    "help",
    "papermill_overhead",
    "decisions_durable",
    "front_page_waiting",
    "memory_idle",
    "memory_after_calls",
    "diagnosis_5000_pods",
    "memory_5000_pods",
    "rules_5000_pods",
    "diagnosis_growth",
}


def test_every_figure_is_there_and_positive() -> None:
    """One short run prints one JSON object; what is not in it is named as not measured."""
    command = [sys.executable, "-m", "tests.benchmarks", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    figures = {figure["name"]: figure for figure in said["figures"]}
    missing = {one["name"] for one in said["not_measured"]}
    built = not isinstance(builds.control_plane(), builds.Absent)
    assert set(figures) == NAMES - (set() if built else {"approve_applied"})
    assert missing >= NAMES - set(figures) | {"demo_clean_checkout", "diagnosis_over_k8sgpt"}
    assert [name for name, figure in figures.items() if not figure["value"] > 0] == []
    assert all(figure["how"] and figure["unit"] in ("s", "ms", "MB", "ratio") for figure in figures.values())
    assert said["machine"]["cores"] >= 1
    assert said["machine"]["processor"]


@pytest.mark.parametrize(
    ("target", "met", "missed"),
    [(Target("<", 10), 9.9, 10), (Target("<=", 1.05), 1.05, 1.06), (Target(">=", 0.1), 0.1, 0.09)],
)
def test_a_figure_says_whether_its_target_is_met(target: Target, met: float, missed: float) -> None:
    """On both sides of the bound."""
    assert Figure("x", met, "ms", "so", target).to_json()["met"] is True
    assert Figure("x", missed, "ms", "so", target).to_json()["met"] is False


def test_a_figure_without_a_target_claims_nothing() -> None:
    """Neither met nor missed."""
    said = Figure("x", 1.23456, "s", "so", parts={"part_s": 0.98765}).to_json()
    assert (said["target"], said["met"], said["value"], said["parts"]) == (None, None, 1.235, {"part_s": 0.988})


def test_the_95th_percentile_is_a_value_that_was_seen() -> None:
    """By nearest rank: of twenty the nineteenth, of one the one."""
    assert p95([float(value) for value in range(20, 0, -1)]) == 19
    assert p95([7.0]) == 7
    assert median([3.0, 1.0, 2.0]) == 2


def test_a_crowd_has_as_many_pods_as_were_asked_for(tmp_path: Path) -> None:
    """The flagship's own, and healthy neighbours; the flagship is told as it is."""
    from skyflo_runbooks.practice import scenario

    written = scenario.load(str(crowd.write(tmp_path / "crowd.yaml", 30)))
    applied = [each for each in written.history[0].apply if each["kind"] == "Deployment"]
    assert sum(each["spec"]["replicas"] for each in applied) == 30
    assert written.incident == scenario.load("oomkilled-payment").incident
    assert len({each["metadata"]["name"] for each in applied}) == len(applied)
