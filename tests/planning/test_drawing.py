"""The drawing of an incident's objects."""

import re

import msgspec

from skyflo_runbooks.diagnosis import diagnose
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.notebook.compile import compile_plan
from skyflo_runbooks.planning.drawing import MOST, PODS, drawing
from tests.diagnosis import world
from tests.diagnosis.world import Names
from tests.planning.tries import planned


def drawn(names: Names = Names(), *, pods: int = 3) -> str:  # noqa: B008  (a frozen value)
    """Return the drawing of the OOM world."""
    found = world.oom_killed(names)
    spec = world.container(names, "payment-svc:v2.4.1")
    more = [world.pod(names, spec, world.ended(137, "OOMKilled", restarts=1), index=index) for index in range(3, pods)]
    found = msgspec.structs.replace(found, objects={**found.objects, "Pod": [*found.objects["Pod"], *more]})
    return drawing(found, diagnose(found, Incident("it crashes")).findings[0])


def test_the_cause_is_marked_and_connected() -> None:
    """Service to pods, Deployment to ReplicaSet to pods, pods to the node; the Deployment is the cause."""
    said = drawn()

    number = re.search(r'(o\d+)\["Deployment<br/>payment-service"\]', said)
    assert number is not None
    assert f"class {number[1]} cause" in said
    for relation in ("owns", "selects", "runs on"):
        assert f"-->|{relation}|" in said


def test_every_line_refers_to_an_object_that_is_there() -> None:
    """No edge without its two ends."""
    said = drawn()

    objects = set(re.findall(r"^  (o\d+)\[", said, re.MULTILINE))
    assert set(re.findall(r"\bo\d+\b", said)) == objects


def test_a_crowd_is_cut() -> None:
    """A hundred pods are not drawn, and what is drawn is still connected."""
    said = drawn(pods=100)

    assert said.count('["Pod<br/>') == PODS
    assert said.count("<br/>") <= MOST
    assert "-->|owns|" in said


def test_names_cannot_leave_their_label() -> None:
    """What could end a label or begin markup is left out."""
    said = drawn(Names(workload='x"]; click o0 "javascript:alert(1)'))

    assert '"]; click' not in said


def test_one_object_alone_is_no_drawing() -> None:
    """There is nothing to connect."""
    found = world.oom_killed()
    finding = diagnose(found, Incident("it crashes")).findings[0]
    alone = msgspec.structs.replace(found, objects={"Deployment": found.objects["Deployment"]})

    assert drawing(alone, msgspec.structs.replace(finding, related=())) == ""


async def test_a_notebook_takes_the_drawing() -> None:
    """It stands in the first cell, in place of the one that is drawn from the finding alone."""
    found = world.oom_killed()
    made = await planned(found)
    said = drawing(found, made.findings[0])

    assert f"```mermaid\n{said}\n```" in compile_plan(made, graph=said)["cells"][0]["source"]
