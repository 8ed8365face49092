"""The gateway's pages as HTML, from values. Pure: no clock, no request, no template engine.

Rules:
  1. What is shown comes from the gateway's own state: a proposal view as `docs/architecture.md` describes it. Its
     optional members `created`, `generator`, `unstable`, `confirm` and `judgement` are shown where they are there.
  2. Whoever decides sees the whole diff. Where it does not fit (`diff.MAX_LINES`), the page offers no approval.
  3. High risk, no way back, and a deletion are decided in a window of the gateway's own, never in a frame; a
     deletion also asks for the object's name.
  4. The script that decides reads only the `data-` attributes of `main`; they are exact or empty.
"""

from collections.abc import Sequence

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.service.pages import words
from skyflo_runbooks.service.pages.diff import Shown
from skyflo_runbooks.service.pages.diff import render as render_diff
from skyflo_runbooks.service.pages.facts import after, before, facts, link
from skyflo_runbooks.service.pages.form import fields
from skyflo_runbooks.service.pages.text import attr, lines, moment, plain, text

_RISKS = {"low": "Low risk", "medium": "Medium risk", "high": "High risk"}
_WALLS = ("other user", "sandbox", "separate pod")
UNGUARDED = (
    "On this computer Jupyter and the gateway share a user: approvals here stop mistakes, not malware. "
    "A sandbox, another user for Jupyter, or the install in a cluster does."
)
ELSEWHERE = (
    "Jupyter was not started by this gateway. Where its code runs as the gateway's user, approvals stop mistakes, "
    "not malware; skyflo-runbooks lab keeps the two apart where it can."
)


def card(
    view: Json,
    *,
    operator: str | None,
    framed: bool,
    practice: bool,
    isolation: str,
    parent: str = "",
    cluster: str = "",
) -> str:
    """Return the page of one proposal: the card while it is open, the receipt when it is decided.

    `operator` is who is signed in, or None. `framed` says that it was asked for inside a frame. `parent` is the one
    origin that may frame it, and the only one that is told of a change of state.
    """
    state = str(view.get("state", ""))
    inner = _card(view, operator) if state == "proposed" else receipt(view, operator=operator)
    data = {
        "id": view.get("id", ""),
        "state": state,
        "digest": view.get("digest", ""),
        "expires": view.get("expires", ""),
        "operator": operator or "",
        "framed": "yes" if framed else "",
        "window": "yes" if window_only(view) else "",
        "confirm": confirmation(view),
        "whole": "yes" if render_diff(str(view.get("diff", ""))).whole else "",
        "parent": parent,
        "verdict": at(view, "judgement", "verdict", default=""),
        "verified": "yes" if at(view, "verification", "checks") else "",
    }
    attributes = " ".join(f'data-{name}="{attr(value)}"' for name, value in data.items())
    notes = "" if framed else _notes(practice, isolation, cluster)
    mark = '<p class="practice">Practice cluster</p>' if framed and practice else ""
    body = f"<main {attributes}>{mark}{inner}</main>{notes}"
    return page(str(view.get("title") or "A change"), body, script="card.js", framed=framed)


def receipt(view: Json, *, operator: str | None = None) -> str:
    """Return what became of a proposal, as an article."""
    said = words.state(str(view.get("state", "")))
    verdict = str(at(view, "judgement", "verdict", default=""))
    name, tone = (verdict, words.tone(verdict)) if verdict else (said.name, said.tone)
    running = ' aria-busy="true"' if view.get("state") in ("approved", "executing") else ""
    successor = view.get("superseded_by") or view.get("rolled_back_by")
    next_ = f" See {link(successor)}." if successor else ""
    return (
        f'<article class="receipt"{running}><header><h1><b class="{tone}">{text(name, 40)}</b> '
        f'{text(view.get("title"), 200)}</h1><span class="id">{text(view.get("id"), 20)}</span></header>'
        f'<p class="why">{said.means}{next_}</p>{facts(after(view))}'
        f"<details><summary>What it changes, and why</summary>"
        f"<p>{text(view.get('why'), 2000)}</p>{_diff(render_diff(str(view.get('diff', ''))))}{_same(view)}</details>"
        f"{_back(view, operator)}</article>"
    )


def listing(
    views: Sequence[Json],
    *,
    verdicts: Sequence[Json] = (),
    operator: str | None,
    practice: bool,
    isolation: str,
    cluster: str = "",
) -> str:
    """Return the front page: what waits for a decision, what was decided, what was measured; newest first as given."""
    waiting = [view for view in views if view.get("state") == "proposed"]
    moving = [view for view in views if view.get("state") in ("approved", "executing", "unknown")]
    known = {view.get("id") for view in (*waiting, *moving)}
    past = [view for view in views if view.get("id") not in known]
    empty = '<p class="empty">Nothing waits for a decision.</p>'
    sections = (
        f"<section><h2>Waiting for a decision</h2>{''.join(map(_open, waiting)) or empty}</section>",
        _section("Under way", [_past(view) for view in moving]),
        _section("Decided", [_past(view) for view in past]),
        _section("Verdicts", [_verdict(item) for item in verdicts]),
    )
    who = f"signed in as {text(operator, 80)}" if operator else "not signed in"
    body = (
        f'<main class="list"><header class="top"><h1>Changes</h1><span class="who">{who}</span></header>'
        f"{''.join(sections)}</main>{_notes(practice, isolation, cluster)}"
    )
    return page("Changes", body, script="list.js")


