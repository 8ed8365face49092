"""The ledger against the API server's own audit log: each write has its attempt, and the other way round. Pure.

Rules:
  1. A write is a completed request that changed something, or ran something in a container: dry runs, refusals, reads,
     and reviews (which keep nothing) are none.
  2. It is the gateway's if its user agent is ours, its field manager is an attempt's, or its user is one that is named.
  3. A write of the gateway's without an attempt, one of an attempt that the ledger does not know, and a number of
     writes that is not the number of answers in the ledger are differences.
  4. An attempt that lies outside the time of the log is not compared; how many there are is said.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json, at

AGENT = "skyflo-runbooks"
_ATTEMPT = re.compile(r"skyflo-(at-[0-9a-f]+)")
_VERBS = {"create", "update", "patch", "delete", "deletecollection"}
_INTO = {"exec", "attach", "portforward"}
_REVIEWS = {"authorization.k8s.io", "authentication.k8s.io"}


class Write(msgspec.Struct, frozen=True):
    """One write of the gateway's, as the API server saw it; `attempt` is empty where it says none."""

    attempt: str
    at: datetime
    user: str
    what: str


class Attempted(msgspec.Struct, frozen=True):
    """One attempt, as the ledger has it: when it began, and how many of its requests were answered as applied."""

    id: str
    proposal: str
    at: datetime
    applied: int


class Log(msgspec.Struct, frozen=True):
    """The gateway's writes of an audit log, and the time that the log covers."""

    writes: tuple[Write, ...]
    begin: datetime | None
    end: datetime | None


class Reconciled(msgspec.Struct, frozen=True):
    """What comparing came to."""

    writes: int
    attempts: int
    outside: int
    differences: tuple[str, ...]


def read(lines: Iterable[str], users: Collection[str]) -> Log:
    """Return the gateway's writes in an audit log (audit.k8s.io/v1, one event a line)."""
    writes: list[Write] = []
    times: list[datetime] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = msgspec.json.decode(line, type=dict)
            moment = datetime.fromisoformat(str(event.get("stageTimestamp") or event["requestReceivedTimestamp"]))
        except (msgspec.MsgspecError, KeyError, ValueError) as error:
            raise BadInput(f"Line {number} of the audit log is no audit event: {error!r}.") from None
        times.append(moment)
        if _is_write(event) and (ours := _ours(event, moment, users)) is not None:
            writes.append(ours)
    return Log(tuple(writes), min(times, default=None), max(times, default=None))


def attempts(entries: Iterable[Json]) -> Iterator[Attempted]:
    """Yield the attempts of a ledger's entries `dispatch` and `applied`."""
    begun: dict[str, tuple[str, datetime]] = {}
    answered: Counter[str] = Counter()
    for entry in entries:
        body = entry["body"]
        if entry["kind"] == "dispatch":
            begun[str(body["attempt"])] = (str(body["proposal"]), datetime.fromisoformat(str(entry["at"])))
        elif entry["kind"] == "applied" and at(body, "applied", "status", default=0):
            answered[str(body["attempt"])] += 1
    for id_, (proposal, moment) in begun.items():
        yield Attempted(id_, proposal, moment, answered[id_])


def reconcile(log: Log, made: Iterable[Attempted]) -> Reconciled:
    """Return every difference, by rules 3 and 4."""
    known = {one.id: one for one in made}
    seen = Counter(write.attempt for write in log.writes)
    found = [
        f"{write.at.isoformat()} {write.user}: {write.what}, by no attempt" for write in log.writes if not write.attempt
    ]
    found += [
        f"{count} writes of {id_}, which the ledger does not know"
        for id_, count in seen.items()
        if id_ and id_ not in known
    ]
    inside = [one for one in known.values() if log.begin and log.end and log.begin <= one.at <= log.end]
    for one in [*inside, *(one for one in known.values() if one not in inside and seen[one.id])]:
        if seen[one.id] != one.applied:
            found.append(
                f"{one.id} ({one.proposal}): the API server has {seen[one.id]} writes, the ledger {one.applied} answers"
            )
    return Reconciled(len(log.writes), len(known), len(known) - len(inside), tuple(found))


def _is_write(event: Json) -> bool:
    if event.get("stage") not in ("ResponseComplete", "ResponseStarted") or _is_dry(event):
        return False
    code = int(at(event, "responseStatus", "code", default=0))
    into = at(event, "objectRef", "subresource", default="") in _INTO
    if into:
        # What runs in a container has begun with the switch of protocols, whatever verb led there.
        return code < 400 and event["stage"] == "ResponseComplete"
    if event["stage"] != "ResponseComplete" or not 200 <= code < 300:
        return False
    return event.get("verb") in _VERBS and at(event, "objectRef", "apiGroup", default="") not in _REVIEWS


def _is_dry(event: Json) -> bool:
    if "dryRun" in parse_qs(urlsplit(str(event.get("requestURI", ""))).query):
        return True
    body = event.get("requestObject")
    options = [body, at(body, "deleteOptions")]
    return any(at(one, "dryRun") for one in options) or "dry-run" in str(event.get("userAgent", ""))


def _ours(event: Json, moment: datetime, users: Collection[str]) -> Write | None:
    address, agent = str(event.get("requestURI", "")), str(event.get("userAgent", ""))
    managers = parse_qs(urlsplit(address).query).get("fieldManager", [""])
    by = _ATTEMPT.fullmatch(managers[0]) or (_ATTEMPT.search(agent) if agent.startswith(AGENT) else None)
    user = str(at(event, "user", "username", default=""))
    if by is None and user not in users and not agent.startswith(AGENT):
        return None
    return Write(by.group(1) if by else "", moment, user, f"{event.get('verb')} {address.partition('?')[0]}")
