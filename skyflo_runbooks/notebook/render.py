"""Outputs of a runbook's cells: MIME bundles, static and complete, so that they survive closing.

Each bundle holds `text/plain` (for terminals, and where nothing else is shown), `text/html`, and our own JSON type.
Pure: a proposal view, a judgement or a tool's answer in, a bundle out. Whatever came from a cluster is escaped.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from skyflo_runbooks.model.entry import key
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.part import outputs, previews
from skyflo_runbooks.notebook import changes, html, table
from skyflo_runbooks.notebook.html import Markup
from skyflo_runbooks.notebook.text import clean

Bundle: TypeAlias = dict[str, object]

PROPOSAL = "application/vnd.skyflo.proposal.v1+json"
RECEIPT = "application/vnd.skyflo.receipt.v1+json"
VERDICT = "application/vnd.skyflo.verdict.v1+json"
RESULT = "application/vnd.skyflo.result.v1+json"
RECORD = "application/vnd.skyflo.record.v1+json"
WOULD = "application/vnd.skyflo.would.v1+json"

_WORDS: dict[str, tuple[str, str]] = {
    "proposed": ("WAITING", html.AMBER),
    "approved": ("APPROVED", html.AMBER),
    "executing": ("APPLYING", html.AMBER),
    "executed": ("APPLIED", html.GREEN),
    "in_place": ("ALREADY IN PLACE", html.GREEN),
    "rolled_back": ("ROLLED BACK", html.AMBER),
    "failed": ("FAILED", html.RED),
    "unknown": ("OUTCOME UNKNOWN", html.RED),
    "rejected": ("REJECTED", html.GREY),
    "expired": ("EXPIRED", html.GREY),
    "superseded": ("SUPERSEDED", html.GREY),
    "void": ("VOID", html.GREY),
}
_VERDICTS = {"VERIFIED": html.GREEN, "FAILED": html.RED, "INCONCLUSIVE": html.AMBER}
_RESULTS = {"PASS": ("✓", html.GREEN), "FAIL": ("✗", html.RED), "UNKNOWN": ("?", html.AMBER)}
_UNKNOWN = "NOT KNOWN"
_WOULD = {
    "change": ("WOULD CHANGE", html.AMBER),
    "in_place": ("ALREADY IN PLACE", html.GREEN),
    "not_applicable": ("NO LONGER APPLIES", html.GREY),
}


def card_bundle(view: Json, *, frame: bool = True) -> Bundle:
    """Return a waiting proposal: the gateway's own page in a frame, or without one its diff and its link."""
    id_, url = _get(view, "id"), _get(view, "url")
    where = html.link(url, "open it in its own window")
    line = Markup(html.said(f"{id_} · waiting for a decision · ") + where)
    note = html.tag("p", f"margin:4px 0;opacity:.75;{html.SANS};font-size:12.5px", line)
    framed = frame and url.startswith(("http://", "https://"))
    inner = _frame(id_, url) if framed else _pending(view)
    markup = html.tag("div", "max-width:780px", Markup(inner + note), class_="skyflo-card", data_proposal=id_)
    return {PROPOSAL: _proposal(view), "text/html": markup, "text/plain": card_text(view)}


def card_text(view: Json) -> str:
    """Return a waiting proposal as text: what would change, why, and how to decide."""
    id_, title = _get(view, "id"), _get(view, "title")
    word = _WORDS.get(_get(view, "state"), ("WAITING", ""))[0]
    risk = _get(view, "risk")
    lines = [f"{word}  {title}  [{id_}]" + (f"  {risk} risk" if risk else ""), _get(view, "why")]
    change = changes.text(view)
    lines += ["", change, ""] if change else []
    lines += [f"{name}: {text}" for name, text in _facts(view)]
    lines += [f"Decide: {_get(view, 'url')}", f"    or: skyflo-runbooks approve {id_}"]
    return "\n".join(line for line in lines if line is not None).strip("\n")


