"""The scoreboard as a table, as JSON and as `docs/scoreboard.md`. A miss is shown as a miss.

Rules:
  1. A share is of what was measured; beside it stands how many that were. What was not measured is said so.
  2. Durable repair has two shares: of the changes that were made, and of all staged faults. Where a case says that no
     safe change exists, advice without a change is what is wanted, and counts in the second only as that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from skyflo_runbooks.diagnosis.certainty import UNREAD_SHARE
from skyflo_runbooks.model.json import Json
from tests.scoreboard import calibration
from tests.scoreboard.result import Board, Control, Crowd, Other, Reading, Trial

_HEADER = (
    "| fault | first cause | object | false | plan | bites | durable | verdict | honest | grounded | noise | s |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


@dataclass(frozen=True)
class Total:
    """One share with its target (both 0 to 1); `of` is how many were measured."""

    name: str
    good: int
    of: int
    target: float | None = None

    @property
    def share(self) -> float | None:
        """The share, or None where nothing was measured."""
        return self.good / self.of if self.of else None

    def line(self) -> str:
        """Return the table's line."""
        goal = "none set" if self.target is None else f"≥ {self.target:.0%}" if self.target < 1 else "100 %"
        if self.share is None:
            return f"| {self.name} | {goal} | not measured | |"
        met = "" if self.target is None else "yes" if self.share >= self.target else "**no**"
        return f"| {self.name} | {goal} | {self.share:.1%} ({self.good} of {self.of}) | {met} |"


def totals(board: Board) -> list[Total]:
    """Return the totals against the targets of the issue."""
    trials, pairs, controls = board.trials, board.pairs, board.controls
    judged = [one for one in trials if one.durable is not None]
    return [
        Total("cause at first place", _count(one.first for one in trials), len(trials), 0.95),
        Total("its object right", _count(one.object_right for one in trials), len(trials)),
        Total("no false finding beside it", _count(not one.false for one in trials), len(trials)),
        Total("plan as the case allows", _count(map(_planned, trials)), len(trials)),
        Total("the plan's checks do not pass before the repair", *_known(one.bites for one in trials)),
        Total("durable repair, of changes made", _count(bool(one.durable) for one in judged), len(judged), 0.9),
        Total("durable repair, of all staged faults", _count(bool(one.durable) for one in trials), len(trials)),
        Total("verdict equals the oracle", *_known(one.honest for one in trials), 1.0),
        Total("the finding rests on what it cites", *_known(one.grounded for one in trials), 1.0),
        Total("unmoved by 500 irrelevant objects and events", *_known(one.unmoved for one in trials), 1.0),
        Total("two faults at once: both named", _count(one.all_named for one in pairs), len(pairs), 0.8),
        Total("two faults at once: nothing else named", _count(not one.false for one in pairs), len(pairs)),
        Total("controls: nothing made up", _count(one.right for one in controls), len(controls), 1.0),
    ]  # fmt: skip


def _lines(board: Board) -> list[str]:
    return [total.line() for total in totals(board)]


def _count(values: Iterable[bool]) -> int:
    return sum(1 for value in values if value)


def _known(values: Iterable[bool | None]) -> tuple[int, int]:
    known = [value for value in values if value is not None]
    return _count(known), len(known)


def _planned(one: Trial) -> bool:
    return one.planned == ("advice" if one.wanted == "advice" else "change")


