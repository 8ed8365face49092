"""The rules know no scenario: everything renamed is diagnosed as before, and no rule's source names anything of one."""

import re
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest

import skyflo_runbooks
from skyflo_runbooks.model.json import at
from skyflo_runbooks.model.plan import ChangeStep
from skyflo_runbooks.practice import Scenario, load, names
from skyflo_runbooks.practice.scenario import folder, parse
from tests.faults import kubelets, staging
from tests.planning.staged import stage
from tests.scoreboard import names as drawn

BROKEN = sorted(name for name in names() if load(name).expect.fault)
# Words of Kubernetes itself, or of the trade, that scenarios use as everybody does.
COMMON = {"app", "default", "http", "dns", "default-scheduler", "data", "main", "cache"}
# What Helm calls the labels of its releases, and Istio the container that it injects, on every cluster.
COMMON |= {"istio-proxy", "name", "modifiedAt"}


def own_words(scenario: Scenario) -> set[str]:
    """Return what only this scenario calls so: namespaces, names, containers, labels and annotations of its own."""
    words = {scenario.scenario, scenario.namespace}
    for step in scenario.history:
        for manifest in step.apply:
            words |= {str(at(manifest, "metadata", "name"))}
            words |= set(at(manifest, "metadata", "annotations", default={}))
            for container in at(manifest, "spec", "template", "spec", "containers", default=[]):
                words.add(str(container["name"]))
                words |= {str(item["name"]) for item in container.get("env", [])}
    return {word for word in words if "kubernetes.io" not in word} - COMMON


def renamed(name: str) -> Scenario:
    """Return the scenario with each of its own names, and what contains them, spelt another way."""
    text = (folder() / f"{name}.yaml").read_text()
    scenario = load(name)
    kept = {scenario.scenario, "LOG_LEVEL"}
    for number, word in enumerate(sorted(own_words(scenario) - kept, key=len, reverse=True)):
        other = f"ZEBRA_{number}_URL" if word.isupper() else f"zebra-{number}"
        text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", other, text)
    return parse(text, f"{name} renamed")


@pytest.mark.parametrize("name", BROKEN)
async def test_everything_renamed_is_found_all_the_same(name: str) -> None:
    """The same fault, of the renamed object, with a change."""
    scenario = renamed(name)
    assert scenario.namespace != load(name).namespace

    async with stage(scenario) as staged:
        _, diagnosis = await staged.look()
        made = await staged.planned()

    expected = scenario.expect
    assert [(item.fault, str(item.object)) for item in diagnosis.findings] == [(expected.fault, expected.object)]
    assert made is not None
    assert any(isinstance(step, ChangeStep) for step in made.steps)


@cache
def code() -> str:
    """The sources of diagnosis and planning without what they say about themselves.

    `anonymise` gives snapshots other names and diagnoses nothing; its words are everybody's.
    """
    root = Path(skyflo_runbooks.__file__).parent
    files = [path for part in ("diagnosis", "planning") for path in (root / part).rglob("*.py")]
    sources = [path.read_text() for path in files if path.name != "anonymise.py"]
    return "\n".join(re.sub(r'"""[\s\S]*?"""|#.*', "", source) for source in sources)


@pytest.mark.parametrize("name", names())
def test_no_rule_names_anything_of_a_scenario(name: str) -> None:
    """Sources of diagnosis and planning hold none of a scenario's own words as a literal."""
    for word in own_words(load(name)):
        assert not re.search(rf"[\"']{re.escape(word)}[\"']", code()), word


@pytest.mark.parametrize("family", [*staging.families(), *(f"node/{name}" for name in kubelets.families())])
def test_no_rule_names_anything_of_a_staged_case(family: str) -> None:
    """Nor of a case of tests/faults: its names, labels, annotations and domains, as a literal or within one."""
    _, on_node, name = family.rpartition("node/")
    for case in kubelets.load([name]).cases if on_node else staging.cases(family):
        said = asdict(case)
        words = drawn.own({key: value for key, value in said.items() if key not in ("fault", "repair", "words")})
        for word in words - COMMON:
            assert not re.search(rf"[\"']{re.escape(word)}[\"']", code()), (case.fault, word)
        for domain in set(re.findall(r"[\w.-]+\.example(?:\.com)?(?:/[\w-]+)?", str(said))):
            assert domain not in code(), (case.fault, domain)
