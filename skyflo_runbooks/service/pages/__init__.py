"""The gateway's own pages: HTML from values (`render`), the headers they are served under, and their static files."""

from pathlib import Path

from skyflo_runbooks.service.pages.headers import security
from skyflo_runbooks.service.pages.render import card, listing, login, message, receipt, window_only

STATIC = Path(__file__).parent / "static"

__all__ = ["STATIC", "card", "listing", "login", "message", "receipt", "security", "window_only"]
