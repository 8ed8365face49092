"""How sure a finding is in the end: what could not be read makes it less sure, and is named as what would decide it."""

import re

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Gap, Snapshot, diagnose
from skyflo_runbooks.diagnosis.certainty import SURE, UNREAD_SHARE, questions
from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.questions import QUESTIONS
from skyflo_runbooks.diagnosis.rules import RULES
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.planning import plan
from tests.diagnosis import added, scenes, world
from tests.diagnosis.world import FAULTS, Names
from tests.planning.tries import Tries

WORDS = Incident("something is wrong")
NAMES = Names()


def refused(found: Snapshot, *kinds: str, namespace: str = "") -> Snapshot:
    """Return the snapshot as somebody reads it who may not list these kinds."""
    return msgspec.structs.replace(
        found,
        objects={kind: [] if kind in kinds else items for kind, items in found.objects.items()},
        logs=() if "Log" in kinds else found.logs,
        gaps=(*found.gaps, *(Gap(kind, namespace, f"{kind} is forbidden") for kind in kinds)),
    )


def first(found: Snapshot) -> Finding:
    """Return the first finding."""
    return diagnose(found, WORDS).findings[0]


def test_what_is_certain_asks_for_nothing_more() -> None:
    """Its evidence is what it rests on."""
    found = first(world.oom_killed())

    assert found.confidence >= SURE
    assert found.evidence
    assert found.decided_by == ()


def test_what_is_not_certain_says_what_would_settle_it_and_what_each_outcome_means() -> None:
    """Without the log, the difference between two revisions alone speaks: the log and the revision would decide."""
    found = first(msgspec.structs.replace(world.missing_variable(), logs=()))

    assert found.confidence < SURE
    look = found.decided_by[0]
    assert look.look == f"the log of container {NAMES.container} of {found.object}, of the run that ended"
    assert f"it names {found.facts['variable']}" in look.confirms
    assert "coincidence" in look.refutes
    assert look.missing == ""


def test_a_refused_read_makes_it_less_sure_and_is_named_with_its_reason() -> None:
    """The log was asked for and refused: the same finding, less sure, and the reason stands beside the look."""
    found = first(refused(world.missing_variable(), "Log"))
    by_itself = first(msgspec.structs.replace(world.missing_variable(), logs=()))

    assert found.confidence == pytest.approx(by_itself.confidence * UNREAD_SHARE, abs=0.005)
    assert found.decided_by[0].missing == "Log is forbidden"
    assert "log" in found.decided_by[0].look
    assert found.decided_by[1:] == by_itself.decided_by


def test_a_refused_read_elsewhere_or_of_another_family_changes_nothing() -> None:
    """Nobody needs the claims of another namespace, or any Ingress, to see an OOM kill."""
    well = first(world.oom_killed())

    assert first(refused(world.oom_killed(), "Ingress")) == well
    elsewhere = msgspec.structs.replace(world.oom_killed(), gaps=(Gap("Pod", "elsewhere", "forbidden"),))
    assert first(elsewhere) == well


def test_a_deeper_cause_that_could_not_be_looked_for_is_what_would_decide() -> None:
    """A webhook may have written the wrong image into the pod: who may not see webhooks is told so."""
    found = first(refused(added.rewritten(NAMES), "MutatingWebhookConfiguration"))

    assert found.fault == "IMG-01"
    assert found.confidence < SURE
    assert [one.missing for one in found.decided_by] == ["MutatingWebhookConfiguration is forbidden"]
    assert "a webhook writes what is wrong" in found.decided_by[0].refutes


@pytest.mark.parametrize("kinds", [("Deployment",), ("ReplicaSet",), ("Deployment", "ReplicaSet")])
@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"NET-01"}))
async def test_an_owner_that_could_not_be_read_is_still_the_object_to_change(
    fault: str, kinds: tuple[str, ...]
) -> None:
    """What the owner made says whose it is: once for all pods, less sure, and the planner can live with it."""
    found = refused(FAULTS[fault](NAMES), *kinds)
    diagnosis = diagnose(found, WORDS)

    assert [(item.fault, str(item.object)) for item in diagnosis.findings] == [
        (fault, f"Deployment/{NAMES.namespace}/{NAMES.workload}")
    ]
    assert diagnosis.findings[0].confidence < first(FAULTS[fault](NAMES)).confidence
    assert {one.missing for one in diagnosis.findings[0].decided_by if one.missing} >= {
        f"{kind} is forbidden" for kind in kinds if kind == "Deployment"
    }
    assert await plan(diagnosis, WORDS, found, Tries(), insist=True) is not None


def test_an_owner_that_was_deleted_is_not_made_up() -> None:
    """Every ReplicaSet was read and this one is not there: the pod stands alone."""
    found = world.oom_killed()
    found.objects["ReplicaSet"] = []
    graph = Graph(found)

    assert graph.workload(found.objects["Pod"][0]) is found.objects["Pod"][0]


def test_a_replica_set_without_its_hash_is_named_itself() -> None:
    """Where the pod does not say of which Deployment it is, its controller's name is all that is known."""
    found = refused(world.oom_killed(), "ReplicaSet")
    for one in found.objects["Pod"]:
        one["metadata"]["labels"].pop("pod-template-hash")
    graph = Graph(found)
    pod = graph.all("Pod")[0]

    assert ref(graph.workload(pod)) == ObjectRef(
        "ReplicaSet", pod["metadata"]["ownerReferences"][0]["name"], NAMES.namespace
    )
    assert graph.workload(pod) is graph.workload(graph.all("Pod")[1])


def test_an_untrusted_webhook_is_a_guess_where_nobody_saw_what_is_behind_it() -> None:
    """A server that is not there fails in many ways: only with its Service read is the certificate to blame."""
    message = (
        'Internal error occurred: failed calling webhook "guard.example.com": failed to call webhook: '
        'Post "https://x": tls: failed to verify certificate: x509: certificate signed by unknown authority'
    )
    held = added.webhook(
        "guard",
        "ValidatingWebhookConfiguration",
        clientConfig={"service": {"name": "guard", "namespace": NAMES.namespace}},
    )
    held["webhooks"][0]["name"] = "guard.example.com"
    made = scenes.serving(NAMES, 0)
    made[0]["spec"]["replicas"] = made[1]["spec"]["replicas"] = 2
    found = world.snapshot([*made, held, scenes.event(made[1], "FailedCreate", message)])

    unseen = first(refused(found, "Service"))

    assert unseen.fault == "ADM-06"
    assert unseen.confidence <= 0.5
    assert "Service is forbidden" in [one.missing for one in unseen.decided_by]


def test_every_question_is_about_a_fault_that_there_is_and_reads_as_words() -> None:
    """No braces are left in what `explain` shows, and both outcomes are said."""
    known = {fault for rule in RULES for fault in rule.faults}

    assert set(QUESTIONS) <= known
    for fault in QUESTIONS:
        for one in questions(fault):
            assert not re.search(r"[{}]", one.look + one.confirms + one.refutes)
            assert one.confirms
            assert one.refutes
            assert one.confirms != one.refutes
