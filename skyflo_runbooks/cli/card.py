"""What a person reads in a terminal: findings, plans, cards, receipts and judgements, as lines. Pure.

A line is its text and a style for terminals. Everything is taken from the gateway's own answers; nothing here decides.
"""

from collections.abc import Iterable
from typing import NamedTuple

from skyflo_runbooks.cli.text import clock, columns, listed
from skyflo_runbooks.model.entry import key
from skyflo_runbooks.model.finding import since
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.part import LATER, Part, outputs, parts, previews, standing

SIGNS = {"PASS": ("✓", "green"), "FAIL": ("✗", "red"), "UNKNOWN": ("?", "yellow")}
VERDICT_STYLES = {"VERIFIED": "bold green", "FAILED": "bold red", "INCONCLUSIVE": "bold yellow"}
RISK_STYLES = {"low": "green", "medium": "yellow", "high": "bold red"}
_ANEW = "propose it again (the same 'run' or 'resolve' once more) and look at the new diff"


class Line(NamedTuple):
    """One line: its text, and rich's name of a style."""

    text: str
    style: str = ""


def findings(found: Iterable[Json]) -> list[Line]:
    """Say each finding with its evidence and consequences (the form of `new --json`)."""
    lines: list[Line] = []
    for number, finding in enumerate(found):
        mark = "Cause" if number == 0 else "Also"
        lines.append(Line(f"{mark}: {finding['title']} ({finding['fault']})", "bold"))
        lines.append(Line(f"  object: {finding['object']}   confidence: {round(100 * finding['confidence'])} %"))
        lines += grounds(finding)
        lines += [Line(f"  explains: {text}") for text in finding["consequences"]]
    return lines


def grounds(finding: Json) -> list[Line]:
    """Say what a finding rests on, and what would decide it where it is not certain."""
    lines = [Line(f"  > {item['text']}  [{item['source']}]", "dim") for item in finding.get("evidence") or []]
    for one in finding.get("decided_by") or []:
        unread = f" (not read: {one['missing']})" if one.get("missing") else ""
        lines.append(Line(f"  would decide it: {one['look']}{unread}", "yellow"))
        lines.append(Line(f"      it is this if: {one['confirms']}"))
        lines.append(Line(f"      it is not if:  {one['refutes']}"))
    return lines


def timeline(line: Json) -> list[Line]:
    """Say what changed around the begin of the symptom, as a table (the form of `new --json`)."""
    if not line["changes"]:
        return []
    rows = [(_day(one["at"]), since(one["before_s"]), one["object"], _told(one)) for one in line["changes"]]
    if line["began"]:
        ahead = sum(1 for one in line["changes"] if one["before_s"] is not None and one["before_s"] >= 0)
        rows.insert(ahead, (_day(line["began"]), "began", "", line["symptom"]))
    lines = columns(rows, ("at (UTC)", "relative", "object", "what changed"))
    told = [Line("What changed around it", "bold"), *(Line(f"  {row}") for row in lines)]
    return [*told, *([Line(f"  {line['more']} older changes are left out", "dim")] if line["more"] else [])]


def _day(when: str) -> str:
    """Return an RFC 3339 time of UTC without its year and what is below a second: `05-04 10:02:11`."""
    return when[5:19].replace("T", " ") if when.endswith("Z") else when


def _told(change: Json) -> str:
    return f"{change['what']}, by {change['by']}" if change["by"] else str(change["what"])


def plan(steps: Iterable[Json], title: str = "") -> list[Line]:
    """Say the steps of a plan, numbered, and that its changes wait for an approval (the form of `new --json`)."""
    listed_steps = list(steps)
    lines = [Line(f"Plan: {title}" if title else "Plan", "bold")]
    for number, step in enumerate(listed_steps, 1):
        said = {"read": "Read", "change": "Change", "verify": "Verify", "rollback": "Way back", "record": "Record"}
        lines.append(Line(f"  Step {number}: {said.get(step['kind'], step['kind'])}: {_step(step)}"))
    if any(step["kind"] == "change" for step in listed_steps):
        lines.append(Line("  This plan changes something: each change waits for your approval.", "yellow"))
    return lines


def _step(step: Json) -> str:
    if step["kind"] == "verify":
        return listed(check_name(check) for check in at(step, "arguments", "checks", default=[]))
    if step["kind"] in ("rollback", "record"):
        return str(at(step, "arguments", "of", default=step["step"]))
    return call(step)


def call(step: Json) -> str:
    """Say a tool's call: `k8s_scale(kind=Deployment, name=web, replicas=3)`."""
    arguments = ", ".join(f"{key}={value}" for key, value in (step["arguments"] or {}).items())
    return f"{step['tool']}({arguments})"


