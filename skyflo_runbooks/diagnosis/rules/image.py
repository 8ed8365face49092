"""Family B, images: IMG-01 to IMG-06.

Sources of the evidence: the kubelet waits with reason `ErrImagePull` or `ImagePullBackOff`; containerd's message ends
in `not found`, other registries say `manifest unknown` or `does not exist`. Older kubelets keep the message in the
event `Failed` alone. A refused registry (401, denied) is IMG-02, one that does not answer or is not trusted IMG-05; a
name that cannot be read is `InvalidImageName`, an image that may not be pulled `ErrImageNeverPull`. A binary of another
architecture is pulled and fails with `exec format error`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref, revision
from skyflo_runbooks.diagnosis.lines import refuses_pull
from skyflo_runbooks.diagnosis.pods import (
    PULL_ERRORS,
    Container,
    containers,
    created,
    each,
    leaving,
    name_of,
    namespace_of,
    ready,
    template_container,
)
from skyflo_runbooks.diagnosis.pointed import PULLING
from skyflo_runbooks.diagnosis.rules.base import (
    Rule,
    changeable,
    culprit,
    deployed,
    event_time,
    evidence,
    outdated,
    services,
)
from skyflo_runbooks.diagnosis.rules.startup import Look, Seen, finding, groups, near, waits
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_NOT_FOUND = re.compile(r"(?i)not found|manifest unknown|notfound|name unknown|does not exist")
_OTHER = re.compile(
    r"(?i)\b401\b|\b403\b|unauthorized|denied|no basic auth|authorization|no such host|i/o timeout|x509"
    r"|connection refused|no match for platform|\b429\b|too many requests"
)


class Pull(msgspec.Struct, frozen=True):
    """A container whose image cannot be pulled, and the message that says why."""

    pod: Json
    container: Container
    message: str
    source: str
    at: str


def image_not_found(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container of a workload whose image does not exist in its registry."""
    groups: dict[tuple[ObjectRef, str], list[Pull]] = defaultdict(list)
    for pull in _pulls(graph):
        workload = culprit(graph, pull.pod)
        if not outdated(graph, workload, pull.pod):
            groups[ref(workload), pull.container.name].append(pull)
    for (owner, container), pulls in groups.items():
        workload_found = graph.get(owner)
        if workload_found is not None:
            yield _finding(graph, workload_found, container, pulls)


def _pulls(graph: Graph) -> Iterator[Pull]:
    for pod in graph.ailing:
        for container in containers(pod):
            reason, message = container.waiting
            if reason in PULL_ERRORS:
                found = _why(graph, pod, container, message)
                if found:
                    yield found


def _why(graph: Graph, pod: Json, container: Container, message: str) -> Pull | None:
    """Return the pull with the message that says "not found", from the status or else from the newest event."""
    image = str(container.spec.get("image", ""))
    told = [(message, f"status of container {container.name}", graph.snapshot.time)]
    events = sorted(graph.events(pod), key=event_time, reverse=True)
    told += [
        (str(event.get("message", "")), "event Failed", event_time(event))
        for event in events
        if event.get("reason") == "Failed" and image in str(event.get("message", ""))
    ]
    for text, source, when in told:
        # The image's own name may hold any word, so it is not searched.
        bare = text.replace(image, "")
        if _NOT_FOUND.search(bare) and not _OTHER.search(bare):
            return Pull(pod=pod, container=container, message=text, source=source, at=when)
    return None


def _finding(graph: Graph, workload: Json, container: str, pulls: list[Pull]) -> Finding:
    image = str(pulls[0].container.spec.get("image", ""))
    good = good_image(graph, workload, container, image)
    facts = {"container": container, "image": image, "pods": str(len(pulls)), **_as_facts(graph, pulls[0].pod, good)}
    reached = repository(image)
    advice = (
        ""
        if "good_image" in facts
        else (
            f"No earlier revision and no node knows an image of {reached}: ask whoever built it for a tag that exists."
        )
    )
    return Finding(
        fault="IMG-01",
        title=f"The image {image} of {ref(workload)} does not exist in its registry",
        object=ref(workload),
        confidence=0.96 if len(pulls) > 1 or good else 0.9,
        evidence=tuple(_evidence(graph, workload, pulls, good)),
        facts=facts,
        related=(*(ref(pull.pod) for pull in pulls), *services(graph, workload)),
        advice=advice,
    )


