"""What a pod specification is newly allowed to do to its node."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway.impact.privileges import held
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, changed, container, created, level, lines, made, told, workload


def running(**context: Any) -> Json:
    """A pod specification with a security context of its container."""
    return {"containers": [container(securityContext=context)]}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (running(privileged=True), "It runs container app privileged: it can do everything on its node"),
        (running(capabilities={"add": ["SYS_ADMIN", "CHOWN"]}), "It runs container app with SYS_ADMIN"),
        ({**running(), "hostNetwork": True}, "It shares the node's network (hostNetwork)"),
        ({**running(), "volumes": [{"hostPath": {"path": "/etc"}}]}, "It reads or writes /etc of its node (hostPath)"),
    ],
)
def test_what_is_newly_allowed_is_said(spec: Json, said: str) -> None:
    """In a new workload, in a changed one, and in a CronJob; not where it was so before."""
    job = made("CronJob", "nightly", spec={"jobTemplate": {"spec": {"template": {"spec": spec}}}})
    for change in (created(workload(pod=spec)), created(job), changed(workload(), spec__template__spec=spec)):
        impact = told(change, Around())
        assert said in impact.also_touched
        assert level(impact) == "high"
    assert said not in lines(told(changed(workload(pod=spec), spec__replicas=4), Around()))


def test_what_is_usual_is_not_mentioned() -> None:
    """A capability that the baseline allows, and a context that takes rights away."""
    spec = running(privileged=False, capabilities={"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]})
    assert held(spec) == set()


def test_other_rights_in_the_api() -> None:
    """Another service account is another name."""
    spec = {**running(), "serviceAccountName": "admin"}
    impact = told(changed(workload(), spec__template__spec=spec), Around())
    assert "Its pods speak to the API as admin, no longer as default" in impact.also_touched


@given(
    st.dictionaries(st.sampled_from(["hostPID", "volumes", "containers", "securityContext"]), st.none() | st.just([7]))
)
def test_odd_specifications_hold_nothing(spec: Json) -> None:
    """What is no specification allows nothing."""
    assert held(spec) == set()
