"""What the pages say, and that nothing a cluster or a requester writes becomes markup or disappears."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.lifecycle import STATES
from skyflo_runbooks.service import pages
from skyflo_runbooks.service.pages.diff import MAX_LINES
from tests.pages.views import DIFF, DIGEST, ID, judgement, receipt, view

HOSTILE = [
    "<script>alert(1)</script>",
    "</pre><img src=x onerror=alert(1)>",
    '"><b onclick="x">',
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link",
    "safe\u202egnp.exe",
    "zero\u200bwidth \ud800 lone",
]


def _card(proposal: Json, operator: str | None = "k.ops", *, framed: bool = False) -> str:
    return pages.card(proposal, operator=operator, framed=framed, practice=False, isolation="sandbox")


class _Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Elements()
    parser.feed(page)
    return parser.found


def _safe(page: str) -> None:
    """No script but the package's own, no handler, no inline style, nothing invisible, and it can be sent."""
    page.encode()
    for tag, attributes in _elements(page):
        assert tag not in ("img", "iframe", "style", "object", "base")
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        if tag == "script":
            assert re.fullmatch(r"/static/\w+\.js", str(attributes["src"]))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", page)


def _everywhere(said: str) -> Json:
    """A view with the same text in each place that somebody else writes."""
    texts = dict.fromkeys(("title", "why", "requester", "step", "runbook", "equivalent", "diff", "confirm"), said)
    part = {"object": said, "verb": said, "preview": said, "diff": said, "container": said, "command": [said, said]}
    return view(
        **texts,
        warnings=[said],
        conditions=[said],
        unstable=[said],
        approvers=[said],
        parts=[part, {**part, "verb": "run"}, {**part, "verb": "evict"}],
        impact={key: [said] for key in ("while_it_runs", "also_touched", "ownership", "unknown")},
        assessment={"risk": "high", "reasons": [said], "way_back": said, "irreversible": ""},
        arguments={"limits": {said: said}, "on": True},
        verification={"step": said, "within": said, "checks": [{"name": said, "arguments": {said: said}}]},
        receipt=receipt(
            operator=said,
            reason=said,
            message=said,
            applied=[{"object": said, "status": said, "output": said}],
            approvers=[said],
            executor=said,
            generator=said,
        ),
        judgement=judgement(reasons=[said], checks=[{"check": said, "result": said, "observed": said}]),
    )


@pytest.mark.parametrize("said", HOSTILE)
@pytest.mark.parametrize("state", STATES)
def test_hostile_text_stays_text_in_every_state(said: str, state: str) -> None:
    """Markup, terminal escapes and bidi overrides in any field leave the page's own markup as it is."""
    _safe(_card({**_everywhere(said), "state": state}))


@settings(deadline=None)
@given(said=st.text(alphabet=st.characters(codec=None), max_size=60))
def test_any_text_stays_text(said: str) -> None:
    """Whatever is written, on the card, on the front page and in a message."""
    hostile = _everywhere(said)
    _safe(_card(hostile))
    _safe(
        pages.listing(
            [hostile, {**hostile, "state": "executed"}],
            verdicts=[hostile["judgement"]],
            operator=said,
            practice=True,
            isolation=said,
            cluster=said,
        )
    )
    requires = {ID: {"typed": said, "refused": said}}
    _safe(
        pages.together(
            [hostile, {**hostile, "entries": [said]}], operator=said, requires=requires, practice=True, isolation=said
        )
    )
    _safe(pages.card({**hostile, "entries": [said]}, operator=said, framed=True, practice=True, isolation=said))
    _safe(pages.message(said, said, next_step=said))
    _safe(pages.login(said, valid=True, name=said))


def test_what_does_not_show_is_marked_and_warned_of() -> None:
    """A bidi override in the change stands there as a visible marker, and the card says so among the warnings."""
    page = _card(view(diff=DIFF.replace("512Mi", "512Mi\u202e")))
    assert '512Mi<span class="mark">⟨U+202E⟩</span>' in page
    assert "characters that do not show" in page
    assert "characters that do not show" not in _card(view())


