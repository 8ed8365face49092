"""The front page: what waits for a decision, what is under way, what was decided, what was measured.

Rules:
  1. A line for each, so that two hundred are read at a glance and drawn at once; the change itself is one click away.
  2. Several that wait can be looked at together; the page where that is done shows each change before it is decided.
"""

from collections.abc import Sequence

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.service.pages import words
from skyflo_runbooks.service.pages.card import RISKS, address, risk
from skyflo_runbooks.service.pages.document import notes, page
from skyflo_runbooks.service.pages.facts import after, facts, link
from skyflo_runbooks.service.pages.text import attr, moment, text

MOST = 200


def listing(
    views: Sequence[Json],
    *,
    verdicts: Sequence[Json] = (),
    operator: str | None,
    practice: bool,
    isolation: str,
    cluster: str = "",
    hidden: int = 0,
) -> str:
    """Return the front page; newest first, as given. `hidden` more wait than are shown."""
    waiting = [view for view in views if view.get("state") == "proposed"]
    moving = [view for view in views if view.get("state") in ("approved", "executing", "unknown")]
    known = {view.get("id") for view in (*waiting, *moving)}
    past = [view for view in views if view.get("id") not in known]
    sections = (
        _waiting(waiting, hidden, operator),
        _section("Under way", [_past(view) for view in moving]),
        _section("Decided", [_past(view) for view in past]),
        _section("Verdicts", [_verdict(item) for item in verdicts]),
    )
    who = f"signed in as {text(operator, 80)}" if operator else "not signed in"
    keys = '<a href="/passkeys">Passkeys</a> · ' if operator else ""
    body = (
        f'<main class="list"><header class="top"><h1>Changes</h1><span class="who">{keys}{who}</span></header>'
        f"{''.join(sections)}</main>{notes(practice, isolation, cluster)}"
    )
    return page("Changes", body, script="list.js")


def _waiting(waiting: Sequence[Json], hidden: int, operator: str | None) -> str:
    if not waiting:
        return '<section><h2>Waiting for a decision</h2><p class="empty">Nothing waits for a decision.</p></section>'
    several = operator is not None and len(waiting) > 1
    rows = "".join(_open(view, several=several) for view in waiting)
    more = f'<p class="empty">… and {hidden} more, which are shown when these are decided.</p>' if hidden else ""
    count = f" <span>{len(waiting) + hidden}</span>" if len(waiting) > 1 else ""
    head = f"<h2>Waiting for a decision{count}</h2>"
    if not several:
        return f"<section>{head}{rows}{more}</section>"
    foot = '<p class="together"><button>Look at the marked ones together</button></p>'
    return f'<section>{head}<form action="/together" method="get">{rows}{more}{foot}</form></section>'


def _open(view: Json, *, several: bool) -> str:
    level = risk(view)
    id_ = attr(view.get("id"), 20)
    mark = f'<input type="checkbox" name="id" value="{id_}" aria-label="Mark {id_}">' if several else ""
    typed = ' · <b class="warn">waits for a value</b>' if view.get("entries") else ""
    return (
        f'<div class="row">{mark}<a href="{address(view)}"><span class="name">{text(view.get("title"), 200)}</span>'
        f'<span class="id">{id_}</span><span class="risk {level}">{RISKS[level]}</span>'
        f'<span class="when">{text(view.get("requester"), 80)} · expires {moment(view.get("expires"))}{typed}</span>'
        "</a></div>"
    )


def _section(title: str, rows: list[str]) -> str:
    return f"<section><h2>{title}</h2>{''.join(rows)}</section>" if rows else ""


def _past(view: Json) -> str:
    said = words.state(str(view.get("state", "")))
    verdict = str(at(view, "judgement", "verdict", default=""))
    name, tone = (verdict, words.tone(verdict)) if verdict else (said.name, said.tone)
    when = at(view, "receipt", "applied_at") or at(view, "receipt", "decided_at")
    who = at(view, "receipt", "operator", default="")
    told = " · ".join(part for part in (text(who, 80), moment(when)) if part)
    return (
        f'<div class="row"><a href="{address(view)}"><span class="name">{text(view.get("title"), 200)}'
        f'</span><span class="id">{text(view.get("id"), 20)}</span><span class="end"><b class="{tone}">'
        f'{text(name, 40)}</b></span><span class="when">{told}</span></a></div>'
    )


def _verdict(item: Json) -> str:
    verdict = str(item.get("verdict", ""))
    changes = " ".join(link(change) for change in (item.get("changes") or ())[:8])
    body = facts(after({"judgement": item, "state": ""}))
    return (
        f'<details class="row"><summary><b class="{words.tone(verdict)}">{text(verdict, 20)}</b>'
        f'<span class="name">{text(item.get("step"), 120)}</span>'
        f'<span class="when">{moment(item.get("finished"))}</span>'
        f"</summary>{body}<p class='why'>{changes}</p></details>"
    )
