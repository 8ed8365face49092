"""Outputs are static, complete and harmless: whatever came from a cluster shows as text."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook import render, table
from skyflo_runbooks.notebook.text import clean, escape, label, markdown

HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31mred\x1b[0m\x1b]0;title\x07 \u202eevil"
VIEW: Json = {
    "id": "ap-7f3k9x",
    "state": "proposed",
    "tool": "k8s_set_resources",
    "step": "raise_memory",
    "title": "Raise memory limit of payment-service",
    "why": "Every restart was OOMKilled.",
    "diff": "-    memory: 256Mi\n+    memory: 512Mi",
    "digest": "sha256:5b1e",
    "risk": "medium",
    "url": "http://localhost:7777/proposals/ap-7f3k9x",
    "expires": "2026-01-01T00:30:00Z",
    "impact": {"while_it_runs": ["3 pods restart."], "also_touched": ["Service payment-service"]},
    "assessment": {"way_back": "Restore the template of revision 41"},
    "warnings": ["a webhook said something"],
    "receipt": None,
}
RECEIPT: Json = {
    "operator": "k.ops",
    "decided_at": "2026-01-01T00:00:01Z",
    "applied_at": "2026-01-01T00:00:02Z",
    "applied": [{"object": "Deployment/checkout/payment-service", "status": 200, "generation": 42}],
    "way_back": "Restore the template of revision 41",
    "ledger": [118, 126],
}
JUDGEMENT: Json = {
    "verdict": "FAILED",
    "step": "recovered",
    "changes": ["ap-7f3k9x"],
    "checks": [
        {
            "check": "pods_ready(x)",
            "result": "PASS",
            "expected": "3",
            "observed": "3 of 3",
            "evidence": ["quiet"],
            "at": "t",
        },
        {
            "check": "no_restarts(x)",
            "result": "FAIL",
            "expected": "0",
            "observed": "2",
            "evidence": ["pod-a: 2"],
            "at": "t",
        },
    ],
    "reasons": ["no_restarts(x): 2"],
    "window": "5m",
    "ledger": {"seq": 130, "hash": "9f2c" * 16},
}


class Tags(HTMLParser):
    """Collects tags and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def tags_of(markup: object) -> Tags:
    """The elements of a piece of HTML."""
    parser = Tags()
    parser.feed(str(markup))
    return parser


