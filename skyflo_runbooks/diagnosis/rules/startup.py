"""Family C, containers that never start: CON-01, CON-02, CON-03, CON-11, CON-12, CON-13, CON-15.

Source of the evidence: the kubelet's waiting reasons (CreateContainerConfigError, RunContainerError,
PostStartHookError), the reason StartError of a termination, the event FailedMount, and the statuses of init containers.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.lines import last_error
from skyflo_runbooks.diagnosis.pods import (
    Container,
    containers,
    created,
    each,
    name_of,
    namespace_of,
    template_container,
)
from skyflo_runbooks.diagnosis.rules.asking import ASKS, asks, unreached
from skyflo_runbooks.diagnosis.rules.base import (
    Rule,
    changeable,
    culprit,
    deployed,
    event_time,
    evidence,
    falling,
    given_up,
    outdated,
    overcome,
    services,
    short,
)
from skyflo_runbooks.diagnosis.snapshot import seconds_between
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_ABSENT = re.compile(r'(?P<kind>configmap|secret) "(?P<name>[^"]+)" not found')
_KEY = re.compile(r"couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) (?:[^/\s]+/)?(?P<name>\S+)")
_MOUNT = re.compile(
    r'MountVolume\.SetUp failed for volume "(?P<volume>[^"]+)"\s*: (?:(?P<kind>configmap|secret) "(?P<name>[^"]+)" not '
    r"found|references non-existent (?:config|secret) key: (?P<key>\S+))"
)
_ROOT = re.compile(r"runAsNonRoot|breaks non-root policy")
# How a command says which Job it waits for: `kubectl wait … job/NAME`, `k8s-wait-for job NAME`.
_OF_A_JOB = re.compile(r"\bjobs?(?:\.batch)?[/ ]([a-z0-9][a-z0-9.-]*)")
_NAMED_USER = re.compile(r"non-numeric user \((?P<user>[^)]+)\)")
_NO_COMMAND = re.compile(r"(?i)executable file not found|no such file or directory|permission denied|not a directory")
_FORMAT = re.compile(r"(?i)exec format error")
_KINDS = {"configmap": "ConfigMap", "secret": "Secret"}
# An init container that runs longer than this waits for something.
_WAITS = 30.0
# One that waits for nothing that is seen to be missing may be at work.
_WORKS = 90.0
_NAMED = re.compile(
    r"(?:nslookup|getent hosts|nc(?: -\w+)*|ping(?: -\w+ \d+)?|wget \S*//|curl \S*//|//|tcp/)\s*"
    r"([a-z0-9][a-z0-9.-]*)"
)


class Seen(msgspec.Struct, frozen=True):
    """One container that does not start, and the words that say why."""

    pod: Json
    container: Container
    text: str
    at: str
    part: str

    def evidence(self) -> Evidence:
        """Return the words as evidence."""
        return evidence(self.pod, self.part, self.at, self.text)


Look = Callable[[Graph, Json, Container], Seen | None]


def groups(graph: Graph, look: Look, also: Iterable[Json] = ()) -> Iterator[tuple[Json, str, list[Seen]]]:
    """Yield for each workload and container what `look` saw on pods of the present revision.

    Looked at are the pods that are not ready, `also` others, and what is ready for a moment between two ends.
    """
    found: dict[tuple[ObjectRef, str], list[Seen]] = defaultdict(list)
    pods = (*graph.ailing, *also)
    known = {id(pod) for pod in pods}
    looked = [(pod, container) for pod in pods for container in containers(pod)]
    between = [pod for pod in graph.ended if id(pod) not in known]
    looked += [(pod, container) for pod in between for container in containers(pod) if falling(graph, container)]
    for pod, container in looked:
        seen = look(graph, pod, container) if not given_up(graph, pod) else None
        if seen and not outdated(graph, culprit(graph, pod), pod):
            found[ref(culprit(graph, pod)), container.name].append(seen)
    for (owner, name), items in found.items():
        workload = graph.get(owner)
        if workload is not None:
            yield workload, name, items


def waits(*reasons: str, words: re.Pattern[str] | None = None) -> Look:
    """Return a look for a waiting reason whose message holds certain words."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        reason, message = container.waiting
        if reason not in reasons or (words and not words.search(message)):
            return None
        return Seen(
            pod, container, f"{reason}: {message}", graph.snapshot.time, f"status of container {container.name}"
        )

    return look


