"""Who fails because another does not answer comes after what ails that other, whoever of them the words name."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep
from tests.diagnosis import scenes, world
from tests.diagnosis.scenes import event
from tests.diagnosis.world import Names
from tests.planning.tries import checks_of, planned

NAMES = Names()
LEDGER = scenes.beside(NAMES, "ledger")
REFUSED = "INFO starting\nfatal: dial tcp: ledger:80: connect: connection refused\n"


def asking(names: Names = NAMES, log: str = REFUSED, *, before: bool = False) -> tuple[list[Json], tuple[Log, ...]]:
    """A workload whose process ends because it does not reach the ledger."""
    spec = world.container(names, f"{names.image}:v1")
    pods = [world.pod(names, spec, world.ended(1, "Error", restarts=5), index=index) for index in range(2)]
    logs = tuple(Log(names.namespace, pod["metadata"]["name"], names.container, True, log) for pod in pods)
    sets = [world.replica_set(names, spec, 2, replicas=2), *([world.replica_set(names, spec, 1)] if before else [])]
    return [world.deployment(names, spec, replicas=2), *sets, *pods, world.service(names)], logs


def ledger(tag: str = "v9", kind: str = "Deployment") -> list[Json]:
    """The ledger, whose image does not exist."""
    spec = world.container(LEDGER, f"ledger:{tag}")
    stuck = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": f"ledger:{tag}: manifest unknown"}}}
    made = world.deployment(LEDGER, spec, replicas=1) | {"kind": kind}
    return [made, world.replica_set(LEDGER, spec, 2, replicas=1), world.pod(LEDGER, spec, stuck), world.service(LEDGER)]


def scaled_down(kind: str = "Deployment") -> list[Json]:
    """The ledger wants no pods, and no event says since when."""
    made = ledger(kind=kind)[0]
    made["spec"]["replicas"] = 0
    made["status"] = {"replicas": 0}
    return [made, world.service(LEDGER)]


def asked(found: Snapshot, words: str) -> Diagnosis:
    """What a diagnosis of the namespace says."""
    return diagnose(found, Incident(words, (NAMES.namespace,)))


def named(said: Diagnosis) -> list[tuple[str, str]]:
    """The faults and their objects, the first cause first."""
    return [(one.fault, one.object.name) for one in said.findings]


WORDS = pytest.mark.parametrize("words", ["payment-service keeps crashing", "ledger does not answer", "all is broken"])


@WORDS
def test_the_image_of_the_asked_is_the_cause(words: str) -> None:
    """And the crash a consequence, in words."""
    made, logs = asking()
    (cause,) = asked(world.snapshot([*made, *ledger()], logs=logs), words).findings

    assert (cause.fault, cause.object.name) == ("IMG-01", "ledger")
    assert any("payment-service of Deployment/checkout/payment-service crashes" in said for said in cause.consequences)
    assert "Deployment/checkout/payment-service" in map(str, cause.explains)


@WORDS
@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_one_that_is_scaled_down_and_asked_is_the_cause(words: str, kind: str) -> None:
    """That somebody asks it says that it is to run."""
    made, logs = asking()
    said = asked(world.snapshot([*made, *scaled_down(kind)], logs=logs), words)

    assert named(said) == [("ROL-03", "ledger")]
    assert said.healthy == ()


async def test_what_is_asked_is_repaired_and_who_asked_is_looked_at() -> None:
    """Going back a revision of who asks would change nothing."""
    made, logs = asking(before=True)
    down = scaled_down()
    told = event(down[0], "ScalingReplicaSet", "Scaled down replica set ledger-1 from 2 to 0")
    plan = await planned(world.snapshot([*made, *down, told], logs=logs))

    assert [step.tool for step in plan.steps if isinstance(step, ChangeStep)] == ["k8s_scale"]
    assert checks_of(plan)["pods_ready"]["name"] == NAMES.workload


def test_a_chain_leads_to_its_end() -> None:
    """The shop asks the payment service, which asks the ledger."""
    shop = scenes.beside(NAMES, "shop")
    first, told = asking(shop, "fatal: connect to payment-service.checkout.svc: connection refused\n")
    made, logs = asking()
    (cause,) = asked(world.snapshot([*first, *made, *ledger()], logs=(*told, *logs)), "shop crashes").findings

    assert cause.object.name == "ledger"
    assert {str(item) for item in cause.explains} >= {"Deployment/checkout/shop", "Deployment/checkout/payment-service"}


def test_two_that_ask_each_other_are_both_named() -> None:
    """Neither is the other's cause."""
    made, logs = asking()
    other, told = asking(LEDGER, "fatal: payment-service:80: connection refused\n")
    said = asked(world.snapshot([*made, *other], logs=(*logs, *told)), "all is broken")

    assert sorted(named(said)) == [("CON-05", "ledger"), ("CON-05", "payment-service")]


def test_an_asked_one_that_is_well_explains_nothing() -> None:
    """The crash stays what is known."""
    made, logs = asking()
    said = asked(world.snapshot([*made, *scenes.serving(LEDGER), world.service(LEDGER)], logs=logs), "it crashes")

    assert named(said) == [("CON-05", "payment-service")]


def test_another_ones_fault_stays_beside() -> None:
    """The log names nobody: two causes at once."""
    made, logs = asking(log="panic: assignment to entry in nil map\n")
    said = asked(world.snapshot([*made, *ledger()], logs=logs), "payment-service crashes")

    assert named(said) == [("CON-05", "payment-service"), ("IMG-01", "ledger")]


def test_a_workload_that_sleeps_is_a_note_until_somebody_asks_for_it() -> None:
    """A namespace that only happens to be read has no fault for that; words that name it do."""
    found = world.snapshot([*scenes.serving(NAMES), world.service(NAMES), *scaled_down()])

    assert diagnose(found, Incident("is payment-service well?")).findings == ()
    assert named(asked(found, "ledger does not answer")) == [("ROL-03", "ledger")]
    assert not any("still has as many pods" in note for note in asked(found, "errors of ledger").notes)


def test_how_many_there_were_is_told_by_an_earlier_revision() -> None:
    """The Deployment's controller notes on each of its ReplicaSets how many were wanted."""
    down = scaled_down()
    sets = [world.replica_set(LEDGER, world.container(LEDGER, "ledger:v1"), number, replicas=0) for number in (1, 2)]
    sets[0]["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] = "3"
    sets[1]["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] = "0"
    (found,) = asked(world.snapshot([*down, *sets]), "ledger does not answer").findings

    assert found.facts["replicas"] == "3"