def receipt_bundle(view: Json) -> Bundle:
    """Return a decided proposal: who, when, what changed, what the API server answered, and the way back."""
    state = _get(view, "state")
    word, colour = _WORDS.get(state, (state.upper(), html.GREY))
    receipt = view.get("receipt") or {}
    title = _get(view, "title") or clean(at(receipt, "title", default=""))
    facts = _receipt_facts(view, receipt)
    markup = html.article(
        html.header(word, colour, title, _get(view, "id")),
        changes.markup(view),
        changes.written(view),
        html.facts(facts),
    )
    lines = [f"{word}  {title}  [{_get(view, 'id')}]", changes.text(view)]
    output = clean(outputs(view))
    wrote = ["It wrote:", output] if output else []
    text = "\n".join([line for line in lines if line] + [f"{name}: {said}" for name, said in facts if said] + wrote)
    return {RECEIPT: {**_proposal(view), "receipt": receipt}, "text/html": markup, "text/plain": text}


def change_bundle(view: Json, *, frame: bool = True) -> Bundle:
    """Return the card of a proposal that is open, else its receipt."""
    open_ = _get(view, "state") in ("proposed", "approved", "executing")
    return card_bundle(view, frame=frame) if open_ else receipt_bundle(view)


def would_bundle(step: str, tool: str, answer: Json) -> Bundle:
    """Return what a replay found: whether the change would still change something."""
    word, colour = _WOULD.get(_get(answer, "would"), ("NOT KNOWN", html.RED))
    message, diff = _get(answer, "message"), _get(answer, "diff")
    note = "Nothing was proposed: this is a replay."
    markup = html.article(
        html.header(word, colour, tool, step), html.paragraph(message), html.diff(diff), html.paragraph(note)
    )
    text = "\n".join(part for part in (f"{word}  {clean(tool)}  [{clean(step)}]", message, diff.rstrip(), note) if part)
    return {WOULD: {"step": step, "tool": tool, **answer}, "text/html": markup, "text/plain": text}


def verdict_bundle(judgement: Json) -> Bundle:
    """Return a verdict with each check, what was expected and what was observed."""
    verdict, step = _get(judgement, "verdict"), _get(judgement, "step")
    checks = [check for check in judgement.get("checks") or [] if isinstance(check, dict)]
    reasons = [clean(reason) for reason in judgement.get("reasons") or []]
    facts = [
        ("Because", "; ".join(reasons)),
        ("Changes", ", ".join(clean(id_) for id_ in judgement.get("changes") or [])),
        ("Window", _get(judgement, "window")),
        ("Measured", " to ".join(part for part in (_get(judgement, "started"), _get(judgement, "finished")) if part)),
        ("Record", _place(judgement.get("ledger"))),
    ]
    rows = [[_mark(check), html.said(_check_name(check)), _observed(check)] for check in checks]
    listing = html.table(["", "check", "observed"], rows) if rows else Markup("")
    inner = html.tag("div", "padding:0 18px", listing)
    head = html.header(verdict or "NO VERDICT", _VERDICTS.get(verdict, html.AMBER), step, "")
    lines = [f"{_RESULTS.get(_get(check, 'result'), ('?', ''))[0]} {_check_line(check)}" for check in checks]
    text = "\n".join(
        [f"{verdict or 'NO VERDICT'}  {step}", *lines, *(f"{name}: {said}" for name, said in facts if said)]
    )
    return {VERDICT: judgement, "text/html": html.article(head, inner, html.facts(facts)), "text/plain": text}


def result_bundle(step: str, tool: str, result: object, *, at: str = "", from_diagnosis: bool = False) -> Bundle:
    """Return what a read answered, as a table or text with its time."""
    found = table.tabulate(result)
    said = _when(tool, at, from_diagnosis)
    markup = html.join([_result(found), html.soft(said)])
    value = {"step": step, "tool": tool, "at": at, "result": result, "from": "diagnosis" if from_diagnosis else "run"}
    return {RESULT: value, "text/html": markup, "text/plain": f"{table.plain(found)}\n{said}"}


