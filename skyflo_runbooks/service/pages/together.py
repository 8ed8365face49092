"""Several changes on one page: each is shown whole, and one press approves each by its own digest.

Rules:
  1. Every change stands here as on its own card. One that cannot be approved here (it waits for a value, it is too
     large, this operator may not) says why and stays out.
  2. The button is armed when every change that it approves was on the screen, each block of each diff.
  3. Each keeps its own digest, nonce and signature. They are decided in the order in which they stand, the next when
     the one before was applied; the first that is not applied ends it.
  4. This page is never framed.
"""

from collections.abc import Mapping, Sequence

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service.pages import words
from skyflo_runbooks.service.pages.card import address, confirmation, shown, typing
from skyflo_runbooks.service.pages.document import HOME, NOBODY, STATUS, notes, page
from skyflo_runbooks.service.pages.text import attr, text


def together(
    views: Sequence[Json],
    *,
    operator: str | None,
    requires: Mapping[str, Json],
    practice: bool,
    isolation: str,
    cluster: str = "",
) -> str:
    """Return the page of several proposals, in their order; `requires` is what the policy asks of `operator`, by id."""
    out = {str(view.get("id")): _why_not(view, requires.get(str(view.get("id")), {})) for view in views}
    articles = "".join(
        _article(view, place, len(views), requires.get(str(view.get("id")), {}), out[str(view.get("id"))])
        for place, view in enumerate(views, 1)
    )
    count = sum(not why for why in out.values())
    who = f"signed in as {text(operator, 80)}" if operator else "not signed in"
    head = f'<header class="top"><h1>{_title(len(views))}</h1><span class="who">{who}</span></header>'
    foot = NOBODY if operator is None else _foot(count)
    body = f'<main class="together">{head}{articles}{foot}</main>{HOME}{notes(practice, isolation, cluster)}'
    return page(_title(len(views)), body, script="together.js")


def _title(count: int) -> str:
    return "One change" if count == 1 else f"{count} changes"


def _why_not(view: Json, requires: Json) -> str:
    if view.get("state") != "proposed":
        said = words.state(str(view.get("state", "")))
        return f"{said.name}. {said.means}"
    if view.get("entries"):
        return "It waits for a value that has to be typed on its own page."
    if not shown(view)[1]:
        return "It is too large to be read here."
    return f"{requires.get('refused') or ''} {requires.get('next_step') or ''}".strip()


def _article(view: Json, place: int, count: int, requires: Json, why_not: str) -> str:
    id_ = str(view.get("id", ""))
    name = confirmation(view, requires)
    data = {
        "id": id_,
        "digest": view.get("digest", ""),
        "expires": view.get("expires", ""),
        "confirm": name,
        "passkey": "yes" if requires.get("passkey") else "",
        "in": "" if why_not else "yes",
    }
    attributes = " ".join(f'data-{key}="{attr(value)}"' for key, value in data.items())
    body = shown(view, requires, depth=2)[0].replace('id="diff" ', "", 1)
    out = f'<p class="out">Not approved here: {text(why_not, 700)} <a href="{address(view)}">Its own page</a></p>'
    under = out if why_not else typing(name, f"typed-{id_}")
    return (
        f'<article class="change" {attributes} aria-label="Change {place} of {count}">{body}{under}'
        '<p class="standing" role="status"></p></article>'
    )


def _foot(count: int) -> str:
    if not count:
        return '<footer class="bar"><p class="note">None of these can be approved here.</p></footer>'
    words_ = "Approve this change" if count == 1 else f"Approve these {count} changes"
    return (
        f'<footer class="bar" id="decide"><button type="button" class="go" id="approve" disabled>{words_}</button>'
        f'<span class="left" id="seen"></span>{STATUS}</footer>'
    )
