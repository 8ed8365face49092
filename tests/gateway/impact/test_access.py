"""Who gains and who loses what."""

from typing import Any

import pytest

from skyflo_runbooks.gateway.impact.access import grants, strong
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, changed, created, deleted, level, lines, made, pod, told


def rule(resources: str, verbs: str, group: str = "", **more: Any) -> Json:
    """A rule of RBAC."""
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split(), **more}


def role(*rules: Json, kind: str = "Role", name: str = "dev") -> Json:
    """A role."""
    return made(kind, name, namespace="shop" if kind == "Role" else "", rules=list(rules))


def user(name: str) -> Json:
    """A subject."""
    return {"kind": "User", "name": name}


def binding(
    role_name: str, *subjects: Json, kind: str = "RoleBinding", role_kind: str = "Role", name: str = "b"
) -> Json:
    """A binding of a role to subjects."""
    reference = {"kind": role_kind, "name": role_name}
    namespace = "shop" if kind == "RoleBinding" else ""
    return made(kind, name, namespace=namespace, roleRef=reference, subjects=list(subjects))


READ = rule("pods", "get list")


@pytest.mark.parametrize(
    ("change", "said", "risk"),
    [
        (
            changed(role(READ), rules=[READ, rule("deployments", "patch", "apps")]),
            "User ann may also patch on deployments.apps",
            "medium",
        ),
        (changed(role(READ), rules=[READ, rule("secrets", "get")]), "User ann may also get on secrets", "high"),
        (changed(role(READ), rules=[rule("*", "*", "*")]), "User ann may also do everything (*) on *", "high"),
        (changed(role(READ), rules=[READ, rule("pods/exec", "create")]), "create on pods/exec", "high"),
        (changed(role(READ), rules=[READ, rule("roles", "escalate")]), "escalate on roles", "high"),
        (changed(role(READ), rules=[READ, rule("rolebindings", "get")]), "get on rolebindings", "medium"),
        (
            changed(role(READ), rules=[rule("pods", "get")]),
            "User ann may no longer list on pods, unless another",
            "high",
        ),
        (deleted(role(READ)), "User ann may no longer get, list on pods", "high"),
    ],
)
def test_a_role_that_changes(change: Any, said: str, risk: str) -> None:
    """In words: who may do what more, and what less."""
    impact = told(change, Around(binding("dev", user("ann")), binding("other", user("bob"), name="c")))
    assert said in lines(impact)
    assert "bob" not in lines(impact)
    assert level(impact) == risk


def test_a_role_that_nobody_has() -> None:
    """It grants nothing yet."""
    impact = told(created(role(READ)), Around())
    assert impact.also_touched == ("Whoever is bound to it may also get, list on pods", "Nobody is bound to it now")


ACCOUNT: Json = {"kind": "ServiceAccount", "namespace": "ci", "name": "robot"}


@pytest.mark.parametrize(
    ("change", "around", "said", "risk"),
    [
        (
            created(binding("dev", user("ann"), ACCOUNT)),
            [role(READ)],
            "ServiceAccount ci/robot, User ann gets Role dev in shop: get, list on pods",
            "medium",
        ),
        (
            created(binding("cluster-admin", user("ann"), kind="ClusterRoleBinding", role_kind="ClusterRole")),
            [],
            "cluster-admin may do everything",
            "high",
        ),
        (
            created(binding("view", {"kind": "Group", "name": "system:authenticated"}, role_kind="ClusterRole")),
            [role(READ, kind="ClusterRole", name="view")],
            "system:authenticated is everybody of that kind",
            "high",
        ),
        (created(binding("gone", user("ann"))), [], "There is no Role gone: whoever may make one decides", "high"),
        (
            changed(binding("dev", user("ann"), user("bob")), subjects=[user("ann")]),
            [role(READ)],
            "User bob loses Role dev in shop: get, list on pods, unless another binding gives it",
            "high",
        ),
        (deleted(binding("dev", user("ann"))), [role(READ)], "User ann loses Role dev in shop", "high"),
    ],
)
def test_a_binding_that_changes(change: Any, around: list[Json], said: str, risk: str) -> None:
    """Who is given what, and where."""
    impact = told(change, Around(*around))
    assert said in lines(impact)
    assert level(impact) == risk


