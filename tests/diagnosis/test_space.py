"""CON-20: a container without room on a disk, as its log or the kubelet tells; the words are a kubelet's own."""

from collections.abc import Callable

import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from tests.diagnosis import scenes, world
from tests.diagnosis.world import RENAMED, Names

VOLUME = 'Usage of EmptyDir volume "spool" exceeds the limit "4Mi". '
SHARE = 'Container {} exceeded its local ephemeral storage limit "10Mi". '
WHOLE = "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "
NODE = "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 900Mi. "


def found_in(snapshot: Snapshot) -> list[Finding]:
    """Return what the diagnosis says."""
    return list(diagnose(snapshot, Incident("?")).findings)


@pytest.mark.parametrize("names", [Names(), RENAMED])
@pytest.mark.parametrize(
    ("said", "volume"),
    [
        (VOLUME, "spool"),
        (SHARE, ""),
        (WHOLE, ""),
    ],
)
@pytest.mark.parametrize("read", [lambda made: made, scenes.evicted_and_well])
def test_a_pod_that_is_evicted_for_its_own_disk_is_a_finding(
    names: Names, said: str, volume: str, read: Callable[[Snapshot], Snapshot]
) -> None:
    """The workload is named, whoever tells, with the volume if the kubelet names one; its present pod is ready."""
    (found,) = found_in(read(scenes.evicted(names, said.format(names.container))))

    assert (found.fault, found.object.name) == ("CON-20", names.workload)
    assert found.facts.get("volume", "") == volume
    assert any(piece.text in said.format(names.container) for piece in found.evidence)


@pytest.mark.parametrize("read", [lambda made: made, scenes.evicted_and_well])
def test_an_eviction_for_the_nodes_sake_is_not_this(read: Callable[[Snapshot], Snapshot]) -> None:
    """The node ran short: that is another fault, and another object."""
    assert [item.fault for item in found_in(read(scenes.evicted(Names(), NODE)))] == []


@pytest.mark.parametrize("read", [lambda made: made, scenes.evicted_and_well])
@pytest.mark.parametrize(
    ("said", "now"), [(VOLUME, {"size": "8Mi"}), (SHARE, {"share": "20Mi"}), (WHOLE, {"share": "10241Ki"})]
)
def test_a_limit_that_was_raised_already_is_no_finding(
    said: str, now: dict[str, str], read: Callable[[Snapshot], Snapshot]
) -> None:
    """The pod that was evicted had less than the template gives now."""
    assert found_in(read(scenes.evicted(Names(), said.format(Names().container), **now))) == []


def test_the_limit_is_the_same_however_it_is_written() -> None:
    """The kubelet writes a quantity in its own way."""
    assert [item.fault for item in found_in(scenes.evicted(Names(), VOLUME, size="4096Ki"))] == ["CON-20"]


def test_an_eviction_of_long_ago_is_no_finding() -> None:
    """Failed pods are kept for a long time."""
    old = scenes.evicted(Names(), VOLUME)
    for pod in old.objects["Pod"]:
        if pod["status"]["phase"] == "Failed":
            pod["status"]["conditions"][0]["lastTransitionTime"] = "2026-05-04T08:00:00Z"
    assert found_in(old) == []
    assert found_in(scenes.evicted_and_well(old)) == []


@pytest.mark.parametrize(
    ("line", "volume"),
    [
        ("write /var/spool/app/in/1: no space left on device", "spool"),
        ("OSError: [Errno 28] No space left on device: '/var/spool/app'", "spool"),
        ("write /var/spool/application/1: no space left on device", ""),
        ("no space left on device", ""),
    ],
)
def test_the_path_in_the_log_tells_which_volume_is_full(line: str, volume: str) -> None:
    """Of several mounts the longest that the path is under; without one nothing is said of a volume."""
    names = Names()
    made = scenes.evicted(names, "").objects
    (pod,) = (item for item in made["Pod"] if item["status"]["phase"] != "Failed")
    pod["spec"]["containers"][0]["volumeMounts"].append({"name": "root", "mountPath": "/"})
    pod["status"]["conditions"][0]["status"] = "False"
    pod["status"]["containerStatuses"] = [
        {"name": names.container, "ready": False, **world.ended(1, "Error", restarts=3)}
    ]
    objects = [item for kind, held in made.items() for item in held if kind != "Pod"]
    log = Log(names.namespace, pod["metadata"]["name"], names.container, True, line)

    (found,) = found_in(world.snapshot([*objects, pod], logs=(log,)))

    assert (found.fault, found.facts.get("volume", "")) == ("CON-20", volume)
