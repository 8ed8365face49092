"""Repairs of what a container may do: pull, not run as root, write. What forbids it stays, and no value is invented."""

from __future__ import annotations

import copy

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan
from skyflo_runbooks.planning.rules.permitting import scratch
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names
from tests.planning.tries import change_of, checks_of, planned, prose_of

NAMES = Names()
HOST = "registry.example.com"
IMAGE = f"{HOST}/shop/payments:v2"
REFUSED = f"pulling from host {HOST} failed with status code [manifests v2]: 401 Unauthorized"
LISTED = "/spec/template/spec/imagePullSecrets"
AS_ROOT = 'container has runAsNonRoot and image will run as root (pod: "a_b(c)", container: payment-service)'
TOLD_ROOT = 'container\'s runAsUser breaks non-root policy (pod: "a_b(c)", container: payment-service)'
BY_NAME = "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root (pod: x)"


def stuck(reason: str, message: str, *, of_pod: Json | None = None, **spec: object) -> Snapshot:
    """Return a workload of one revision whose pod waits; `of_pod` are fields of its template beside the container."""
    made = world.container(NAMES, IMAGE, **spec)
    status: Json = {"state": {"waiting": {"reason": reason, "message": message}}}
    items = [world.deployment(NAMES, made, replicas=1), world.replica_set(NAMES, made, 2, replicas=1)]
    for item in items:
        item["spec"]["template"]["spec"] |= of_pod or {}
    pod = world.pod(NAMES, made, status)
    pod["spec"] |= of_pod or {}
    return world.snapshot([*items, pod])


def refused(*secrets: str) -> Snapshot:
    """Return a workload whose registry refuses the pull with these pull secrets."""
    of_pod: Json = {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}
    return stuck("ImagePullBackOff", f"Back-off: ErrImagePull: {REFUSED}", of_pod=of_pod)


def missing(name: str, *there: str, named: bool = True) -> Snapshot:
    """Return the same where the kubelet does not find a pull secret; `there` are the Secrets of the namespace."""
    found = copy.deepcopy(refused(name) if named else refused())
    pod = found.objects["Pod"][0]
    pod["spec"]["imagePullSecrets"] = [{"name": name}]  # also where the pod's account gave it
    text = f"Unable to retrieve some image pull secrets ({name}); attempting to pull the image may not succeed."
    found.objects["Event"] = [scenes.event(pod, "FailedToRetrieveImagePullSecret", text)]
    found.objects["Secret"] = [{"kind": "Secret", "metadata": world.meta(one, "checkout")} for one in there]
    return found


def with_neighbour(found: Snapshot, image: str = IMAGE, *, name: str = "shelves", **spec: object) -> Snapshot:
    """Return the snapshot with a pod beside it that runs an image, with these fields of its specification."""
    more = copy.deepcopy(found)
    other = msgspec.structs.replace(NAMES, workload=name)
    neighbour = world.pod(other, world.container(other, image), world.running(), serves=True)
    neighbour["metadata"]["ownerReferences"] = []
    neighbour["spec"] |= spec
    more.objects["Pod"].append(neighbour)
    return more


def pulls_with(*names: str) -> list[Json]:
    """Return the pull secrets of a pod."""
    return [{"name": name} for name in names]


def first(found: Snapshot) -> Finding:
    """Return the one finding."""
    (finding,) = diagnose(found, Incident("payment-service does not start")).findings
    return finding


def patch_of(made: Plan) -> list[Json]:
    """Return the patch of the plan's change."""
    return list(change_of(made).arguments["patch"])


def only_advises(made: Plan) -> bool:
    """Return whether the plan has no change and says what a person can do."""
    return not any(isinstance(step, ChangeStep) for step in made.steps) and "Advice" in prose_of(made)


# IMG-02 ---------------------------------------------------------------------------------------------------------------


