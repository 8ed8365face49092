"""The card of a proposal while it waits, and its receipt afterwards, as HTML from values.

Rules:
  1. What is shown comes from the gateway's own state: a proposal view as `docs/architecture.md` describes it, and what
     its policy asks of the operator who looks (`requires`, as `GET …/nonce` answers it).
  2. Whoever decides sees the whole change. Where it does not fit (`diff.MAX_LINES`), the page offers no approval.
  3. High risk, no way back, a deletion, a passkey, and a value that has to be typed are dealt with in a window of the
     gateway's own, never in a frame. A deletion also asks for the object's name.
  4. While a value has to be typed, there is no approve button.
  5. The script that decides reads only the `data-` attributes of `main`; they are exact or empty.
"""

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.part import outputs
from skyflo_runbooks.service.pages import words
from skyflo_runbooks.service.pages.changes import changes
from skyflo_runbooks.service.pages.document import HOME, NOBODY, STATUS, notes, page
from skyflo_runbooks.service.pages.facts import after, before, facts, link
from skyflo_runbooks.service.pages.form import entries, fields
from skyflo_runbooks.service.pages.text import attr, moment, text

RISKS = {"low": "Low risk", "medium": "Medium risk", "high": "High risk"}
_REASON = (
    '<form id="why-not" class="fields" hidden><label for="reason">Why is it rejected?</label>'
    '<input id="reason" required maxlength="500" autocomplete="off">'
    '<footer><button class="stop">Reject this change</button>'
    '<button type="button" class="cancel">Cancel</button></footer></form>'
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
    requires: Json | None = None,
    siblings: int = 0,
) -> str:
    """Return the page of one proposal: the card while it is open, the receipt when it is decided.

    `operator` is who is signed in, or None. `framed` says that it was asked for inside a frame. `parent` is the one
    origin that may frame it, and the only one that is told of a change of state. `requires` is what the policy asks of
    this operator. `siblings` are the other changes of the same run that wait too.
    """
    state = str(view.get("state", ""))
    inner = _card(view, operator, requires or {}) if state == "proposed" else receipt(view, operator=operator)
    attributes = " ".join(
        f'data-{name}="{attr(value)}"' for name, value in _data(view, operator, framed, parent, requires or {}).items()
    )
    below = "" if framed else HOME + notes(practice, isolation, cluster)
    mark = '<p class="practice">Practice cluster</p>' if framed and practice else ""
    more = _siblings(view, siblings) if state == "proposed" and operator is not None else ""
    body = f"<main {attributes}>{mark}{inner}{more}</main>{below}"
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
        f'<p class="why">{said.means}{next_}</p>{_output(view)}{facts(after(view))}'
        f"<details><summary>What it changes, and why</summary>"
        f"<p>{text(view.get('why'), 2000)}</p>{changes(view).html}{_same(view)}</details>"
        f"{_back(view, operator)}</article>"
    )


def shown(view: Json, requires: Json | None = None, depth: int = 1) -> tuple[str, bool]:
    """Return what a person reads before deciding, without the buttons, and whether the whole change is in it.

    `depth` is the level of its heading.
    """
    view = {**view, "needed": at(requires, "approvals", "needed", default=1)}
    level = risk(view)
    change = changes(view, depth + 1)
    said = (
        f'<header class="head"><h{depth} class="title">{text(view.get("title"), 200)}</h{depth}>'
        f'<span class="id">{text(view.get("id"), 20)}</span><span class="risk {level}">{RISKS[level]}</span></header>'
        f'<p class="why">{_asked_for(view)}</p>{change.html}'
        f'<div class="facts">{facts(before(view))}</div>'
        f"<details><summary>Same thing in kubectl, dry-run result, digest</summary>{_same(view)}</details>"
    )
    return said, change.whole


def _asked_for(view: Json) -> str:
    """Return why it was asked for, as a quotation on one line: whoever asks wrote it."""
    why = " ".join(str(view.get("why") or "").split())
    return f"“{text(why, 2000)}”" if why else ""


def window_only(view: Json) -> bool:
    """Return whether a proposal may only be decided in a window of the gateway's own."""
    weighs = risk(view) == "high" or bool(at(view, "assessment", "irreversible"))
    return weighs or bool(confirmation(view)) or bool(view.get("entries"))


def confirmation(view: Json, requires: Json | None = None) -> str:
    """Return the name that has to be typed before a deletion is approved, or an empty string."""
    asked = (requires or {}).get("typed") or view.get("confirm")
    if asked:
        return str(asked)
    deletes = "delete" in str(view.get("tool", ""))
    return str(at(view, "arguments", "name", default=view.get("id", ""))) if deletes else ""


def risk(view: Json) -> str:
    """Return the risk; one that is not said counts as high."""
    said = str(view.get("risk") or at(view, "assessment", "risk", default=""))
    return said if said in RISKS else "high"


