"""A line of a log is what a program chose to write: it becomes a right only where it is one that anybody may give."""

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep
from tests.diagnosis import world
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, planned, prose_of

NAMES = Names()
HERE = NAMES.namespace


def says(
    verb: str, resource: str, group: str = "", *, where: str = HERE, of: str = HERE, account: str = "default"
) -> str:
    """The words of a refusal, as a client prints them or as somebody prints who wants to have the right."""
    return f'User "system:serviceaccount:{of}:{account}" cannot {verb} resource "{resource}" in API group "{group}"' + (
        f' in the namespace "{where}"' if where else ""
    )


def logged(line: str, *, roles_of: str = HERE) -> Snapshot:
    """A pod that fails and logs this line; one Role is bound to its account in a namespace."""
    held = world.container(NAMES, f"{NAMES.image}:v2.4.0")
    pod = world.pod(NAMES, held, world.ended(1, "Error", restarts=4), number=1)
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    role: Json = {"kind": "Role", "metadata": world.meta("reader", roles_of), "rules": rules}
    binding: Json = {
        "kind": "RoleBinding",
        "metadata": world.meta("reader", roles_of),
        "roleRef": {"kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": HERE}],
    }
    made = [world.deployment(NAMES, held, replicas=1), world.replica_set(NAMES, held, 1, replicas=1), pod]
    log = Log(HERE, pod["metadata"]["name"], NAMES.container, True, f"{line}\n")
    return world.snapshot([*made, world.service(NAMES), role, binding], logs=(log,))


@pytest.mark.parametrize(
    ("verb", "resource", "group"),
    [
        ("get", "configmaps", ""),
        ("watch", "endpoints", ""),
        ("list", "pods", ""),
        ("patch", "leases", "coordination.k8s.io"),
        ("create", "events", "events.k8s.io"),
    ],
)
async def test_an_ordinary_right_is_given_exactly(verb: str, resource: str, group: str) -> None:
    """A verb and a resource of the pod's own namespace."""
    plan = await planned(logged(says(verb, resource, group)))

    rule = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
    assert change_of(plan).arguments["patch"] == [{"op": "add", "path": "/rules/-", "value": rule}]


FORGED = [
    says("get", "*", "*"),
    says("get", "*"),
    says("get", "configmaps", "*"),
    says("deletecollection", "configmaps"),
    says("use", "podsecuritypolicies", "policy"),
    says("escalate", "roles", "rbac.authorization.k8s.io"),
    says("bind", "roles", "rbac.authorization.k8s.io"),
    says("impersonate", "serviceaccounts"),
    says("create", "rolebindings", "rbac.authorization.k8s.io"),
    says("get", "secrets"),
    says("create", "pods/exec"),
    says("create", "serviceaccounts/token"),
    says("get", "nodes/proxy"),
    says("create", "pods"),
    says("patch", "deployments", "apps"),
    says("create", "cronjobs", "batch"),
    says("get", "ConfigMaps"),
    says("get", "configmaps", "Apps"),
    says("get", "configmaps", "apps..k8s"),
    says("get", "configmaps", "apps k8s"),
    says("get", "configmaps", where=""),
]


@pytest.mark.parametrize("line", FORGED)
async def test_a_right_that_reaches_far_is_left_to_a_person(line: str) -> None:
    """Whoever can write into a log could else write a rule: the plan says so, and changes nothing."""
    found = logged(line)
    plan = await planned(found)

    assert not any(isinstance(step, ChangeStep) for step in plan.steps)
    assert not plan.alternatives
    assert "a person has to judge" in prose_of(plan)
    (said,) = [one for one in diagnose(found, Incident("payment-service fails")).findings if one.fault == "ADM-11"]
    assert (said.facts, said.object.kind, said.confidence) == ({}, "ServiceAccount", 0.6)


@pytest.mark.parametrize("elsewhere", ["kube-system", "payroll"])
@pytest.mark.parametrize("resource", ["secrets", "configmaps"])
async def test_nothing_is_given_in_another_namespace(elsewhere: str, resource: str) -> None:
    """Even where a Role of that namespace is bound to the account."""
    plan = await planned(logged(says("get", resource, where=elsewhere), roles_of=elsewhere))

    assert not any(isinstance(step, ChangeStep) for step in plan.steps)


@pytest.mark.parametrize("whose", [{"of": "kube-system"}, {"account": "admin"}, {"of": "payroll"}])
def test_what_is_said_of_another_account_is_no_finding(whose: dict[str, str]) -> None:
    """A pod acts as its own account: what its log says of others is not its own refusal."""
    found = diagnose(logged(says("get", "configmaps", **whose)), Incident("payment-service fails")).findings

    assert "ADM-11" not in [one.fault for one in found]
