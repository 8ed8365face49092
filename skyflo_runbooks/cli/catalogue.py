"""The fault catalogue's words: what `explain` shows beside what the rules say themselves.

The repair is not here: the repair rule's docstring says it. A fault without an entry is explained by its rules alone.
"""

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One row of the catalogue: name, evidence that it is recognised by, invariant after the repair, way back."""

    title: str = ""
    evidence: str = ""
    verify: str = ""
    way_back: str = ""


CATALOGUE: dict[str, Entry] = {
    "CON-04": Entry(
        title="The application crashes: an environment variable is missing",
        evidence="an exit code other than 0, a log line that names the variable, and a revision before that had it",
        verify="no restarts in the window",
        way_back="undo to the stored template",
    ),
    "CON-07": Entry(
        title="OOMKilled",
        evidence="last state OOMKilled (exit 137), the limit beside the use",
        verify="no OOMKilled in the window",
        way_back="restore the limit",
    ),
    "IMG-01": Entry(
        title="Image or tag not found",
        evidence="ErrImagePull or ImagePullBackOff, with a message that says not found or manifest unknown",
        verify="only pods of the new ReplicaSet, all ready, with the image as planned",
        way_back="undo to the stored template",
    ),
    "NET-01": Entry(
        title="The Service's selector matches no pod",
        evidence="no endpoints, and the labels that nearly match",
        verify="ready endpoints = ready pods",
        way_back="restore the selector",
    ),
    "SCH-02": Entry(
        title="Insufficient CPU or memory",
        evidence="the scheduler's Insufficient cpu or memory, the sum of requests beside what nodes can allocate",
        verify="ready pods = desired pods",
        way_back="restore the requests",
    ),
}
