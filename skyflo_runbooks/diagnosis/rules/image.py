"""Family B, images: IMG-01.

Sources of the evidence: the kubelet waits with reason `ErrImagePull` or `ImagePullBackOff`; containerd's message ends
in `not found`, other registries say `manifest unknown` or `does not exist`. Older kubelets keep the message in the
event `Failed` alone. A refused or unreachable registry (401, no such host, x509) is another fault.
"""

import re
from collections import defaultdict
from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref, revision
from skyflo_runbooks.diagnosis.pods import (
    PULL_ERRORS,
    Container,
    containers,
    created,
    each,
    leaving,
    template_container,
)
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
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef

_NOT_FOUND = re.compile(r"(?i)not found|manifest unknown|notfound|name unknown|does not exist")
_OTHER = re.compile(
    r"(?i)\b401\b|\b403\b|unauthorized|denied|no basic auth|authorization|no such host|i/o timeout|x509"
    r"|connection refused|no match for platform|429|too many requests"
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
    for pod in graph.all("Pod"):
        if leaving(pod):
            continue
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
    facts = {"container": container, "image": image, "pods": str(len(pulls))}
    if good and changeable(graph, pulls[0].pod):
        facts |= {"good_image": good.text.split(" ")[0], "good_source": good.text.partition(" ")[2]}
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

    First the newest earlier revision with another image, which ran here before; then what the nodes hold of the same
    repository, the highest tag that is not a digest.
    """
    for replica_set in graph.revisions(workload)[1:] if workload.get("kind") == "Deployment" else []:
        found = template_container(replica_set, container)
        image = str(found[2].get("image", "")) if found else ""
        if image and image != broken:
            text = f"{image} is the image of revision {revision(replica_set)}, which was deployed before"
            return evidence(replica_set, "template", created(replica_set), text)
    held = sorted(
        (str(name), node)
        for node in graph.all("Node")
        for image in each(node, "status", "images")
        for name in image.get("names") or []
        if "@" not in str(name) and str(name) != broken and repository(str(name)) == repository(broken)
    )
    if not held:
        return None
    name, node = max(held, key=lambda item: _version(item[0]))
    return evidence(node, "status.images", graph.snapshot.time, f"{name} is held by this node")


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


RULES = (Rule(fault="IMG-01", needs=("Pod",), find=image_not_found),)

__all__ = ["RULES", "good_image", "image_not_found", "repository"]
