"""Family C, what a running container was given: CON-17 to CON-19.

CON-17 is a variable that hides another; the template is the evidence. Of two entries of one name the last one counts
(the API server warns of it: `hides previous definition of`); while the workload's pods are well that is taken for
what somebody meant. A variable that overrides one of its `envFrom` sources,
and a later source that overrides an earlier one, are usual; they are named only while the workload's pods are not well.
Values are compared and never shown: they may be secrets.

CON-18 and CON-19 are values that were changed after a container had read them: variables, and files mounted by subPath,
are read once, as it starts (https://kubernetes.io/docs/concepts/configuration/configmap/). When keys were changed is
told by managedFields; a whole volume is brought up to date by the kubelet and counts for nothing here. A workload that
is well with what it read is well: only where a pod that read too early is not ready, or logs that a credential is
refused, there is a finding.
"""

from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.lines import refuses_credential
from skyflo_runbooks.diagnosis.pods import (
    EDITABLE,
    Container,
    containers,
    created,
    each,
    finished,
    leaving,
    name_of,
    namespace_of,
    pod_spec,
    ready,
    replicas,
    template_container,
    texts,
)
from skyflo_runbooks.diagnosis.pointed import by_source, changed, outrun
from skyflo_runbooks.diagnosis.rules.base import INTENDED, INTENT, UNSAID, Rule, culprit, evidence, outdated, services
from skyflo_runbooks.diagnosis.snapshot import ago, seconds_between
from skyflo_runbooks.diagnosis.symptoms import available
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

# Words of incidents that are about a setting, or a credential.
CONFIGURED = r"(?i)\bconfig|setting|reload|outdated|stale|\bold value"
REFUSED = r"(?i)\b401\b|password|credential|secret|rotat|unauthori|auth(entication)? fail|access denied"


class Shadow(msgspec.Struct, frozen=True):
    """A variable that is set twice: where the value that is hidden stands, and the index of the entry that hides it."""

    name: str
    hidden: str
    by: str
    index: int | None = None


