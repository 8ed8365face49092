"""Readings of known incidents in which something is missing: where confidences meet wrong findings.

Read in full, nearly every staged fault is named rightly, so that full readings say little of what a 0.7 is worth. What
makes a diagnosis wrong in earnest is what it could not see. Each incident of `seen` (staged on a real control plane, or
a control that is well), and each hand-made one of a fault that is not staged there, is therefore read again as people
with fewer rights, later, or from a poorer cluster would read it:
  1. each kind refused by itself, logs and measured use as well; what is refused is a gap, as it would be;
  2. no kind of the whole cluster at all: somebody who may see one namespace;
  3. no events, as after an hour; no logs, as after a kubelet removed them; without a gap, for nothing was refused;
  4. each event, log, condition or status that a finding cites taken away by itself. (What it cites of a spec stays: an
     incident without it is another incident.)
What is true stays what was staged. A finding is right if fault and object are of it; none is no finding.

What somebody may have set on purpose (`rules.base.INTENT`) is left out: no reading can tell whether it is a fault, and
an incident that was staged to be one least of all.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

from skyflo_runbooks.diagnosis import Gap, Snapshot, diagnose
from skyflo_runbooks.diagnosis.graph import ref
from skyflo_runbooks.diagnosis.rules.base import INTENT
from skyflo_runbooks.diagnosis.take import CLUSTER
from skyflo_runbooks.model.finding import Evidence
from tests.diagnosis.added import ADDED_SCENES
from tests.diagnosis.scenes import SCENES
from tests.diagnosis.world import FAULTS, Names
from tests.scoreboard import seen
from tests.scoreboard.mutate import taken_away
from tests.scoreboard.result import Reading
from tests.scoreboard.seen import Seen

_SAID = re.compile(r"\S+ (?:event|log|condition|status)\b")
# Kinds whose objects a snapshot makes by itself of nothing that was read.
_SELDOM = ("Namespace",)
_NEXT = "Beside k8sgpt"


def incidents() -> list[Seen]:
    """Return what was staged and kept, and the hand-made incidents."""
    return [*seen.load(), *_made()]


def _made() -> Iterator[Seen]:
    names = Names()
    told = {fault: (build, "Deployment", "workload") for fault, build in FAULTS.items()}
    told["NET-01"] = (FAULTS["NET-01"], "Service", "service")
    for fault, (build, kind, name) in sorted((told | SCENES | ADDED_SCENES).items()):
        snapshot = build(names)
        wanted = getattr(names, name, name)
        there = [ref(item) for item in snapshot.objects.get(kind, []) if item["metadata"]["name"] == wanted]
        where = str(there[0]) if there else f"{kind}/{wanted}"
        yield Seen(f"{fault}, hand-made", "something is wrong", (), (f"{fault} {where}",), snapshot)


def refused(snapshot: Snapshot, *kinds: str) -> Snapshot:
    """Return the snapshot as somebody reads it who may not see these kinds."""
    return msgspec.structs.replace(
        snapshot,
        objects={kind: [] if kind in kinds else items for kind, items in snapshot.objects.items()},
        logs=() if "Log" in kinds else snapshot.logs,
        usage=() if "Usage" in kinds else snapshot.usage,
        gaps=(*snapshot.gaps, *(Gap(kind, "", "forbidden") for kind in kinds)),
    )


def readings(one: Seen) -> Iterator[tuple[str, Snapshot]]:
    """Yield the incident in full, and with something missing, by the rules above."""
    full = one.snapshot
    yield "in full", full
    for kind in sorted(kind for kind, items in full.objects.items() if items and kind not in _SELDOM):
        yield f"{kind} refused", refused(full, kind)
    if full.logs:
        yield "Log refused", refused(full, "Log")
        yield "no logs", msgspec.structs.replace(full, logs=())
    if full.usage:
        yield "Usage refused", refused(full, "Usage")
    yield "one namespace only", refused(full, *CLUSTER)
    yield "no events", msgspec.structs.replace(full, objects={**full.objects, "Event": []})
    for piece in _cited(one):
        yield f"without {piece.source.partition(' ')[2]}", taken_away(full, piece)


def _cited(one: Seen) -> Iterator[Evidence]:
    for finding in diagnose(one.snapshot, one.incident).findings:
        yield from (piece for piece in finding.evidence if _SAID.match(piece.source))


@cache
def measured() -> tuple[Reading, ...]:
    """Return what was said in all readings of all incidents, each finding by itself."""
    return tuple(
        Reading(
            case=f"{one.case} {' '.join(one.namespaces)}".strip(),
            how=how,
            fault=finding.fault,
            confidence=finding.confidence,
            right=f"{finding.fault} {finding.object}" in one.true,
            unread=any(decider.missing for decider in finding.decided_by),
            decided=bool(finding.decided_by),
        )
        for one in incidents()
        for how, snapshot in readings(one)
        for finding in diagnose(snapshot, one.incident).findings
        if INTENT not in finding.facts
    )


def main() -> int:
    """Print the section of `docs/scoreboard.md`, or write it into the page."""
    from tests.scoreboard import report

    parser = argparse.ArgumentParser(prog="python -m tests.scoreboard.doubt")
    parser.add_argument("--page", type=Path, help="replace the section in this page")
    given = parser.parse_args()
    section = report.doubt(measured())
    if given.page is None:
        print(section)
        return 0
    page = given.page.read_text()
    ahead, _, old = page.partition(f"{report.DOUBT}\n")
    rest = old.partition("\n## ")[2] if old else ahead.partition(f"\n## {_NEXT}")[2]
    if not old:
        ahead, rest = ahead.partition(f"## {_NEXT}")[0], f"{_NEXT}{rest}"
    given.page.write_text(f"{ahead}{section}\n\n## {rest}")
    return 0


__all__ = ["incidents", "measured", "readings", "refused"]

if __name__ == "__main__":
    raise SystemExit(main())
