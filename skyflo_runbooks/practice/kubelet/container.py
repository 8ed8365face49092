"""One container's life: pulled, configured, started, ended, backed off, started again.

Each stage knows when it is over (`due`); `step` takes the container through every stage that is over by then. The
rules and texts are those of kubelet 1.36: the first restart is at once, then 10s, 20s, 40s … 5m; a container that ran
for ten minutes starts that series anew; failed pulls back off likewise; missing configuration is retried.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.clock import stamp
from skyflo_runbooks.practice.kubelet import texts
from skyflo_runbooks.practice.kubelet.run import Run, plan
from skyflo_runbooks.practice.kubelet.world import Report, World
from skyflo_runbooks.practice.scenario import Image

Stage = Literal["new", "pulling", "pull_error", "no_image", "no_config", "running", "ended", "backoff", "done"]

SETUP = 0.4
PULL = 0.7
# Between the end of a process and the kubelet's next look at the pod.
NOTICED = 0.5
RETRY = 12.0
REMINDER = 15.0
BACKOFF_MOST = 300.0
BACKOFF_RESET = 600.0


class Unready(Exception):
    """The container cannot be created yet: something its spec names is missing."""


@dataclass
class Container:
    """One container of one pod, on a node."""

    pod: Json
    spec: Json
    world: World
    address: str
    init: bool = False
    restarts: int = 0
    stage: Stage = "new"
    due: datetime | None = None
    run: Run | None = None
    last: Run | None = None
    previous: Run | None = None
    streak: int = 0
    until: datetime | None = None
    reason: str = ""
    message: str = ""
    spoken: int = 0
    history: list[Run] = field(default_factory=list)

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def image(self) -> Image:
        return self.world.registry[self.spec["image"]]

    def begin(self, now: datetime) -> None:
        """Let the kubelet take the container up."""
        if self.stage == "new" and self.due is None:
            self.due = now + timedelta(seconds=SETUP)

    def step(self, now: datetime) -> list[Report]:
        """Work off what is over at `now`."""
        out: list[Report] = []
        while self.due is not None and self.due <= now:
            out += list(self._advance(self.due))
        return out

    def _advance(self, now: datetime) -> Iterator[Report]:
        match self.stage:
            case "new":
                yield from self._pull(now)
            case "pulling":
                yield from self._pulled(now)
            case "pull_error":
                yield from self._pull_error(now)
            case "no_image" | "no_config":
                yield from self._start(now) if self.stage == "no_config" else self._pull(now)
            case "running":
                yield from self._speak_or_end(now)
            case "ended":
                yield from self._after_end(now)
            case "backoff":
                yield from self._remind_or_restart(now)
            case _:
                self.due = None

    # Pulling

    def _pull(self, now: datetime) -> Iterator[Report]:
        image, policy = self.spec["image"], self.spec.get("imagePullPolicy", "IfNotPresent")
        _, repository, _ = texts.split_image(image)
        if repository != repository.lower():
            self._wait("no_image", "InvalidImageName", texts.BAD_NAME.format(image=image, repository=repository), now)
            yield self._report("Warning", "InspectFailed", self.message)
            yield self._report("Warning", "Failed", "Error: InvalidImageName")
        elif policy != "Always" and image in self.world.pulled.get(self.pod["spec"]["nodeName"], set()):
            yield from self._start(now)
        elif policy == "Never":
            self._wait("no_image", "ErrImageNeverPull", texts.NEVER.format(image=image), now)
            yield self._report("Warning", "ErrImageNeverPull", self.message)
            yield self._report("Warning", "Failed", "Error: ErrImageNeverPull")
        else:
            self.stage, self.due = "pulling", now + timedelta(seconds=PULL)
            yield self._report("Normal", "Pulling", texts.PULLING.format(image=image))

    def _pulled(self, now: datetime) -> Iterator[Report]:
        image = self.spec["image"]
        if image in self.world.registry:
            self.world.pulled.setdefault(self.pod["spec"]["nodeName"], set()).add(image)
            text = texts.PULLED.format(image=image, ms=int(PULL * 1000), size=int(self.image.size))
            yield from self._start(now, pulled=text)
            return
        why = self._pull_failure(image)
        self.streak += 1
        self.stage, self.reason, self.message = "pull_error", "ErrImagePull", why
        self.due = now + timedelta(seconds=NOTICED)
        yield self._report("Warning", "Failed", f'Failed to pull image "{image}": {why}')
        yield self._report("Warning", "Failed", "Error: ErrImagePull")

    def _pull_failure(self, image: str) -> str:
        host, repository, tag = texts.split_image(image)
        full = f"{host}/{repository}:{tag}"
        if host not in self.world.hosts():
            return texts.NO_REGISTRY.format(full=full, host=host, repository=repository, tag=tag)
        return texts.NO_TAG.format(full=full)

    def _pull_error(self, now: datetime) -> Iterator[Report]:
        """ErrImagePull shows for a moment, then ImagePullBackOff until the next try."""
        image = self.spec["image"]
        if self.reason == "ErrImagePull":
            self.message = f"{texts.BACKOFF_PULL.format(image=image)}: ErrImagePull: {self.message}"
            self.reason = "ImagePullBackOff"
            self.until = now + timedelta(seconds=min(BACKOFF_MOST, 10 * 2 ** (self.streak - 1)))
        if self.until is not None and now >= self.until:
            self.until = None
            self.stage, self.due = "pulling", now + timedelta(seconds=PULL)
            yield self._report("Normal", "Pulling", texts.PULLING.format(image=image))
            return
        self.due = min(now + timedelta(seconds=REMINDER), self.until or now)
        yield self._report("Normal", "BackOff", texts.BACKOFF_PULL.format(image=image))
        yield self._report("Warning", "Failed", "Error: ImagePullBackOff")

    # Starting

    def _start(self, now: datetime, pulled: str = "") -> Iterator[Report]:
        yield self._report("Normal", "Pulled", pulled or texts.PRESENT.format(image=self.spec["image"]))
        try:
            env = environment(self.pod, self.spec, self.world)
            keep_from_root(self.pod, self.spec)
        except Unready as missing:
            self._wait("no_config", "CreateContainerConfigError", str(missing), now)
            yield self._report("Warning", "Failed", f"Error: {missing}")
            return
        self.previous = self.last
        self.run = plan(
            image=self.image,
            container=self.spec,
            env=env,
            started=now,
            address=self.address,
            run_id=self._run_id(),
            found=lambda host: self.world.resolve(str(self.pod["metadata"]["namespace"]), host),
            peak_after=self.world.history_peak(self.pod),
        )
        self.streak = 0 if self.stage in {"pulling", "new"} else self.streak
        self.history = [*self.history[-1:], self.run]
        self.stage, self.spoken, self.reason, self.message = "running", 0, "", ""
        self.due = self._next_in_run()
        yield self._report("Normal", "Created", texts.CREATED)
        yield self._report("Normal", "Started", texts.STARTED)

    def _run_id(self) -> str:
        seed = f"{self.pod['metadata']['uid']}/{self.name}/{self.restarts}"
        return f"containerd://{hashlib.sha256(seed.encode()).hexdigest()}"

    def _next_in_run(self) -> datetime | None:
        """Return the next moment of the run at which something is to be reported or changes."""
        run = self.run
        if run is None:
            return None
        moments = [notice.when for notice in run.notices[self.spoken :][:1]]
        return min([*moments, *([run.ends] if run.ends else [])], default=None)

    def _speak_or_end(self, now: datetime) -> Iterator[Report]:
        run = self.run
        assert run is not None  # "running" is entered with a run only
        while self.spoken < len(run.notices) and run.notices[self.spoken].when <= now:
            notice = run.notices[self.spoken]
            self.spoken += 1
            yield self._report(notice.type, notice.reason, notice.message)
        if run.ends is not None and run.ends <= now:
            self.end(now)
        else:
            self.due = self._next_in_run()

    def end(self, now: datetime) -> None:
        """The process has ended."""
        run = self.run
        if run is None:
            return
        self.last, self.run = run, None
        long_run = (now - run.started).total_seconds() >= BACKOFF_RESET
        self.streak = 1 if long_run else self.streak + 1
        self.stage, self.due = "ended", now + timedelta(seconds=NOTICED)

    def _after_end(self, now: datetime) -> Iterator[Report]:
        policy = self.pod["spec"].get("restartPolicy", "Always")
        last = self.last
        assert last is not None  # "ended" is entered from a run only
        if policy == "Never" or (last.code == 0 and (self.init or policy == "OnFailure")):
            self.stage, self.due = "done", None
            return
        if self.streak <= 1:
            yield from self._restart(now)
            return
        wait = min(BACKOFF_MOST, 10 * 2 ** (self.streak - 2))
        self.stage, self.until = "backoff", now + timedelta(seconds=wait)
        words = texts.pod_words(self.pod)
        self.reason = "CrashLoopBackOff"
        self.message = texts.BACKOFF_STATE.format(name=self.name, delay=texts.delay(wait), **words)
        yield from self._remind(now)

    def _remind_or_restart(self, now: datetime) -> Iterator[Report]:
        if self.until is not None and now >= self.until:
            self.until = None
            yield from self._restart(now)
        else:
            yield from self._remind(now)

    def _remind(self, now: datetime) -> Iterator[Report]:
        self.due = min(now + timedelta(seconds=REMINDER), self.until or now)
        text = texts.BACKOFF_EVENT.format(name=self.name, **texts.pod_words(self.pod))
        yield self._report("Warning", "BackOff", text)

    def _restart(self, now: datetime) -> Iterator[Report]:
        self.restarts += 1
        yield from self._start(now)

    def stop(self, now: datetime) -> None:
        """End the process from outside: SIGTERM, which it answers by ending well."""
        self.due = None
        if self.run is not None:
            run = self.run
            self.last = Run(run.id, run.started, None, None, now, 0, "Completed", "", run.peak_after)
            self.run = None
        self.stage = "done"

    # What shows

    def _wait(self, stage: Stage, reason: str, message: str, now: datetime) -> None:
        self.stage, self.reason, self.message = stage, reason, message
        self.due = now + timedelta(seconds=RETRY)

    def _report(self, kind: Literal["Normal", "Warning"], reason: str, message: str) -> Report:
        part = "initContainers" if self.init else "containers"
        return Report(self.pod, kind, reason, message, f"spec.{part}{{{self.name}}}")

    def ready(self, now: datetime) -> bool:
        """Return whether the container is ready at `now`."""
        return self.run is not None and self.run.ready_at is not None and self.run.ready_at <= now

    def state(self) -> Json:
        """Return `state` of the container's status."""
        if self.run is not None:
            return {"running": {"startedAt": stamp(self.run.started)}}
        if self.stage in {"ended", "done"} and self.last is not None:
            return {"terminated": self.last.terminated()}
        waiting: Json = {"reason": self.reason or "ContainerCreating"}
        if self.message:
            waiting["message"] = self.message
        return {"waiting": waiting}

    def status(self, now: datetime) -> Json:
        """Return the entry of `containerStatuses`."""
        earlier = self.previous if self.stage in {"ended", "done"} else self.last
        status: Json = {
            "name": self.name,
            "image": self.spec["image"],
            "imageID": self._image_id() if self.run or self.last else "",
            "lastState": {"terminated": earlier.terminated()} if earlier else {},
            "ready": self.ready(now),
            "restartCount": self.restarts,
            "started": self.run is not None,
            "state": self.state(),
        }
        if current := self.run or self.last:
            status["containerID"] = current.id
            status["resources"] = self.spec.get("resources", {})
            if requests := at(self.spec, "resources", "requests"):
                status["allocatedResources"] = requests
        return status

    def _image_id(self) -> str:
        host, repository, _ = texts.split_image(self.spec["image"])
        return f"{host}/{repository}@sha256:{hashlib.sha256(self.spec['image'].encode()).hexdigest()}"


