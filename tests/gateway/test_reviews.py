"""What Kubernetes would not let an approver do is not approved: asked per request, and a review that fails is a no."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import Forbidden
from skyflo_mcp.kubernetes.reviewing import Subject, read

from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.gateway.reviews import asked, refusals
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.request import Request, Verb
from skyflo_runbooks.practice import PracticeCluster
from tests.gateway.test_approvals import ALICE, paired, vote
from tests.gateway.world import OPERATOR, world

ADMIN, READER, STRANGER = "practice-admin", "practice-reader", "somebody@example.com"


def mapped(user: str, **more: Any) -> PolicyFile:
    """Return a configuration in which the operator is this user of the cluster."""
    operators = {OPERATOR.name: {"kubernetes_user": user, "groups": ["system:authenticated"]}}
    return msgspec.convert({"operators": operators, **more}, PolicyFile)


@pytest.mark.parametrize(
    ("verb", "path", "said"),
    [
        ("patch", "/apis/apps/v1/namespaces/checkout/deployments/web", ["patch deployments.apps web in checkout"]),
        ("patch", "/apis/apps/v1/namespaces/a/deployments/web/scale", ["patch deployments/scale.apps web in a"]),
        ("create", "/api/v1/namespaces/checkout/configmaps", ["create configmaps in checkout"]),
        ("create", "/api/v1/namespaces", ["create namespaces"]),
        ("delete", "/api/v1/namespaces/checkout", ["delete namespaces checkout"]),
        ("patch", "/api/v1/namespaces/checkout/finalize", ["patch namespaces/finalize checkout"]),
        ("patch", "/api/v1/nodes/n1?x=y", ["patch nodes n1"]),
        ("evict", "/api/v1/namespaces/a/pods/web-0/eviction", ["create pods/eviction web-0 in a"]),
        ("run", "/api/v1/namespaces/a/pods/web-0/exec", ["create pods/exec web-0 in a"]),
        ("run", "/api/v1/namespaces/a/pods/web-0/portforward", ["create pods/portforward web-0 in a"]),
        ("apply", "/apis/x.io/v1/namespaces/a/things/t", ["patch things.x.io t in a", "create things.x.io t in a"]),
    ],
)
def test_what_is_asked_stands_in_the_path(verb: Verb, path: str, said: list[str]) -> None:
    """As the API server will authorize it."""
    request = Request(verb, ObjectRef("X", "web", "a"), path, {})
    assert [str(one) for one in asked(request)] == said


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ({"allowed": True}, True), ({"allowed": False}, False), ({"allowed": True, "denied": True}, False),
        ({"allowed": "true"}, False), ({}, False),
    ],
)  # fmt: skip
def test_only_a_plain_yes_is_one(status: Json, allowed: bool) -> None:
    """A denial stands before an allowance, and what is missing is a no."""
    assert read({"status": status}).allowed is allowed


async def test_a_review_that_fails_is_a_no(tmp_path: Path) -> None:
    """Forbidden, broken or away: the approver may not, and is told why."""
    request = Request("patch", ObjectRef("Deployment", "web", "a"), "/apis/apps/v1/namespaces/a/deployments/web", {})
    for status in (403, 500, 404, 201):
        transport = httpx.MockTransport(lambda _, status=status: httpx.Response(status, json={"message": "no"}))
        async with Cluster(httpx.AsyncClient(transport=transport, base_url="http://x")) as cluster:
            found = await refusals(cluster, [request], Subject("bob"))
            assert len(found) == 1, status
            assert "bob may not patch" in found[0] if status == 201 else "could not be asked" in found[0]


async def test_who_may_in_the_cluster_may_approve(tmp_path: Path) -> None:
    """And nobody else whom the configuration maps; whom it does not map is not asked about."""
    for user, approves in ((ADMIN, True), (READER, False), (STRANGER, False)):
        async with world(tmp_path / user, policy=mapped(user)) as here:
            row = await here.propose()
            requires = await here.gateway.approvals.requires(row, OPERATOR, "approve")
            assert (requires.refused == "") is approves
            if approves:
                assert (await here.approve(row)).state == "executed"
                continue
            assert "may not patch deployments.apps" in requires.refused
            with pytest.raises(NotAllowed, match="Kubernetes does not let"):
                await here.gateway.decide(row.proposal.id, here.ballot(row), OPERATOR)
            done = await here.gateway.decide(row.proposal.id, here.ballot(row, "reject", "no"), OPERATOR)
            assert done.state == "rejected"


async def test_rights_that_went_meanwhile_count_at_the_dispatch(tmp_path: Path) -> None:
    """Approved while the cluster allowed it, found by the executor when it does not."""
    async with world(tmp_path, policy=mapped(ADMIN)) as here:
        row = await here.propose()
        operators = {OPERATOR.name: msgspec.structs.replace(here.gateway.rules.people[OPERATOR.name],
                                                            kubernetes_user=READER)}  # fmt: skip
        await here.gateway.decide(row.proposal.id, here.ballot(row), OPERATOR)
        here.gateway.approvals.rules = msgspec.structs.replace(here.gateway.rules, people=operators)
        done = await here.gateway.settled(row.proposal.id, 10)
        assert (done.state, here.writes()) == ("void", 0)
        assert "may not patch" in done.message


async def test_the_write_is_in_the_approvers_name(tmp_path: Path) -> None:
    """Impersonation: dry run and write carry the user and the groups; the receipt names who executed."""
    sent: list[tuple[str, str | None, list[str], bool]] = []

    def front(request: httpx.Request) -> None:
        groups = request.headers.get_list("impersonate-group")
        dry = "dryRun" in str(request.url)
        sent.append((request.method, request.headers.get("impersonate-user"), groups, dry))

    async with world(tmp_path, policy=mapped(ADMIN, impersonate=True), front=front) as here:
        row = await here.propose()
        assert {user for _, user, _, _ in sent} == {None}
        sent.clear()
        done = await here.approve(row)
        assert done.state == "executed"
        patches = [(user, groups, dry) for method, user, groups, dry in sent if method == "PATCH"]
        assert patches == [(ADMIN, ["system:authenticated"], True), (ADMIN, ["system:authenticated"], False)]
        assert {user for method, user, _, _ in sent if method == "GET"} == {None}
        assert here.gateway.view(done)["receipt"]["executor"] == ADMIN


async def test_whom_the_cluster_does_not_know_approves_nothing_then(tmp_path: Path) -> None:
    """With impersonation there is nobody in whose name it could be written."""
    async with world(tmp_path, policy=mapped(ADMIN, impersonate=True)) as here:
        row, key = await here.propose(), paired(here, ALICE)
        with pytest.raises(NotAllowed, match="has none at the cluster"):
            await vote(here, row, ALICE, key)


async def test_the_practice_cluster_answers_what_it_can(tmp_path: Path) -> None:
    """Its two users and their groups; a stranger may nothing, and a reader asks about nobody and acts as nobody."""
    practice = PracticeCluster("oomkilled-payment")
    ref = ObjectRef("Deployment", "payment-service", "checkout", "apps/v1")
    request = Request("patch", ref, "/apis/apps/v1/namespaces/checkout/deployments/payment-service", [],
                      "application/json-patch+json")  # fmt: skip
    async with practice.running():
        client = httpx.AsyncClient(transport=httpx.ASGITransport(practice.app), base_url="http://practice")
        async with Cluster(client) as cluster:
            assert await refusals(cluster, [request], Subject(ADMIN)) == ()
            assert await refusals(cluster, [request], Subject("x", ("system:masters",))) == ()
            assert await refusals(cluster, [request], Subject(READER)) != ()
            for user in (READER, STRANGER):
                with pytest.raises(Forbidden):
                    await cluster.acting_as(Subject(user)).send(request, dry_run=True, field_manager="t")
            sent = await cluster.acting_as(Subject(ADMIN)).send(request, dry_run=True, field_manager="t")
            assert at(sent.object, "metadata", "name") == "payment-service"
        token = {"authorization": f"Bearer {practice.access.tokens['reader']}"}
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(practice.app), base_url="http://practice", headers=token
        )
        async with Cluster(client) as cluster:
            assert "could not be asked" in (await refusals(cluster, [request], Subject(ADMIN)))[0]
            with pytest.raises(Forbidden):
                await cluster.acting_as(Subject(ADMIN)).send(request, dry_run=True, field_manager="t")
