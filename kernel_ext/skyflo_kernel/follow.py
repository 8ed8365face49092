"""Following a proposal after its cell has ended: the card becomes the receipt when it was decided.

One daemon thread per open card. It only shows: what it misses (a kernel that ends, a page that was reloaded) the
notebook page and a rerun of the cell find out from the gateway.
"""

from __future__ import annotations

import threading

from skyflo_kernel.gateway import WAIT
from skyflo_kernel.show import Shown
from skyflo_kernel.values import Change
from skyflo_runbooks.model.errors import SkyfloError, Unreachable
from skyflo_runbooks.notebook import render

# How long to rest when the gateway does not answer, or answers at once though nothing is settled.
REST = 2.0


def follow(change: Change, shown: Shown, *, frame: bool) -> threading.Thread:
    """Replace the card when the proposal is settled or superseded, from a thread of its own."""
    thread = threading.Thread(target=_follow, args=(change, shown, frame), name=f"skyflo {change.id}", daemon=True)
    thread.start()
    return thread


def _follow(change: Change, shown: Shown, frame: bool) -> None:
    rest = threading.Event()
    try:
        while change.open:
            before = change.id, change.state
            try:
                change.refresh(wait=WAIT)
            except Unreachable:
                rest.wait(REST)
                continue
            if change.state == "unknown":
                rest.wait(REST)
            if (change.id, change.state) != before:
                shown.replace(render.change_bundle(change.view, frame=frame))
    except SkyfloError as error:
        shown.replace(render.note_bundle(f"{change.id} is no longer followed: {error}"))
    finally:
        change.settled.set()