def keep_from_root(pod: Json, container: Json) -> None:
    """Raise `Unready` where the container must not run as root and would; the images of a scenario name no user."""
    said = (at(pod, "spec", "securityContext", default={}) or {}) | (container.get("securityContext") or {})
    user = said.get("runAsUser")
    if said.get("runAsNonRoot") and not user:
        text = texts.AS_ROOT if user is None else texts.TOLD_ROOT
        raise Unready(text.format(name=container["name"], **texts.pod_words(pod)))


def environment(pod: Json, container: Json, world: World) -> dict[str, str]:
    """Return the container's environment; `Unready` names what is missing, in the kubelet's words."""
    env: dict[str, str] = {}
    namespace = pod["metadata"]["namespace"]
    for source in container.get("envFrom", []):
        for field_name, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if ref := source.get(field_name):
                env |= {source.get("prefix", "") + k: v for k, v in _data(world, kind, namespace, ref).items()}
    for variable in container.get("env", []):
        origin = variable.get("valueFrom") or {}
        if "configMapKeyRef" in origin:
            value = _key(world, "ConfigMap", namespace, origin["configMapKeyRef"])
        elif "secretKeyRef" in origin:
            value = _key(world, "Secret", namespace, origin["secretKeyRef"])
        elif "fieldRef" in origin:
            value = str(at(pod, *origin["fieldRef"]["fieldPath"].split("."), default=""))
        else:
            value = variable.get("value", "")
        if value is not None:
            env[variable["name"]] = value
    return env


def _data(world: World, kind: str, namespace: str, ref: Json) -> dict[str, str]:
    found = world.lookup("Secret" if kind == "Secret" else "ConfigMap", namespace, ref["name"])
    if found is None:
        if ref.get("optional"):
            return {}
        raise Unready(f'{kind.lower()} "{ref["name"]}" not found')
    data: dict[str, str] = found.get("data", {})
    return {key: base64.b64decode(text).decode() for key, text in data.items()} if kind == "Secret" else data


def _key(world: World, kind: str, namespace: str, ref: Json) -> str | None:
    data = _data(world, kind, namespace, ref)
    if ref["key"] in data:
        return data[ref["key"]]
    if ref.get("optional"):
        return None
    raise Unready(f"couldn't find key {ref['key']} in {kind} {namespace}/{ref['name']}")