async def test_the_secret_that_another_pod_pulls_with_is_named() -> None:
    """It opens the same registry, so it is given to this workload; the finding shows who pulls with it."""
    found = with_neighbour(refused(), f"{HOST}/shop/shelves:v9", imagePullSecrets=pulls_with("keys"))
    made = await planned(found)

    assert patch_of(made) == [{"op": "add", "path": LISTED, "value": [{"name": "keys"}]}]
    assert checks_of(made)["field_equals"] | {"namespace": ""} == {
        "kind": "Deployment", "name": "payment-service", "namespace": "", "path": f"{LISTED}/0/name", "value": "keys",
    }  # fmt: skip
    assert any(piece.text == f"keys is what it pulls from {HOST} with" for piece in first(found).evidence)


async def test_it_comes_beside_those_that_are_named() -> None:
    """A pull secret that opens another registry stays."""
    made = await planned(with_neighbour(refused("other"), imagePullSecrets=pulls_with("keys", "other")))

    assert patch_of(made) == [{"op": "add", "path": f"{LISTED}/-", "value": {"name": "keys"}}]
    assert checks_of(made)["field_equals"]["path"] == f"{LISTED}/1/name"


@pytest.mark.parametrize(
    ("image", "names"),
    [
        ("registry.elsewhere.com/shop/payments:v2", ("keys",)),
        (IMAGE, ("keys", "more-keys")),
        (IMAGE, ()),
    ],
    ids=["another registry", "one of two", "none"],
)
async def test_which_secret_opens_it_is_not_guessed(image: str, names: tuple[str, ...]) -> None:
    """Another registry's proves nothing, and of two it could be either."""
    found = with_neighbour(refused(), image, imagePullSecrets=pulls_with(*names))

    assert "secret" not in first(found).facts
    assert only_advises(await planned(found))


def pulling(*names: str) -> list[Json]:
    """The Secrets of the type that pulls, and another one."""
    made: list[Json] = [
        {"kind": "Secret", "type": "kubernetes.io/dockerconfigjson", "metadata": world.meta(name, NAMES.namespace)}
        for name in names
    ]
    return [*made, {"kind": "Secret", "metadata": world.meta("database", NAMES.namespace)}]


async def test_the_only_pull_secret_of_the_namespace_is_tried() -> None:
    """Nobody else pulls here; whether it opens the registry the pull tells, and it adds to what is named."""
    found = refused()
    found.objects["Secret"] = pulling("keys")
    made = await planned(found)

    assert patch_of(made) == [{"op": "add", "path": LISTED, "value": [{"name": "keys"}]}]
    assert "keys is the only pull secret of checkout that is not named." in prose_of(made)


@pytest.mark.parametrize(("named", "held"), [((), ("keys", "other")), (("keys",), ("keys",)), ((), ())])
async def test_of_several_pull_secrets_none_is_tried(named: tuple[str, ...], held: tuple[str, ...]) -> None:
    """Nor is one again that was refused."""
    found = refused(*named)
    found.objects["Secret"] = pulling(*held)

    assert only_advises(await planned(found))


async def test_a_misspelt_pull_secret_becomes_the_one_that_exists() -> None:
    """At its place in the list, and nothing else."""
    found = missing("shop-kyes", "shop-keys", "database")
    made = await planned(found)

    assert first(found).title.endswith("its imagePullSecret shop-kyes does not exist")
    assert patch_of(made) == [{"op": "replace", "path": f"{LISTED}/0/name", "value": "shop-keys"}]


async def test_a_pull_secret_of_the_account_is_not_replaced_in_the_template() -> None:
    """The template does not name it, so nothing there can be repaired."""
    assert only_advises(await planned(missing("shop-kyes", "shop-keys", named=False)))


async def test_a_pull_secret_that_nothing_is_like_is_advice() -> None:
    """Whoever knows the registry has to make it."""
    assert only_advises(await planned(missing("shop-keys", "database")))