def shadowed(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container with a variable that another entry of the same name hides."""
    for kind in EDITABLE:
        for workload in graph.all(kind):
            for container in each(pod_spec(workload), "containers"):
                found = _twice(container)
                if found is None and _ill(graph, workload):
                    found = _overridden(graph, workload, container)
                if found is not None:
                    yield _finding(graph, workload, container, found)


def _ill(graph: Graph, workload: Json) -> bool:
    return id(workload) in graph.suffering


def _twice(container: Json) -> Shadow | None:
    seen: dict[str, tuple[int, Json]] = {}
    for index, variable in enumerate(each(container, "env")):
        name = str(variable.get("name"))
        first = seen.setdefault(name, (index, variable))
        if first[0] != index and _value(first[1]) != _value(variable):
            return Shadow(name, f"env[{first[0]}]", f"env[{index}]", index)
    return None


def _value(variable: Json) -> object:
    return variable.get("valueFrom") or str(variable.get("value") or "")


def _overridden(graph: Graph, workload: Json, container: Json) -> Shadow | None:
    """Return a key of a ConfigMap that a later source or a variable of the container sets to something else."""
    held: dict[str, tuple[str, str]] = {}
    for source in each(container, "envFrom"):
        name, prefix = str(at(source, "configMapRef", "name", default="")), str(source.get("prefix") or "")
        found = graph.get(ObjectRef("ConfigMap", name, namespace_of(workload)))
        for key, value in texts(found, "data").items() if found else ():
            before = held.get(prefix + key)
            if before is not None and before[1] != value:
                return Shadow(prefix + key, f"ConfigMap {before[0]}", f"ConfigMap {name}")
            held[prefix + key] = (name, value)
    for index, variable in enumerate(each(container, "env")):
        name = str(variable.get("name"))
        if name in held and "value" in variable and held[name][1] != str(variable["value"]):
            return Shadow(name, f"ConfigMap {held[name][0]}", f"env[{index}]", index)
    return None


def _finding(graph: Graph, workload: Json, container: Json, shadow: Shadow) -> Finding:
    name = str(container.get("name"))
    before = graph.previous(workload)
    earlier = template_container(before, name) if before is not None else None
    new = earlier is not None and (_twice(earlier[2]) or Shadow("", "", "")).name != shadow.name
    facts = {"container": name, "variable": shadow.name, "hidden": shadow.hidden}
    text = f"{shadow.name}: {shadow.by} hides {shadow.hidden}, and the two differ"
    more = (evidence(before, "template", graph.snapshot.time, f"sets {shadow.name} once"),) if new and before else ()
    # A list of exceptions after a list of defaults is how charts override: while all is well it is meant so.
    well = not _ill(graph, workload)
    sure = 0.85 if shadow.hidden.startswith("env") else 0.6
    return Finding(
        fault="CON-17",
        title=f"{shadow.name} of {name} of {ref(workload)} is set twice: {shadow.by} hides {shadow.hidden}",
        object=ref(workload),
        confidence=INTENDED if well else sure,
        evidence=(evidence(workload, f"template of container {name}", graph.snapshot.time, text), *more),
        facts=facts
        | ({"index": str(shadow.index)} if shadow.index is not None else {})
        | ({INTENT: f"{shadow.by} of {name}"} if well else {}),
        related=services(graph, workload),
        advice="The last entry counts. Keep the one that is meant.",
    )


# CON-18, CON-19 -------------------------------------------------------------------------------------------------------


class Stale(msgspec.Struct, frozen=True):
    """A running container, what it read as it started, the key or nothing, when that was changed, and what it says."""

    pod: Json
    container: Container
    source: Json
    key: str
    when: str
    told: str


def outdated_configuration(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that runs with what a ConfigMap held before its last change."""
    yield from _stale(graph, "ConfigMap", "CON-18")


def outdated_secret(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container that runs with what a Secret held before its last change."""
    yield from _stale(graph, "Secret", "CON-19")


def _stale(graph: Graph, kind: str, fault: str) -> Iterator[Finding]:
    found: dict[tuple[ObjectRef, str], list[Stale]] = {}
    for one in _all_stale(graph):
        if one.source.get("kind") == kind:
            found.setdefault((ref(culprit(graph, one.pod)), one.container.name), []).append(one)
    for (owner, _), seen in found.items():
        workload_found = graph.get(owner)
        if workload_found is None:
            continue
        if any(one.told or not ready(one.pod) for one in seen):
            yield _stale_finding(graph, workload_found, seen, fault)
        elif fault == "CON-18" and available(workload_found) >= replicas(workload_found):
            # All is well with what was read: only who changed it knows whether it was to be read again.
            yield msgspec.structs.replace(
                (made := _stale_finding(graph, workload_found, seen, fault)),
                confidence=INTENDED,
                facts=made.facts | {INTENT: "data", UNSAID: "data"},
                explains=(),
            )


def _all_stale(graph: Graph) -> list[Stale]:
    """Return what running containers of present revisions have read too early, once for both rules."""
    known: list[Stale] | None = graph.notes.get("stale")
    if known is None:
        held = by_source(graph.snapshot.objects)
        newest = max((when for item in held.values() if (when := changed(item, ""))), default="")
        known = graph.notes["stale"] = [
            Stale(pod, container, source, key, when, _told(graph, pod, container.name))
            for pod in (graph.all("Pod") if newest else ())
            if not leaving(pod) and not finished(pod) and _before(pod, newest)
            for container in containers(pod)
            for source, key, when in outrun(pod, container, held)
            if not outdated(graph, culprit(graph, pod), pod)
        ]
    return known


def _before(pod: Json, newest: str) -> bool:
    """Return whether a pod was made before the newest change of all: all that was made later has read everything."""
    age = seconds_between(created(pod), newest)
    return age is None or age > 0


def _told(graph: Graph, pod: Json, container: str) -> str:
    lines = reversed(graph.log(pod, container).splitlines()[-40:])
    return next((line for line in lines if refuses_credential(line)), "")


def _stale_finding(graph: Graph, workload: Json, seen: list[Stale], fault: str) -> Finding:
    newest = max(seen, key=lambda one: one.when)
    name, now = newest.container.name, graph.snapshot.time
    started = str(at(newest.container.status, "state", "running", "startedAt"))
    what = f"key {newest.key} of {ref(newest.source)}" if newest.key else str(ref(newest.source))
    told = next((one for one in seen if one.told), None)
    suffers = fault == "CON-19" and told is not None
    later = f"changed {ago(started, newest.when)} after it started"
    return Finding(
        fault=fault,
        title=f"{name} of {ref(workload)} runs with what {what} held before it was {later}"
        + ("; its credential is refused" if suffers else ""),
        object=ref(workload),
        confidence=0.93 if suffers else 0.65,
        evidence=(
            evidence(newest.source, "metadata.managedFields", newest.when, f"{what} was changed at {newest.when}"),
            evidence(newest.pod, f"status of container {name}", started, f"running since {started}"),
            *((evidence(told.pod, f"log of container {name}", now, told.told),) if suffers and told else ()),
        ),
        facts={"container": name, "kind": str(newest.source.get("kind")), "name": name_of(newest.source)},
        related=(ref(newest.source), *dict.fromkeys(ref(one.pod) for one in seen), *services(graph, workload)),
        explains=(ref(workload),),
        advice=f"Look that the present value of {what} is the one that is meant before pods are made with it.",
    )


RULES = (
    Rule(fault="CON-17", needs=("Deployment",), find=shadowed),
    Rule(fault="CON-18", needs=("Pod",), find=outdated_configuration, wants=("ConfigMap",), about=CONFIGURED),
    Rule(fault="CON-19", needs=("Pod",), find=outdated_secret, wants=("Secret",), about=REFUSED),
)

__all__ = ["RULES"]
