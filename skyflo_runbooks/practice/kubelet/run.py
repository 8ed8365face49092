"""One run of one container, planned at its start.

A container's spec does not change while it runs, so everything that will happen to it without outside help is known
when it starts: when it listens, when its memory meets the limit, when it exits and with which last words, when its
probes pass or kill it. `plan` decides that from the image's behaviour and the container's spec; no clock, no I/O.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.practice.clock import stamp
from skyflo_runbooks.practice.scenario import Image, Memory

# A process that is over its limit from the first moment lives about this long (verbatim: killed within the second).
SHORTEST = 0.4
GRACE_OF_START = 0.05


@dataclass(frozen=True)
class Notice:
    """Something that the kubelet will report at `when`."""

    when: datetime
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Run:
    """One run: from `started` to `ends`, which is None for a process that goes on until it is stopped."""

    id: str
    started: datetime
    ready_at: datetime | None
    listens_at: datetime | None
    ends: datetime | None
    code: int
    reason: str
    last_words: str
    peak_after: float
    notices: tuple[Notice, ...] = ()

    def terminated(self) -> Json:
        """Return `state.terminated` of this run after its end."""
        return {
            "containerID": self.id,
            "exitCode": self.code,
            "finishedAt": stamp(self.ends or self.started),
            "reason": self.reason,
            "startedAt": stamp(self.started),
        }


@dataclass(frozen=True)
class Ending:
    """How a run ends by itself: seconds after its start, exit code, reason, last log line."""

    after: float
    code: int
    reason: str
    last_words: str = ""


def plan(
    *,
    image: Image,
    container: Json,
    env: Mapping[str, str],
    started: datetime,
    address: str,
    run_id: str,
    peak_after: float | None = None,
    found: Callable[[str], bool] = lambda _host: True,
) -> Run:
    """Return how this run will go.

    `peak_after` (seconds) replaces the image's own, for played history; `found` says whether a host is found now.
    """
    ramp = image.memory.peak_after if peak_after is None else peak_after
    endings = [_unmet(image, env), _lost(image, env, found), _memory_kill(image.memory, ramp, container)]
    if image.exit is not None:
        reason = "Completed" if image.exit.code == 0 else "Error"
        endings.append(Ending(image.exit.after, image.exit.code, reason))
    first = min((ending for ending in endings if ending), key=lambda ending: ending.after, default=None)
    life = first.after if first else None
    listens = image.listens_after if image.port and (life is None or image.listens_after < life) else None
    probes = _Probes(image, container, started, address, listens, life)
    killed = probes.killed_after()
    if killed is not None:
        # The process ends well on SIGTERM: Completed, exit 0, as a real kubelet reports it.
        first = Ending(killed + image.stops_after, 0, "Completed")
    ready = probes.ready_after()
    return Run(
        id=run_id,
        started=started,
        ready_at=None if ready is None else started + timedelta(seconds=ready),
        listens_at=None if listens is None else started + timedelta(seconds=listens),
        ends=started + timedelta(seconds=first.after) if first else None,
        code=first.code if first else 0,
        reason=first.reason if first else "Completed",
        last_words=first.last_words if first else "",
        peak_after=ramp,
        notices=tuple(probes.notices(killed)),
    )


def memory_at(memory: Memory, ramp: float, age: float) -> int:
    """Return the working set in bytes, `age` seconds after the start."""
    share = 1.0 if ramp <= 0 else min(1.0, max(0.0, age / ramp))
    return round(memory.start + (memory.peak - memory.start) * share)


def memory_limit(container: Json) -> int | None:
    """Return the container's memory limit in bytes."""
    limit = at(container, "resources", "limits", "memory")
    return None if limit is None else int(parse_quantity(limit))


def _memory_kill(memory: Memory, ramp: float, container: Json) -> Ending | None:
    limit = memory_limit(container)
    if limit is None or limit >= max(memory.peak, memory.start):
        return None
    if limit <= memory.start:
        return Ending(SHORTEST, 137, "OOMKilled")
    after = ramp * (limit - memory.start) / (memory.peak - memory.start)
    return Ending(max(SHORTEST, after), 137, "OOMKilled")


def _unmet(image: Image, env: Mapping[str, str]) -> Ending | None:
    for need in image.variables:
        value = env.get(need.name)
        if not value:
            return Ending(SHORTEST, need.code, "Error", need.missing)
        if not re.fullmatch(need.pattern, value):
            return Ending(SHORTEST, need.code, "Error", need.invalid or need.missing)
    return None


def _lost(image: Image, env: Mapping[str, str], found: Callable[[str], bool]) -> Ending | None:
    for ask in image.asks:
        host = urlsplit(env.get(ask.variable, "")).hostname
        if host and not found(host):
            return Ending(SHORTEST, ask.code, "Error", ask.lost.format(host=host))
    return None


