"""What every page of the gateway has: the document around it, the notes below it, and the pages that say one thing."""

from skyflo_runbooks.service.pages.text import attr, plain, text

_WALLS = ("other user", "sandbox", "separate pod")
UNGUARDED = (
    "On this computer Jupyter and the gateway share a user: approvals here stop mistakes, not malware. "
    "A sandbox, another user for Jupyter, a passkey, or the install in a cluster does."
)
ELSEWHERE = (
    "Jupyter was not started by this gateway. Where its code runs as the gateway's user, approvals stop mistakes, "
    "not malware; skyflo-runbooks lab keeps the two apart where it can."
)
OPEN = " Its code can ask every server of this machine, also another tool's that runs code for whoever asks."
HOME = '<nav class="notes"><a href="/">All changes</a></nav>'
STATUS = '<p id="status" class="status" role="status" aria-live="polite"></p>'
NOBODY = (
    '<footer><p class="note">Nobody is signed in in this browser, so nothing can be decided here. '
    "Open the gateway's one-time link, or make one: <code>skyflo-runbooks login --new-link</code></p></footer>"
)


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


def notes(practice: bool, isolation: str, cluster: str) -> str:
    """Return what stands below a page: which cluster it is about, and what guards it."""
    said = [
        f"Cluster {text(cluster, 80)}" if cluster else "",
        "Practice cluster: a simulator, nothing real is touched." if practice else "",
        _guard(isolation),
    ]
    return '<aside class="notes">' + "".join(f"<p>{line}</p>" for line in said if line) + "</aside>"


def message(title: str, said: str, *, next_step: str = "") -> str:
    """Return a page that says one thing, and what to do next."""
    step = f'<p class="why"><b>Next:</b> {text(next_step, 600)}</p>' if next_step else ""
    return page(
        title,
        f'<main><article><header><h1>{text(title, 200)}</h1></header><p class="why">{text(said, 2000)}</p>{step}'
        '<p class="why"><a href="/" target="_top">All changes</a></p></article></main>',
    )


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
        f'<footer><button class="go">Sign in with this browser</button></footer></form>{STATUS}'
        "<noscript><p class='status bad'>This page needs JavaScript: the key is made by the browser. "
        "Without it, use <code>skyflo-runbooks login</code> in a terminal.</p></noscript></article></main>"
        f"{notes(practice, isolation, '')}"
    )
    return page("Sign in", body, script="login.js")


def _guard(isolation: str) -> str:
    wall, _, ports = isolation.partition(", ")
    if wall in _WALLS:
        return f"Jupyter is kept apart: {text(isolation, 40)}.{OPEN if ports == 'ports open' else ''}"
    return ELSEWHERE if isolation == "not started here" else UNGUARDED