def test_a_huge_title_is_cut_and_says_so() -> None:
    """A megabyte of title does not make a megabyte of page."""
    page = _card(view(title="x" * 1_000_000, why="y" * 1_000_000))
    assert len(page) < 20_000
    assert "more characters)" in page


def test_what_cannot_be_read_whole_cannot_be_approved_here() -> None:
    """A diff that does not fit takes the Approve button away and names the command; Reject stays."""
    page = _card(view(diff="+a\n" * (MAX_LINES + 1)))
    assert 'id="approve"' not in page
    assert 'id="reject"' in page
    assert f"skyflo-runbooks show {ID}" in page
    assert 'id="approve"' in _card(view(diff="+a\n" * MAX_LINES))


def test_the_card_says_everything_that_matters() -> None:
    """Title, id, risk, why, diff, every fact and the digest stand on the page."""
    page = _card(view(warnings=["deprecated API"]))
    for said in ("Raise memory limit", ID, "Medium risk", "next doubling", "While it runs", "Also touched", "Way back"):
        assert said in page
    for said in ("Ownership", "Asked by", "deprecated API", "0 restarts for 5m", "200 on /checkout", DIGEST, "kubectl"):
        assert said in page
    assert '<span class="d"><i class="spoken">removed: </i>-            memory: 256Mi</span>' in page
    assert '<span class="a"><i class="spoken">added: </i>+            memory: 512Mi</span>' in page


def test_what_is_not_there_is_said() -> None:
    """No verification and no way back are named, not left out."""
    page = _card(view(verification=None, assessment={"risk": "low", "irreversible": "The data is lost."}))
    assert "Nothing will measure the outcome" in page
    assert '<dd class="bad"><div>None: The data is lost.</div></dd>' in page


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"risk": "high"}, True),
        ({"risk": "unheard of"}, True),
        ({"assessment": {"risk": "low", "irreversible": "gone"}}, True),
        ({"tool": "k8s_delete"}, True),
        ({"confirm": "payment-service"}, True),
    ],
)
def test_which_changes_need_a_window_of_their_own(changes: dict[str, Any], expected: bool) -> None:
    """High risk (also one that is not known), no way back, and deletions."""
    assert pages.window_only(view(**changes)) is expected
    assert ('data-window="yes"' in _card(view(**changes))) is expected


def test_without_an_operator_there_is_nothing_to_press() -> None:
    """Nobody signed in: no button, and the way in."""
    assert "<button" not in _card(view(), None)
    assert "login --new-link" in _card(view(), None)


@pytest.mark.parametrize("state", [state for state in STATES if state != "proposed"])
def test_what_is_decided_is_a_receipt(state: str) -> None:
    """No decided proposal offers a decision; the receipt says who, when and what came of it."""
    page = _card(view(state=state, receipt=receipt(), superseded_by="ap-new123"))
    assert 'id="approve"' not in page
    assert "k.ops" in page
    assert "ledger 118 to 126" in page
    assert ('id="back"' in page) is (state in ("executed", "failed"))


def test_a_verdict_heads_the_receipt() -> None:
    """VERIFIED, with each check's result and what was observed."""
    page = _card(view(state="executed", receipt=receipt(), judgement=judgement()))
    assert '<h1><b class="ok">VERIFIED</b>' in page
    assert '<b class="ok">PASS</b> memory_below' in page
    assert "340Mi of 512Mi" in page


def test_the_front_page_puts_what_waits_first() -> None:
    """Open proposals with their change, then what was decided, then verdicts; each leads to its page."""
    page = pages.listing(
        [view(id="ap-old000", state="rejected", title="Old"), view()],
        verdicts=[judgement()],
        operator="k.ops",
        practice=True,
        isolation="none",
    )
    assert page.index("Waiting for a decision") < page.index(ID) < page.index("ap-old000") < page.index("Verdicts")
    assert f'href="/proposals/{ID}"' in page
    assert "stop mistakes, not malware" in page
    assert "Practice cluster" in page