def hostile(value: object) -> object:
    """The same value with every text hostile."""
    if isinstance(value, dict):
        return {
            key: item if key in ("state", "verdict", "result", "url") else hostile(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return HOSTILE if isinstance(value, str) else value


def bundles(*, evil: bool) -> list[render.Bundle]:
    """One bundle of each sort."""

    def said(value: Json) -> Json:
        found = hostile(value) if evil else value
        return found if isinstance(found, dict) else {}

    word = HOSTILE if evil else "word"
    return [
        render.card_bundle(said(VIEW)),
        render.card_bundle(said(VIEW), frame=False),
        render.receipt_bundle(said({**VIEW, "state": "executed", "receipt": RECEIPT})),
        render.receipt_bundle(said({**VIEW, "state": "rejected", "receipt": {**RECEIPT, "reason": "no"}})),
        render.verdict_bundle(said(JUDGEMENT)),
        render.would_bundle(word, word, {"would": "change", "diff": word, "message": word}),
        render.result_bundle(word, word, {"columns": [word], "rows": [[word]]}, at=word),
        render.result_bundle(word, word, {"object": {word: word}, "logs": [{"pod": word, "text": word}], word: word}),
        render.gather_bundle(word, {word: (word, word, word)}, unknown={word}),
        render.unknown_bundle(word, word, word),
        render.record_bundle([{"seq": 1, "at": word, "kind": word, "body": {"x": word}, "hash": word}]),
        render.note_bundle(word),
        render.progress_bundle(said(JUDGEMENT)),
    ]


def test_nothing_hostile_becomes_markup() -> None:
    """Hostile texts add no element, no attribute and no terminal escape to any output."""
    for calm, evil in zip(bundles(evil=False), bundles(evil=True), strict=True):
        known, found = tags_of(calm["text/html"]), tags_of(evil["text/html"])
        assert set(found.tags) <= set(known.tags) | {"details", "summary"}
        assert not [name for name in found.attributes if name.startswith("on")]
        for text in (str(evil["text/plain"]), str(evil["text/html"])):
            assert "\x1b" not in text
            assert "\x07" not in text
            assert "\u202e" not in text


def test_every_output_has_text_and_html() -> None:
    """Each bundle can be read in a terminal and in a page, and needs no style sheet or script."""
    for bundle in bundles(evil=False):
        assert bundle["text/plain"]
        assert "script" not in tags_of(bundle["text/html"]).tags
        assert "style" not in tags_of(bundle["text/html"]).tags


def test_the_card_frames_the_gateways_page() -> None:
    """The card holds the frame, the proposal's id for the page, and a link to a window of its own."""
    bundle = render.card_bundle(VIEW)
    markup = str(bundle["text/html"])
    assert 'data-proposal="ap-7f3k9x"' in markup
    assert 'src="http://localhost:7777/proposals/ap-7f3k9x"' in markup
    assert 'target="_blank"' in markup
    assert bundle[render.PROPOSAL] == {
        "id": "ap-7f3k9x",
        "step": "raise_memory",
        "url": "http://localhost:7777/proposals/ap-7f3k9x",
        "state": "proposed",
        "tool": "k8s_set_resources",
    }


def test_a_card_without_a_frame_shows_the_diff() -> None:
    """Headless, and as text, the card says what would change and how to decide."""
    bundle = render.card_bundle(VIEW, frame=False)
    assert "iframe" not in tags_of(bundle["text/html"]).tags
    for text in ("+    memory: 512Mi", "3 pods restart.", "Restore the template"):
        assert text in str(bundle["text/html"])
        assert text in str(bundle["text/plain"])
    assert "skyflo-runbooks approve ap-7f3k9x" in str(bundle["text/plain"])


def test_an_address_that_is_no_page_is_never_framed_or_linked() -> None:
    """A javascript: address shows as text."""
    markup = str(render.card_bundle({**VIEW, "url": "javascript:alert(1)"})["text/html"])
    assert not {"iframe", "a"} & set(tags_of(markup).tags)


def test_the_receipt_says_who_when_what_and_the_way_back() -> None:
    """The receipt is complete without the gateway."""
    text = str(render.receipt_bundle({**VIEW, "state": "executed", "receipt": RECEIPT})["text/plain"])
    for said in ("APPLIED", "k.ops", "2026-01-01T00:00:02Z", "generation 42", "revision 41", "ledger 118–126", "512Mi"):
        assert said in text


def test_the_receipt_of_an_expired_proposal_has_no_operator() -> None:
    """Nobody decided; that is what it says."""
    bundle = render.receipt_bundle({**VIEW, "state": "expired"})
    assert "EXPIRED" in str(bundle["text/plain"])
    assert "Approved" not in str(bundle["text/plain"])
    assert render.RECEIPT in bundle


def test_a_verdict_shows_each_check_and_the_evidence_of_what_failed() -> None:
    """The failing check stands with its evidence; the word is that of the gateway."""
    bundle = render.verdict_bundle(JUDGEMENT)
    text, markup = str(bundle["text/plain"]), str(bundle["text/html"])
    assert text.startswith("FAILED  recovered")
    assert "✓ pods ready: 3 of 3" in text
    assert "✗ no restarts: 2" in text
    assert "pod-a: 2" in markup
    assert "quiet" not in markup
    assert bundle[render.VERDICT] == JUDGEMENT


@pytest.mark.parametrize("state", ["proposed", "approved", "executing"])
def test_what_is_open_shows_its_card(state: str) -> None:
    """An open proposal is a card, everything else a receipt."""
    assert render.PROPOSAL in render.change_bundle({**VIEW, "state": state})
    assert render.RECEIPT in render.change_bundle({**VIEW, "state": "void"})


def test_a_table_is_aligned() -> None:
    """Columns line up in text; rows that do not fit are counted."""
    rows = [["pod-a", 1], ["payment-service", 22]]
    parts = table.tabulate({"columns": ["NAME", "READY"], "rows": rows, "namespace": "checkout", "more": True})
    assert table.plain(parts).splitlines() == [
        "NAME              READY",
        "pod-a             1",
        "payment-service   22",
        "more: true",
    ]
    (many,) = table.tabulate([{"a": number} for number in range(table.MAX_ROWS + 5)])
    assert table.plain((many,)).endswith("… and 5 more")


def test_the_parts_of_a_description() -> None:
    """Tables and logs of an answer stand on their own; an object is folded; the time is said elsewhere."""
    parts = table.tabulate(
        {
            "object": {"kind": "Deployment"},
            "events": {"columns": ["REASON"], "rows": [["BackOff"]]},
            "pods": {"columns": ["NAME"], "rows": []},
            "logs": [{"pod": "pod-a", "container": "app", "previous": True, "text": "one\ntwo\n"}],
            "at": "now",
        }
    )
    assert [(part.title, part.folded) for part in parts] == [
        ("object", True),
        ("events", False),
        ("pods", False),
        ("pod-a app previous", False),
    ]
    assert parts[2].text == "none"
    assert parts[3].text == "one\ntwo"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_any_answer_can_be_shown(value: object) -> None:
    """No shape of an answer breaks its table, in text or in HTML."""
    parts = table.tabulate(value)
    assert parts
    assert all(len(row) == len(part.columns) for part in parts for row in part.rows)
    assert isinstance(render.result_bundle("s", "t", value)["text/html"], str)


@given(st.text())
def test_clean_text_has_no_control_characters(said: str) -> None:
    """What is left prints: no escape, no separator that a terminal or IPython would take for more than a text."""
    assert all(char.isprintable() or char in "\n\t" or char.isspace() or ord(char) > 0x9F for char in clean(said))
    assert clean(clean(said)) == clean(said)


@given(st.text())
def test_escaped_text_holds_no_markup(said: str) -> None:
    """Neither HTML nor a Mermaid label nor Markdown can be begun from within a text."""
    assert not set("<>\"'") & set(escape(said))
    assert not set('"<>[]{}|;#') - {";"} & set(label(said))
    assert "\n" not in markdown(said)
