"""The headers under which the pages are served.

Rules:
  1. No inline script, no inline style, nothing from elsewhere: what the page runs is what the package ships.
  2. Only the one Jupyter origin may frame a card; without one, nobody may. Every other page is never framed.
  3. Nothing is cached and no address leaves by a referrer: a one-time link is in it.
"""

import re

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+\Z")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
)


def security(parent: str = "") -> dict[str, str]:
    """Return the response headers of a page that `parent` (an origin such as `http://localhost:8888`) may frame."""
    ancestors = parent if _ORIGIN.match(parent) else "'none'"
    return {
        "Content-Security-Policy": _POLICY.format(ancestors=ancestors),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        # Another window must not hold a handle on this one while somebody decides.
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=(), display-capture=()",
    }