def test_the_page_says_what_guards_it() -> None:
    """Where Jupyter is kept apart it says by what; where it is not, it says what an approval is worth."""
    assert "kept apart: sandbox." in _card(view())
    for said, opened in (("sandbox, ports closed", False), ("other user, ports open", True)):
        walled = pages.card(view(), operator="k.ops", framed=False, practice=False, isolation=said)
        assert f"kept apart: {said}." in walled
        assert ("can ask every server of this machine" in walled) is opened
    unguarded = pages.card(view(), operator="k.ops", framed=False, practice=False, isolation="none")
    assert "not malware" in unguarded
    elsewhere = pages.card(view(), operator="k.ops", framed=False, practice=False, isolation="not started here")
    assert "not started by this gateway" in elsewhere


@pytest.mark.parametrize(
    ("parent", "ancestors"),
    [
        ("http://localhost:8888", "http://localhost:8888"),
        ("", "'none'"),
        ("*", "'none'"),
        ("http://a; script-src *", "'none'"),
        ("http://localhost:8888\r\nX: y", "'none'"),
    ],
)
def test_only_one_origin_may_frame(parent: str, ancestors: str) -> None:
    """Anything but an exact origin means that nobody may."""
    policy = pages.security(parent)["Content-Security-Policy"]
    assert policy.endswith(f"frame-ancestors {ancestors}")
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")


def test_the_receipt_has_four_names() -> None:
    """Who asked, who approved, who executed and what generated it, and what a command wrote."""
    applied = [{"object": "Pod/checkout/web-0", "status": 0, "message": "exit code 0", "output": "reloaded <b>"}]
    names = receipt(approvers=["a.first", "k.ops"], executor="gateway as k.ops", generator="rules", applied=applied)
    page = _card(view(state="executed", receipt=names))
    for term, name in {
        "Asked by": "kernel of k.ops",
        "Executed by": "gateway as k.ops",
        "Generated by": "rules",
    }.items():
        assert re.search(f"<dt>{term}</dt><dd><div>{name}", page)
    assert "<dt>Approved by</dt><dd><div>a.first, k.ops, <time" in page
    assert 'aria-label="What it wrote" tabindex="0">reloaded &lt;b&gt;</pre>' in page


def test_while_it_is_applied_each_request_says_where_it_stands() -> None:
    """Done, waiting and for what, and what comes then; the mark by which the page is drawn again follows it."""
    parts = [{"object": f"Pod/shop/web-{place}", "verb": "evict", "diff": ""} for place in range(3)]
    waits = {"since": "2026-07-01T02:14:07Z", "said": "The budget <b>web</b> is full.", "left": 60}
    page = _card(view(state="executing", parts=parts, progress={"done": 1, "of": 3, "waits": waits}))
    assert '<b class="ok">Done</b> Evict Pod/shop/web-0</div>' in page
    assert '<b class="warn">Waits</b> Evict Pod/shop/web-1: The budget &lt;b&gt;web&lt;/b&gt; is full.' in page
    assert '<b class="soft">Then</b> Evict Pod/shop/web-2</div>' in page
    assert 'data-progress="1 2026-07-01T02:14:07Z"' in page
    assert 'data-progress=""' in _card(view())


def test_a_page_of_its_own_leads_back_to_all_changes() -> None:
    """In a frame there is nowhere else to go."""
    assert '<a href="/">All changes</a>' in _card(view())
    assert "All changes" not in _card(view(), framed=True)


def test_the_card_says_what_the_policy_asks() -> None:
    """Conditions in words, how many approved so far, and what the approval does not cover."""
    page = pages.card(
        view(conditions=["Two approvers", "A passkey"], approvers=["a.first"], unstable=["spec.stamp"]),
        operator="k.ops",
        framed=False,
        practice=False,
        isolation="sandbox",
        requires={"approvals": {"needed": 2, "have": 1}, "passkey": True, "typed": "", "refused": ""},
    )
    assert 'data-passkey="yes"' in page
    assert "<dt>Needs</dt><dd><div>Two approvers</div><div>A passkey</div></dd>" in page
    assert "<dt>Approved so far</dt><dd><div>1 of 2: a.first</div></dd>" in page
    assert "Two dry runs differ in spec.stamp; that part is not covered by the approval." in page