def _evidence(graph: Graph, workload: Json, pulls: list[Pull], good: Evidence | None) -> Iterator[Evidence]:
    for pull in pulls[:3]:
        reason = pull.container.waiting[0]
        yield evidence(pull.pod, pull.source, pull.at, f"{reason}: {pull.message}")
    if good:
        yield good
    rolled_out = deployed(graph, workload)
    if rolled_out:
        yield rolled_out


def good_image(graph: Graph, workload: Json, container: str, broken: str) -> Evidence | None:
    """Return an image that is known to exist, as evidence whose text begins with it; None where none is known.

    First the revision that ran before, or another earlier one, with another image; then what a ready pod of the
    workload still runs; then what the nodes hold of the same repository: the tag that reads the same, then what runs
    in this namespace, then the highest tag that is not a digest.
    """
    before = graph.previous(workload)
    for replica_set in (before, *graph.revisions(workload)[1:]) if before is not None else ():
        found = template_container(replica_set, container)
        image = str(found[2].get("image", "")) if found else ""
        if image and image != broken:
            text = f"{image} is the image of revision {revision(replica_set)}, which was deployed before"
            return evidence(replica_set, "template", created(replica_set), text)
    for pod, image in _serving(graph, workload, container):
        if image != broken and repository(image) == repository(broken):
            text = f"{image} is what {ref(pod)} runs, which keeps the template of before and is ready"
            return evidence(pod, "spec.containers", created(pod), text)
    held = [
        (str(name), node)
        for node in graph.all("Node")
        for image in each(node, "status", "images")
        for name in image.get("names") or []
        if "@" not in str(name) and str(name) != broken and repository(str(name)) == repository(broken)
    ]
    if not held:
        return None
    here = {
        (repository(one), _tag(one))
        for pod in graph.all("Pod")
        if namespace_of(pod) == namespace_of(workload) and ready(pod)
        for one in (str(spec.get("image", "")) for spec in each(pod, "spec", "containers"))
    }

    def rank(item: tuple[str, Json]) -> tuple[bool, bool, tuple[int, ...]]:
        image = item[0]
        slip = _as_read(_tag(image)) == _as_read(_tag(broken))
        return slip, (repository(image), _tag(image)) in here, _version(image)

    # Several nodes hold the same image as a rule; then the first by name tells.
    name, node = max(sorted(held, key=lambda item: (item[0], name_of(item[1]))), key=rank)
    return evidence(node, "status.images", graph.snapshot.time, f"{name} is held by this node")


def _as_read(tag: str) -> str:
    """Return a tag without what the eye takes for the same: O and 0, l, I and 1, dashes, and a leading v."""
    return re.sub(r"[_+]", "-", tag).translate(_LOOKS).lower().removeprefix("v")


_LOOKS = str.maketrans({"O": "0", "o": "0", "l": "1", "I": "1"})


def _serving(graph: Graph, workload: Json, container: str) -> Iterator[tuple[Json, str]]:
    """Yield the ready pods of a workload with the image that they run in a container."""
    for pod in graph.pods(workload):
        for spec in each(pod, "spec", "containers") if ready(pod) and not leaving(pod) else ():
            if spec.get("name") == container:
                yield pod, str(spec.get("image", ""))


def _as_facts(graph: Graph, pod: Json, good: Evidence | None) -> dict[str, str]:
    """Return a good image and who knows it as facts for a repair; none where nothing of the workload can be changed."""
    if good is None or changeable(graph, pod) is None:
        return {}
    image, _, source = good.text.partition(" ")
    return {"good_image": image, "good_source": source}