class _Probes:
    """When the probes of one run pass, fail and kill."""

    def __init__(
        self, image: Image, container: Json, started: datetime, address: str, listens: float | None, life: float | None
    ) -> None:
        self.image = image
        self.container = container
        self.started = started
        self.address = address
        self.listens = listens
        self.life = life

    def ready_after(self) -> float | None:
        """Return when the container becomes ready, in seconds after its start."""
        probe = self.container.get("readinessProbe")
        if probe is None:
            return 0.0
        passes = self.passes_after(probe)
        if passes is None or (self.life is not None and passes >= self.life):
            return None
        return passes

    def passes_after(self, probe: Json) -> float | None:
        """Return the first probe that passes; None if none ever does."""
        if "exec" in probe:
            return self._tick_after(probe, 0.0)
        if self.listens is None or self.refusal(probe):
            return None
        again = int(probe["successThreshold"]) - 1
        return self._tick_after(probe, self.listens) + again * float(probe["periodSeconds"])

    def _tick_after(self, probe: Json, moment: float) -> float:
        tick, period = float(probe.get("initialDelaySeconds", 0)) + GRACE_OF_START, float(probe["periodSeconds"])
        while tick < moment:
            tick += min(period, 1.0) if tick < period else period
        return tick

    def killed_after(self) -> float | None:
        """Return when a liveness or startup probe has failed often enough."""
        for name in ("startupProbe", "livenessProbe"):
            probe = self.container.get(name)
            if probe is None or "exec" in probe or (self.listens is not None and not self.refusal(probe)):
                continue
            after = float(probe.get("initialDelaySeconds", 0)) + probe["periodSeconds"] * probe["failureThreshold"]
            if self.life is None or after < self.life:
                return float(after)
        return None

    def refusal(self, probe: Json) -> str:
        """Return why a probe of a listening process fails; empty if it passes."""
        where = probe.get("httpGet") or probe.get("tcpSocket") or {}
        port = self._port(where.get("port", self.image.port))
        if port != self.image.port:
            dial = f"dial tcp {self.address}:{port}: connect: connection refused"
            return f'Get "http://{self.address}:{port}{where.get("path", "/")}": {dial}' if "httpGet" in probe else dial
        if "httpGet" in probe:
            status = status_of(self.image, where.get("path", "/"))
            if not 200 <= status < 400:
                return f"HTTP probe failed with statuscode: {status}"
        return ""

    def _port(self, port: int | str) -> int:
        named = {item.get("name"): item["containerPort"] for item in self.container.get("ports", [])}
        return int(named.get(port, port)) if not isinstance(port, str) or port in named or port.isdigit() else 0

    def notices(self, killed: float | None) -> list[Notice]:
        """Return the events of failing probes: at most a few, as the kubelet's spam filter leaves them."""
        out: list[Notice] = []
        readiness = self.container.get("readinessProbe")
        if readiness is not None and "exec" not in readiness:
            out += self._failures("Readiness", readiness)
        if killed is not None:
            name = "Startup" if "startupProbe" in self.container else "Liveness"
            probe = self.container[f"{name.lower()}Probe"]
            out += self._failures(name, probe)
            text = f"Container {self.container['name']} failed {name.lower()} probe, will be restarted"
            out.append(Notice(self.started + timedelta(seconds=killed), "Normal", "Killing", text))
        return sorted(out, key=lambda notice: notice.when)

    def _failures(self, name: str, probe: Json) -> list[Notice]:
        until = self.passes_after(probe)
        port = self._port((probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port", self.image.port))
        path = (probe.get("httpGet") or {}).get("path", "/")
        dial = f"dial tcp {self.address}:{port}: connect: connection refused"
        closed = f'Get "http://{self.address}:{port}{path}": {dial}' if "httpGet" in probe else dial
        out: list[Notice] = []
        tick = float(probe.get("initialDelaySeconds", 0)) + GRACE_OF_START
        for _ in range(probe["failureThreshold"]):
            if (until is not None and tick >= until) or (self.life is not None and tick >= self.life):
                break
            listening = self.listens is not None and tick >= self.listens
            why = self.refusal(probe) if listening else closed
            when = self.started + timedelta(seconds=tick)
            out.append(Notice(when, "Warning", "Unhealthy", f"{name} probe failed: {why}"))
            tick += probe["periodSeconds"]
        return out


def status_of(image: Image, path: str) -> int:
    """Return the status that a probe gets at `path`: conditions on other pods do not hold for probes."""
    for reply in image.replies:
        if reply.path == path and not reply.ready_below and not reply.calls:
            return reply.status
    return 404