def login(token: str, *, valid: bool, name: str = "", practice: bool = False, isolation: str = "") -> str:
    """Return the page of a one-time link: it asks for a name and pairs this browser when the button is pressed.

    Nothing is used up by showing it. The script reads `?name=`, `?next=` and `?auto=1` of the address.
    """
    if not valid:
        return message(
            "This link was used, or is too old",
            "A link serves one browser or terminal, once. Nothing was changed.",
            next_step="Make another one where you are signed in: skyflo-runbooks login --new-link",
        )
    body = (
        f'<main data-token="{attr(token)}"><article><header><h1>Sign in to decide</h1></header>'
        '<p class="why">This browser makes a key that cannot be copied out of it, and the gateway remembers the key '
        "under your name. Each decision is signed with it. The name goes into the record.</p>"
        '<form id="pair" class="fields"><label for="name">Your name</label>'
        f'<input id="name" name="name" autocomplete="username" required maxlength="80" value="{attr(name, 80)}">'
        '<footer><button class="go">Sign in with this browser</button></footer></form>'
        '<p id="status" class="status" role="status" aria-live="polite"></p>'
        "<noscript><p class='status bad'>This page needs JavaScript: the key is made by the browser. "
        "Without it, use <code>skyflo-runbooks login</code> in a terminal.</p></noscript></article></main>"
        f"{_notes(practice, isolation, '')}"
    )
    return page("Sign in", body, script="login.js")


def message(title: str, said: str, *, next_step: str = "") -> str:
    """Return a page that says one thing, and what to do next."""
    step = f'<p class="why"><b>Next:</b> {text(next_step, 600)}</p>' if next_step else ""
    return page(
        title,
        f'<main><article><header><h1>{text(title, 200)}</h1></header><p class="why">{text(said, 2000)}</p>{step}'
        "</article></main>",
    )


def window_only(view: Json) -> bool:
    """Return whether a proposal may only be decided in a window of the gateway's own."""
    return risk(view) == "high" or bool(at(view, "assessment", "irreversible")) or bool(confirmation(view))


def confirmation(view: Json) -> str:
    """Return the name that has to be typed before a deletion is approved, or an empty string."""
    if view.get("confirm"):
        return str(view["confirm"])
    deletes = "delete" in str(view.get("tool", ""))
    return str(at(view, "arguments", "name", default=view.get("id", ""))) if deletes else ""


def risk(view: Json) -> str:
    """Return the risk; one that is not said counts as high."""
    said = str(view.get("risk") or at(view, "assessment", "risk", default=""))
    return said if said in _RISKS else "high"


def page(title: str, body: str, *, script: str = "", framed: bool = False) -> str:
    """Return a whole document."""
    module = f'<script type="module" src="/static/{script}"></script>' if script else ""
    opened = '<body class="framed">' if framed else "<body>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{plain(title, 120)} · Skyflo Runbooks</title>"
        '<link rel="icon" href="/static/mark.svg" type="image/svg+xml">'
        f'<link rel="stylesheet" href="/static/style.css">{module}</head>'
        f"{opened}{body}</body></html>\n"
    )


def _card(view: Json, operator: str | None) -> str:
    level = risk(view)
    shown = render_diff(str(view.get("diff", "")))
    return (
        f'<article id="card"><header id="head"><h1>{text(view.get("title"), 200)}</h1>'
        f'<span class="id">{text(view.get("id"), 20)}</span><span class="risk {level}">{_RISKS[level]}</span></header>'
        f'<p class="why">{text(view.get("why"), 2000)}</p>{_diff(shown)}'
        f'<div id="facts">{facts(before(view))}</div>'
        f"<details><summary>Same thing in kubectl, dry-run result, digest</summary>{_same(view)}</details>"
        f"{_decide(view, shown, operator)}</article>"
    )


def _diff(shown: Shown) -> str:
    return f'<pre id="diff" tabindex="0" role="region" aria-label="What will change">{shown.html}</pre>'


def _same(view: Json) -> str:
    said = len(view.get("warnings") or ())
    count = "no warnings" if not said else "1 warning" if said == 1 else f"{said} warnings"
    unstable = lines(view.get("unstable"))
    differs = f"<p>Two dry runs differ in {', '.join(unstable)}; that part is not bound.</p>" if unstable else ""
    return (
        f"<p><code>{text(view.get('equivalent'), 4000)}</code></p>"
        f"<p>Dry run accepted, {count}.</p>{differs}<p><code>{text(view.get('digest'), 80)}</code></p>"
    )


