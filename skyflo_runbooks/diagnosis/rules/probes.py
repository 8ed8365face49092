"""Family C, probes: CON-08 (liveness wrong), CON-09 (liveness too early or too strict), CON-10 (readiness wrong).

Source of the evidence: the kubelet's events Unhealthy (`Liveness probe failed: …`) and Killing (`… failed liveness
probe, will be restarted`). A container that ends well on SIGTERM after that shows `Completed`, exit 0. A probe is never
taken away; where it should point follows from the declared ports and from the other probe.
"""

import re
from collections.abc import Iterator
from typing import Literal

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import Container, containers, each, ready, template_container
from skyflo_runbooks.diagnosis.rules.base import ANSWERED, Rule, event_time, evidence
from skyflo_runbooks.diagnosis.rules.startup import Seen, finding, groups
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at

Probe = Literal["livenessProbe", "readinessProbe", "startupProbe"]
_WORDS = {"livenessProbe": "Liveness probe", "readinessProbe": "Readiness probe", "startupProbe": "Startup probe"}
_THAT_KILL: tuple[Probe, ...] = ("livenessProbe", "startupProbe")
# SIGKILL and SIGTERM, with which the kubelet ends a container.
_SIGNALLED = (137, 143)
_STATUS = re.compile(r"statuscode: (\d{3})")
# How the runtime words that a command which a probe runs is not there.
_ABSENT = re.compile(r'exec: \\?"([^"\\\s]{1,200})\\?": (?:stat \S{1,200}: no such file|executable file not found)')
_LATE = re.compile(r"(?i)context deadline exceeded|timeout|timed out")
# A container that a probe ends is ready between its ends: so many seconds longer than before, and it is well.
_SETTLES = 60.0
_BY_ITSELF = "the container answers"
_REFUSED = re.compile(r"(?i)connection refused")


