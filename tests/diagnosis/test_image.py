"""IMG-01: an image that does not exist, and which one does."""

import copy

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.rules.image import repository
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from tests.diagnosis import world
from tests.diagnosis.world import Names

WORDS = Incident("the new version of payment-service does not start")


def first(found: Snapshot) -> Finding:
    """Return the first finding."""
    return diagnose(found, WORDS).findings[0]


def test_the_good_image_is_that_of_the_revision_before() -> None:
    """An image that was deployed here before is evidence enough."""
    finding = first(world.wrong_image())

    assert finding.facts["image"] == "payment-svc:v2.4.9"
    assert finding.facts["good_image"] == "payment-svc:v2.4.0"
    assert finding.facts["good_source"] == "is the image of revision 1, which was deployed before"


def test_else_it_is_the_newest_that_a_node_holds_of_the_same_repository() -> None:
    """Without an earlier revision the nodes' images count: same repository, highest version, no digest."""
    found = copy.deepcopy(world.wrong_image())
    found.objects["ReplicaSet"] = found.objects["ReplicaSet"][1:]
    images = ("docker.io/library/payment-svc:v2.3.9", "payment-svc:v2.3.10", "other:v9", "payment-svc@sha256:0a")
    found.objects["Node"] = [world.node(images=images)]

    finding = first(found)

    assert finding.facts["good_image"] == "payment-svc:v2.3.10"
    assert finding.facts["good_source"] == "is held by this node"


def test_several_nodes_hold_the_same_image() -> None:
    """As they do in every cluster: the first of them by name tells, whatever order they are read in."""
    found = copy.deepcopy(world.wrong_image())
    found.objects["ReplicaSet"] = found.objects["ReplicaSet"][1:]
    nodes = [world.node(name, images=("payment-svc:v2.3.10",)) for name in ("node-b", "node-a")]

    for read in (nodes, nodes[::-1]):
        found.objects["Node"] = read
        finding = first(found)
        assert finding.facts["good_image"] == "payment-svc:v2.3.10"
        assert any(piece.source == "Node/node-a status.images" for piece in finding.evidence)


def test_else_there_is_advice_and_no_tag_is_invented() -> None:
    """Where nothing shows a tag that exists, none is named."""
    found = copy.deepcopy(world.wrong_image())
    found.objects["ReplicaSet"] = found.objects["ReplicaSet"][1:]

    finding = first(found)

    assert "good_image" not in finding.facts
    assert "ask whoever built it" in finding.advice


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (
            "pull access denied, repository does not exist or may require authorization: authorization failed",
            "IMG-02",
        ),
        ("dial tcp: lookup registry.example.com on 10.96.0.10:53: no such host", "IMG-05"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "IMG-05"),
        ("401 Unauthorized", "IMG-02"),
        # A port holds any three digits.
        ("pulling from host 10.0.0.9:42429 failed with status code [manifests v2.4.9]: 401 Unauthorized", "IMG-02"),
        ("unexpected status from GET request: 429 Too Many Requests", "IMG-05"),
    ],
)
def test_a_refused_or_unreachable_registry_is_another_fault(message: str, fault: str) -> None:
    """Those are no missing tags."""
    found = diagnose(world.wrong_image(message=message), WORDS)

    assert [item.fault for item in found.findings] == [fault]
    assert found.unknown == ()


def test_the_event_tells_where_the_status_does_not() -> None:
    """Older kubelets keep the reason in the event Failed alone."""
    found = copy.deepcopy(world.wrong_image(message='Back-off pulling image "payment-svc:v2.4.9"'))
    pod = found.objects["Pod"][3]["metadata"]["name"]
    found.objects["Event"] = [
        {
            "kind": "Event",
            "metadata": world.meta("e", "checkout"),
            "involvedObject": {"kind": "Pod", "namespace": "checkout", "name": pod},
            "reason": "Failed",
            "lastTimestamp": world.DEPLOYED,
            "message": 'Failed to pull image "payment-svc:v2.4.9": manifest unknown: manifest unknown',
        }
    ]

    finding = first(found)

    assert finding.evidence[0].source.endswith("event Failed")
    assert finding.evidence[0].at == world.DEPLOYED


def test_an_image_called_not_found_proves_nothing() -> None:
    """The image's own name is not read as the registry's answer."""
    names = Names(image="not-found")
    found = world.wrong_image(names, message='Back-off pulling image "not-found:v2.4.9"')

    assert diagnose(found, WORDS).findings == ()


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("payment-svc:v1", "docker.io/library/payment-svc"),
        ("acme/payment-svc", "docker.io/acme/payment-svc"),
        ("registry.local:5000/a/b:v1", "registry.local:5000/a/b"),
        ("localhost/b@sha256:00", "localhost/b"),
    ],
)
def test_a_repository_is_read_as_the_container_runtime_reads_it(image: str, name: str) -> None:
    """Bare names mean Docker Hub; a port is no tag."""
    assert repository(image) == name


def test_an_old_revision_that_cannot_be_pulled_is_no_present_cause() -> None:
    """A pod left over from a revision that was replaced does not name the present image."""
    names = Names()
    good, bad = world.container(names, "payment-svc:v2.4.2"), world.container(names, "payment-svc:v2.4.9")
    stuck = {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
    pods = [world.pod(names, bad, stuck, number=1), world.pod(names, good, world.running(), serves=True, index=1)]
    sets = [world.replica_set(names, bad, 1), world.replica_set(names, good, 2)]
    found = world.snapshot([world.deployment(names, good, replicas=1, available=1), *sets, *pods])

    assert diagnose(found, WORDS).findings == ()
    assert msgspec.json.encode(found)
