"""What a terminal says while a change of several requests is applied, and what Ctrl-C leaves."""

from collections.abc import Iterator

import pytest

from skyflo_runbooks.cli import card, deciding
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.part import standing, waiting_for
from tests.cli.test_card import VIEW, text

PARTS = [
    {"object": "Node/worker-2", "verb": "patch", "diff": "@@ x\n+y"},
    {"object": "Pod/shop/web-0", "verb": "evict", "diff": ""},
    {"object": "Pod/shop/web-1", "verb": "evict", "diff": ""},
]
WAITS = {
    "since": "2026-07-01T02:14:07Z",
    "said": "evict Pod/shop/web-0: the cluster answered 429: The disruption budget web needs 2 healthy pods.",
    "left": 90,
}


def view(state: str, done: int = 0, waits: Json | None = None) -> Json:
    """A drain of which so many requests are done."""
    progress = {"done": done, "of": 3, "waits": waits} if state == "executing" else None
    applied = [{"object": part["object"], "status": 200, "message": ""} for part in PARTS[:done]]
    receipt = {"operator": "k.ops", "applied": applied}
    return {**VIEW, "state": state, "parts": PARTS, "progress": progress, "receipt": receipt}


class Played(Gateway):
    """A gateway whose proposal is, one look after the other, as it was told; at the end somebody presses Ctrl-C."""

    looks: Iterator[Json]

    def proposal(self, id_: str, *, wait: float = 0.0) -> Json:
        """Return the next view."""
        for one in self.looks:
            return one
        raise KeyboardInterrupt


def played(*looks: Json) -> Played:
    """Return a gateway that shows these."""
    made = Played("http://localhost:1")
    object.__setattr__(made, "looks", iter(looks))
    return made


def test_each_request_is_said_once_when_it_is_done_or_begins_to_wait(capsys: pytest.CaptureFixture[str]) -> None:
    """The pod, the budget in its own words, for how long still, and what lets it go on."""
    looks = [view("approved"), view("executing"), view("executing", 1, WAITS), view("executing", 1, WAITS),
             view("executing", 2), view("executed")]  # fmt: skip
    assert deciding.settled(played(*looks), "ap-7f3k9x", Screen())["state"] == "executed"
    out = capsys.readouterr().out
    assert out.count("Change Node/worker-2") == 1
    assert out.count("… Evict Pod/shop/web-0 waits: The disruption budget web needs 2 healthy pods.") == 1
    assert "tried again for 1m30s, and goes on by itself once another of these pods is ready" in out
    assert out.index("web-0 waits") < out.index("✓ Evicted Pod/shop/web-0")
    assert "web-1" not in out


def test_ctrl_c_ends_the_waiting_and_says_how_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    """The change goes on in the gateway."""
    with pytest.raises(KeyboardInterrupt):
        deciding.settled(played(view("executing", 1, WAITS)), "ap-7f3k9x", Screen())
    said = capsys.readouterr().err
    assert said == "ap-7f3k9x goes on without this terminal. Look at it: skyflo-runbooks show ap-7f3k9x\n"


def test_one_request_alone_needs_no_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """Its receipt says all."""
    single = {**view("executing", 0), "parts": PARTS[:1]}
    deciding.settled(played(single, view("executed")), "ap-7f3k9x", Screen())
    assert capsys.readouterr().out == ""


def test_a_receipt_under_way_shows_every_request() -> None:
    """Done, waiting, and what comes then; one that is over shows its answers instead, a line each."""
    said = text(card.receipt(view("executing", 1, WAITS)))
    assert "  ✓ Change Node/worker-2\n  … Evict Pod/shop/web-0 waits: The" in said
    assert "    Evict Pod/shop/web-1\n  next            it goes on" in said
    over = text(card.receipt(view("executed", 2)))
    assert "  answer          Node/worker-2 200\n                  Pod/shop/web-0 200" in over
    assert "waits" not in over


def test_what_waits_without_a_budget_is_said_as_it_came() -> None:
    """Words of another server stay whole."""
    assert waiting_for({"said": "slow down.", "left": 3}).startswith("slow down. It is tried again for 3s")
    assert standing(view("executed", 3)) == []
    assert [one.state for one in standing(view("executing", 1))] == ["done", "now", "ahead"]
