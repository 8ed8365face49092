"""Scenario files that are wrong are refused with what was expected and what came."""

from __future__ import annotations

from pathlib import Path

import pytest

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.practice.scenario import load, parse

GOOD = """
scenario: s
title: t
incident: i
namespace: n
nodes: [{name: a}]
images: [{image: "app:v1", memory: {start: 1Mi, peak: 2Mi, peak_after: 90s}}]
history: [{ago: 1h, apply: [{apiVersion: v1, kind: Namespace, metadata: {name: n}}]}]
"""


def test_durations_and_sizes_are_read() -> None:
    """`90s` is 90 seconds and `2Mi` 2 mebibytes."""
    scenario = parse(GOOD, "good")
    memory = scenario.registry["app:v1"].memory
    assert (memory.peak, memory.peak_after) == (2 * 2**20, 90.0)
    assert float(scenario.history[0].ago) == 3600


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title: t", "titel: t", "titel"),
        ("title: t", "", "title"),
        ("peak: 2Mi", "peak: a lot", "quantity"),
        ("ago: 1h", "ago: soon", "duration"),
        ("nodes: [{name: a}]", "nodes: []", "nodes"),
        ("kind: Namespace", "sort: Namespace", "kind"),
        ("peak: 2Mi", "peak: 2Mi, repaired_by: 4Mi", "repaired_by"),
        ("[{name: a}]", "[{name: a}", "YAML"),
    ],
)
def test_a_wrong_part_is_named(old: str, new: str, said: str) -> None:
    """The error names the field or the value."""
    with pytest.raises(BadInput) as refused:
        parse(GOOD.replace(old, new), "broken.yaml")
    assert "broken.yaml" in str(refused.value)
    assert said in str(refused.value)


def test_history_goes_from_old_to_new() -> None:
    """Steps in the wrong order are refused."""
    second = "\n  - {ago: 2h, apply: []}"
    text = GOOD.replace("history: [", "history:\n  - ").rstrip().removesuffix("]") + second
    with pytest.raises(BadInput, match="oldest first"):
        parse(text, "order.yaml")


def test_an_unknown_scenario_lists_the_known() -> None:
    """The next step names what there is."""
    with pytest.raises(BadInput) as refused:
        load("no-such")
    assert "oomkilled-payment" in refused.value.next_step


def test_a_file_of_ones_own_can_be_loaded(tmp_path: Path) -> None:
    """A path that ends in .yaml is read instead of a name."""
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    assert load(str(path)).scenario == "s"