def gather_bundle(
    step: str,
    parts: Mapping[str, tuple[str, object, str]],
    *,
    unknown: Collection[str] = (),
    from_diagnosis: bool = False,
) -> Bundle:
    """Return what the reads of a gather answered; `parts` are (tool, result, time) by name.

    Of the names in `unknown` the result says why it is not known.
    """
    pieces: list[Markup] = []
    texts: list[str] = []
    for name, (tool, result, when) in parts.items():
        found, said = table.tabulate(result), _when(tool, when, from_diagnosis)
        if name in unknown:
            found = (table.Part(text=f"{_UNKNOWN}: {clean(result)}"),)
        title = html.tag("p", f"margin:8px 0 2px;font-weight:600;{html.SANS}", html.said(name))
        pieces += [title, _result(found), html.soft(said)]
        texts.append(f"{clean(name)}\n{table.plain(found)}\n{said}")
    results = {
        name: {"tool": tool, "at": when, **({"unknown": clean(result)} if name in unknown else {"result": result})}
        for name, (tool, result, when) in parts.items()
    }
    value = {"step": step, "results": results, "from": "diagnosis" if from_diagnosis else "run"}
    return {RESULT: value, "text/html": html.join(pieces), "text/plain": "\n\n".join(texts)}


def unknown_bundle(step: str, tool: str, why: str) -> Bundle:
    """Return a read that was refused or failed: not known, and why."""
    said = f"{_UNKNOWN}: {clean(why)}"
    markup = html.tag("p", f"margin:4px 0;color:{html.AMBER};{html.SANS}", html.said(said))
    value = {"step": step, "tool": tool, "unknown": clean(why), "from": "run"}
    return {RESULT: value, "text/html": markup, "text/plain": f"{said}\n{clean(tool)}"}


def progress_bundle(judgement: Json) -> Bundle:
    """Return how far a verify step is; not a verdict."""
    checks = [check for check in judgement.get("checks") or [] if isinstance(check, dict)]
    said = "; ".join(f"{_get(check, 'check')}: {_get(check, 'observed') or 'not seen yet'}" for check in checks)
    return note_bundle(f"{_get(judgement, 'step')}: measuring … {said}")


def record_bundle(entries: list[Json]) -> Bundle:
    """Return the ledger's entries of a run."""
    rows = tuple(
        (str(entry.get("seq", "")), _get(entry, "at"), _get(entry, "kind"), _entry(entry), _get(entry, "hash")[:19])
        for entry in entries
    )
    empty = table.Part(text="The ledger has no entry of this run.")
    found = table.Part(columns=("seq", "at", "kind", "what", "hash"), rows=rows) if rows else empty
    return {RECORD: {"entries": entries}, "text/html": _result((found,)), "text/plain": table.plain((found,))}


def note_bundle(said: str) -> Bundle:
    """Return a quiet line, such as why a step was passed by."""
    return {"text/html": html.soft(said), "text/plain": clean(said)}


def _get(value: object, name: str) -> str:
    return clean(at(value, name, default=""))


def _proposal(view: Json) -> Json:
    return {name: _get(view, name) for name in ("id", "step", "url", "state", "tool")}


def _frame(id_: str, url: str) -> Markup:
    return html.tag(
        "iframe",
        "width:100%;height:560px;border:0",
        Markup(""),
        class_="skyflo-frame",
        src=url,
        title=f"Approval of {id_}",
    )


def _pending(view: Json) -> Markup:
    word, colour = _WORDS.get(_get(view, "state"), ("WAITING", html.AMBER))
    risk = _get(view, "risk")
    head = html.header(word, colour, _get(view, "title"), _get(view, "id"), f"{risk} risk" if risk else "")
    return html.article(head, html.paragraph(_get(view, "why")), changes.markup(view), html.facts(_facts(view)))


def _facts(view: Json) -> list[tuple[str, str]]:
    pairs = [
        ("While it runs", _sentences(view, "impact", "while_it_runs")),
        ("Also touched", _sentences(view, "impact", "also_touched")),
        ("Ownership", _sentences(view, "impact", "ownership")),
        ("Not known", " ".join([*previews(view), _sentences(view, "impact", "unknown")]).strip()),
        ("Warnings", _sentences(view, "warnings")),
        ("Way back", clean(at(view, "assessment", "way_back", default=""))),
        ("Irreversible", clean(at(view, "assessment", "irreversible", default=""))),
        ("Waits for", ", ".join(f"a value of {clean(key(str(one)))}" for one in view.get("entries") or [])),
        ("Needs", _sentences(view, "conditions")),
        ("Expires", _get(view, "expires")),
    ]
    return [(name, said) for name, said in pairs if said]


def _sentences(view: Json, *path: str) -> str:
    found = at(view, *path, default=[])
    return " ".join(clean(sentence) for sentence in found) if isinstance(found, list | tuple) else clean(found)