def check_name(check: Json) -> str:
    """Say a check in a few words: `rollout_complete(Deployment, payment-service)`."""
    said = [str(value) for key, value in check.get("arguments", {}).items() if value is not None and key != "namespace"]
    return f"{check.get('name', '?')}({', '.join(said)})"


def card(view: Json) -> list[Line]:
    """Say a proposal as its card does: title, risk, why, each change, what it touches, the way back, what it needs."""
    risk = str(view.get("risk", ""))
    return [
        Line(f"{view['title']}   {view['id']}", "bold"),
        Line(f"{risk.capitalize()} risk: {listed(at(view, 'assessment', 'reasons', default=[]), 'no reason given')}",
             RISK_STYLES.get(risk, "")),
        # Whoever asks writes it: one line, and named as theirs, so that it cannot look like a line of the card.
        *([Line(f"“{' '.join(str(view['why']).split())}”")] if view.get("why") else []),
        Line(""),
        *changes(view),
        Line(""),
        *_facts(view),
        Line(f"  digest          {view['digest']}", "dim"),
    ]  # fmt: skip


def changes(view: Json) -> list[Line]:
    """Return what each request does: alone its diff, several with their numbers and objects."""
    found = parts(view)
    if len(found) == 1 and found[0].alone:
        return diff(found[0].diff)
    return [line for place, part in enumerate(found, 1) for line in _numbered(part, place, len(found))]


def _numbered(part: Part, place: int, count: int) -> list[Line]:
    head = Line(f"  {f'{place} of {count}  ' if count > 1 else ''}{part.does} {part.where}", "bold")
    if part.verb == "run":
        return [head, *(Line(f"    {row}", "green") for row in part.line.splitlines())]
    if part.verb == "evict":
        return [head]
    if part.preview == "later" and not part.diff:
        return [head, Line(f"    {LATER}", "yellow")]
    return [head, *(Line(f"  {line.text}", line.style) for line in diff(part.change))]


def diff(text: str) -> list[Line]:
    """Return a unified diff's lines with their colours."""
    styles = {"+": "green", "-": "red", "@": "cyan"}
    return [Line(f"  {line}", styles.get(line[:1], "dim")) for line in text.splitlines()]


def _facts(view: Json) -> list[Line]:
    verification = view.get("verification") or {}
    checks = [check_name(check) for check in verification.get("checks", [])]
    owned = list(at(view, "impact", "ownership", default=[]))
    unstable = [str(path) for path in view.get("unstable") or []]
    rows: list[tuple[str, list[str], str]] = [
        ("while it runs", at(view, "impact", "while_it_runs", default=[]), ""),
        ("also touched", at(view, "impact", "also_touched", default=[]), ""),
        ("ownership", owned, "yellow" if any("revert" in line for line in owned) else ""),
        ("not known", [*previews(view), *at(view, "impact", "unknown", default=[])], "yellow"),
        ("warnings", list(view.get("warnings") or []), "yellow"),
        ("way back", [_way_back(view)], "bold red" if at(view, "assessment", "irreversible") else ""),
        ("then verified", checks or ["nothing will measure the outcome"], "" if checks else "yellow"),
        ("not bound", [f"two dry runs differ in {listed(unstable)}"] if unstable else [], ""),
        ("waits for", [f"a value of {key(pointer)}" for pointer in view.get("entries") or []], "yellow"),
        ("needs", list(view.get("conditions") or []), ""),
        ("approved so far", list(view.get("approvers") or []), ""),
        ("asked by", [_asked(view)], ""),
        ("expires", [clock(str(view.get("expires") or ""))], ""),
        ("same thing", str(view.get("equivalent") or "").splitlines(), "dim"),
    ]
    return [
        Line(f"  {name if index == 0 else '':<15} {text}", style)
        for name, texts, style in rows
        for index, text in enumerate(filter(None, texts))
    ]


def _asked(view: Json) -> str:
    by = f", by {view['generator']}" if view.get("generator") else ""
    return f"{view.get('requester', '')}{by}"


def _way_back(view: Json) -> str:
    irreversible = at(view, "assessment", "irreversible", default="")
    back = str(at(view, "assessment", "way_back", default=""))
    return f"none: {irreversible}" if irreversible else back