# CON-13 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (AS_ROOT, "its image runs as root"),
        (TOLD_ROOT, "runAsUser is 0"),
        (BY_NAME, "its image names its user app, and only a number tells that it is not root"),
    ],
)
def test_each_refusal_of_a_kubelet_says_its_own_reason(message: str, said: str) -> None:
    """Root by image, root by word, and a user that is a name: the same fault, told apart."""
    finding = first(stuck("CreateContainerConfigError", message))

    assert finding.fault == "CON-13"
    assert finding.title.endswith(f"is refused: runAsNonRoot is set, and {said}")


def rooted(before: Json | None = None, context: Json | None = None) -> Snapshot:
    """Return a workload that may not run as root; `before` is the security context of the revision before."""
    found = stuck("CreateContainerConfigError", AS_ROOT, securityContext=context or {"runAsNonRoot": True})
    if before is not None:
        old = world.container(NAMES, IMAGE, securityContext=before)
        found.objects["ReplicaSet"].append(world.replica_set(NAMES, old, 1, replicas=0))
    return found


async def test_the_user_of_the_revision_before_is_set_again() -> None:
    """One field; going back is the other way, because that revision must not run as root either."""
    made = await planned(rooted({"runAsNonRoot": True, "runAsUser": 10001}))

    path = "/spec/template/spec/containers/0/securityContext/runAsUser"
    assert patch_of(made) == [{"op": "add", "path": path, "value": 10001}]
    assert checks_of(made)["field_equals"]["value"] == 10001
    assert [item.tool for item in made.alternatives] == ["k8s_rollout_undo"]


async def test_a_user_that_was_all_containers_is_set_for_all_again() -> None:
    """Where it was lost: beside this container there may be others that had it too."""
    found = rooted({})
    whole: Json = {"runAsNonRoot": True}
    found.objects["ReplicaSet"][1]["spec"]["template"]["spec"]["securityContext"] = {**whole, "runAsUser": 10001}
    found.objects["Deployment"][0]["spec"]["template"]["spec"]["securityContext"] = whole
    made = await planned(found)

    path = "/spec/template/spec/securityContext/runAsUser"
    assert patch_of(made) == [{"op": "add", "path": path, "value": 10001}]
    assert checks_of(made)["field_equals"]["path"] == path


async def test_a_revision_that_ran_as_root_is_no_way_back() -> None:
    """Going back would take runAsNonRoot away, and that is not the fault."""
    assert only_advises(await planned(rooted({})))


async def test_the_user_that_another_pod_runs_the_image_as_is_known_to_work() -> None:
    """Set where this container has no context of its own, as that pod's own says."""
    found = with_neighbour(rooted(), securityContext={"runAsUser": 10002})
    for item in (*found.objects["Deployment"], *found.objects["ReplicaSet"]):
        item["spec"]["template"]["spec"]["containers"][0].pop("securityContext", None)
        item["spec"]["template"]["spec"]["securityContext"] = {"runAsNonRoot": True}
    made = await planned(found)

    path = "/spec/template/spec/containers/0/securityContext"
    assert patch_of(made) == [{"op": "add", "path": path, "value": {"runAsUser": 10002}}]


@pytest.mark.parametrize(
    ("image", "context"), [(f"{HOST}/other:v1", {"runAsUser": 10002}), (IMAGE, {"runAsUser": 0}), (IMAGE, {})]
)
async def test_no_user_is_invented(image: str, context: Json) -> None:
    """Another image's user, root, and none at all say nothing of this image."""
    found = with_neighbour(rooted(), image, securityContext=context)

    assert "user" not in first(found).facts
    assert only_advises(await planned(found))


# CON-22 ---------------------------------------------------------------------------------------------------------------

POD_SPEC = "/spec/template/spec"
CLOSED: Json = {"readOnlyRootFilesystem": True}


def read_only(line: str, *, before: Json | None = None, **spec: object) -> Snapshot:
    """Return a workload that ends because its root is read-only; `before` is the context of the revision before."""
    made = world.container(NAMES, IMAGE, **{"securityContext": CLOSED, **spec})
    pod = world.pod(NAMES, made, world.ended(1, "Error", restarts=3))
    sets = [world.replica_set(NAMES, made, 2, replicas=1)]
    if before is not None:
        sets.append(world.replica_set(NAMES, world.container(NAMES, IMAGE, securityContext=before), 1, replicas=0))
    log = Log("checkout", pod["metadata"]["name"], NAMES.container, True, f"{line}\n")
    return world.snapshot([world.deployment(NAMES, made, replicas=1), *sets, pod], logs=(log,))


