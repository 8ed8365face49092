"""Every role that may approve reads all that the card shows: each part, on the page, in the terminal and over HTTP."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from skyflo_runbooks.cli import card
from skyflo_runbooks.gateway.policy.file import PolicyFile, Rank
from skyflo_runbooks.model.entry import ENTRY
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service.pages.text import text
from tests.service.running import Service, running
from tests.service.test_roles import Person

PLACE: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}
CONTAINER: Json = {**PLACE, "container": "payment-service"}
MAKES = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}},
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "demo"}, "data": {"x": "y"}},
]
# A change of each sort: a diff, a list, what can only be tried later, a value to type, a deletion, a command.
CHANGES: dict[str, tuple[str, Json]] = {
    "diff": ("k8s_set_resources", {**CONTAINER, "limits": {"memory": "700Mi"}}),
    "list": ("k8s_drain", {"name": "node-a"}),
    "later": ("k8s_apply", {"content": MAKES}),
    "typed": ("k8s_set_env", {**CONTAINER, "set": {"SIGNING": ENTRY}}),
    "deletion": ("k8s_delete", PLACE),
}
# Whoever may decide here is bound to this namespace alone, or everywhere; the others only look.
BOUND: Json = {
    "approvals": {"high": 2},
    "approvals_per_hour": 20,
    "not_the_requester": True,
    "bindings": [
        {"role": "admin", "operators": ["admin"]},
        {"role": "approver", "operators": ["approver"], "namespaces": ["check*"]},
        {"role": "approver", "operators": ["anywhere"], "namespaces": ["*"]},
        {"role": "requester", "operators": ["requester"]},
    ],
}
READERS: dict[str, Rank] = {
    "admin": "admin", "approver": "approver", "anywhere": "approver", "requester": "requester", "viewer": "viewer"
}  # fmt: skip
CHECKS: Json = {"step": "check", "checks": [{"name": "rollout_complete", "arguments": PLACE}], "within": "2m"}
# What is the reader's own: what the policy asks of this very person, and their name.
_OWN = re.compile(r"<footer.*?</footer>|<form.*?</form>|<p class=\"typed\">.*?</p>|<p id=\"status\".*?</p>", re.DOTALL)


def shown(page: str) -> str:
    """Return what a page shows of the change itself: its article without what is the reader's own."""
    article = re.search(r'<article id="card">.*?</article>', page, re.DOTALL)
    assert article, page
    return _OWN.sub("", article.group())


def sentences(view: Json) -> Iterator[str]:
    """Yield every sentence of a view that a card is there to show."""
    yield from (str(view[name]) for name in ("title", "why", "digest", "requester") if view[name])
    yield from (line.strip() for line in str(view["equivalent"]).splitlines())
    for place in (view["impact"], {"conditions": view["conditions"], "warnings": view["warnings"]}):
        for name in ("while_it_runs", "also_touched", "ownership", "unknown", "conditions", "warnings"):
            yield from place.get(name, [])
    yield from view["assessment"]["reasons"]
    yield str(view["assessment"]["irreversible"] or view["assessment"]["way_back"])
    yield from (part["object"] for part in view["parts"] if len(view["parts"]) > 1)


async def propose(service: Service, change: str) -> Json:
    """Propose a change of one sort, in the name of a person, with what will be verified."""
    tool, arguments = CHANGES[change]
    body = {"tool": tool, "arguments": arguments, "why": f"tried as {change}", "step": change}
    # What lies in no namespace is not the requester's to ask for.
    asker = Person(service, "requester", "requester") if "namespace" in arguments else Person(service, "admin")
    answer = await asker.ask("POST", "/proposals", body)
    assert answer.status_code == 200, answer.text
    view: Json = answer.json()
    await asker.ask("POST", "/verdicts", {**CHECKS, "changes": [view["id"]]})
    return view


@pytest.mark.parametrize("change", CHANGES)
async def test_each_role_reads_the_whole_card(tmp_path: Path, change: str) -> None:
    """The same view, page and terminal for each, with every sentence in them; that one may look needs no role."""
    async with running(tmp_path, "healthy", policy=msgspec.convert(BOUND, PolicyFile)) as service:
        id_ = (await propose(service, change))["id"]
        views, pages, lines = [], [], []
        for name, rank in READERS.items():
            person = Person(service, name, rank)
            view = (await person.ask("GET", f"/proposals/{id_}")).json()
            async with httpx.AsyncClient(base_url=service.url, cookies={"skyflo_session": person.session}) as browser:
                page = shown((await browser.get(f"/proposals/{id_}")).text)
            terminal = "\n".join(line.text for line in card.card(view))
            for said in sentences(view):
                assert text(said, 4000) in page, (name, said)
                assert said in terminal, (name, said)
            views.append(view)
            pages.append(page)
            lines.append(terminal)
        assert all(view == views[0] for view in views)
        assert set(pages) == {pages[0]}
        assert set(lines) == {lines[0]}


async def test_who_may_approve_reads_what_the_card_leads_to(tmp_path: Path) -> None:
    """The list, the change that took its place, the record of it, and what is asked of them."""
    async with running(tmp_path, "healthy", policy=msgspec.convert(BOUND, PolicyFile)) as service:
        view = await propose(service, "diff")
        asker = Person(service, "requester", "requester")
        new = (await asker.ask("POST", f"/proposals/{view['id']}/modify", {"set": {"limits.memory": "800Mi"}})).json()
        for name in ("admin", "approver", "anywhere"):
            person = Person(service, name, READERS[name])
            assert [one["id"] for one in (await person.ask("GET", "/proposals")).json()] == [new["id"], view["id"]]
            assert (await person.ask("GET", f"/proposals/{view['id']}")).json()["superseded_by"] == new["id"]
            told = (await person.ask("GET", "/ledger?kind=proposed")).json()
            assert [entry["body"]["digest"] for entry in told] == [view["digest"], new["digest"]]
            asked = (await person.ask("GET", f"/proposals/{new['id']}/nonce")).json()
            assert (asked["digest"], asked["requires"]["refused"]) == (new["digest"], "")