def test_who_takes_the_change_back_is_a_warning() -> None:
    """An owner that reverts is coloured; that nobody manages it is not."""
    owned = view(impact={"ownership": ["Argo CD application shop: a sync reverts this; change it in git"]})
    assert '<dt>Ownership</dt><dd class="warn">' in _card(owned)
    assert "<dt>Ownership</dt><dd><div>" in _card(view())


def test_who_may_not_approve_is_told_why_and_can_reject() -> None:
    """The policy's own words stand where the button would."""
    page = pages.card(
        view(),
        operator="k.ops",
        framed=False,
        practice=False,
        isolation="sandbox",
        requires={"refused": "You asked for it; another approver decides."},
    )
    assert "You asked for it; another approver decides." in page
    assert 'id="approve"' not in page
    assert 'id="reject"' in page


def test_while_a_value_has_to_be_typed_there_is_no_approve() -> None:
    """A password field for each key, and no old value; not in a frame."""
    waits = view(entries=["/values/tls.key", "/values/password"], arguments={"values": {"tls.key": "«entry»"}})
    page = _card(waits)
    fields = [attributes for tag, attributes in _elements(page) if attributes.get("type") == "password"]
    assert [field["data-pointer"] for field in fields] == ["/values/tls.key", "/values/password"]
    assert all("value" not in field for field in fields)
    assert "tls.key</label>" in page
    assert 'id="approve"' not in page
    assert pages.window_only(waits)


def test_several_on_one_page_say_which_stay_out() -> None:
    """What waits for a value, was decided, or is not this operator's stays out, with the reason and the way to it."""
    given = [
        view(id="ap-aaaaa1"),
        view(id="ap-aaaaa2", entries=["/values/a"]),
        view(id="ap-aaaaa3", state="executed", receipt=receipt()),
        view(id="ap-aaaaa4", confirm="payment-service"),
        view(id="ap-aaaaa5"),
    ]
    refused = {"ap-aaaaa5": {"refused": "Another namespace is yours."}}
    page = pages.together(given, operator="k.ops", requires=refused, practice=False, isolation="sandbox")
    articles = {str(it["data-id"]): it for tag, it in _elements(page) if tag == "article"}
    assert [id_ for id_, it in articles.items() if it["data-in"] == "yes"] == ["ap-aaaaa1", "ap-aaaaa4"]
    assert "Approve these 2 changes" in page
    for why in ("waits for a value", "Applied once", "Another namespace is yours."):
        assert why in page
    assert 'id="typed-ap-aaaaa4"' in page
    assert "<button" not in pages.together(given, operator=None, requires={}, practice=False, isolation="sandbox")


def test_two_hundred_that_wait_are_a_small_page() -> None:
    """A line each and no diff; what is not shown is counted."""
    many = [view(id=f"ap-{number:06d}") for number in range(200)]
    page = pages.listing(many, operator="k.ops", practice=False, isolation="sandbox", hidden=7)
    assert len(page) < 150_000
    assert page.count('type="checkbox"') == 200
    assert "and 7 more" in page
    assert "memory: 512Mi" not in page


@pytest.mark.parametrize(
    "page",
    [
        _card(view(confirm="payment-service")),
        _card(view(entries=["/values/a", "/values/b"])),
        pages.together(
            [view(), view(id="ap-aaaaa2", confirm="x")], operator="k", requires={}, practice=False, isolation=""
        ),
        pages.listing([view(), view(id="ap-aaaaa2")], operator="k", practice=False, isolation=""),
        pages.passkeys([{"id": "x", "label": "Laptop", "added": ""}], operator="k"),
        pages.login("token", valid=True),
    ],
    ids=["card", "entry", "together", "listing", "passkeys", "login"],
)
def test_everything_that_can_be_used_has_a_name_and_headings_are_in_order(page: str) -> None:
    """Each field has its label, each id stands once, and no level of headings is left out."""
    elements = _elements(page)
    labelled = {str(attributes["for"]) for tag, attributes in elements if tag == "label"}
    for tag, attributes in elements:
        if tag in ("input", "select"):
            assert attributes.get("aria-label") or str(attributes.get("id")) in labelled
    ids = [str(attributes["id"]) for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