def finding(
    graph: Graph,
    workload: Json,
    seen: list[Seen],
    fault: str,
    title: str,
    *,
    advice: str,
    confidence: float = 0.95,
    facts: dict[str, str] | None = None,
    more: tuple[Evidence, ...] = (),
) -> Finding:
    """Return the finding about a container of a workload that these sights are of."""
    rolled_out = deployed(graph, workload)
    return Finding(
        fault=fault,
        title=short(title),
        object=ref(workload),
        confidence=confidence,
        evidence=(*(item.evidence() for item in seen[:3]), *more, *((rolled_out,) if rolled_out else ())),
        facts={"container": seen[0].container.name, **(facts or {})},
        related=(*(ref(item.pod) for item in seen), *services(graph, workload)),
        advice=advice,
    )


# CON-01, CON-02 -------------------------------------------------------------------------------------------------------


def no_configuration(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container whose environment names a ConfigMap, Secret or key that is not there."""
    for workload, name, seen in groups(graph, waits("CreateContainerConfigError")):
        text = seen[0].text
        absent, key = _ABSENT.search(text), _KEY.search(text)
        if absent or key:
            wanted = (absent.groupdict() if absent else {}) | (key.groupdict() if key else {})
            yield _configuration(graph, workload, seen, "CON-01", wanted, f"{name} of {ref(workload)} cannot start")


def no_volume(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods mount a ConfigMap or Secret that is not there."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        told = [
            e for e in graph.events(pod) if e.get("reason") == "FailedMount" and _MOUNT.search(str(e.get("message")))
        ]
        newest = max(told, key=event_time, default=None)
        if newest is None or container.runs or overcome(container, event_time(newest)):
            return None
        return Seen(pod, container, str(newest["message"]), event_time(newest), "event FailedMount")

    told: set[ObjectRef] = set()
    for workload, _, seen in groups(graph, look):
        found = _MOUNT.search(seen[0].text)
        if found and ref(workload) not in told:
            told.add(ref(workload))
            wanted = {key: value for key, value in found.groupdict().items() if value}
            wanted |= {} if "name" in wanted else _of_volume(seen[0].pod, wanted["volume"])
            yield _configuration(graph, workload, seen, "CON-02", wanted, f"{ref(workload)} cannot start")


def _of_volume(pod: Json, volume: str) -> dict[str, str]:
    for item in each(pod, "spec", "volumes"):
        if item.get("name") == volume:
            for kind, path in (("configmap", ("configMap", "name")), ("secret", ("secret", "secretName"))):
                if at(item, *path):
                    return {"kind": kind, "name": str(at(item, *path))}
    return {}


def _configuration(
    graph: Graph, workload: Json, seen: list[Seen], fault: str, wanted: dict[str, str], who: str
) -> Finding:
    kind = _KINDS.get(wanted.get("kind", "").lower(), wanted.get("kind", ""))
    name, key = wanted.get("name", ""), wanted.get("key", "")
    namespace = namespace_of(workload)
    what = f"key {key} of {kind} {name}" if key else f"{kind} {name}"
    there = sorted(name_of(item) for item in graph.all(kind) if namespace_of(item) == namespace)
    keys = sorted(at(graph.get(ObjectRef(kind, name, namespace)), "data", default={}) or {}) if key else []
    known = keys if key else there
    meant = near(key or name, known)
    facts = {"kind": kind, "name": name, "key": key, **({"meant": meant} if meant else {})}
    more: tuple[Evidence, ...] = ()
    if kind == "ConfigMap":
        label = f"keys of {kind} {name}" if key else f"{kind}s of {namespace}"
        more = (Evidence(label, graph.snapshot.time, ", ".join(known[:10]) or "none"),)
    secret = " A Secret's value comes from whoever knows it." if kind == "Secret" else ""
    return finding(
        graph,
        workload,
        seen,
        fault,
        f"{who}: {what} does not exist",
        facts=facts,
        more=more,
        advice=f"Create {what} from where it is declared, or name the one that was meant.{secret}",
    )


def near(name: str, known: list[str]) -> str:
    """Return the one name that is a slip of the pen away; empty where none or several are."""
    from rapidfuzz import fuzz

    found = [other for other in known if other != "kube-root-ca.crt" and fuzz.ratio(name, other) >= 70]
    return found[0] if len(found) == 1 else ""


# CON-03, CON-13, CON-15 -----------------------------------------------------------------------------------------------


def bad_command(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container whose command cannot be run."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        for end in container.terminations:
            message = str(end.get("message", ""))
            start = end.get("reason") in ("StartError", "ContainerCannotRun")
            if start and _NO_COMMAND.search(message) and not _FORMAT.search(message):
                part = f"status of container {container.name}"
                return Seen(
                    pod,
                    container,
                    f"{end['reason']}, exitCode {end.get('exitCode')}: {message}",
                    str(end.get("finishedAt", "")),
                    part,
                )
        return waits("RunContainerError", "CreateContainerError", words=_NO_COMMAND)(graph, pod, container)

    for workload, name, seen in groups(graph, look):
        spec = seen[0].container.spec
        command = " ".join(str(part) for part in [*(spec.get("command") or []), *(spec.get("args") or [])][:6])
        yield finding(
            graph,
            workload,
            seen,
            "CON-03",
            f"{name} of {ref(workload)} cannot be started: {command or 'its command'} is not in the image",
            facts={"command": command},
            advice="Take the command's override away, or write the path that the image has.",
        )


def not_root(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that must not run as root, and would, or whose user is not known."""
    for workload, name, seen in groups(graph, waits("CreateContainerConfigError", words=_ROOT)):
        who, user = _NAMED_USER.search(seen[0].text), known_user(graph, workload, name)
        why = (
            f"its image names its user {who['user']}, and only a number tells that it is not root"
            if who
            else "runAsUser is 0"
            if "breaks non-root policy" in seen[0].text
            else "its image runs as root"
        )
        yield finding(
            graph,
            workload,
            seen,
            "CON-13",
            f"{name} of {ref(workload)} is refused: runAsNonRoot is set, and {why}",
            facts={"user": user.text.partition(" ")[0]} if user else {},
            more=(user,) if user else (),
            advice="Set runAsUser to a user that the image supports; ask whoever built it. Keep runAsNonRoot.",
        )


def known_user(graph: Graph, workload: Json, container: str) -> Evidence | None:
    """Return the user that this image is known to run as, as evidence whose text begins with it; None where none is.

    The revision before said one for the same container, or a pod runs the same image as one.
    """
    before = graph.previous(workload)
    found = template_container(before, container) if before is not None else None
    if before is not None and found is not None:
        said = _user(at(before, "spec", "template", "spec", default={}), found[2])
        if said:
            return evidence(before, "template", created(before), f"{said} is runAsUser in the revision before")
    held = template_container(workload, container)
    image = held[2].get("image") if held else None
    for pod in graph.all("Pod"):
        for other in containers(pod):
            said = _user(pod.get("spec", {}), other.spec)
            if said and other.ready and other.spec.get("image") == image:
                text = f"{said} is runAsUser of container {other.name}, which runs the same image"
                return evidence(pod, "spec", graph.snapshot.time, text)
    return None


def _user(pod_spec: Json, spec: Json) -> str:
    """Return the user above 0 that a container is told to run as; its own word comes before the pod's."""
    said = at(spec, "securityContext", "runAsUser")
    said = at(pod_spec, "securityContext", "runAsUser") if said is None else said
    return str(said) if said else ""


def hook_failed(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container whose postStart hook fails."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        told = [
            event
            for event in graph.events(pod)
            if event.get("reason") == "FailedPostStartHook"
            and f"{{{container.name}}}"
            in str(at(event, "involvedObject", "fieldPath", default=f"{{{container.name}}}"))
        ]
        newest = max(told, key=event_time, default=None)
        if newest:
            return Seen(pod, container, str(newest.get("message", "")), event_time(newest), "event FailedPostStartHook")
        return waits("PostStartHookError")(graph, pod, container)

    for workload, name, seen in groups(graph, look):
        if at(seen[0].container.spec, "lifecycle", "postStart") is None:
            continue
        # The status says it for a moment only, so it is beside the event where it is there.
        states = [waits("PostStartHookError")(graph, item.pod, item.container) for item in seen]
        shown = next((state.evidence() for state in states if state), None)
        yield finding(
            graph,
            workload,
            seen,
            "CON-15",
            f"{name} of {ref(workload)} is ended after each start: its postStart hook fails",
            more=(shown,) if shown and shown not in [item.evidence() for item in seen[:3]] else (),
            advice="Repair the hook, or go back to the revision before it.",
        )


# CON-11, CON-12 -------------------------------------------------------------------------------------------------------


def init_crashes(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each init container that ends with an error, so that the pod never starts."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        bad = [end for end in container.terminations if end.get("exitCode") and end.get("reason") == "Error"]
        done = at(container.status, "state", "terminated", "exitCode") == 0
        if not container.init or not bad or done or container.spec.get("restartPolicy") == "Always":
            return None
        text = f"init container ended: exitCode {bad[0].get('exitCode')}; {container.restarts} restarts"
        return Seen(pod, container, text, str(bad[0].get("finishedAt", "")), f"status of container {container.name}")

    for workload, name, seen in groups(graph, look):
        lines = graph.log(seen[0].pod, name).splitlines()[-40:]
        told = last_error(lines)
        said = dict.fromkeys((told, *lines[-2:]) if told else lines[-2:])
        more = tuple(evidence(seen[0].pod, f"log of container {name}", graph.snapshot.time, line) for line in said)
        last = f": {told or lines[-1]}" if lines else ""
        yield finding(
            graph, workload, seen, "CON-11", f"The init container {name} of {ref(workload)} fails{last}", more=more,
            facts=asks(graph, seen[0].pod, unreached(graph.log(seen[0].pod, name))),
            advice="Repair what its log says, its command, or what it depends on.",
        )  # fmt: skip


def init_hangs(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each init container that runs on and on, waiting for something that is not there."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        started = str(at(container.status, "state", "running", "startedAt", default=""))
        age = seconds_between(started, graph.snapshot.time)
        if not container.init or age is None or age < _WAITS or container.spec.get("restartPolicy") == "Always":
            return None
        text = f"running for {int(age)} s, {container.restarts} restarts"
        seen = Seen(pod, container, text, started, f"status of container {container.name}")
        return seen if age >= _WORKS or _waited_for(graph, seen) else None

    for workload, name, seen in groups(graph, look):
        host = _waited_for(graph, seen[0])
        lines = graph.log(seen[0].pod, name).splitlines()[-1:]
        more = tuple(evidence(seen[0].pod, f"log of container {name}", graph.snapshot.time, line) for line in lines)
        yield finding(
            graph,
            workload,
            seen,
            "CON-12",
            f"The init container {name} of {ref(workload)} waits"
            + (f" for {host}, which does not exist" if host else ""),
            confidence=0.92 if host else 0.8,
            facts={"host": host} | ({} if host else _job(graph, seen[0]) or asks(graph, seen[0].pod, _hosts(seen[0]))),
            more=more,
            advice="Create or repair what it waits for" + (f" ({host})" if host else "") + ", not the wait.",
        )


def _waited_for(graph: Graph, seen: Seen) -> str:
    """Return the host in the container's command or environment that is no Service, where Services of it were read."""
    return next((host for host in _hosts(seen) if _missing(graph, host, namespace_of(seen.pod))), "")


def _job(graph: Graph, seen: Seen) -> dict[str, str]:
    """Return as a fact which Job of the namespace the container's command waits for."""
    text = " ".join(_command(seen.container.spec))
    said = _OF_A_JOB.findall(text)
    for job in graph.all("Job"):
        if name_of(job) in said and namespace_of(job) == namespace_of(seen.pod):
            return {ASKS: str(ref(job))}
    return {}


def _command(spec: Json) -> list[str]:
    return [str(part) for part in [*(spec.get("command") or []), *(spec.get("args") or [])]]


def _hosts(seen: Seen) -> list[str]:
    spec = seen.container.spec
    words = _command(spec)
    words += [str(item.get("value", "")) for item in each(spec, "env")]
    return [str(host) for text in words for host in _NAMED.findall(text)]


def _missing(graph: Graph, host: str, here: str) -> bool:
    """Return whether a host is a name of the cluster that no Service has: not one of elsewhere, or of the internet."""
    first, _, rest = host.partition(".")
    space, _, domain = rest.partition(".")
    read = graph.snapshot.namespaces
    if first == "localhost" or first.isdigit() or (domain and domain.split(".")[0] != "svc"):
        return False
    known = not read or space in read
    if space and not (known and graph.get(ObjectRef("Namespace", space)) is not None):
        return False
    where = space or here
    return not graph.snapshot.unread(where, "Service") and graph.get(ObjectRef("Service", first, where)) is None


RULES = (
    Rule(fault="CON-01", needs=("Pod",), find=no_configuration),
    Rule(fault="CON-02", needs=("Pod", "Event"), find=no_volume),
    Rule(fault="CON-03", needs=("Pod",), find=bad_command),
    Rule(fault="CON-11", needs=("Pod",), find=init_crashes),
    Rule(fault="CON-12", needs=("Pod",), find=init_hangs),
    Rule(fault="CON-13", needs=("Pod",), find=not_root),
    Rule(fault="CON-15", needs=("Pod",), find=hook_failed),
)

__all__ = ["RULES", "Seen", "changeable", "finding", "groups", "known_user", "near", "waits"]
