"""Scenario files: what the cluster looks like, how it came to that, and what each image needs.

A scenario states what a workload *needs* (340Mi, a variable, a tag that the registry has), never what repairs it, so
that each wrong value fails as it would on a real node. The file has these parts:

    scenario, title, incident, namespace   what it is, and the operator's words
    nodes      the machines: cpu, memory, taints, labels
    images     the registry: every image that can be pulled, with its behaviour
    history    steps, oldest first: `ago`, and the manifests applied then (an existing object is merged with
               strategic merge, as kubectl apply does); the cluster *plays* these steps to get to its present
    expect     what a diagnosis should say; for tests only, the cluster never reads it

Durations are written 90s, 22m, 72h; sizes are Kubernetes quantities.
"""

from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.quantity import parse_duration, parse_quantity


class Seconds(float):
    """A duration, written `90s` or `22m` in the file."""


class Bytes(int):
    """A size, written `340Mi` in the file."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Any part of a scenario file; a field it does not have is an error that names it."""


class Memory(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Working set: `start` when the process begins, rising evenly to `peak`, and `peak` from then on."""

    start: Bytes
    peak: Bytes
    peak_after: Seconds = Seconds(0)


class Variable(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An environment variable that the process needs: without it, or with a value that does not match, it exits."""

    name: str
    pattern: str = ".+"
    missing: str
    invalid: str = ""
    code: int = 1


class Ask(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A host that the process looks up as it starts: the one of the URL in `variable`; not found, it ends.

    `{host}` stands in `lost` for the host.
    """

    variable: str
    lost: str = "dial tcp: lookup {host} on 10.96.0.10:53: no such host"
    code: int = 1


class Line(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line that the process logs, `after` its start, and again and again if `every` is set."""

    text: str
    after: Seconds = Seconds(0)
    every: Seconds = Seconds(0)


class Reply(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An HTTP answer; the first that fits is given.

    `ready_below`: only while fewer pods of this image are ready. `calls`: a service (`name:port/path`) asked first;
    this answer is given only when that one failed.
    """

    path: str
    status: int = 200
    body: str = ""
    ready_below: int = 0
    calls: str = ""


class Exit(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The process ends by itself."""

    after: Seconds
    code: int = 0


class Image(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One image of the registry and how its process behaves.

    `cpu` is what each container uses; with `shared` it is what all ready pods of the image in a namespace use together.
    """

    image: str
    size: Bytes = Bytes(24 * 2**20)
    memory: Memory
    cpu: str = "20m"
    shared: bool = False
    port: int = 0
    listens_after: Seconds = Seconds(1)
    stops_after: Seconds = Seconds(0.5)
    variables: tuple[Variable, ...] = ()
    asks: tuple[Ask, ...] = ()
    replies: tuple[Reply, ...] = ()
    logs: tuple[Line, ...] = ()
    last_words: str = ""
    exit: Exit | None = None


class NodeSpec(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One machine."""

    name: str
    cpu: str = "4"
    memory: str = "8Gi"
    pods: int = 110
    labels: dict[str, str] = {}
    taints: tuple[dict[str, str], ...] = ()
    unschedulable: bool = False


class Step(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was applied, and when.

    `peak_after` holds, by workload, how long its pods (in order of creation) took to their peak while the history
    was played: traffic was lighter then. Containers started from the present on take the image's own time.
    """

    ago: Seconds
    apply: tuple[dict[str, Any], ...]
    by: str = "kubectl-client-side-apply"
    peak_after: dict[str, tuple[Seconds, ...]] = {}


class Expect(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a diagnosis should find; read by tests only."""

    fault: str = ""
    object: str = ""
    text: str = ""


class Scenario(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One scenario file."""

    scenario: str
    title: str
    incident: str
    namespace: str
    nodes: tuple[NodeSpec, ...]
    images: tuple[Image, ...]
    history: tuple[Step, ...]
    expect: Expect = Expect()

    @property
    def registry(self) -> dict[str, Image]:
        """Return the images by reference."""
        return {image.image: image for image in self.images}


def read(kind: type[Any], value: Any) -> Any:
    """Read a duration or a size as a file writes it: what `msgspec.convert` asks of its hook."""
    try:
        if kind is Seconds:
            return Seconds(value if isinstance(value, int | float) else parse_duration(value))
        if kind is Bytes:
            return Bytes(parse_quantity(value))
    except BadInput as wrong:
        raise ValueError(str(wrong)) from wrong
    raise NotImplementedError(kind)


def parse(text: str, source: str) -> Scenario:
    """Read a scenario file's text; `source` names it in errors."""
    import yaml

    try:
        raw: Json = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as wrong:
        raise BadInput(f"{source} is not YAML: {wrong}") from wrong
    try:
        scenario = msgspec.convert(raw, Scenario, dec_hook=read)
    except msgspec.ValidationError as wrong:
        raise BadInput(f"{source} is not a scenario: {wrong}", next_step="See runbooks/scenarios/README.md.") from wrong
    _check(scenario, source)
    return scenario


def _check(scenario: Scenario, source: str) -> None:
    ages = [step.ago for step in scenario.history]
    if ages != sorted(ages, reverse=True):
        raise BadInput(f"{source}: expected the steps of `history` oldest first, got ago = {ages}.")
    if len(scenario.registry) != len(scenario.images):
        raise BadInput(f"{source}: an image is listed twice in `images`.")
    if not scenario.nodes:
        raise BadInput(f"{source}: expected at least one entry in `nodes`.")
    for step in scenario.history:
        for manifest in step.apply:
            if not manifest.get("kind") or not manifest.get("metadata", {}).get("name"):
                raise BadInput(f"{source}: expected kind and metadata.name in each manifest, got {str(manifest)[:80]}.")


def folder() -> Path:
    """Return where the scenario files lie: in the package when installed, in the checkout otherwise."""
    packed = Path(str(resources.files("skyflo_runbooks"))) / "library" / "scenarios"
    return packed if packed.is_dir() else Path(__file__).parents[2] / "runbooks" / "scenarios"


def names() -> list[str]:
    """Return the names of the scenarios that are shipped."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


@cache
def load(name: str) -> Scenario:
    """Read a shipped scenario by name, or a file by path."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else folder() / f"{name}.yaml"
    if not path.is_file():
        raise BadInput(f"There is no scenario {name!r}.", next_step=f"Known: {', '.join(names())}; or give a file.")
    return parse(path.read_text(), path.name)