LINE = "FATAL cannot start: open /var/cache/shop/pages.db: read-only file system"


async def test_a_scratch_directory_gets_an_empty_volume() -> None:
    """Where the log says that it writes; the root stays read-only, and it is verified that the volume is there."""
    made = await planned(read_only(LINE))

    assert patch_of(made) == [
        {"op": "add", "path": f"{POD_SPEC}/volumes", "value": [{"name": "scratch", "emptyDir": {}}]},
        {
            "op": "add",
            "path": f"{POD_SPEC}/containers/0/volumeMounts",
            "value": [{"name": "scratch", "mountPath": "/var/cache/shop"}],
        },
    ]
    assert checks_of(made)["field_equals"]["value"] == "/var/cache/shop"


async def test_it_comes_beside_the_volumes_that_are_there() -> None:
    """Under a name of its own, at the end of both lists."""
    found = read_only(LINE, volumeMounts=[{"name": "scratch", "mountPath": "/data"}])
    found.objects["Deployment"][0]["spec"]["template"]["spec"]["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    first_, second = patch_of(await planned(found))

    assert (first_["path"], first_["value"]["name"]) == (f"{POD_SPEC}/volumes/-", "scratch-2")
    assert (second["path"], second["value"]["name"]) == (f"{POD_SPEC}/containers/0/volumeMounts/-", "scratch-2")


@pytest.mark.parametrize(
    ("line", "mounts"),
    [
        ("open /etc/shop/settings.ini: read-only file system", []),
        ("cannot rename /tmp/a to /var/cache/b: read-only file system", []),
        ("the disk says: read-only file system", []),
        (LINE, [{"name": "pages", "mountPath": "/var/cache", "readOnly": True}]),
    ],
    ids=["a directory of the image", "two paths", "no path", "a volume that is mounted there"],
)
async def test_else_where_it_may_write_is_a_persons_word(line: str, mounts: list[Json]) -> None:
    """An empty volume could hide what the image or another volume brings."""
    found = read_only(line, volumeMounts=mounts)

    assert first(found).fault == "CON-22"
    assert only_advises(await planned(found))


@pytest.mark.parametrize(
    ("line", "context", "said"),
    [
        (LINE, CLOSED, "its root file system is read-only"),
        (LINE, {}, "it is mounted read-only there"),
        ("open /etc/x: permission denied", {**CLOSED, "runAsUser": 7}, "its user may not"),
    ],
)
def test_why_it_cannot_write_is_what_the_log_says(line: str, context: Json, said: str) -> None:
    """Read-only and forbidden are two things; and a root that is open is not called read-only."""
    finding = first(read_only(line, securityContext=context))

    assert f"cannot write: {said} (" in finding.title
    assert ("path" in finding.facts) == (said == "its root file system is read-only")


async def test_a_revision_that_could_write_everywhere_is_no_way_back() -> None:
    """One whose root was read-only too is the other way."""
    opened = await planned(read_only(LINE, before={}))
    closed = await planned(read_only(LINE, before=CLOSED))

    assert not opened.alternatives
    assert [item.tool for item in closed.alternatives] == ["k8s_rollout_undo"]


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("/tmp/upload", "/tmp"),
        ("/run/shop/shop.pid", "/run/shop"),
        ("/var/log/shop/today.log", "/var/log/shop"),
        ("/tmp/../etc/passwd", ""),
        ("/tmp", ""),
        ("/var/lib/shop/pages.db", ""),
        ("/tmpfiles/a", ""),
        ("", ""),
    ],
)
def test_what_is_for_scratch_is_what_the_hierarchy_says(path: str, folder: str) -> None:
    """The directory of the file, where that is one that a program may lose."""
    assert scratch(path) == folder
