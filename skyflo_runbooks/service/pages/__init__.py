"""The gateway's own pages: HTML from values, the headers they are served under, and their static files."""

from pathlib import Path

from skyflo_runbooks.service.pages.card import card, receipt, window_only
from skyflo_runbooks.service.pages.document import login, message
from skyflo_runbooks.service.pages.headers import security
from skyflo_runbooks.service.pages.listing import listing
from skyflo_runbooks.service.pages.passkeys import passkeys
from skyflo_runbooks.service.pages.together import together

STATIC = Path(__file__).parent / "static"

__all__ = [
    "STATIC",
    "card",
    "listing",
    "login",
    "message",
    "passkeys",
    "receipt",
    "security",
    "together",
    "window_only",
]