def test_a_service_account_that_goes() -> None:
    """Its pods lose their token; its bindings wait for the next one of that name."""
    account = made("ServiceAccount", "robot", namespace="ci")
    user_ = pod("web-1", spec={"serviceAccountName": "robot"}, labels={})
    user_["metadata"]["namespace"] = "ci"
    impact = told(deleted(account), Around(user_, binding("dev", ACCOUNT)))
    assert "1 pod use it: web-1; their tokens stop working and no new pod starts" in impact.also_touched
    assert "Bindings that name it grant to whoever makes one of that name again: b" in impact.also_touched


@pytest.mark.parametrize(
    ("place", "verbs", "expected"),
    [
        ("pods", {"get"}, False),
        ("secrets", {"get"}, True),
        ("nodes/proxy", {"get"}, True),
        ("clusterroles.rbac.authorization.k8s.io", {"list"}, False),
        ("clusterroles.rbac.authorization.k8s.io", {"patch"}, True),
        ("users", {"impersonate"}, True),
        ("/metrics", {"get"}, False),
        ("serviceaccounts/token", {"create"}, True),
    ],
)
def test_what_weighs_most(place: str, verbs: set[str], expected: bool) -> None:
    """What lets somebody become somebody else, or run programs."""
    assert strong(place, verbs) is expected


def test_grants_name_objects_and_paths() -> None:
    """A rule may be about some objects only, or about no object at all."""
    found = grants([rule("secrets", "get", resourceNames=["db"]), {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}])
    assert found == {"secrets named db": {"get"}, "/metrics": {"get"}}


def token(account: str = "admin", kind: str = "kubernetes.io/service-account-token") -> Json:
    """A Secret that asks for a token."""
    return made("Secret", "t", type=kind, annotations={"kubernetes.io/service-account.name": account})


def test_a_secret_that_gets_a_token_is_of_high_risk() -> None:
    """It is empty when it is asked for, and holds a token that never ends a moment later."""
    impact = told(created(token()), Around())
    assert "A token of ServiceAccount admin that never ends is put into it" in lines(impact)
    assert ("high", "it makes a token that never ends") in impact.risks


@pytest.mark.parametrize(
    "change",
    [created(token(kind="Opaque")), changed(token(), data={"a": "b"}), deleted(token())],
    ids=["another type", "had it", "deleted"],
)
def test_a_secret_that_gets_no_token_is_none(change: Any) -> None:
    """Nothing is made."""
    assert "never ends" not in lines(told(change, Around()))


INTO_ADMIN = {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}
COLLECTOR = {
    **role(kind="ClusterRole", name="admin"),
    "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": INTO_ADMIN}]},
}


def labelled(*rules: Json) -> Json:
    """A ClusterRole that is collected by its label."""
    return made("ClusterRole", "more", namespace="", rules=list(rules), labels=INTO_ADMIN)


@pytest.mark.parametrize(
    "change",
    [
        created(labelled(rule("secrets", "get"))),
        changed(role(rule("secrets", "get"), kind="ClusterRole", name="more"), metadata__labels=INTO_ADMIN),
    ],
    ids=["new", "labelled"],
)
def test_a_role_that_another_one_collects_grants_through_it(change: Any) -> None:
    """Nobody is bound to it by its name, and every admin of a namespace has it."""
    impact = told(change, Around(COLLECTOR))
    assert "ClusterRole admin will have its rules, by its labels: get on secrets" in impact.also_touched
    assert ("high", "it grants get on secrets") in impact.risks
    assert "Nobody is bound to it now" not in lines(impact)


def test_a_role_that_nobody_collects_is_nobodys() -> None:
    """And one that was collected before is not said again."""
    plain = role(READ, kind="ClusterRole", name="more")
    assert "Nobody is bound to it now" in lines(told(created(plain), Around(COLLECTOR)))
    assert "by its labels" not in lines(told(changed(labelled(READ), rules=[READ, READ]), Around(COLLECTOR)))
