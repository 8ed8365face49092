"""An image is set only where it can be had: held by a node, in a registry that answers, for the node's machine."""

from __future__ import annotations

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.rules.image import readable
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan
from tests.diagnosis import world
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, checks_of, planned, prose_of, value_of

NAMES = Names()
AWAY = "dial tcp: lookup registry.example.com on 10.96.0.10:53: no such host"
FORMAT = "exec /service: exec format error"


def stuck(image: str, reason: str, message: str, *, before: str = "", held: str = "", **spec: object) -> Snapshot:
    """Return a workload whose image cannot be had; `before` is the image of the revision before, `held` a node's."""
    made = world.container(NAMES, image, **spec)
    pod = world.pod(NAMES, made, {"state": {"waiting": {"reason": reason, "message": message}}})
    sets = [world.replica_set(NAMES, made, 2, replicas=1)]
    if before:
        sets.append(world.replica_set(NAMES, world.container(NAMES, before), 1, replicas=0))
    found = world.snapshot([world.deployment(NAMES, made, replicas=1), *sets, pod])
    found.objects["Node"] = [world.node(images=(held,) if held else ())]
    return found


def machine(found: Snapshot, name: str, architecture: str) -> None:
    """Give a snapshot's node of this name an architecture; the node is made where there is none."""
    nodes = [node for node in found.objects["Node"] if node["metadata"]["name"] == name] or [world.node(name)]
    nodes[0]["status"]["nodeInfo"] = {"architecture": architecture}
    found.objects["Node"] = [*(node for node in found.objects["Node"] if node is not nodes[0]), nodes[0]]


def first(found: Snapshot) -> Finding:
    """Return the one finding."""
    (finding,) = diagnose(found, Incident("payment-service does not start")).findings
    return finding


def only_advises(made: Plan) -> bool:
    """Return whether the plan has no change and says what a person can do."""
    return not any(isinstance(step, ChangeStep) for step in made.steps) and "Advice" in prose_of(made)


# IMG-03 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Payment-SVC:v2", "payment-svc:v2"),
        ("https://registry.example.com/Shop/payments:V2", "registry.example.com/shop/payments:V2"),
        (" registry.example.com:5000/Payments", "registry.example.com:5000/payments"),
        ("payment-svc:v2", "payment-svc:v2"),
    ],
)
def test_a_reference_is_read_without_what_none_may_have(written: str, meant: str) -> None:
    """Blanks, a scheme and capitals; a tag may have capitals, and a port is no tag."""
    assert readable(written) == meant


async def test_what_was_meant_is_set_where_a_node_holds_it() -> None:
    """Before the image of an earlier revision, which is another version."""
    found = stuck(
        "Payment-SVC:v2.4.1",
        "InvalidImageName",
        "couldn't parse image name",
        before="payment-svc:v2.4.0",
        held="docker.io/library/payment-svc:v2.4.1",
    )
    made = await planned(found)

    assert value_of(made, "image") == "payment-svc:v2.4.1"
    assert first(found).facts["good_source"] == "is held by this node"
    assert [item.tool for item in made.alternatives] == ["k8s_rollout_undo"]


async def test_what_nobody_holds_may_be_misspelt_as_well() -> None:
    """Then the image that ran before is what is known."""
    found = stuck("Payment-SVC:v2.4.1", "InvalidImageName", "couldn't parse", before="payment-svc:v2.4.0")

    assert value_of(await planned(found), "image") == "payment-svc:v2.4.0"


# IMG-05 ---------------------------------------------------------------------------------------------------------------

BROKEN, OLDER = "registry.example.com/shop/payments:v2", "registry.example.com/shop/payments:v1"


@pytest.mark.parametrize(
    ("before", "held", "policy", "image"),
    [
        (OLDER, OLDER, "IfNotPresent", OLDER),
        (OLDER, OLDER, "Always", None),
        (OLDER, "", "IfNotPresent", None),
        ("mirror.example.com/shop/payments:v1", "", "Always", "mirror.example.com/shop/payments:v1"),
    ],
    ids=["held", "held, and asked for all the same", "not held", "another registry"],
)
async def test_of_a_registry_that_is_away_only_what_a_node_holds_is_set(
    before: str, held: str, policy: str, image: str | None
) -> None:
    """An image that ran before is of no use where it would have to be pulled from the same registry."""
    found = stuck(BROKEN, "ErrImagePull", AWAY, before=before, held=held, imagePullPolicy=policy)
    finding = first(found)

    assert finding.fault == "IMG-05"
    assert finding.facts.get("good_image") == image
    if image is None:
        assert only_advises(await planned(found))


# IMG-06 ---------------------------------------------------------------------------------------------------------------


def foreign(*, neighbour: str = "", image: str = "payment-svc:v2.4.1") -> Snapshot:
    """Return a workload whose image is not for its arm64 node; a ready `neighbour` pod runs an image on amd64."""
    found = stuck("payment-svc:v2.4.1", "ErrImagePull", "no match for platform in manifest: not found")
    machine(found, "node-a", "arm64")
    machine(found, "node-b", "amd64")
    if neighbour:
        other = msgspec.structs.replace(NAMES, workload=neighbour)
        pod = world.pod(other, world.container(other, image), world.running(), serves=True)
        pod["metadata"]["ownerReferences"] = []
        pod["spec"]["nodeName"] = "node-b"
        found.objects["Pod"].append(pod)
    return found


async def test_nodes_that_the_image_runs_on_are_chosen() -> None:
    """By the label that every kubelet gives its node; and that the pods are placed is verified."""
    found = foreign(neighbour="twin")
    made = await planned(found)

    assert first(found).title.endswith("is not for its node's architecture (arm64)")
    selector = change_of(made).arguments["patch"]["spec"]["template"]["spec"]["nodeSelector"]
    assert selector == {"kubernetes.io/arch": "amd64"}
    assert {"pods_scheduled", "rollout_complete"} <= checks_of(made).keys()


@pytest.mark.parametrize("found", [foreign(), foreign(neighbour="twin", image="other:v1")], ids=["alone", "another"])
async def test_no_architecture_is_guessed(found: Snapshot) -> None:
    """A node of another kind proves nothing, and neither does another image on it."""
    assert only_advises(await planned(found))


def test_a_program_that_the_kernel_cannot_run_may_be_a_script_without_its_first_line() -> None:
    """The same words: so it is less sure, and the advice names both."""
    made = world.container(NAMES, "payment-svc:v2.4.1")
    pod: Json = world.pod(NAMES, made, world.ended(1, "Error", restarts=3))
    sets = [world.replica_set(NAMES, made, 2, replicas=1)]
    log = Log("checkout", pod["metadata"]["name"], NAMES.container, True, f"{FORMAT}\n")
    finding = first(world.snapshot([world.deployment(NAMES, made, replicas=1), *sets, pod], logs=(log,)))

    assert (finding.fault, finding.confidence) == ("IMG-06", 0.85)
    assert finding.evidence[0].text == FORMAT
    assert "script" in finding.advice
    assert first(foreign()).confidence == 0.95
