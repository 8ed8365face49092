"""CON-15: a failing postStart hook has two witnesses, an event that stays and a state that passes."""

from __future__ import annotations

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names

NAMES = Names()
HOOK: Json = {"postStart": {"exec": {"command": ["/bin/register"]}}}
STATE: Json = {"waiting": {"reason": "PostStartHookError", "message": "command '/bin/register' exited with 1"}}


def hooked(*, shown: bool, told: bool, hook: Json | None = HOOK) -> Snapshot:
    """Return a workload whose hook fails: the state that a kubelet shows for a moment, and the event that it sends."""
    made = world.container(NAMES, "payment-svc:v2.4.1", **({"lifecycle": hook} if hook else {}))
    status = world.ended(0, "Completed", restarts=2) | ({"state": STATE} if shown else {})
    pod = world.pod(NAMES, made, status)
    sets = [world.replica_set(NAMES, made, 2, replicas=1)]
    events = [scenes.event(pod, "FailedPostStartHook", "PostStartHook failed")] if told else []
    return world.snapshot([world.deployment(NAMES, made, replicas=1), *sets, pod, *events])


def found(snapshot: Snapshot) -> list[Finding]:
    """Return the findings of a hook."""
    return [one for one in diagnose(snapshot, Incident("it restarts")).findings if one.fault == "CON-15"]


@pytest.mark.parametrize(
    ("shown", "told", "said"),
    [
        (True, True, ["PostStartHook failed", f"PostStartHookError: {STATE['waiting']['message']}"]),
        (True, False, [f"PostStartHookError: {STATE['waiting']['message']}"]),
        (False, True, ["PostStartHook failed"]),
    ],
)
def test_each_witness_that_is_there_is_cited_once(shown: bool, told: bool, said: list[str]) -> None:
    """So that nothing else holds the finding up than what it shows."""
    (finding,) = found(hooked(shown=shown, told=told))

    words = [piece.text for piece in finding.evidence if piece.source.startswith("Pod/")]
    assert words == said


@pytest.mark.parametrize(("shown", "told", "hook"), [(False, False, HOOK), (True, True, None)])
def test_without_a_witness_or_a_hook_there_is_no_finding(shown: bool, told: bool, hook: Json | None) -> None:
    """A hook that is there may be well, and an event may be older than the template."""
    assert found(hooked(shown=shown, told=told, hook=hook)) == []
