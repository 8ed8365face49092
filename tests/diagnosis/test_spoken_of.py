"""What somebody set on purpose is a finding where it suffers or the words are about it, and a note elsewhere."""

from collections.abc import Callable

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.meant import SPOKEN_OF
from skyflo_runbooks.diagnosis.rules import RULES
from skyflo_runbooks.diagnosis.words import only_asks
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names

NAMES = Names()
HERE = NAMES.namespace
WELL = "is anything wrong here?"
VAGUE = "something is wrong here, please look"


def suspended() -> Snapshot:
    """A CronJob that somebody suspended, beside a Deployment that serves."""
    cron: Json = {
        "kind": "CronJob",
        "metadata": world.meta("month-end", HERE),
        "spec": {"suspend": True, "schedule": "0 3 1 * *", "jobTemplate": {"spec": {"template": {"spec": {}}}}},
    }
    return world.snapshot([*scenes.serving(NAMES), world.service(NAMES), cron])


def no_budget() -> Snapshot:
    """A budget that lets no pod go; no node is cordoned."""
    found = scenes.kept_on_node(NAMES)
    found.objects["Node"][0]["spec"].pop("unschedulable")
    return found


def said(found: Snapshot, words: str, *, given: bool = True) -> Diagnosis:
    """What a diagnosis says for words, with the namespace given or not."""
    return diagnose(found, Incident(words, (HERE,) if given else ()))


def faults(found: Diagnosis) -> list[str]:
    """The faults that it names."""
    return [one.fault for one in found.findings]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (WELL, False),
        ("check please", False),
        ("payment-service answers slowly", False),
        (VAGUE, True),
        ("month-end?", True),
        ("the cron jobs do nothing", True),
        ("is anything wrong with the nightly jobs?", True),
    ],
)
def test_a_suspended_cronjob_is_named_to_whoever_misses_it(words: str, named: bool) -> None:
    """Who asks whether all is well, or about another workload, gets a note; nothing is lost either way."""
    found = said(suspended(), words)

    assert faults(found) == (["JOB-02"] if named else [])
    assert any("is suspended" in note for note in found.notes) is not named


def test_without_a_namespace_only_its_name_makes_it_one() -> None:
    """The whole cluster was read, and somewhere something is always suspended."""
    assert faults(said(suspended(), VAGUE, given=False)) == []
    assert faults(said(suspended(), "month-end does not run", given=False)) == ["JOB-02"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (WELL, False),
        (VAGUE, False),
        ("payment-service is slow", False),
        ("kubectl drain hangs", True),
        ("Cannot evict pod as it would violate the pod's disruption budget", True),
        ("node-a was cordoned, and nothing leaves it", True),
    ],
)
def test_a_budget_is_named_where_the_words_speak_of_a_drain(words: str, named: bool) -> None:
    """An eviction that was refused leaves no trace in the cluster, and most budgets of few pods allow none."""
    found = said(no_budget(), words)

    assert faults(found) == (["AUT-05"] if named else [])


def test_a_drain_that_is_under_way_needs_no_words() -> None:
    """The node is cordoned, and the pods under the budget are on it."""
    (one,) = said(scenes.kept_on_node(NAMES), VAGUE).findings

    assert (one.fault, one.confidence, "intended" in one.facts) == ("AUT-05", 0.92, False)
    assert "which is to be emptied" in one.title


def test_a_budget_whose_pods_ail_is_nobodys_wish() -> None:
    """One pod is not ready: that is the cause, and the budget does what it is there for."""
    found = no_budget()
    found.objects["PodDisruptionBudget"][0]["status"] |= {"currentHealthy": 1}

    assert faults(said(found, "the drain hangs")) == []


def behind(*containers: Json) -> Snapshot:
    """Pods of these containers, and a Service that sends to a port that none of them declares."""
    made = scenes.serving(NAMES)
    for item in made:
        spec = item["spec"]["template"]["spec"] if item["kind"] != "Pod" else item["spec"]
        spec["containers"] = [*containers]
    front = world.service(NAMES)
    front["spec"]["ports"] = [{"port": 80, "targetPort": 8000}]
    return world.snapshot([*made, front])


AGENT: Json = {"name": "agent", "image": "agent:v1"}
WEB: Json = {"name": "web", "image": "web:v1", "ports": [{"containerPort": 8080}]}


@pytest.mark.parametrize(
    ("words", "named"),
    [(WELL, False), (VAGUE, False), ("connections are refused", True), ("all get a 502", True)],
)
def test_a_port_behind_a_container_that_declares_none_is_named_to_whoever_is_refused(words: str, named: bool) -> None:
    """The first container may listen on any port; where somebody is refused, that it does not is likely."""
    assert faults(said(behind(AGENT, WEB), words)) == (["NET-02"] if named else [])


def test_pods_that_are_not_ready_say_nothing_of_the_port() -> None:
    """The Service has no endpoints because of what ails them."""
    found = behind(AGENT, WEB)
    for pod in found.objects["Pod"]:
        pod["status"]["conditions"] = [{"type": "Ready", "status": "False"}]

    assert "NET-02" not in faults(said(found, "connections are refused"))


def test_every_fault_that_is_spoken_of_is_one_of_a_rule() -> None:
    """A word for a fault that is not in the catalogue would never be asked for."""
    assert set(SPOKEN_OF) <= {fault for rule in RULES for fault in rule.faults}


@pytest.mark.parametrize(
    "words",
    [
        "is anything wrong here?",
        "Is everything all right here?",
        "hello, please check",
        "any routing problem?",
        "storage ok?",
        "anything broken in this namespace",
        "everything healthy?",
        "Are the pods running? Is the Service up?",
    ],
)
def test_a_question_whether_all_is_well_complains_of_nothing(words: str) -> None:
    """It can be answered by no."""
    assert only_asks(words)


@pytest.mark.parametrize(
    "words",
    [
        "something is wrong here",
        "it does not work since this morning, please look",
        "is it down? it has not answered since noon",
        "customers complain. I think the nodes are out of memory",
        "why is everything restarting here",
        "isn't this supposed to run",
        "can you look why it doesn't start",
        "is everything fine? The report never came.",
    ],
)
def test_who_says_what_is_wrong_complains(words: str) -> None:
    """Also after a question, or in one."""
    assert not only_asks(words)


@pytest.mark.parametrize("scene", [suspended, no_budget, lambda: behind(AGENT, WEB)])
def test_a_note_says_that_somebody_set_it(scene: Callable[[], Snapshot]) -> None:
    """It is not silence."""
    assert any(note.startswith("Somebody set this") for note in said(scene(), WELL).notes)