def typing(name: str, id_: str = "typed") -> str:
    """Return the field in which the name of what is deleted is typed; nothing where there is none."""
    if not name:
        return ""
    return (
        f'<p class="typed"><label for="{attr(id_)}">Type <code>{text(name, 260)}</code> to approve</label>'
        f'<input id="{attr(id_)}" autocomplete="off" autocapitalize="off" spellcheck="false"></p>'
    )


def address(view: Json) -> str:
    """Return the path of a proposal's page."""
    return f"/proposals/{attr(view.get('id', ''), 20)}"


def _data(view: Json, operator: str | None, framed: bool, parent: str, requires: Json) -> dict[str, object]:
    return {
        "id": view.get("id", ""),
        "state": view.get("state", ""),
        "digest": view.get("digest", ""),
        "expires": view.get("expires", ""),
        "operator": operator or "",
        "framed": "yes" if framed else "",
        "window": "yes" if window_only(view) or requires.get("passkey") else "",
        "confirm": confirmation(view, requires),
        "passkey": "yes" if requires.get("passkey") else "",
        "approvals": len(view.get("approvers") or ()),
        "progress": _progress(view),
        "parent": parent,
        "verdict": at(view, "judgement", "verdict", default=""),
        "verified": "yes" if at(view, "verification", "checks") else "",
    }


def _progress(view: Json) -> str:
    """Return what changes when a request is done or begins to wait, so that the page is drawn again."""
    waits = at(view, "progress", "waits", "since", default="")
    return f"{at(view, 'progress', 'done')} {waits}" if view.get("progress") else ""


def _card(view: Json, operator: str | None, requires: Json) -> str:
    said, whole = shown(view, requires)
    return f'<article id="card">{said}{_decide(view, whole, operator, requires)}</article>'


def _same(view: Json) -> str:
    said = len(view.get("warnings") or ())
    count = "no warnings" if not said else "1 warning" if said == 1 else f"{said} warnings"
    verbs = {str(item.get("preview", "server")) for item in view.get("parts") or () if isinstance(item, dict)}
    tried = f"<p>Dry run accepted, {count}.</p>" if not verbs or "server" in verbs else ""
    return (
        f'<p><code class="lines">{text(view.get("equivalent"), 4000)}</code></p>{tried}'
        f"<p><code>{text(view.get('digest'), 80)}</code></p>"
    )


def _output(view: Json) -> str:
    """What a command wrote, whole as far as the gateway kept it."""
    said = outputs(view)
    label = 'role="region" aria-label="What it wrote" tabindex="0"'
    return f'<pre class="output" {label}>{text(said, 100_000)}</pre>' if said else ""


def _decide(view: Json, whole: bool, operator: str | None, requires: Json) -> str:
    if operator is None:
        return NOBODY
    if not whole:
        return _not_here(
            "This change is too large to be read here, so it is not approved here. "
            f"In a terminal: <code>skyflo-runbooks show {text(view.get('id'), 20)}</code>"
        )
    if requires.get("refused"):
        return _not_here(text(f"{requires['refused']} {requires.get('next_step', '')}".strip(), 900))
    if view.get("entries"):
        return entries(view) + _foot(view, operator, "") + _REASON + STATUS
    inputs = fields(view)
    approve = '<button type="button" class="go" id="approve" disabled>Approve</button>'
    modify = '<button type="button" id="modify" aria-expanded="false">Modify</button>' if inputs else ""
    foot = _foot(view, operator, approve + modify)
    return f"{typing(confirmation(view, requires))}{foot}{_REASON}{inputs}{STATUS}"


def _foot(view: Json, operator: str, buttons: str) -> str:
    return (
        f'<footer id="decide">{buttons}'
        '<button type="button" id="reject" aria-expanded="false">Reject</button>'
        f'<a class="button" id="own" target="_blank" rel="noopener" href="{address(view)}" hidden>'
        "Open in its own window</a>"
        f'<span class="left">signed in as {text(operator, 80)} · '
        f'<span id="left" role="timer">expires {moment(view.get("expires"))}</span></span></footer>'
    )


def _not_here(said: str) -> str:
    reject = '<button type="button" id="reject" aria-expanded="false">Reject</button>'
    return f'<footer><p class="note">{said}</p>{reject}</footer>{_REASON}{STATUS}'


def _back(view: Json, operator: str | None) -> str:
    can = view.get("state") in ("executed", "failed") and not at(view, "assessment", "irreversible")
    if not can or operator is None or view.get("rolled_back_by"):
        return ""
    return (
        '<footer><button type="button" id="back">Propose the way back</button>'
        f'<span class="left">needs an approval of its own</span></footer>{STATUS}'
    )


def _siblings(view: Json, count: int) -> str:
    if not count:
        return ""
    said = "One more change" if count == 1 else f"{count} more changes"
    path = f"/plan/{attr(view.get('runbook', ''), 120)}/{attr(view.get('run', ''), 120)}"
    waits = "waits" if count == 1 else "wait"
    return f'<p class="beside"><a href="{path}" target="_top">{said} of this run {waits}: decide them together</a></p>'