def _mark(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "**no**"


def row(one: Trial) -> str:
    """Return the table's line of one trial."""
    said = "yes" if one.first else f"**no**: {_said(one)}"
    seconds = "–" if one.seconds is None else f"{one.seconds:.2f}"
    cells = [
        one.fault,
        said,
        _mark(one.object_right),
        str(one.false),
        f"{one.planned or 'none'}{'' if _planned(one) else f' (**{one.wanted}** wanted)'}",
        _mark(one.bites),
        _mark(one.durable),
        one.verdict or "–",
        _mark(one.honest),
        _mark(one.grounded),
        _mark(one.unmoved),
        seconds,
    ]
    return f"| {' | '.join(cells)} |"


def _said(one: Trial) -> str:
    return ", ".join(f"{said.fault}" for said in one.said) or ("unknown" if one.unknown else "nothing")


def misses(board: Board) -> Iterator[str]:
    """Yield each miss in words."""
    for one in board.trials:
        where = f"{one.fault} ({'; '.join(one.drawn[:3])})"
        if one.broke:
            yield f"{where}: the trial broke: {one.broke}"
        if not one.object_right or one.false:
            yield f"{where}: expected {', '.join(one.expected)}; said {_in_full(one)}"
        if one.durable is False:
            yield f"{where}: {one.tool}: {one.why_not or 'also changed ' + '; '.join(one.strange)}"
        if one.honest is False:
            yield f"{where}: verdict {one.verdict} ({'; '.join(one.reasons)}), oracle: {one.why_not or 'holds'}"
        if one.bites is False:
            yield f"{where}: its checks pass before the repair"
        if one.grounded is False:
            yield f"{where}: the finding stays without what it cites"
        if one.unmoved is False:
            yield f"{where}: irrelevant objects moved the findings"
    for one in board.pairs:
        if not one.all_named or one.false:
            yield f"{one.fault}: expected {', '.join(one.expected)}; said {_in_full(one)}"
    for control in board.controls:
        if not control.right:
            said = ", ".join(f"{one.fault} {one.object}" for one in control.said) or "; ".join(control.unknown)
            said = "; ".join(part for part in (control.broke, said) if part)
            yield f"{control.id} ({control.title}): said {said or 'nothing'}"


def _in_full(one: Trial) -> str:
    named = ", ".join(f"{said.fault} {said.object}" for said in one.said) or "nothing"
    return named + (f"; unknown: {'; '.join(one.unknown)[:160]}" if one.unknown else "")


def page(board: Board) -> str:
    """Return the whole of `docs/scoreboard.md`."""
    parts = [
        "# Scoreboard",
        _INTRODUCTION.format(board=board),
        "## Totals",
        "\n".join(
            ["| what | target | measured | met |", "| --- | --- | --- | --- |", *(t.line() for t in totals(board))]
        ),
        "## Each fault",
        _LEGEND,
        "\n".join([*_HEADER, *map(row, sorted(board.trials, key=lambda one: one.fault))]),
        "## Misses",
        "\n".join(f"- {line}" for line in misses(board)) or "None in this run.",
        "## Two faults at once",
        "\n".join(_pairs(board.pairs)) if board.pairs else "Not measured.",
        "## Controls",
        "\n".join(_controls(board.controls)) if board.controls else "Not measured.",
        "## How sure, and how often right",
        "\n\n".join(_calibrated(board)),
        *([doubt(board.readings)] if board.readings else []),
        "## Beside k8sgpt",
        "\n\n".join(_beside(board)),
        "## Not measured",
        "\n".join(f"- {line}" for line in board.not_measured) or "Everything above was measured.",
    ]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """This page is written by `make scoreboard`; do not edit it. Commit {board.commit}, {board.date},
{board.machine}, {board.seconds:.0f} s. To repeat it: `{board.command}`.

Every staged fault of `tests/faults` and every shipped scenario is put on a real control plane, with played nodes or
(`tests/faults/node`, where a kubelet tells the fault) with one real node, under names, counts, containers, questions,
noise and decoys drawn from the seed, diagnosed without a language model, and repaired through the gateway with a signed
approval. An oracle of its own, which knows neither the rules nor the checks, then asks the API whether it holds and
what else changed. Misses stay in the set; what they showed was mended in the product between runs with this same seed,
so a run with another (`SEED=2`) is the harder question."""

_LEGEND = """*First cause*: the first finding is of the staged fault. *Object*: and names what has to change. *False*:
findings of nothing staged. *Plan*: a change that the API server accepted in a dry run, or advice. *Bites*: the plan's
checks do not pass while nothing is repaired. *Durable*: the oracle holds for a while, and nothing else changed in the
cluster. *Honest*: the verdict equals the oracle. *Grounded*: without what it cites the finding is gone, less certain or
another. *Noise*: 500 irrelevant objects and events move nothing. *s*: seconds of one warm diagnosis with plan. –: not
measured."""


def _pairs(pairs: Sequence[Trial]) -> Iterator[str]:
    yield "| faults | both named | false | first |"
    yield "| --- | --- | --- | --- |"
    for one in pairs:
        first = one.said[0].fault if one.said else "nothing"
        yield f"| {one.fault} | {_mark(one.all_named)} | {one.false} | {first} |"


def _controls(controls: Sequence[Control]) -> Iterator[str]:
    yield "| control | what it is | expected | right |"
    yield "| --- | --- | --- | --- |"
    for one in controls:
        yield f"| {one.id} | {one.title} | {one.expected} | {_mark(one.right)} |"


def _calibrated(board: Board) -> Iterator[str]:
    said = [one for trial in (*board.trials, *board.pairs) for one in trial.said]
    said += [one for control in board.controls for one in control.said]
    found = calibration.buckets(said)
    error = calibration.expected_error(found)
    if error is None:
        yield "Not measured."
        return
    lines = ["| confidence | findings | sure on average | right | at least (95 %) |", "| --- | --- | --- | --- | --- |"]
    for one in found:
        most = min(one.high, 1.0)
        lines.append(
            f"| {one.low:.2f} to {most:.2f} | {one.count} | {one.sure:.2f} | {one.share:.2f} | {one.at_least:.2f} |"
        )
    yield f"Expected calibration error over {len(said)} findings: {error:.3f}."
    yield "\n".join(lines)
    yield diagram(found)
    if not calibration.derivable(found):
        yield (
            "The confidences are set by hand, one for each class of evidence. These data do not allow to derive them: "
            f"no bucket holds {calibration.ENOUGH} findings with wrong ones among them. What they show is the last "
            "column: how often, at the least, a finding of that sureness is right on faults of this kind."
        )


DOUBT = "## How sure where something is missing"


def doubt(readings: Sequence[Reading]) -> str:
    """Return the section about readings of known incidents in which something is missing."""
    wrong = sorted(f"- {one.case}, {one.how}: {one.fault} at {one.confidence:.2f}" for one in readings if not one.right)
    over = [f"{one.fault}{' with something unread' if one.unread else ''}" for one in calibration.over_sure(readings)]
    rows = [
        f"| {low:.2f} to {min(high, 1.0):.2f} | {one.findings} | {one.incidents} | {one.sure:.2f} | {one.right:.2f} "
        f"| {one.at_least:.2f} |"
        for low, high, one in calibration.shares(readings)
    ]
    head = "| confidence | findings | incidents | sure on average | right, by incident | at least (95 %) |"
    text = _DOUBT.format(
        findings=len(readings),
        incidents=len({one.case for one in readings}),
        wrong=len(wrong),
        brier=calibration.brier(readings),
        uninformed=calibration.uninformed(readings),
        error=calibration.expected_error(calibration.buckets(readings)),
        ratio=calibration.unread_share(readings),
        factor=UNREAD_SHARE,
    )
    parts = [DOUBT, text, "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *rows])]
    parts += ["What was wrong:", "\n".join(wrong) or "Nothing."]
    return "\n\n".join([*parts, f"Claims that these data do not allow: {', '.join(over) or 'none'}."])


_DOUBT = """Each known incident is read again with something missing: a kind refused, no events, no logs, one
namespace only, a cited condition gone (no cluster is needed: `python -m tests.scoreboard.doubt`, whose docstring says
how; the method is that of `tests/scoreboard/calibration.py`). {findings} findings of {incidents} incidents, {wrong} of
them wrong. Expected calibration error {error:.3f}, Brier score {brier:.4f}; whoever knew the overall share and said it
of each finding would have {uninformed:.4f}: on incidents that were staged, findings are right more often than they say.
While a kind was unread, findings were right at least {ratio:.2f} times as often as where everything was read (95 %,
incidents, not readings, counted); such findings are made less sure by the factor {factor}. A bucket says too much where
its share lies clearly below its edge; it is not raised where the share lies above: a staged fault cannot tell how often
the same sight is none."""


def diagram(found: Sequence[calibration.Bucket]) -> str:
    """Return the reliability diagram as Mermaid: bars are the share that was right, the line is how sure they were."""
    labels = ", ".join(f'"{one.low:.2f}"' for one in found)
    share = ", ".join(f"{one.share:.2f}" for one in found)
    sure = ", ".join(f"{one.sure:.2f}" for one in found)
    return (
        "```mermaid\nxychart-beta\n"
        '    title "Right (bars) and sure (line), by confidence"\n'
        f"    x-axis [{labels}]\n    y-axis 0 --> 1\n    bar [{share}]\n    line [{sure}]\n```"
    )


def _beside(board: Board) -> Iterator[str]:
    both = [one for one in board.trials if one.other is not None and one.seconds is not None]
    if not both:
        yield "Not measured in this run."
        return
    theirs = [one.other for one in both if one.other is not None]
    quiet = [one.other for one in board.controls if one.other is not None]
    ours, other = _median([one.seconds or 0 for one in both]), _median([one.seconds for one in theirs])
    yield (
        "k8sgpt v0.4.36, `analyze -o json` of the namespace with its default filters and no model, on the same "
        "namespaces in the same run, turn by turn. It names the cause if any text that it lists holds the evidence of "
        "the fault; for us only the first finding counts."
    )
    yield "\n".join([
        "| | Skyflo Runbooks | k8sgpt |",
        "| --- | --- | --- |",
        f"| cause named | {_count(one.first for one in both)} of {len(both)} (first finding) "
        f"| {_count(one.named for one in theirs)} of {len(theirs)} (anywhere in the list) |",
        f"| findings listed | {sum(len(one.said) for one in both)} | {sum(one.findings for one in theirs)} |",
        f"| false findings beside a fault | {sum(one.false for one in both)} | {sum(one.false for one in theirs)} |",
        f"| findings in {len(quiet)} healthy controls | {sum(len(one.said) for one in board.controls)} "
        f"| {sum(one.findings for one in quiet)} |",
        f"| seconds, median | {ours:.2f} (with a plan) | {other:.2f} |",
        f"| ratio of the medians (target ≤ 0.2) | {ours / other:.2f} | |",
    ])  # fmt: skip
    if board.crowd is not None:
        yield _crowd(board.crowd)


def _crowd(crowd: Crowd) -> str:
    other = crowd.other
    return (
        f"A namespace of {crowd.pods} pods with one fault: {crowd.seconds:.2f} s for diagnosis and plan, warm and in "
        f"process (the fault first: {_mark(crowd.first)}); k8sgpt {other.seconds:.2f} s (named anywhere: "
        f"{_mark(other.named)}, {other.findings} findings); ratio {crowd.seconds / other.seconds:.2f}."
    )


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def as_json(board: Board) -> str:
    """Return the whole board as JSON, with its totals."""
    whole: Json = msgspec.to_builtins(board)
    whole["totals"] = [
        {"name": t.name, "good": t.good, "of": t.of, "share": t.share, "target": t.target} for t in totals(board)
    ]
    whole["misses"] = list(misses(board))
    return msgspec.json.format(msgspec.json.encode(whole), indent=1).decode()


def table(board: Board) -> str:
    """Return what a terminal shows: a line for each trial, the totals, the misses."""
    lines = [f"{'fault':16} first object false plan    bites durable verdict      honest"]
    for one in sorted((*board.trials, *board.pairs), key=lambda item: item.fault):
        cells = [_plain(one.first), _plain(one.object_right), str(one.false), str(one.planned or "-")]
        cells += [_plain(one.bites), _plain(one.durable), one.verdict or "-", _plain(one.honest)]
        widths = (5, 6, 5, 7, 5, 7, 12, 6)
        lines.append(" ".join([f"{one.fault:16}", *(f"{cell:{w}}" for cell, w in zip(cells, widths, strict=True))]))
    lines += ["", *(t.line().strip("| ") for t in totals(board)), "", *misses(board)]
    return "\n".join(lines)


def _plain(value: bool | None) -> str:
    return "-" if value is None else "yes" if value else "NO"


__all__ = ["Other", "Total", "as_json", "diagram", "misses", "page", "row", "table", "totals"]