def liveness(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that its liveness probe kills: it asks at the wrong place, or too early."""
    for probe in _THAT_KILL:
        for workload, name, seen in groups_of(graph, probe):
            first = seen[0]
            wrong = _wrong(first.container.spec, first.text, probe)
            if not any(_killed(graph, one, probe) for one in seen):
                continue  # nobody answers while a process is down that ended by itself
            fault = "CON-08" if wrong else "CON-09"
            why = wrong or "it is asked too early, or too strictly"
            yield finding(
                graph,
                workload,
                seen,
                fault,
                f"{name} of {ref(workload)} is killed by its {_WORDS[probe].lower()}: {why}",
                confidence=_certainty(wrong, 0.85),
                facts={"probe": probe, **_points(first.container.spec, probe)}
                | _meant(first.container.spec, probe)
                | _as_before(graph, workload, first.container.spec, probe)
                | _answered(wrong, first.text),
                more=(_declared(graph, workload, first.container, probe),),
                advice="Let the probe ask where the container answers; do not take it away."
                if wrong
                else "Give it a startupProbe, or a higher failureThreshold; do not take the probe away.",
            )


def _killed(graph: Graph, seen: Seen, probe: Probe) -> bool:
    """Return whether the kubelet kills this container because of this probe: it says so, or a signal ended it."""
    signalled = any(
        end.get("reason") == "Error" and end.get("exitCode") in _SIGNALLED for end in seen.container.terminations
    )
    said = f"Container {seen.container.name} failed {_WORDS[probe].lower()}"
    return signalled or any(
        event.get("reason") == "Killing" and str(event.get("message", "")).startswith(said)
        for event in graph.events(seen.pod)
    )


def readiness(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that runs and is never ready, because its readiness probe asks elsewhere."""
    for workload, name, seen in groups_of(graph, "readinessProbe"):
        seen = [one for one in seen if not one.container.ready]
        if not seen:
            continue  # what failed while it started has passed
        first = seen[0]
        if not first.container.runs or (first.container.restarts and first.container.terminations):
            continue  # a container that crashes is not ready because it crashes
        wrong = _wrong(first.container.spec, first.text, "readinessProbe")
        yield finding(
            graph,
            workload,
            seen,
            "CON-10",
            f"{name} of {ref(workload)} runs and is not ready: its readiness probe fails"
            + (f", {wrong}" if wrong else f": {first.text[-100:]}"),
            confidence=_certainty(wrong, 0.75),
            facts={
                "probe": "readinessProbe",
                **_points(first.container.spec, "readinessProbe"),
                **_meant(first.container.spec, "readinessProbe"),
                **_as_before(graph, workload, first.container.spec, "readinessProbe"),
            }
            | _answered(wrong, first.text),
            more=(_declared(graph, workload, first.container, "readinessProbe"),),
            advice="Let the probe ask where the container answers; where it asks rightly, the container itself says "
            "that it is not ready: look at what it depends on.",
        )


def groups_of(graph: Graph, probe: Probe) -> Iterator[tuple[Json, str, list[Seen]]]:
    """Yield for each workload and container the newest failure of a probe on pods that are not ready, or only just."""

    kills = probe in _THAT_KILL

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        if container.init or at(container.spec, probe) is None:
            return None
        told = [
            event
            for event in graph.events(pod)
            if event.get("reason") == "Unhealthy"
            and str(event.get("message", "")).startswith((f"{_WORDS[probe]} failed", f"{_WORDS[probe]} errored"))
            and f"{{{container.name}}}"
            in str(at(event, "involvedObject", "fieldPath", default=f"{{{container.name}}}"))
        ]
        newest = max(told, key=event_time, default=None)
        if newest is None:
            return None
        return Seen(pod, container, str(newest.get("message", "")), event_time(newest), "event Unhealthy")

    return groups(graph, look, [pod for pod in graph.ended if ready(pod) and _again(graph, pod)] if kills else ())


def _again(graph: Graph, pod: Json) -> bool:
    """Return whether a pod that is ready has a container that was ended, and runs no longer than it did before."""
    for container in containers(pod):
        for end in container.terminations[:1]:
            finished = str(end.get("finishedAt", ""))
            ran = seconds_between(str(end.get("startedAt", "")), finished)
            since = seconds_between(finished, graph.snapshot.time)
            if container.restarts and ran is not None and since is not None and since <= 2 * ran + _SETTLES:
                return True
    return False


def _ports(spec: Json) -> dict[str, str]:
    """Return the declared ports of a container: name or number to number."""
    found: dict[str, str] = {}
    for port in each(spec, "ports"):
        number = str(port.get("containerPort"))
        found[number] = number
        if port.get("name"):
            found[str(port["name"])] = number
    return found


def _asked(spec: Json, probe: str) -> tuple[str, str]:
    """Return port and path that a probe asks."""
    for way in ("httpGet", "tcpSocket", "grpc"):
        held = at(spec, probe, way)
        if isinstance(held, dict):
            return str(held.get("port", "")), str(held.get("path", "")) if way == "httpGet" else ""
    return "", ""


def _wrong(spec: Json, text: str, probe: str) -> str:
    """Return how the probe asks at the wrong place; empty where it does not."""
    port, path = _asked(spec, probe)
    declared = _ports(spec)
    absent = _ABSENT.search(text) if at(spec, probe, "exec") is not None else None
    if absent:
        return f"it runs {absent.group(1)}, which is not in the image"
    if port and declared and port not in declared:
        return f"it asks port {port}, and the container declares {', '.join(sorted(set(declared.values())))}"
    status = _STATUS.search(text)
    if status and status.group(1) == "404":
        return f"it asks {path}, and the container has no such page (404)"
    if status and status.group(1) >= "400":
        return f"{_BY_ITSELF} {status.group(1)} at {path}"
    other = _asked(spec, "readinessProbe" if probe != "readinessProbe" else "livenessProbe")
    if other[0] and port and declared.get(other[0], other[0]) != declared.get(port, port) and _REFUSED.search(text):
        return f"it asks port {port}, and the other probe port {other[0]}"
    return ""


def _answered(wrong: str, text: str) -> dict[str, str]:
    """Return the status that the container answers where that is all that is known: any other cause says more."""
    status = _STATUS.search(text)
    return {ANSWERED: status.group(1)} if status and wrong.startswith(_BY_ITSELF) else {}


def _certainty(wrong: str, otherwise: float) -> float:
    """Return how sure it is: a container that answers with an error may be right, and ill for another reason."""
    return otherwise if not wrong else 0.7 if wrong.startswith(_BY_ITSELF) else 0.93


def _points(spec: Json, probe: str) -> dict[str, str]:
    port, path = _asked(spec, probe)
    return {"port": port, "path": path}


def _meant(spec: Json, probe: str) -> dict[str, str]:
    """Return where the probe was meant to ask: the other probe's place, else the only declared port."""
    port, path = _asked(spec, probe)
    declared = _ports(spec)
    other = _asked(spec, "readinessProbe" if probe != "readinessProbe" else "livenessProbe")
    found: dict[str, str] = {}
    if port not in declared and other[0] in declared:
        found["meant_port"] = other[0]
    elif port not in declared and len(set(declared.values())) == 1:
        found["meant_port"] = next(iter(declared))
    if other[1] and other[1] != path:
        found["meant_path"] = other[1]
    return found


def _as_before(graph: Graph, workload: Json, spec: Json, probe: str) -> dict[str, str]:
    """Return where the revision before asked the same image, which comes before what its other probe asks."""
    before = graph.previous(workload)
    found = template_container(before, str(spec.get("name"))) if before is not None else None
    if found is None or found[2].get("image") != spec.get("image"):
        return {}
    (port, path), (old_port, old_path) = _asked(spec, probe), _asked(found[2], probe)
    moved = {"meant_port": old_port} if old_port and old_port != port else {}
    return moved | ({"meant_path": old_path} if old_path and old_path != path else {})


def _declared(graph: Graph, workload: Json, container: Container, probe: str) -> Evidence:
    port, path = _asked(container.spec, probe)
    ports = ", ".join(sorted(set(_ports(container.spec).values()))) or "none"
    held = at(container.spec, probe, default={})
    delay, every = held.get("initialDelaySeconds", 0), held.get("periodSeconds", 10)
    late, failures = held.get("timeoutSeconds", 1), held.get("failureThreshold", 3)
    text = (
        f"{probe}: port {port} {path}; delay {delay} s, every {every} s, time-out {late} s, {failures} failures; "
        f"declared ports: {ports}"
    )
    return evidence(workload, f"template of container {container.name}", graph.snapshot.time, text)


RULES = (
    Rule(fault="CON-08", needs=("Pod", "Event"), find=liveness, also=("CON-09",)),
    Rule(fault="CON-10", needs=("Pod", "Event"), find=readiness),
)

__all__ = ["RULES"]