def repository(image: str) -> str:
    """Return an image's name without tag and digest, with the registry that a bare name means."""
    name = image.split("@")[0]
    head, slash, last = name.rpartition("/")
    path = f"{head}{slash}{last.split(':')[0]}"
    first = path.split("/")[0]
    if "." in first or ":" in first or first == "localhost":
        return path
    return f"docker.io/{path if '/' in path else f'library/{path}'}"


def _version(image: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", image.rpartition(":")[2]))


# IMG-02, IMG-05, IMG-06 -----------------------------------------------------------------------------------------------

_AWAY = re.compile(
    r"(?i)no such host|i/o timeout|x509|connection refused|deadline exceeded|no route to host|\b429\b|too many requests"
)
_PLATFORM = re.compile(r"(?i)no match for platform|no matching manifest|exec format error")


def pull_refused(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container whose registry refuses the pull: no or wrong credentials."""
    for workload, _, seen in groups(graph, _failed_pull(refuses_pull, _AWAY)):
        pod, image = seen[0].pod, str(seen[0].container.spec.get("image", ""))
        named = [str(item.get("name")) for item in each(pod, "spec", "imagePullSecrets")]
        missing = _missing_pull_secret(graph, pod)
        opens = _opens(graph, pod, image, named) or _only(graph, pod, named)
        there = [name_of(item) for item in graph.all("Secret") if namespace_of(item) == namespace_of(pod)]
        secret = (near(missing, there) if missing else "") or (opens.text.partition(" ")[0] if opens else "")
        why = (
            f"its imagePullSecret {missing} does not exist"
            if missing
            else "it is refused" + ("" if named else " without a pull secret")
        )
        facts = {"image": image, "secrets": ",".join(named), "missing": missing}
        names = evidence(workload, "template", graph.snapshot.time, f"imagePullSecrets: {', '.join(named) or 'none'}")
        yield finding(
            graph,
            workload,
            seen,
            "IMG-02",
            f"The image {image} of {ref(workload)} cannot be pulled: {why}",
            confidence=0.95 if missing else 0.9,
            facts=facts | ({"secret": secret} if secret else {}) | _known_by(opens, secret),
            more=(names, *((opens,) if opens else ())),
            advice=f"Name a pull secret with access to {repository(image)}, in {ref(workload)} or its ServiceAccount.",
        )


def _known_by(opens: Evidence | None, secret: str) -> dict[str, str]:
    name, _, why = opens.text.partition(" ") if opens else ("", "", "")
    return {"secret_source": why} if secret and name == secret else {}


def _missing_pull_secret(graph: Graph, pod: Json) -> str:
    """Return the pull secret that the pod names and the kubelet did not find; the first of several."""
    for event in graph.events(pod):
        if event.get("reason") == "FailedToRetrieveImagePullSecret":
            found = re.search(r"\(([^)]+)\)", str(event.get("message", "")))
            return found.group(1).split(", ")[0] if found else ""
    return ""


def _opens(graph: Graph, pod: Json, image: str, named: list[str]) -> Evidence | None:
    """Return the pull secret that pods here run images of this registry with, as evidence whose text begins with it.

    None where no pod does, or pods do with several: which of them opens this repository would be a guess.
    """
    host = repository(image).partition("/")[0]
    found: dict[str, Json] = {}
    for other in graph.all("Pod"):
        runs = any(
            c.ready and repository(str(c.spec.get("image"))).partition("/")[0] == host for c in containers(other)
        )
        if runs and namespace_of(other) == namespace_of(pod):
            secrets = [str(item.get("name")) for item in each(other, "spec", "imagePullSecrets")]
            found |= {name: other for name in secrets if name not in named}
    if len(found) != 1:
        return None
    ((name, other),) = found.items()
    return evidence(other, "spec.imagePullSecrets", graph.snapshot.time, f"{name} is what it pulls from {host} with")


def _only(graph: Graph, pod: Json, named: list[str]) -> Evidence | None:
    """Return the one pull secret that the namespace has and the pod does not name, as `_opens` does; else None.

    Which registry it opens is not read: that is a value. The pull tells.
    """
    found = [
        item
        for item in graph.all("Secret")
        if item.get("type") == PULLING and namespace_of(item) == namespace_of(pod) and name_of(item) not in named
    ]
    if len(found) != 1:
        return None
    text = f"{name_of(found[0])} is the only pull secret of {namespace_of(pod)} that is not named"
    return evidence(found[0], "type", graph.snapshot.time, text)


def registry_away(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container whose registry does not answer, or is not trusted."""
    for workload, name, seen in groups(graph, _failed_pull(_AWAY.search, None)):
        image = str(seen[0].container.spec.get("image", ""))
        good = good_image(graph, workload, name, image)
        if good is not None and not _obtainable(graph, seen[0].container.spec, good.text.partition(" ")[0], image):
            good = None
        yield finding(
            graph,
            workload,
            seen,
            "IMG-05",
            f"The registry of {image} of {ref(workload)} does not answer: {seen[0].text[-120:]}",
            facts={"image": image, **_as_facts(graph, seen[0].pod, good)},
            more=(good,) if good else (),
            advice="Nothing in the cluster repairs the registry. Until it answers, an image that nodes hold serves.",
        )


def _obtainable(graph: Graph, spec: Json, image: str, broken: str) -> bool:
    """Return whether an image can be had while the registry of another one is away.

    From another registry it can; from the same one where a node holds it and the policy lets the kubelet use that.
    """
    if repository(image).partition("/")[0] != repository(broken).partition("/")[0]:
        return True
    return spec.get("imagePullPolicy") != "Always" and _held(graph, image) is not None


def _held(graph: Graph, image: str) -> Evidence | None:
    """Return that a node holds exactly this image, as evidence whose text begins with the image as it is written."""
    for node in sorted(graph.all("Node"), key=name_of):
        names = [str(name) for one in each(node, "status", "images") for name in one.get("names") or []]
        if any(repository(name) == repository(image) and _tag(name) == _tag(image) for name in names):
            return evidence(node, "status.images", graph.snapshot.time, f"{image} is held by this node")
    return None


def _tag(image: str) -> str:
    """Return an image's tag; without one it is latest, and with a digest it is not looked at."""
    last = image.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[2] or "latest"


def wrong_platform(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container whose image is of another processor architecture than its node."""
    for workload, _, seen in groups(graph, _other_platform):
        image = str(seen[0].container.spec.get("image", ""))
        pulled = all(item.container.waiting[0] not in PULL_ERRORS for item in seen)
        arches = sorted({arch for item in seen if (arch := _architecture(graph, item.pod))})
        fits = _fits(graph, image, arches)
        yield finding(
            graph,
            workload,
            seen,
            "IMG-06",
            f"The image {image} of {ref(workload)} is not for its node's architecture"
            + (f" ({', '.join(arches)})" if arches else ""),
            # A script without its first line ends in the same words.
            confidence=0.85 if pulled and fits is None else 0.95,
            facts={"image": image, "architectures": ",".join(arches)}
            | ({"fits": fits.text.partition(" ")[0]} if fits else {}),
            more=(fits,) if fits else (),
            advice="Use a tag that is built for this architecture, or choose nodes of the other one."
            + (" If what it starts is a script, its first line has to name what runs it." if pulled else ""),
        )


def _other_platform(graph: Graph, pod: Json, container: Container) -> Seen | None:
    pull = _failed_pull(_PLATFORM.search, None)(graph, pod, container)
    if pull:
        return pull
    lines = graph.log(pod, container.name).splitlines()[-5:]
    for end in container.terminations:
        told = (text for text in (str(end.get("message", "")), *lines) if "exec format error" in text.lower())
        said = next(told, "")
        if said and end.get("exitCode"):
            part = f"status of container {container.name}"
            return Seen(pod, container, said, str(end.get("finishedAt", "")), part)
    return None


def _architecture(graph: Graph, pod: Json) -> str:
    node = graph.get(ObjectRef("Node", str(at(pod, "spec", "nodeName", default=""))))
    return str(at(node, "status", "nodeInfo", "architecture", default="")) if node else ""


def _fits(graph: Graph, image: str, arches: list[str]) -> Evidence | None:
    """Return the other architecture that this image runs on here, as evidence whose text begins with it."""
    for pod in graph.all("Pod"):
        for container in containers(pod):
            found = _architecture(graph, pod)
            if container.ready and container.spec.get("image") == image and found and found not in arches:
                text = f"{found} is the architecture of its node, and it runs the same image"
                return evidence(pod, "spec.nodeName", graph.snapshot.time, text)
    return None


def _failed_pull(words: Callable[[str], object], other: re.Pattern[str] | None) -> Look:
    """Return a look for containers whose pull failed with these words and none of the others'."""

    def look(graph: Graph, pod: Json, container: Container) -> Seen | None:
        reason, message = container.waiting
        if reason not in PULL_ERRORS:
            return None
        image = str(container.spec.get("image", ""))
        told = [(message, f"status of container {container.name}", graph.snapshot.time)]
        told += [
            (str(event.get("message", "")), f"event {event.get('reason')}", event_time(event))
            for event in sorted(graph.events(pod), key=event_time, reverse=True)
            if event.get("reason") in ("Failed", "FailedToRetrieveImagePullSecret")
        ]
        for text, part, when in told:
            bare = text.replace(image, "")
            if words(bare) and not (other and other.search(bare)):
                return Seen(pod, container, f"{reason}: {text}", when, part)
        return None

    return look


# IMG-03, IMG-04 -------------------------------------------------------------------------------------------------------


def bad_name(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container whose image reference cannot be read."""
    for workload, name, seen in groups(graph, waits("InvalidImageName")):
        image = str(seen[0].container.spec.get("image", ""))
        good = _held(graph, readable(image)) or good_image(graph, workload, name, image)
        yield finding(
            graph,
            workload,
            seen,
            "IMG-03",
            f"The image {image!r} of {ref(workload)} is no name of an image",
            facts={"image": image, **_as_facts(graph, seen[0].pod, good)},
            more=(good,) if good else (),
            advice="Write the reference as registry/repository:tag, in lower case.",
        )


def readable(image: str) -> str:
    """Return a reference without what no reference may have: blanks, a scheme, capitals in its repository."""
    bare = re.sub(r"^https?://", "", image.strip())
    name, colon, tag = bare.rpartition(":")
    return f"{name.lower()}:{tag}" if colon and "/" not in tag else bare.lower()


def never_pulled(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container whose image may not be pulled and is not on the node."""
    for workload, _, seen in groups(graph, waits("ErrImageNeverPull")):
        image = str(seen[0].container.spec.get("image", ""))
        yield finding(
            graph,
            workload,
            seen,
            "IMG-04",
            f"The image {image} of {ref(workload)} is not on the node, and imagePullPolicy is Never",
            facts={"image": image},
            advice="Set imagePullPolicy to IfNotPresent, or load the image on the node.",
        )


RULES = (
    Rule(fault="IMG-01", needs=("Pod",), find=image_not_found),
    Rule(fault="IMG-02", needs=("Pod",), find=pull_refused),
    Rule(fault="IMG-03", needs=("Pod",), find=bad_name),
    Rule(fault="IMG-04", needs=("Pod",), find=never_pulled),
    Rule(fault="IMG-05", needs=("Pod",), find=registry_away),
    Rule(fault="IMG-06", needs=("Pod", "Log"), find=wrong_platform),
)

__all__ = ["RULES", "good_image", "image_not_found", "readable", "repository"]
