"""One pod on a node: its volumes, its init containers one after the other, its containers, its end.

`status` is the whole status that the kubelet writes; the scheduler's PodScheduled condition is kept as it is found.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.clock import parse, stamp
from skyflo_runbooks.practice.kubelet import texts
from skyflo_runbooks.practice.kubelet.container import RETRY, Container
from skyflo_runbooks.practice.kubelet.world import Action, Remove, Report, SetStatus, World

_VOLUMES: tuple[tuple[str, Literal["ConfigMap", "Secret"], str], ...] = (
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
)


@dataclass
class Pod:
    """The kubelet's view of one pod."""

    object: Json
    world: World
    address: str
    host: str
    seen: datetime
    inits: list[Container] = field(default_factory=list)
    containers: list[Container] = field(default_factory=list)
    mount_due: datetime | None = None
    mounted: bool = False
    gone_at: datetime | None = None
    written: Json = field(default_factory=dict)
    ready_moments: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def admit(cls, obj: Json, world: World, address: str, host: str, now: datetime) -> "Pod":
        """Take up a pod that the scheduler gave to this node."""
        pod = cls(obj, world, address, host, now, mount_due=now)
        inits = obj["spec"].get("initContainers", [])
        pod.inits = [Container(obj, spec, world, address, init=True) for spec in inits]
        pod.containers = [Container(obj, spec, world, address) for spec in obj["spec"]["containers"]]
        return pod

    def show(self, obj: Json, now: datetime) -> None:
        """Take note of a newer state of the object; a deletion starts the end."""
        self.object = obj
        for container in [*self.inits, *self.containers]:
            container.pod = obj
        if obj["metadata"].get("deletionTimestamp") and self.gone_at is None:
            grace = float(obj["metadata"].get("deletionGracePeriodSeconds", 30))
            slowest = max((float(c.image.stops_after) for c in self.containers if c.run), default=0.1)
            self.gone_at = now + timedelta(seconds=min(grace, slowest))

    def due(self) -> datetime | None:
        """Return when something happens next."""
        if self.gone_at is not None:
            return self.gone_at
        moments = [c.due for c in [*self.inits, *self.containers] if c.due]
        moments += [c.run.ready_at for c in self.containers if c.run and c.run.ready_at]
        fresh = [moment for moment in moments if moment > self.seen]
        return min([*fresh, *([self.mount_due] if self.mount_due else [])], default=None)

    def step(self, now: datetime) -> Iterator[Action]:
        """Work off what is due at `now`, and write the status if it changed."""
        self.seen = now
        if self.gone_at is not None:
            yield from self._end(now)
            return
        yield from self._mount(now)
        if self.mounted:
            yield from self._run(now)
        yield from self.write(now)

    def write(self, now: datetime) -> Iterator[Action]:
        """Yield the status if it differs from what was last written."""
        status = self.status(now)
        if status != self.written:
            self.written = status
            yield SetStatus(self.object, status)

    def _mount(self, now: datetime) -> Iterator[Report]:
        if self.mounted or self.mount_due is None or self.mount_due > now:
            return
        problem = self._unmounted()
        if problem:
            self.mount_due = now + timedelta(seconds=RETRY)
            yield Report(self.object, "Warning", "FailedMount", problem)
        else:
            self.mounted, self.mount_due = True, None

    def _unmounted(self) -> str:
        """Return why the volumes cannot be set up; empty if they can."""
        namespace = self.object["metadata"]["namespace"]
        for volume in self.object["spec"].get("volumes", []):
            for source, kind, field_name in _VOLUMES:
                ref = volume.get(source)
                if ref and not ref.get("optional") and self.world.lookup(kind, namespace, ref[field_name]) is None:
                    return texts.MOUNT.format(volume=volume["name"], kind=kind.lower(), name=ref[field_name])
        return ""

    def _run(self, now: datetime) -> Iterator[Report]:
        for init in self.inits:
            if not _finished(init):
                init.begin(now)
                yield from init.step(now)
            if not _finished(init):
                return
        for container in self.containers:
            container.begin(now)
            yield from container.step(now)

    def _end(self, now: datetime) -> Iterator[Action]:
        """Stop the containers of a deleted pod, then let it go."""
        if self.gone_at is None or now < self.gone_at:
            return
        for container in self.containers:
            container.stop(now)
        yield from self.write(now)
        yield Remove(self.object)

    def stopping(self) -> Iterator[Report]:
        """Return the events that a deletion starts with."""
        for container in self.containers:
            if container.run is not None:
                text = texts.STOPPING.format(name=container.name)
                yield Report(self.object, "Normal", "Killing", text, f"spec.containers{{{container.name}}}")

    # The status

    def phase(self) -> str:
        """Return `status.phase`."""
        states = self.containers
        if states and all(c.stage == "done" for c in states) and self.gone_at is None:
            return "Succeeded" if all(c.last and c.last.code == 0 for c in states) else "Failed"
        if any(c.stage == "done" and c.last and c.last.code for c in self.inits):
            return "Failed"
        started = states and all(c.run or c.last for c in states)
        return "Running" if started else "Pending"

    def ready(self, now: datetime) -> bool:
        """Return whether all containers are ready and the pod is not on its way out."""
        if self.object["metadata"].get("deletionTimestamp"):
            return False
        return bool(self.containers) and all(container.ready(now) for container in self.containers)

    def status(self, now: datetime) -> Json:
        """Return the whole status."""
        status: Json = {
            "phase": self.phase(),
            "conditions": self._conditions(now),
            "hostIP": self.host,
            "hostIPs": [{"ip": self.host}],
            "startTime": stamp(parse(self.object["metadata"]["creationTimestamp"])),
            "qosClass": at(self.object, "status", "qosClass", default="BestEffort"),
            "containerStatuses": [self._shown(container, now) for container in self.containers],
        }
        if self.inits:
            status["initContainerStatuses"] = [container.status(now) for container in self.inits]
        if self.mounted:
            status |= {"podIP": self.address, "podIPs": [{"ip": self.address}]}
        return status

    def _shown(self, container: Container, now: datetime) -> Json:
        status = container.status(now)
        if any(not _finished(init) for init in self.inits) and "waiting" in status["state"]:
            status["state"] = {"waiting": {"reason": "PodInitializing"}}
        return status

    def _conditions(self, now: datetime) -> list[Json]:
        unready = [c.name for c in self.containers if not c.ready(now)]
        ended = self.phase() == "Succeeded"
        initialized = all(_finished(init) for init in self.inits)
        why = (
            ("PodCompleted", "")
            if ended
            else ("ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]")
        )
        deleted = bool(self.object["metadata"].get("deletionTimestamp"))
        ready = not unready and not deleted
        not_init = [i.name for i in self.inits if not _finished(i)]
        wait = ("ContainersNotInitialized", f"containers with incomplete status: [{' '.join(not_init)}]")
        conditions = [
            self._condition("PodReadyToStartContainers", self.mounted and not deleted, now),
            self._condition("Initialized", initialized, now, *wait),
            self._condition("Ready", ready, now, *(why if unready else ("", ""))),
            self._condition("ContainersReady", not unready, now, *why),
        ]
        scheduled = [c for c in at(self.object, "status", "conditions", default=[]) if c.get("type") == "PodScheduled"]
        return conditions + scheduled

    def _condition(self, kind: str, holds: bool, now: datetime, reason: str = "", message: str = "") -> Json:
        status = "True" if holds else "False"
        before = self.ready_moments.get(kind)
        since = before[1] if before and before[0] == status else stamp(now)
        self.ready_moments[kind] = (status, since)
        condition: Json = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": since}
        if not holds and reason:
            condition["reason"] = reason
            if message:
                condition["message"] = message
        return condition


def _finished(init: Container) -> bool:
    return init.stage == "done" and init.last is not None and init.last.code == 0