def _decide(view: Json, shown: Shown, operator: str | None) -> str:
    if operator is None:
        return (
            '<footer><p class="note">Nobody is signed in in this browser, so nothing can be decided here. '
            "Open the gateway's one-time link, or make one: <code>skyflo-runbooks login --new-link</code></p></footer>"
        )
    if not shown.whole:
        return (
            '<footer><p class="note">This change is too large to be read here, so it is not approved here. '
            f"In a terminal: <code>skyflo-runbooks show {text(view.get('id'), 20)}</code></p>"
            '<button type="button" id="reject">Reject</button></footer>' + _ASK_REASON + _STATUS
        )
    name = confirmation(view)
    typed = (
        f'<p class="typed"><label for="typed">Type <code>{text(name, 260)}</code> to approve</label>'
        '<input id="typed" autocomplete="off" autocapitalize="off" spellcheck="false"></p>'
        if name
        else ""
    )
    inputs = fields(view)
    modify = '<button type="button" id="modify" aria-expanded="false">Modify</button>' if inputs else ""
    return (
        f'{typed}<footer id="decide"><button type="button" class="go" id="approve" disabled>Approve</button>{modify}'
        '<button type="button" id="reject" aria-expanded="false">Reject</button>'
        f'<a class="button" id="own" target="_blank" rel="noopener" href="{_address(view)}" hidden>'
        "Open in its own window</a>"
        f'<span class="left">signed in as {text(operator, 80)} · '
        f'<span id="left" role="timer">expires {moment(view.get("expires"))}</span></span></footer>'
        f"{_ASK_REASON}{inputs}{_STATUS}"
    )


def _back(view: Json, operator: str | None) -> str:
    can = view.get("state") in ("executed", "failed") and not at(view, "assessment", "irreversible")
    if not can or operator is None or view.get("rolled_back_by"):
        return ""
    return (
        '<footer><button type="button" id="back">Propose the way back</button>'
        f'<span class="left">needs an approval of its own</span></footer>{_STATUS}'
    )


def _notes(practice: bool, isolation: str, cluster: str) -> str:
    said = [
        f"Cluster {text(cluster, 80)}" if cluster else "",
        "Practice cluster: a simulator, nothing real is touched." if practice else "",
        _guard(isolation),
    ]
    return '<aside class="notes">' + "".join(f"<p>{line}</p>" for line in said if line) + "</aside>"


def _address(view: Json) -> str:
    return f"/proposals/{attr(view.get('id', ''), 20)}"


def _guard(isolation: str) -> str:
    if isolation in _WALLS:
        return f"Jupyter is kept apart: {text(isolation, 40)}."
    return ELSEWHERE if isolation == "not started here" else UNGUARDED


def _section(title: str, rows: list[str]) -> str:
    return f"<section><h2>{title}</h2>{''.join(rows)}</section>" if rows else ""


def _open(view: Json) -> str:
    level = risk(view)
    return (
        f'<details class="row"><summary><span class="name">{text(view.get("title"), 200)}</span>'
        f'<span class="id">{text(view.get("id"), 20)}</span><span class="risk {level}">{_RISKS[level]}</span></summary>'
        f'<p class="why">{text(view.get("why"), 2000)}</p>{_listed_diff(view)}{facts(before(view))}'
        f'<footer><a class="button go" href="{_address(view)}">Decide</a>'
        f'<span class="left">expires {moment(view.get("expires"))}</span></footer></details>'
    )


def _listed_diff(view: Json) -> str:
    shown = render_diff(str(view.get("diff", "")))
    return f'<pre tabindex="0" role="region" aria-label="What will change">{shown.html}</pre>'


def _past(view: Json) -> str:
    said = words.state(str(view.get("state", "")))
    verdict = str(at(view, "judgement", "verdict", default=""))
    name, tone = (verdict, words.tone(verdict)) if verdict else (said.name, said.tone)
    when = at(view, "receipt", "applied_at") or at(view, "receipt", "decided_at")
    who = at(view, "receipt", "operator", default="")
    told = " · ".join(part for part in (text(who, 80), moment(when)) if part)
    return (
        f'<a class="row" href="{_address(view)}"><span class="name">{text(view.get("title"), 200)}'
        f'</span><span class="id">{text(view.get("id"), 20)}</span><span class="when">{told}</span>'
        f'<span class="end"><b class="{tone}">{text(name, 40)}</b></span></a>'
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


_STATUS = '<p id="status" class="status" role="status" aria-live="polite"></p>'
_ASK_REASON = (
    '<form id="why-not" class="fields" hidden><label for="reason">Why is it rejected?</label>'
    '<input id="reason" required maxlength="500" autocomplete="off">'
    '<footer><button class="stop">Reject this change</button>'
    '<button type="button" class="cancel">Cancel</button></footer></form>'
)
