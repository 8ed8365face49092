"""The facts of a card and of a receipt: a term and the lines that belong to it, as HTML.

A fact without lines is left out, but for the way back: that there is none is always said.
"""

from typing import NamedTuple

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.service.pages import words
from skyflo_runbooks.service.pages.diff import parse
from skyflo_runbooks.service.pages.text import attr, hidden, lines, moment, text


class Fact(NamedTuple):
    """A term, its lines as HTML, and its tone."""

    term: str
    lines: tuple[str, ...]
    tone: str = ""


def facts(found: list[Fact]) -> str:
    """Return the facts that have something to say, as a definition list."""
    shown = "".join(_row(fact) for fact in found if fact.lines)
    return f"<dl>{shown}</dl>" if shown else ""


def before(view: Json) -> list[Fact]:
    """Return what a person should know before deciding."""
    return [
        Fact("Risk", lines(at(view, "assessment", "reasons"))),
        Fact("While it runs", lines(at(view, "impact", "while_it_runs"))),
        Fact("Also touched", lines(at(view, "impact", "also_touched"))),
        Fact("Ownership", lines(at(view, "impact", "ownership"))),
        way_back(view),
        Fact("Then verified", _verified(view), "" if at(view, "verification", "checks") else "warn"),
        Fact("Asked by", _asked(view)),
        Fact("Unknown", lines(at(view, "impact", "unknown")), "warn"),
        Fact("Warnings", (*lines(view.get("warnings")), *_invisible(view)), "warn"),
    ]


def after(view: Json) -> list[Fact]:
    """Return who decided, when, and what came of it."""
    receipt = at(view, "receipt", default={})
    decided = "Rejected" if view.get("state") == "rejected" else "Approved"
    return [
        Fact(decided, _decided(receipt)),
        Fact("Reason", lines([receipt.get("reason")])),
        Fact("Applied", _applied(receipt)),
        Fact("Answer", lines([receipt.get("message")])),
        Fact("Checks", _checks(view)),
        Fact("Why not", lines(at(view, "judgement", "reasons")), words.tone(str(at(view, "judgement", "verdict")))),
        *([way_back(view)] if view.get("state") in ("executed", "failed", "unknown", "rolled_back") else []),
        Fact("Asked by", _asked(view)),
        Fact("Record", _record(receipt)),
    ]


def way_back(view: Json) -> Fact:
    """Return the way back, or in red why there is none."""
    irreversible = at(view, "assessment", "irreversible", default="")
    if irreversible:
        return Fact("Way back", (f"None. {text(irreversible, 400)}",), "bad")
    said = at(view, "assessment", "way_back", default="")
    return Fact("Way back", (text(said, 400),)) if said else Fact("Way back", ("Not known",), "warn")


def link(proposal: object) -> str:
    """Return a link to another proposal's page."""
    return f'<a href="/proposals/{attr(proposal, 20)}">{text(proposal, 20)}</a>'


def _verified(view: Json) -> tuple[str, ...]:
    checks = at(view, "verification", "checks", default=[])
    said = " · ".join(
        words.check(str(item.get("name", "")), item.get("arguments") or {}) for item in checks if isinstance(item, dict)
    )
    if not said:
        return ("Nothing will measure the outcome",)
    within = at(view, "verification", "within", default="")
    return (text(said[:1].upper() + said[1:] + (f" · within {within}" if within else ""), 1000),)


def _asked(view: Json) -> tuple[str, ...]:
    step = " of ".join(str(view[name]) for name in ("step", "runbook") if view.get(name))
    parts = (
        text(view.get("requester") or "not known", 80),
        f"by {text(view['generator'], 60)}" if view.get("generator") else "",
        f"step {text(step, 120)}" if step else "",
        moment(view.get("created")) if view.get("created") else "",
        f"in place of {link(view['supersedes'])}" if view.get("supersedes") else "",
        f"to take back {link(view['rollback_of'])}" if view.get("rollback_of") else "",
    )
    return (", ".join(part for part in parts if part),)


def _invisible(view: Json) -> tuple[str, ...]:
    if any(hidden(line.text) for line in parse(str(view.get("diff", "")))):
        return ("The change holds characters that do not show. They are marked where they stand.",)
    return ()


def _decided(receipt: Json) -> tuple[str, ...]:
    operator, at_ = receipt.get("operator"), receipt.get("decided_at")
    return (", ".join(part for part in (text(operator, 80), moment(at_)) if part),) if operator else ()


def _applied(receipt: Json) -> tuple[str, ...]:
    rows = [_answer(item) for item in receipt.get("applied") or () if isinstance(item, dict)]
    when = receipt.get("applied_at")
    return (*([f"{moment(when)}, once"] if when else []), *rows)


def _answer(item: Json) -> str:
    generation = f", generation {text(item['generation'], 20)}" if item.get("generation") is not None else ""
    message = f", {text(item['message'], 400)}" if item.get("message") else ""
    return f"{text(item.get('object'), 200)}: {text(item.get('status'), 20)}{generation}{message}"


def _checks(view: Json) -> tuple[str, ...]:
    checks = at(view, "judgement", "checks", default=[])
    return tuple(_outcome(item) for item in checks[:40] if isinstance(item, dict))


def _outcome(item: Json) -> str:
    result = str(item.get("result", "UNKNOWN"))
    observed = f' <span class="soft">{text(item["observed"], 300)}</span>' if item.get("observed") else ""
    return f'<b class="{words.tone(result)}">{text(result, 10)}</b> {text(item.get("check"), 200)}{observed}'


def _record(receipt: Json) -> tuple[str, ...]:
    place = receipt.get("ledger")
    said = str(receipt.get("digest") or "")
    digest = f'<code title="{attr(said, 80)}">{text(said[:19], 19)}…</code>'
    if isinstance(place, list | tuple) and len(place) == 2:
        first, last = text(place[0], 20), text(place[1], 20)
        where = first if first == last else f"{first} to {last}"
        return (f"ledger {where} {digest}",)
    return (digest,) if said else ()


def _row(fact: Fact) -> str:
    tone = f' class="{fact.tone}"' if fact.tone else ""
    return f"<dt>{fact.term}</dt><dd{tone}>{''.join(f'<div>{line}</div>' for line in fact.lines)}</dd>"
