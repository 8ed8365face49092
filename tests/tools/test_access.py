"""k8s_auth_can_i: what the cluster's own authorizers say, of oneself and of others; a refused question is unknown."""

import pytest
from skyflo_mcp.kubernetes import Cluster, Forbidden

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from tests.control_plane.harness import ControlPlane
from tests.tools.apiserver import Asked, Reply, Scripted, status, with_discovery
from tests.tools.test_reads import ask
from tests.tools.worlds import World


def answering(answer: Json) -> Scripted:
    """A server whose authorizers say this."""

    def reply(asked: Asked) -> Reply:
        who: Json = {"status": {"userInfo": {"username": "me"}}}
        return Reply(201, who if asked.path.endswith("selfsubjectreviews") else {"status": answer})

    return with_discovery(reply)


async def asked_with(arguments: Json) -> Json:
    """The review that goes out, and where."""
    server = answering({"allowed": True})
    await ask(server.cluster(), "k8s_auth_can_i", **arguments)
    sent = next(one for one in server.asked if one.path.endswith("accessreviews"))
    assert sent.method == "POST"
    assert isinstance(sent.json, dict)
    return {"path": sent.path.rpartition("/")[2], **sent.json["spec"]}


async def test_of_oneself_nobody_else_is_named() -> None:
    """And only what was asked stands in the question."""
    found = await asked_with({"verb": "patch", "kind": "deploy", "namespace": "shop", "subresource": "scale"})
    assert found == {
        "path": "selfsubjectaccessreviews",
        "resourceAttributes": {
            "verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale", "namespace": "shop",
        },
    }  # fmt: skip


async def test_of_a_serviceaccount_its_groups_are_those_that_kubernetes_gives_it() -> None:
    """The user's name, too."""
    found = await asked_with({"verb": "get", "kind": "Pod", "service_account": "shop/web", "name": "web-1"})
    assert (found["path"], found["user"]) == ("subjectaccessreviews", "system:serviceaccount:shop:web")
    assert found["groups"] == ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]
    assert found["resourceAttributes"]["name"] == "web-1"


async def test_of_a_user_with_groups() -> None:
    """Whoever is known is in system:authenticated; groups alone are asked about as groups."""
    found = await asked_with({"verb": "get", "kind": "Node", "namespace": "shop", "user": "ann", "groups": ["ops"]})
    assert (found["user"], found["groups"]) == ("ann", ["ops", "system:authenticated"])
    assert "namespace" not in found["resourceAttributes"]
    assert (await asked_with({"verb": "get", "kind": "Pod", "groups": ["ops"]}))["user"] == ""


@pytest.mark.parametrize(
    ("said", "allowed", "reason"),
    [
        ({"allowed": True, "reason": "RBAC: bound"}, True, "RBAC: bound"),
        ({"allowed": False}, False, ""),
        ({"allowed": True, "denied": True}, False, ""),
        ({}, False, ""),
    ],
)
async def test_the_answer_is_the_authorizers(said: Json, allowed: bool, reason: str) -> None:
    """A denial stands before an allowance, and silence is no."""
    answer = await ask(answering(said).cluster(), "k8s_auth_can_i", verb="get", kind="Pod")
    assert (answer["allowed"], answer["reason"], answer["subject"]) == (allowed, reason, "me")


async def test_a_question_that_is_refused_is_unknown() -> None:
    """Not a no."""
    cluster = with_discovery(lambda _: status(403, "may not ask")).cluster()
    with pytest.raises(Forbidden, match="may not ask"):
        await ask(cluster, "k8s_auth_can_i", verb="get", kind="Pod", user="ann")


@pytest.mark.parametrize(
    "wrong",
    [
        {"verb": "GET"},
        {"verb": "get,list"},
        {"subresource": "../x"},
        {"service_account": "web"},
        {"service_account": "Shop/web"},
        {"service_account": "shop/web", "user": "ann"},
        {"namespace": "a/b"},
        {"user": ""},
    ],
    ids=str,
)
async def test_what_is_no_question_is_bad_input(wrong: Json) -> None:
    """Nothing is asked."""
    server = answering({"allowed": True})
    with pytest.raises(BadInput):
        await ask(server.cluster(), "k8s_auth_can_i", **{"verb": "get", "kind": "Pod", **wrong})
    assert [one for one in server.asked if one.method == "POST"] == []


SERVED: Json = {"namespace": "shop", "verb": "get", "kind": "deploy"}


@pytest.mark.parametrize(
    ("asked", "doubt"),
    [
        ({"verb": "frobnicate"}, "No request for deployments has the verb frobnicate; they are: get, list, patch."),
        ({"subresource": "scales"}, "deployments have no subresource scales; they have: scale."),
        ({"namespace": "shpo"}, "There is no namespace shpo."),
    ],
    ids=["verb", "subresource", "namespace"],
)
async def test_what_the_cluster_does_not_have_is_named_beside_the_answer(asked: Json, doubt: str) -> None:
    """Who may do everything may do that as well, and would take the slip of a name for a yes."""
    server = answering({"allowed": True})
    authorizers = server.answer

    def reply(one: Asked) -> Reply:
        return status(404, "not found", "NotFound") if one.path.endswith("/shpo") else authorizers(one)

    server.answer = reply
    answer = await ask(server.cluster(), "k8s_auth_can_i", **{**SERVED, **asked})
    assert (answer["allowed"], answer["doubts"]) == (True, [doubt])


@pytest.mark.parametrize(
    "asked", [{}, {"verb": "*"}, {"verb": "bind"}, {"verb": "anything", "subresource": "scale"}, {"kind": "Service"}]
)
async def test_what_the_cluster_has_or_says_nothing_of_raises_no_doubt(asked: Json) -> None:
    """Verbs that only rules know; a kind whose discovery names no verbs."""
    answer = await ask(answering({"allowed": False}).cluster(), "k8s_auth_can_i", **{**SERVED, **asked})
    assert answer["doubts"] == []


async def test_the_practice_cluster_answers_for_oneself(practice_world: World) -> None:
    """As its one credential in memory may do everything."""
    answer = await ask(practice_world.cluster, "k8s_auth_can_i", verb="delete", kind="Node")
    assert answer["allowed"] is True


@pytest.mark.control_plane
async def test_a_real_cluster_answers_by_its_rbac(control_plane: ControlPlane) -> None:
    """The operator's own rights, those of another user, and those of a ServiceAccount."""
    async with Cluster.from_kubeconfig(str(control_plane.kubeconfig("operator"))) as operator:
        own: Json = {"kind": "Deployment", "namespace": "default"}
        may = await ask(operator, "k8s_auth_can_i", verb="patch", **own)
        assert (may["allowed"], may["subject"]) == (True, "operator")
        assert (await ask(operator, "k8s_auth_can_i", verb="get", kind="Pod", subresource="exec"))["allowed"] is False
        with pytest.raises(Forbidden):
            await ask(operator, "k8s_auth_can_i", verb="get", kind="Pod", user="reader")
    async with Cluster.from_kubeconfig(str(control_plane.kubeconfig("admin"))) as admin:
        reader: Json = {"user": "reader", "groups": ["skyflo:readers"]}
        assert (await ask(admin, "k8s_auth_can_i", verb="list", kind="Pod", **reader))["allowed"] is True
        assert (await ask(admin, "k8s_auth_can_i", verb="get", kind="Secret", **reader))["allowed"] is False
        nobody = await ask(admin, "k8s_auth_can_i", verb="get", kind="Pod", service_account="default/default")
        assert (nobody["allowed"], nobody["subject"]) == (False, "system:serviceaccount:default:default")
