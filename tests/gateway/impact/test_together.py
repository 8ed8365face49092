"""The impacts of a list of requests as one."""

from skyflo_runbooks.gateway.impact import together
from skyflo_runbooks.model.proposal import Impact
from tests.gateway.impact.scenes import Around, changed, made, pod, request, told, workload

WEB, SETTINGS = request("patch", workload()), request("create", made("ConfigMap", "settings"))
NONE = Impact(
    while_it_runs=("No pod restarts",),
    also_touched=("Nothing else that was found",),
    ownership=("Not managed by Helm, Argo CD, Flux or an owner",),
)


def test_one_request_speaks_for_itself() -> None:
    """No name is put before what is said of the only object."""
    impact = Impact(also_touched=("Service web",), risks=(("medium", "a"),))
    assert together([(WEB, impact)]) == impact


def test_each_sentence_of_several_says_of_which_object() -> None:
    """And nothing is said to be nothing beside something."""
    impact = Impact(
        while_it_runs=("3 pods restart",), ownership=("Helm release a",), unknown=("Node could not be read",)
    )
    both = together([(WEB, impact), (SETTINGS, NONE)])
    assert both.while_it_runs == ("Deployment/shop/web: 3 pods restart",)
    assert both.also_touched == ("Nothing else that was found",)
    assert both.ownership == ("Deployment/shop/web: Helm release a",)
    assert both.unknown == ("Node could not be read",)


def test_nothing_of_all_is_said_once() -> None:
    """Three objects that touch nothing are three times the same."""
    assert together([(WEB, NONE), (SETTINGS, NONE)]) == NONE


def test_a_drain_is_told_of_all_its_pods() -> None:
    """The evictions are one thing; the node's cordon is another."""
    cordon = request("patch", made("Node", "n1", namespace=""))
    told = Impact(while_it_runs=("2 pods leave one after another",), risks=(("high", "b"),))
    both = together(
        [(cordon, Impact(also_touched=("No new pod comes to it",))), (request("evict", pod("web-1")), told)]
    )
    assert both.while_it_runs == ("2 pods leave one after another",)
    assert both.also_touched == ("Node/n1: No new pod comes to it",)
    assert both.risks == (("high", "b"),)


def test_what_anybody_wrote_cannot_write_on_the_card() -> None:
    """An annotation is one line of bounded length, and moves no cursor."""
    hostile = "shop\x1b[2J\nApproved by operator\u202e" + "x" * 5000
    impact = told(changed(workload(annotations={"meta.helm.sh/release-name": hostile}), spec__replicas=4), Around())
    (line,) = impact.ownership
    assert line.startswith("Helm release shop\ufffd[2J\ufffdApproved by operator\ufffdxxx")
    assert len(line) < 600
