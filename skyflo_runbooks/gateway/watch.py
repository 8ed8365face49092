"""From observations over time to what each check came to. Pure: times come with the observations.

Rules:
  1. The window begins with the round after the first in which every eventual check holds (or cannot be known: nothing
     known for `PATIENCE` seconds), if they hold then too. The looks of one round are taken side by side, so another
     look of that first round may be older than what made the check hold.
  2. A steady check passes only if it held at every observation of its whole window, of which there are two at least,
     and no two known observations lie further apart than `gap(window)`. A gap, a window that was not seen to its end,
     or nothing known at all is UNKNOWN. A window is no shorter than `SHORTEST`, whatever was asked for. One observation
     that does not hold is FAIL, with that observation as evidence.
  3. An eventual check passes if it holds when the window begins and at the last observation. If it never held within
     the time, it is FAIL; if it could not be known, UNKNOWN.
  4. Restarts are compared with the counts at the beginning of the window; a pod that went in it is a restart too. One
     that only came, and has not restarted, is none: an autoscaler, or somebody, wants more.
  5. A container that was OOMKilled since the change fails at once: waiting cannot heal it.
"""

import itertools
from datetime import datetime, timedelta

import msgspec

from skyflo_runbooks.gateway.checks.view import Observation
from skyflo_runbooks.model.check import Check, Outcome, tense
from skyflo_runbooks.model.quantity import format_duration, parse_duration

PATIENCE = 60.0
# One look is no window: at a distance of seconds at least a restart or a failing probe can be seen.
SHORTEST = 5.0
_LEAST = 2
_EXPECTED = {
    "rollout_complete": "all replicas updated and available, none of the old generation left",
    "pods_ready": "all pods ready",
    "no_restarts": "0 restarts for {window}",
    "no_oom_kills": "no OOMKilled since the change, for {window}",
    "memory_below": "memory below {percent} % of its limit for {window}",
    "http_ok": "200 to 399 on {path} for {window}",
    "http_answers": "an answer on {path} that is no error of the server for {window}",
    "endpoints_ready": "every selected pod is a ready endpoint",
    "image_running": "every pod runs {image}",
    "pods_scheduled": "every pod has a node, no node is overcommitted",
    "field_equals": "{path} is {value}",
    "env_set": "{variable} is set",
    "node_ready": "Ready, without pressure, schedulable: {schedulable}, for {window}",
    "node_drained": "cordoned, only pods of DaemonSets left, and no pod waits for a node since",
    "quota_kept": "nothing is used beyond the quota",
    "below_maximum": "fewer replicas wanted than the maximum",
    "condition_true": "{condition} is True",
    "address_given": "a controller wrote an address",
    "run_began": "a run began since the change",
    "on_more_nodes": "on more than {than} nodes, every pod ready",
    "claim_bound": "bound, with the size that is asked for",
    "eviction_allowed": "one pod may be evicted",
    "certificate_valid": "valid now and for {days} more days",
}


class Series(msgspec.Struct):
    """The observations of one check, in order."""

    check: Check
    seen: list[Observation] = msgspec.field(default_factory=list)

    @property
    def window(self) -> float:
        """The length of its window in seconds, by rule 2; 0 for an eventual check."""
        if tense(self.check) == "eventually":
            return 0.0
        return max(SHORTEST, parse_duration(str(self.check.arguments.get("window") or "0s")))


def window(one: Series) -> str:
    """Return the window that was used, in words."""
    return format_duration(one.window)


def after(told: datetime, last: datetime | None) -> datetime:
    """Return the time of a round: later than the one before it, which the cluster's clock tells to the second alone.

    Else what was seen in the second in which the window begins would count, although it was seen before it began.
    """
    return told if last is None or told > last else last + timedelta(microseconds=1)


def gap(window: float) -> float:
    """Return the longest time between two observations that still counts as watching: a third, at least 10 s."""
    return max(10.0, window / 3)


def settled(series: list[Series]) -> bool:
    """Return whether the window may begin, by rule 1."""
    eventual = [one for one in series if tense(one.check) == "eventually"]
    return all(bool(one.seen) and (one.seen[-1].holds == "yes" or hopeless(one)) for one in eventual)


def hopeless(one: Series) -> bool:
    """Return whether nothing was known for so long that waiting makes no sense."""
    if not one.seen or one.seen[-1].holds != "unknown":
        return False
    known = [index for index, o in enumerate(one.seen) if o.holds != "unknown"]
    since = one.seen[known[-1] + 1 if known else 0].at
    return (one.seen[-1].at - since).total_seconds() >= PATIENCE


