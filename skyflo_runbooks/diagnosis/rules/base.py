"""What a rule is, and the words that all rules share.

A rule is a pure function from a graph to findings. It looks at what Kubernetes itself says (status, events, logs,
references), never at a name, label or annotation that only one installation has. `needs` are the kinds without which
its silence means nothing: where one of them could not be read, the diagnosis says so. `wants` are kinds that only some
incidents are about: that one of them could not be read makes an answer unknown where the incident's words are `about`
it, and is a note elsewhere.
"""

from collections.abc import Callable, Iterable

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, made_from, ref
from skyflo_runbooks.diagnosis.pods import EDITABLE, Container, condition, created, each, texts
from skyflo_runbooks.diagnosis.snapshot import ago, seconds_between
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

# A line of evidence is shown in full up to here; logs and messages can be of any length.
LONGEST = 400
# The fact that says which field somebody set on purpose, and how sure it is that this is a fault all the same.
INTENT = "intended"
INTENDED = 0.5
# The fact that says that an intended setting is so on most clusters that are well: only words that speak of it tell.
UNSAID = "unsaid"
# The fact that says whose pods wait on purpose: a controller of the cluster lets them go when their turn comes.
HELD = "held_by"
# The fact of a finding that what ails the object need not come from: it yields to any other cause of that object.
PERHAPS = "perhaps"
# Seconds that a container has to run again, at the least, before its ends are over.
_UNPROVEN = 10.0
# The fact of a finding that only repeats what a container says of itself: the HTTP status that it answers its probe.
ANSWERED = "answered"


class Rule(msgspec.Struct, frozen=True):
    """One fault of the catalogue and the function that finds it; `also` are others that the same look tells apart."""

    fault: str
    needs: tuple[str, ...]
    find: Callable[[Graph], Iterable[Finding]]
    wants: tuple[str, ...] = ()
    about: str = ""
    also: tuple[str, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """Every fault that it may find."""
        return (self.fault, *self.also)


def evidence(manifest: Json, part: str, at_time: str, text: str) -> Evidence:
    """Return one observed fact about a part of an object; its id is given when the diagnosis is complete."""
    return Evidence(source=f"{ref(manifest)} {part}", at=at_time, text=short(text))


def short(text: str) -> str:
    """Return `text` on one line, cut to a length that can be read."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def event_time(event: Json) -> str:
    """Return when an event happened last: series and newer APIs write it elsewhere."""
    for path in (("series", "lastObservedTime"), ("lastTimestamp",), ("eventTime",), ("firstTimestamp",)):
        found = at(event, *path)
        if found:
            return str(found)
    return created(event)


def overcome(container: Container, when: str) -> bool:
    """Return whether a container was started, or ended, after what an event told of: it had what was lacking then."""
    moments = [str(at(container.status, "state", "running", "startedAt", default=""))]
    moments += [str(end.get(part) or "") for end in container.terminations for part in ("startedAt", "finishedAt")]
    return any((seconds_between(when, moment) or 0) > 0 for moment in moments if moment)


def changeable(graph: Graph, pod: Json) -> Json | None:
    """Return the workload whose template made the pod and may be edited, or None where there is no such one."""
    workload = graph.workload(pod)
    return workload if workload.get("kind") in EDITABLE else None


def culprit(graph: Graph, pod: Json) -> Json:
    """Return the object that has to change: the pod's workload, else the topmost object that made it."""
    return changeable(graph, pod) or graph.workload(pod)


def given_up(graph: Graph, pod: Json) -> bool:
    """Return whether the pod is one of a Job that failed for good: its own finding (JOB-01) tells how it ended."""
    owner = graph.owner(pod)
    return owner is not None and owner.get("kind") == "Job" and condition(owner, "Failed").get("status") == "True"


def falling(graph: Graph, container: Container) -> bool:
    """Return whether a container that runs ended more than once, and runs no longer yet than twice its last run.

    Without a readiness probe such a one counts as ready between its ends.
    """
    since = seconds_between(str(at(container.status, "state", "running", "startedAt", default="")), graph.snapshot.time)
    last = next(iter(container.terminations), {})
    ran = seconds_between(str(last.get("startedAt", "")), str(last.get("finishedAt", "")))
    return container.restarts > 1 and since is not None and ran is not None and since <= max(2 * ran, _UNPROVEN)


def current(graph: Graph, workload: Json) -> Json | None:
    """Return what has the template of a workload's present revision, or None where it is not known."""
    return next(iter(graph.revisions(workload)), None)


def outdated(graph: Graph, workload: Json, pod: Json) -> bool:
    """Return whether the pod belongs to an older revision, so that its template is not the one to repair.

    Of a StatefulSet's or DaemonSet's pods those that its update would make anew: none where a person does that, or a
    partition keeps them.
    """
    update = at(workload, "spec", "updateStrategy", default={}) or {}
    if at(update, "type") == "OnDelete" or at(update, "rollingUpdate", "partition"):
        return False
    if workload.get("kind") == "StatefulSet":
        return of_older_template(workload, pod)
    newest = current(graph, workload)
    return newest is not None and not made_from(newest, pod)


def of_older_template(workload: Json, pod: Json) -> bool:
    """Return whether a StatefulSet's pod says that it was made from another template than the one to be rolled out."""
    held, update = texts(pod, "metadata", "labels").get("controller-revision-hash"), at(workload, "status")
    return held is not None and held != at(update, "updateRevision", default=held)


def deployed(graph: Graph, workload: Json) -> Evidence | None:
    """Return when the present revision was made, as evidence; None where nothing tells."""
    newest = current(graph, workload)
    if newest is None:
        return None
    passed = ago(created(newest), graph.snapshot.time)
    images = ", ".join(str(item.get("image")) for item in each(newest, "spec", "template", "spec", "containers"))
    number = at(newest, "metadata", "annotations", "deployment.kubernetes.io/revision", default="?")
    text = f"revision {number} was deployed {passed} before this reading: {images}"
    return evidence(newest, "metadata.creationTimestamp", created(newest), text)


def services(graph: Graph, workload: Json) -> tuple[ObjectRef, ...]:
    """Return the Services that send requests to the workload's pods."""
    labels = texts(workload, "spec", "template", "metadata", "labels")
    if workload.get("kind") == "Pod":
        labels = texts(workload, "metadata", "labels")
    namespace = str(at(workload, "metadata", "namespace", default=""))
    return tuple(ref(service) for service in graph.services(namespace, labels))