def receipt(view: Json) -> list[Line]:
    """Say what became of a proposal: who asked, approved and executed, when, what, and the way back."""
    said = view.get("receipt") or {}
    state = str(view["state"])
    style = "green" if state in ("executed", "in_place") else "yellow"
    lines = [Line(f"{view['title']}   {view['id']}   {state}", f"bold {style}")]
    written = outputs(view)
    rows = [
        ("asked by", said.get("requester") or view.get("requester")),
        ("decided", _decided(said)),
        ("approved by", listed(said.get("approvers") or view.get("approvers") or [], "")),
        ("executed by", said.get("executor")),
        ("generated by", said.get("generator") or view.get("generator")),
        ("reason", said.get("reason")),
        ("applied", clock(str(said.get("applied_at") or ""))),
        *((name, f"{one['object']} {one['status']} {one.get('message') or ''}".strip())
          for name, one in zip(["answer", *[""] * 500], said.get("applied") or [], strict=False)),
        ("same thing", view.get("equivalent") if state == "executed" else ""),
        ("said", said.get("message") if said.get("message") != "applied" else ""),
        ("way back", _way_back(view) if state in ("executed", "failed", "unknown") else ""),
        ("replaced by", view.get("superseded_by")),
        ("rolled back by", view.get("rolled_back_by")),
        ("digest", view.get("digest")),
    ]  # fmt: skip
    told = [Line(f"  {name:<15} {text}") for name, text in rows if text]
    next_ = [Line(f"  {'next':<15} {text}", "bold") for text in [_next(view)] if text]
    return [*lines, *told, *progress(view), *next_, *([Line("  it wrote", "bold")] if written else []),
            *(Line(f"    {row}") for row in written.splitlines())]  # fmt: skip


_STANDING = {"done": ("✓", "green"), "waits": ("…", "yellow"), "now": ("›", ""), "ahead": (" ", "dim")}
_DONE = {"evict": "Evicted"}


def progress(view: Json) -> list[Line]:
    """Say where each request of a change stands while it is applied; nothing where it is not being applied."""
    lines: list[Line] = []
    for one in standing(view):
        sign, style = _STANDING[one.state]
        words = _DONE.get(one.part.verb, one.part.does) if one.state == "done" else one.part.does
        waits = " waits" if one.state == "waits" else ""
        said = f": {one.said}" if one.said else ""
        lines.append(Line(f"  {sign} {words} {one.part.where}{waits}{said}", style))
    return lines


def _next(view: Json) -> str:
    """Return what a person can do about a proposal that was not, or not yet, applied."""
    id_, said = str(view["id"]), view.get("receipt") or {}
    look = f"skyflo-runbooks show {id_}"
    return {
        "approved": f"it is applied without anybody's help; look again: {look}",
        "executing": f"it goes on without anybody's help; look again: {look}",
        "unknown": f"the gateway looks at the object, and sends nothing twice; look again: {look}",
        "failed": f"take back what was applied: skyflo-runbooks rollback {id_}; or {_ANEW}" if said.get("applied")
        else _ANEW,
        "void": f"nothing was sent; {_ANEW}",
        "expired": f"nobody decided in time; {_ANEW}",
    }.get(str(view["state"]), "")  # fmt: skip


def _check_words(check: str) -> str:
    """Say the name of a check in words: `no_restarts(Deployment, …)` is `no restarts`."""
    return check.partition("(")[0].replace("_", " ")


def _decided(said: Json) -> str:
    if not said.get("operator"):
        return ""
    return f"by {said['operator']} at {clock(str(said.get('decided_at') or ''))}"


def approved(view: Json) -> list[Line]:
    """Say the approval as it stands in the record."""
    said = view.get("receipt") or {}
    return [
        Line(f"✓ Plan approved by operator at {clock(str(said.get('decided_at') or ''))}", "green"),
        Line(f"  Approval ID: {view['id']}   Operator: {said.get('operator') or '?'}"),
    ]


def judgement(judged: Json) -> list[Line]:
    """Say a verdict with its checks, and what keeps it from VERIFIED."""
    verdict = str(judged["verdict"])
    lines = [Line("Verification report", "bold")]
    for outcome in judged.get("checks") or []:
        sign, style = SIGNS.get(str(outcome["result"]), ("?", ""))
        lines.append(Line(f"  {sign} {_check_words(str(outcome['check']))}: {outcome['observed']}", style))
        if outcome["result"] != "PASS":
            lines.append(Line(f"      expected: {outcome['expected']}"))
            lines += [Line(f"      evidence: {text}", "dim") for text in outcome.get("evidence") or []]
    if judged.get("window"):
        # Only a VERIFIED says that the window was seen to its end; else it may not even have begun.
        seen = f"observed for {judged['window']} of the cluster's time"
        lines.append(Line(f"  {seen if verdict == 'VERIFIED' else 'window asked for: ' + judged['window']}", "dim"))
    reasons = judged.get("reasons") or []
    if reasons:
        lines.append(Line(f"  because: {listed(reasons)}"))
    place = judged.get("ledger") or {}
    if place:
        lines.append(Line(f"  record: ledger {place.get('seq')}, {str(place.get('hash', ''))[:23]}…", "dim"))
    lines.append(Line(f"Result: {verdict}", VERDICT_STYLES.get(verdict, "bold")))
    return lines