def broken(one: Series, begin: datetime | None) -> bool:
    """Return whether the check has failed for good."""
    if one.check.name == "no_oom_kills":
        return any(o.holds == "no" for o in one.seen)
    return begin is not None and tense(one.check) == "steadily" and outcome(one, begin, over=False).result == "FAIL"


def complete(one: Series, begin: datetime) -> bool:
    """Return whether the check's window was seen to its end, or waiting makes no sense."""
    inside = [o for o in one.seen if o.at >= begin]
    if tense(one.check) == "eventually":
        return bool(inside)
    known = [o for o in inside if o.holds != "unknown"]
    if hopeless(one):
        return True
    return len(known) >= _LEAST and known[-1].at - known[0].at >= timedelta(seconds=one.window)


def outcome(one: Series, begin: datetime | None, *, over: bool, late: bool = False) -> Outcome:
    """Return what the check came to.

    `over` says that the looking has ended, `late` that it ended because the step's time is over. An eventual check that
    does not hold yet when another one's failure ends the looking is UNKNOWN: it did not have its time.
    """
    last = one.seen[-1] if one.seen else None
    if last is None:
        return _made(one, "UNKNOWN", "was never observed", None)
    if tense(one.check) == "eventually":
        return _eventual(one, begin, last, late=late)
    inside = [o for o in one.seen if begin is not None and o.at >= begin]
    failing = next((o for o in (one.seen if one.check.name == "no_oom_kills" else inside) if o.holds == "no"), None)
    if failing is not None:
        return _made(one, "FAIL", failing.observed, failing)
    known = [o for o in inside if o.holds == "yes"]
    if one.check.name == "no_restarts":
        restarted = _restarted(known)
        if restarted is not None:
            return restarted_outcome(one, *restarted)
    return _steady(one, known, last, over=over)


def restarted_outcome(one: Series, observed: str, at: Observation) -> Outcome:
    """Return the failure that a restart is."""
    return _made(one, "FAIL", observed, at)


def _steady(one: Series, known: list[Observation], last: Observation, *, over: bool) -> Outcome:
    if not known:
        return _made(one, "UNKNOWN", last.observed if last.holds == "unknown" else "the window did not begin", last)
    seconds = (known[-1].at - known[0].at).total_seconds()
    widest = max(((b.at - a.at).total_seconds() for a, b in itertools.pairwise(known)), default=0.0)
    if over and last.holds == "unknown" and (last.at - known[-1].at).total_seconds() > gap(one.window):
        return _made(one, "UNKNOWN", last.observed, last)
    if widest > gap(one.window):
        return _made(one, "UNKNOWN", f"not observed for {widest:.0f} s of the window", last)
    if seconds < one.window or len(known) < _LEAST:
        return _made(one, "UNKNOWN", f"observed for {seconds:.0f} s of {one.window:.0f} s", last)
    said = known[-1].observed
    if one.check.name == "no_restarts":
        said = f"0 restarts in {seconds:.0f} s"
    elif one.check.name in ("http_ok", "http_answers"):
        said = f"{known[-1].observed}, {len(known)} of {len(known)}"
    return _made(one, "PASS", said, known[-1])


def _eventual(one: Series, begin: datetime | None, last: Observation, *, late: bool) -> Outcome:
    if last.holds == "yes":
        return _made(one, "PASS", last.observed, last)
    if last.holds == "unknown":
        return _made(one, "UNKNOWN", last.observed, last)
    if begin is None and not late:
        return _made(one, "UNKNOWN", f"{last.observed}; the looking ended before its time", last)
    return _made(one, "FAIL", last.observed, last)


def _restarted(known: list[Observation]) -> tuple[str, Observation] | None:
    for before, after in itertools.pairwise(known):
        moved = _moved(_counts(before), _counts(after))
        if moved:
            return f"a container restarted or was replaced: {', '.join(moved)}", after
    return None


def _counts(one: Observation) -> dict[str, str]:
    """Return the restarts of each container, by pod and container."""
    return {name: count for name, _, count in (text.rpartition("=") for text in one.evidence)}


def _moved(before: dict[str, str], after: dict[str, str]) -> list[str]:
    gone = sorted(before.keys() - after.keys())
    moved = [
        f"{name}={count}"
        for name, count in sorted(after.items())
        if count != before.get(name, "0") or (gone and name not in before)
    ]
    return moved or gone


def _made(one: Series, result: str, observed: str, at: Observation | None) -> Outcome:
    return msgspec.convert(
        {
            "check": str(one.check),
            "result": result,
            "expected": _EXPECTED[one.check.name].format(**{**one.check.arguments, "window": window(one)}),
            "observed": observed,
            "evidence": list(at.evidence[:20]) if at else [],
            "at": at.at.isoformat().replace("+00:00", "Z") if at else "",
        },
        Outcome,
    )
