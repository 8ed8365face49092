"""What a pod specification is newly allowed to do to its node."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway.impact.privileges import held
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, changed, container, created, level, lines, made, told, workload
from tests.gateway.impact.test_access import READ, binding, role, rule


def running(**context: Any) -> Json:
    """A pod specification with a security context of its container."""
    return {"containers": [container(securityContext=context)]}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (running(privileged=True), "It runs container app privileged: it can do everything on its node"),
        (running(capabilities={"add": ["SYS_ADMIN", "CHOWN"]}), "It runs container app with SYS_ADMIN"),
        (running(procMount="Unmasked"), "It shows container app all of /proc (procMount)"),
        (running(seccompProfile={"type": "Unconfined"}), "It runs container app without seccomp"),
        (running(appArmorProfile={"type": "Unconfined"}), "It runs container app without AppArmor"),
        (running(windowsOptions={"hostProcess": True}), "It runs container app as a process of its node (hostProcess)"),
        (
            {"containers": [container(ports=[{"containerPort": 80, "hostPort": 8080}])]},
            "It listens for container app on port 8080 of its node (hostPort)",
        ),
        (
            {**running(), "securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            "It sets kernel.msgmax of its node's kernel",
        ),
        (
            {**running(), "securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            "It runs its pods without seccomp",
        ),
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
    spec = running(
        privileged=False,
        capabilities={"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        seccompProfile={"type": "RuntimeDefault"},
        procMount="Default",
    )
    spec["securityContext"] = {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}
    assert held(spec) == set()


def test_other_rights_in_the_api() -> None:
    """Another service account is another name."""
    spec = {**running(), "serviceAccountName": "admin"}
    impact = told(changed(workload(), spec__template__spec=spec), Around())
    assert "Its pods speak to the API as admin, no longer as default" in impact.also_touched


READING = {
    "containers": [
        container(
            env=[{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}, {"name": "X", "value": "1"}],
            envFrom=[{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "settings"}}],
        )
    ],
    "volumes": [
        {"name": "a", "secret": {"secretName": "tls"}},
        {"name": "b", "projected": {"sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "settings"}}]}},
        {"name": "c", "emptyDir": {}},
    ],
}


@pytest.mark.parametrize(
    "change",
    [created(made("Pod", "x", spec=READING)), changed(workload(), spec__template__spec=READING)],
    ids=["pod", "patch"],
)
def test_secrets_that_pods_get_are_named(change: Any) -> None:
    """Whoever may make a pod reads every Secret of its namespace; no authorizer asks."""
    impact = told(change, Around())
    assert "Its pods get the Secrets all, db, part, tls" in impact.also_touched
    assert ("medium", "its pods get Secrets that they did not have") in impact.risks


def test_secrets_that_pods_have_are_not_mentioned() -> None:
    """They had them before."""
    assert "Secret" not in lines(told(changed(workload(pod=READING), spec__replicas=4), Around()))


ADMIN = {**running(), "serviceAccountName": "admin"}
ACCOUNT = {"kind": "ServiceAccount", "name": "admin", "namespace": "shop"}
EVERYTHING = role(rule("*", "*", "*"), kind="ClusterRole", name="cluster-admin")


def bound(subject: Json) -> Around:
    """A cluster in which somebody may do everything, and somebody else may list pods."""
    widest = binding("cluster-admin", subject, kind="ClusterRoleBinding", role_kind="ClusterRole")
    return Around(widest, EVERYTHING, role(READ), binding("dev", {**ACCOUNT, "name": "reader"}))


@pytest.mark.parametrize(
    "subject",
    [
        ACCOUNT,
        {"kind": "Group", "name": "system:serviceaccounts:shop"},
        {"kind": "Group", "name": "system:serviceaccounts"},
        {"kind": "Group", "name": "system:authenticated"},
    ],
    ids=lambda one: str(one["name"]),
)
@pytest.mark.parametrize(
    "change",
    [
        created(made("Pod", "x", spec=ADMIN)),
        created(workload(pod=ADMIN)),
        created(made("CronJob", "x", spec={"jobTemplate": {"spec": {"template": {"spec": ADMIN}}}})),
        changed(workload(), spec__template__spec=ADMIN),
    ],
    ids=["pod", "workload", "cronjob", "patch"],
)
def test_pods_that_may_do_everything_are_of_high_risk(change: Any, subject: Json) -> None:
    """Whoever makes a pod is its ServiceAccount, and no authorizer asks whether they may be."""
    impact = told(change, bound(subject))
    assert "Its pods speak to the API as admin" in lines(impact)
    assert "which may do everything (*) on *" in lines(impact)
    assert level(impact) == "high"


def test_rights_of_little_weight_are_said() -> None:
    """A creation is not of more risk for them."""
    impact = told(created(made("Pod", "x", spec={**running(), "serviceAccountName": "reader"})), bound(ACCOUNT))
    assert "Its pods speak to the API as reader, which may get, list on pods" in impact.also_touched
    assert "high" not in [risk for risk, reason in impact.risks if "somebody else" in reason]


@pytest.mark.parametrize("kind", ["ClusterRoleBinding", "Role"])
def test_rights_that_could_not_be_read_are_unknown(kind: str) -> None:
    """Not none."""
    around = bound(ACCOUNT)
    around.refused = (kind,)
    impact = told(created(made("Pod", "x", spec=ADMIN)), around)
    assert any(said.startswith(kind) for said in impact.unknown)
    assert level(impact) != "low"


@pytest.mark.parametrize(
    "change",
    [
        created(made("Pod", "x", spec=running())),
        changed(workload(pod=ADMIN), spec__replicas=4),
        created(made("ConfigMap", "x")),
    ],
    ids=["default", "as before", "no pods"],
)
def test_nothing_is_read_where_nobody_else_speaks(change: Any) -> None:
    """Four lists are not read for every change."""
    around = bound(ACCOUNT)
    told(change, around)
    assert not {"RoleBinding", "ClusterRoleBinding", "Role", "ClusterRole"} & {kind for kind, _ in around.read}


@given(
    st.dictionaries(st.sampled_from(["hostPID", "volumes", "containers", "securityContext"]), st.none() | st.just([7]))
)
def test_odd_specifications_hold_nothing(spec: Json) -> None:
    """What is no specification allows nothing."""
    assert held(spec) == set()
