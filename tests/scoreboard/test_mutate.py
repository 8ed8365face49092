"""A finding rests on what it cites and on nothing else, shown on what a real kubelet said of 22 failures."""

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Evidence
from skyflo_runbooks.model.incident import Incident
from tests.faults.test_kubelet import FAULTS, seen
from tests.scoreboard import mutate

WORDS = Incident("it does not come up")


@pytest.mark.parametrize("workload", sorted(FAULTS))
def test_a_finding_rests_on_its_evidence(workload: str) -> None:
    """Without all that it cites it is gone or less certain."""
    snapshot = seen(workload)
    (finding,) = diagnose(snapshot, WORDS).findings

    assert mutate.rests_on_its_evidence(snapshot, WORDS, finding)


@pytest.mark.parametrize("workload", sorted(FAULTS))
def test_noise_moves_no_finding(workload: str) -> None:
    """Five hundred healthy objects and events of others change nothing."""
    assert mutate.unmoved_by_noise(seen(workload), WORDS)


def test_the_noise_is_as_much_as_it_says() -> None:
    """Five hundred, in the namespace that is asked about, and well: nothing is found in them."""
    snapshot = seen("no-tag")
    noisy = mutate.noisy(snapshot, WORDS)
    more = [
        item for kind, items in noisy.objects.items() for item in items if item not in snapshot.objects.get(kind, [])
    ]
    alone = msgspec.structs.replace(noisy, objects={kind: [] for kind in snapshot.objects})

    assert len(more) == mutate.NOISE
    assert {item["metadata"]["namespace"] for item in more} == set(snapshot.namespaces)
    assert diagnose(mutate.noisy(alone, WORDS), WORDS).findings == ()


def test_the_same_words_go_wherever_they_stand() -> None:
    """A controller says in a condition what its event says, without the event's first words, and of another pod."""
    said = 'pods "web-7d4-abcde" is forbidden: exceeded quota: team, requested: cpu=1, used: cpu=2, limited: cpu=2'
    other = said.replace("abcde", "fghij")
    failure = {"type": "ReplicaFailure", "status": "True", "message": other}
    app = {"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "status": {"conditions": [failure]}}
    event = {"involvedObject": {"kind": "ReplicaSet", "name": "web-7d4"}, "message": f"Error creating: {said}"}
    snapshot = Snapshot("2026-01-05T10:00:00Z", ("shop",), {"Deployment": [app], "Event": [event]})

    left = mutate.taken_away(
        snapshot, Evidence("ReplicaSet/shop/web-7d4 event FailedCreate", "", f"Error creating: {said}", "e1")
    )

    assert left.objects["Event"] == []
    assert left.objects["Deployment"][0]["status"]["conditions"] == []
    assert snapshot.objects["Deployment"][0]["status"]["conditions"] == [failure]


def test_a_finding_that_cites_the_wrong_thing_is_caught() -> None:
    """Evidence that has nothing to do with the finding is no ground: taking it away changes nothing."""
    snapshot = seen("no-tag")
    (finding,) = diagnose(snapshot, WORDS).findings
    beside = Evidence(f"ConfigMap/{snapshot.namespaces[0]}/beside", "", "", "e1")

    assert not mutate.rests_on_its_evidence(snapshot, WORDS, msgspec.structs.replace(finding, evidence=(beside,)))


@pytest.mark.parametrize(
    ("source", "text", "gone"),
    [
        ("Pod/{namespace}/{pod} condition Ready", "", "Ready"),
        ("Pod/{namespace}/{pod} status of container no-tag", "", "containerStatuses"),
        ("Deployment/{namespace}/no-tag template", "containers: x", "containers"),
        ("Deployment/{namespace}/no-tag spec.replicas", "1", "replicas"),
        ("Deployment/{namespace}/no-tag", "", "Deployment"),
    ],
)
def test_what_is_cited_is_what_goes(source: str, text: str, gone: str) -> None:
    """The condition, the status, the field of the template, the field, the object."""
    snapshot = seen("no-tag")
    pod = snapshot.objects["Pod"][0]["metadata"]["name"]
    piece = Evidence(source.format(namespace=snapshot.namespaces[0], pod=pod), "", text, "e1")
    kind = source.partition("/")[0]

    before, after = (str(one.objects[kind]) for one in (snapshot, mutate.taken_away(snapshot, piece)))

    assert gone in before
    assert before.count(gone) > after.count(gone)