def _receipt_facts(view: Json, receipt: Json) -> list[tuple[str, str]]:
    names = [clean(name) for name in receipt.get("approvers") or [receipt.get("operator")] if name]
    decided = ", ".join(part for part in (*names, _get(receipt, "decided_at")) if part)
    refused = _get(view, "state") in ("rejected", "expired", "superseded", "void")
    applied = receipt.get("applied") or []
    answers = "; ".join(_applied(item) for item in applied if isinstance(item, dict))
    back = _get(receipt, "way_back") or clean(at(view, "assessment", "way_back", default=""))
    return [
        ("Asked by", _get(receipt, "requester") or _get(view, "requester")),
        ("Decided" if refused else "Approved", decided),
        ("Executed by", _get(receipt, "executor")),
        ("Generated by", _get(receipt, "generator") or _get(view, "generator")),
        ("Reason", _get(receipt, "reason")),
        ("Applied", ", ".join(part for part in (_get(receipt, "applied_at"), answers) if part)),
        ("Message", _get(receipt, "message")),
        ("Replaced by", _get(view, "superseded_by")),
        ("Way back", "" if refused else back),
        ("Digest", _get(view, "digest")),
        ("Record", _place(receipt.get("ledger"))),
    ]


def _applied(item: Json) -> str:
    generation = at(item, "generation")
    said = f"{_get(item, 'object')} answered {_get(item, 'status')}"
    said += f", generation {generation}" if generation is not None else ""
    message = _get(item, "message")
    return f"{said}: {message}" if message else said


def _place(ledger: object) -> str:
    if isinstance(ledger, dict) and ledger:
        return f"ledger {ledger.get('seq', '')} {clean(ledger.get('hash', ''))[:19]}"
    if isinstance(ledger, list | tuple) and ledger:
        return "ledger " + "–".join(str(place) for place in ledger)
    return ""


def _mark(check: Json) -> Markup:
    sign, colour = _RESULTS.get(_get(check, "result"), ("?", html.AMBER))
    return html.tag(
        "span", f"color:{colour};font-weight:650", html.said(f"{sign}\N{NO-BREAK SPACE}{_get(check, 'result')}")
    )


def _check_name(check: Json) -> str:
    """The check's name in words; its arguments stand in the JSON and in the cell above."""
    return _get(check, "check").split("(")[0].replace("_", " ")


def _observed(check: Json) -> Markup:
    seen = html.said(_get(check, "observed") or "nothing observed")
    when = f", at {_get(check, 'at')}" if _get(check, "at") else ""
    soft = html.tag("div", "opacity:.65;font-size:12px", html.said(f"expected {_get(check, 'expected')}{when}"))
    evidence = [clean(item) for item in check.get("evidence") or []] if _get(check, "result") != "PASS" else []
    return html.join([seen, soft, *(html.tag("div", "font-size:12px", html.said(item)) for item in evidence[:5])])


def _check_line(check: Json) -> str:
    seen = _get(check, "observed") or "nothing observed"
    return f"{_check_name(check)}: {seen} (expected {_get(check, 'expected')})"


def _entry(entry: Json) -> str:
    """What a ledger entry is about, in a line."""
    body = entry.get("body") or {}
    said = [_get(body, name) for name in ("proposal", "step", "verdict", "operator", "state", "message", "reason")]
    return " · ".join(dict.fromkeys(word for word in said if word)) or table.cell(body)


def _result(parts: Sequence[table.Part]) -> Markup:
    return html.join(_part(part) for part in parts)


def _part(part: table.Part) -> Markup:
    if part.folded:
        return html.folded(part.title, html.code(part.text))
    title = html.soft(part.title) if part.title else Markup("")
    if not part.columns:
        return html.join([title, html.code(part.text) if "\n" in part.text else html.soft(part.text)])
    rows = html.table(part.columns, [[html.said(cell) for cell in row] for row in part.rows])
    return html.join([title, rows, *([html.soft(f"… and {part.more} more")] if part.more else [])])


def _when(tool: str, when: str, from_diagnosis: bool) -> str:
    seen = f" at {clean(when)}" if when else ""
    return f"{clean(tool)}{seen}" + (", during the diagnosis" if from_diagnosis else "")
