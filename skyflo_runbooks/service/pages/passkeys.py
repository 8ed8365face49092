"""The page on which an operator registers passkeys, and sees and removes those that are registered. Never framed."""

from collections.abc import Sequence

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service.pages.document import NOBODY, STATUS, page
from skyflo_runbooks.service.pages.text import attr, moment, text


def passkeys(known: Sequence[Json], *, operator: str | None) -> str:
    """Return the page; `known` are the operator's passkeys as `{"id", "label", "added"}`."""
    rows = "".join(map(_row, known)) or '<p class="empty">You have none yet.</p>'
    body = (
        '<main class="list"><header class="top"><h1>Passkeys</h1>'
        f'<span class="who"><a href="/">Changes</a> · signed in as {text(operator or "nobody", 80)}</span></header>'
        f"<section><h2>Yours</h2>{rows}</section>{NOBODY if operator is None else _FORM}</main>"
    )
    return page("Passkeys", body, script="passkeys.js")


_FORM = (
    "<section><h2>Another one</h2><article>"
    '<p class="why lead">A passkey confirms a decision with your finger, your face or a security key, beside the key '
    "of this browser. It signs the very change that is shown. Code that took over this computer has no finger.</p>"
    '<form id="register" class="fields"><label for="label">What is it called?</label>'
    '<input id="label" maxlength="80" placeholder="Laptop, YubiKey, phone" autocomplete="off">'
    f'<footer><button class="go">Register a passkey</button></footer></form>{STATUS}</article></section>'
)


def _row(known: Json) -> str:
    label = text(known.get("label") or "passkey", 80)
    return (
        f'<div class="row"><span class="cell"><span class="name">{label}</span>'
        f'<span class="when">registered {moment(known.get("added"))}</span></span>'
        f'<button type="button" class="remove" data-id="{attr(known.get("id"), 1400)}" '
        f'aria-label="Remove {attr(known.get("label") or "passkey", 80)}">Remove</button></div>'
    )
