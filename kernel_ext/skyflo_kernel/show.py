"""Showing a MIME bundle where the runbook runs: as an output in a notebook, as text in a terminal.

A `Shown` can be replaced in place, also later and from another thread. In a notebook that is a display id, and the
replaced output is what the file keeps; in a terminal the new text is printed below.
"""

from __future__ import annotations

import os
import sys
from typing import Protocol

from skyflo_runbooks.notebook.render import Bundle

HEADLESS = "SKYFLO_HEADLESS"


class Shown(Protocol):
    """Something on display that can be replaced."""

    def replace(self, bundle: Bundle) -> None:
        """Show `bundle` in its place."""


class _Output:
    """An output of a notebook cell."""

    def __init__(self, bundle: Bundle) -> None:
        from IPython.display import display

        self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]  # IPython leaves it untyped

    def replace(self, bundle: Bundle) -> None:
        self._handle.update(bundle, raw=True)


class _Printed:
    """Text in a terminal; the same text is not printed twice in a row."""

    def __init__(self, bundle: Bundle) -> None:
        self._last = ""
        self.replace(bundle)

    def replace(self, bundle: Bundle) -> None:
        text = str(bundle.get("text/plain", ""))
        if text != self._last:
            print(text, flush=True)
        self._last = text


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def framed() -> bool:
    """Whether somebody may be looking at a page that can frame the gateway's card."""
    return in_notebook() and not os.environ.get(HEADLESS)


def show(bundle: Bundle) -> Shown:
    """Show a bundle."""
    return _Output(bundle) if in_notebook() else _Printed(bundle)
