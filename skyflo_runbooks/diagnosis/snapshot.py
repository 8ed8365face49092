"""A snapshot: what was read for one diagnosis, when, and what could not be read.

Rules:
  1. A snapshot is a value. Diagnosis reads nothing else: no cluster, no clock; `time` is the cluster's own.
  2. A list that was refused, failed or came too late is a `Gap`, never an empty list.
  3. It can be saved and loaded, so that an incident can be diagnosed again later and elsewhere.
"""

from datetime import datetime

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json

SCHEMA = "skyflo.dev/snapshot/v1"


class Gap(msgspec.Struct, frozen=True, order=True):
    """A read that gave no answer. `namespace` is empty where the whole cluster was asked."""

    kind: str
    namespace: str
    reason: str

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.kind}{where} could not be read: {self.reason}"


class Log(msgspec.Struct, frozen=True):
    """The last lines of one container; `previous` means the run before the present one."""

    namespace: str
    pod: str
    container: str
    previous: bool
    text: str


class Usage(msgspec.Struct, frozen=True):
    """What a container was measured to use: memory in bytes (working set), CPU in cores; None is unknown, not zero."""

    namespace: str
    pod: str
    container: str
    memory: int | None
    cpu: float | None
    at: str = ""
    source: str = ""


class Throttle(msgspec.Struct, frozen=True):
    """In how many of the periods in which a container wanted to run its CPU limit was used up, since it started."""

    namespace: str
    pod: str
    container: str
    periods: int
    throttled: int

    @property
    def share(self) -> float:
        """The part of its periods in which it waited, 0 to 1."""
        return self.throttled / self.periods if self.periods else 0.0


class Load(msgspec.Struct, frozen=True):
    """What the pods of other namespaces reserve on a node: memory in bytes, CPU in cores, how many pods."""

    node: str
    memory: int
    cpu: float
    pods: int


class Snapshot(msgspec.Struct, frozen=True):
    """The reads of one diagnosis.

    `time` is the cluster's time (RFC 3339). `namespaces` are those that were read; empty means all of them.
    `objects` holds raw objects by kind. `elsewhere` is None where the other namespaces' pods were not asked for or not
    answered (then there is a gap), so that node headroom is unknown.
    """

    time: str
    namespaces: tuple[str, ...] = ()
    objects: dict[str, list[Json]] = {}
    logs: tuple[Log, ...] = ()
    usage: tuple[Usage, ...] = ()
    throttled: tuple[Throttle, ...] = ()
    elsewhere: tuple[Load, ...] | None = None
    gaps: tuple[Gap, ...] = ()
    schema: str = SCHEMA

    def gaps_in(self, *kinds: str) -> tuple[Gap, ...]:
        """Return the reads of these kinds that gave no answer."""
        return tuple(gap for gap in self.gaps if gap.kind in kinds)

    def unread(self, namespace: str, *kinds: str) -> bool:
        """Return whether one of these kinds was not read in a namespace, so that its absence there means nothing."""
        return any(gap.namespace in ("", namespace) for gap in self.gaps_in(*kinds))


def dump(snapshot: Snapshot) -> bytes:
    """Return the snapshot as JSON."""
    return msgspec.json.encode(snapshot)


def load(data: bytes) -> Snapshot:
    """Return the snapshot in `data`, or raise `BadInput` where it holds none."""
    try:
        snapshot = msgspec.json.decode(data, type=Snapshot)
    except msgspec.DecodeError as error:
        raise BadInput(
            f"This is not a snapshot: {error}.", next_step="Give a file that was saved as a snapshot."
        ) from None
    if snapshot.schema != SCHEMA:
        raise BadInput(f"Expected a snapshot of schema {SCHEMA}, got {snapshot.schema[:60]!r}.")
    return snapshot


def moment(text: str) -> datetime | None:
    """Return the time in an RFC 3339 text, or None where it is none (an object without status has none)."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def seconds_between(earlier: str, later: str) -> float | None:
    """Return the seconds from `earlier` to `later` (RFC 3339), or None where either is no time."""
    first, second = moment(earlier), moment(later)
    if first is None or second is None or (first.tzinfo is None) != (second.tzinfo is None):
        return None
    return (second - first).total_seconds()


def ago(earlier: str, now: str) -> str:
    """Return how long before `now` it was, in words: `22 minutes`; empty where it is not known."""
    passed = seconds_between(earlier, now)
    if passed is None:
        return ""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if passed >= 2 * length or (unit == "minute" and passed >= length):
            count = int(passed // length)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    count = max(0, int(passed))
    return f"{count} second{'' if count == 1 else 's'}"
