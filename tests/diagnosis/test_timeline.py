"""The time line: what changed shortly before the symptom began, and since, from the snapshot alone."""

import copy

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Snapshot, diagnose
from skyflo_runbooks.diagnosis.timeline import MOST
from skyflo_runbooks.model.finding import Change, Diagnosis, Timeline, since
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import added, scenes, world
from tests.diagnosis.world import DEPLOYED, NOW, Names

NAMES = Names()
WORDS = Incident("something is wrong")
SECRET = "correct-horse-battery-staple"


def told(found: Snapshot) -> Diagnosis:
    """Return the diagnosis."""
    return diagnose(found, WORDS)


def line(found: Snapshot) -> Timeline:
    """Return its time line."""
    return told(found).timeline


def whats(found: Snapshot, kind: str = "") -> list[str]:
    """Return in words what changed, of the objects of a kind."""
    return [one.what for one in line(found).changes if kind in ("", one.object.kind)]


def of(found: Snapshot, kind: str, name: str = "") -> Json:
    """Return the object of a kind, or the one of a name."""
    return next(item for item in found.objects[kind] if name in ("", item["metadata"]["name"]))


def wrote(item: Json, manager: str, when: str, **fields: Json) -> None:
    """Note a write in an object's managedFields."""
    entry = {"manager": manager, "operation": "Update", "time": when}
    owned: Json = {f"f:{name}": {f"f:{key}": {} for key in keys} for name, keys in fields.items()}
    item["metadata"].setdefault("managedFields", []).append({**entry, "fieldsV1": owned})


def config_map(name: str, when: str) -> Json:
    """Return a ConfigMap whose data was written at a time."""
    made: Json = {"kind": "ConfigMap", "metadata": world.meta(name, NAMES.namespace), "data": {"password": SECRET}}
    wrote(made, "kubectl-edit", when, data={"password": 0})
    return made


def test_a_new_revision_stands_before_the_begin_with_what_differs() -> None:
    """The image and the limit as they are; the symptom began after it."""
    found = world.oom_killed()
    newest = max(found.objects["ReplicaSet"], key=lambda one: one["metadata"]["name"])
    newest["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "128Mi"

    seen = line(found)

    assert seen.began
    change = next(one for one in seen.changes if one.what.startswith("revision 2"))
    assert change.at == DEPLOYED
    assert change.object.kind == "Deployment"
    assert "limit memory 256Mi → " in change.what
    assert "limit memory 128Mi" in change.what
    assert change.before is not None
    assert change.before >= 0


def test_names_of_variables_are_said_and_no_value() -> None:
    """A removed variable is named; what it held, and what any other holds, is not."""
    found = world.missing_variable()
    for item in found.objects["ReplicaSet"]:
        for variable in item["spec"]["template"]["spec"]["containers"][0].get("env", []):
            variable["value"] = SECRET
    found.objects["ConfigMap"] = [config_map("settings", "2026-05-04T09:59:00Z")]
    for pod in found.objects["Pod"]:
        pod["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "settings"}}]

    seen = whats(found)

    assert any("−LEDGER_URL" in text for text in seen)
    assert "last written: data.password" in seen
    assert SECRET not in str(line(found))


def test_who_wrote_the_faulty_field_last_is_evidence() -> None:
    """A Service's selector was written a minute before the reading: by whom, and which fields are theirs."""
    found = world.wrong_selector()
    wrote(of(found, "Service"), "kubectl-edit", "2026-05-04T10:21:00Z", spec={"selector": 0})

    answer = told(found)

    assert "last written: spec.selector" in [one.what for one in answer.timeline.changes]
    piece = answer.findings[0].evidence[-1]
    assert piece.source == f"{answer.findings[0].object} metadata.managedFields"
    assert piece.text == "last written: spec.selector, by kubectl-edit"
    assert piece.at == "2026-05-04T10:21:00Z"
    assert piece.id


def test_an_old_write_is_no_evidence() -> None:
    """Hours before it is in the time line, and proves nothing."""
    found = world.wrong_selector()
    wrote(of(found, "Service"), "kubectl-edit", "2026-05-04T05:00:00Z", spec={"selector": 0})

    answer = told(found)

    assert "last written: spec.selector" in [one.what for one in answer.timeline.changes]
    assert not any("managedFields" in piece.source for piece in answer.findings[0].evidence)


def test_status_and_labels_are_no_changes_of_an_object() -> None:
    """Controllers write status all the time, and a label of a release says nothing of what runs."""
    found = world.wrong_selector()
    service = of(found, "Service")
    wrote(service, "kube-controller-manager", "2026-05-04T10:20:00Z", status={"loadBalancer": 0})
    wrote(service, "helm", "2026-05-04T10:20:30Z", metadata={"labels": 0})
    service["metadata"]["managedFields"].append({"manager": "x", "subresource": "status", "time": NOW})

    assert whats(found, "Service") == []


def test_what_is_somebody_elses_is_left_out() -> None:
    """Another workload's revision and another namespace's quota are beside the point; a policy of this one is not."""
    found = world.oom_killed()
    other = scenes.serving(scenes.beside(NAMES, "ledger"), 1)
    other[1]["metadata"]["creationTimestamp"] = DEPLOYED
    policy: Json = {
        "kind": "NetworkPolicy",
        "metadata": world.meta("fence", NAMES.namespace, created=DEPLOYED),
        "spec": {"podSelector": {}},
    }
    quota: Json = {"kind": "ResourceQuota", "metadata": world.meta("full", "elsewhere", created=DEPLOYED)}
    for item in (*other, policy, quota):
        found.objects.setdefault(item["kind"], []).append(item)

    said = [str(one.object) for one in line(found).changes]

    assert f"NetworkPolicy/{NAMES.namespace}/fence" in said
    assert not any("ledger" in one or "elsewhere" in one for one in said)


def test_a_node_and_a_helm_release_have_their_times() -> None:
    """A condition that turned, and a release by its modifiedAt."""
    found = world.oom_killed()
    for pod in found.objects["Pod"]:
        pod["spec"]["nodeName"] = "node-a"
    of(found, "Node", "node-a")["status"]["conditions"].append(
        {"type": "MemoryPressure", "status": "True", "reason": "Low", "lastTransitionTime": "2026-05-04T10:01:00Z"}
    )
    found.objects["Secret"] = [added.release(NAMES, 4, "deployed", 1777888780)]

    seen = {str(one.object): one for one in line(found).changes}

    assert seen["Node/node-a"].what == "MemoryPressure became True: Low"
    release = seen[f"Secret/{NAMES.namespace}/sh.helm.release.v1.shop.v4"]
    assert (release.what, release.by) == ("Helm release shop revision 4: deployed", "helm")
    assert release.at == "2026-05-04T09:59:40Z"


def test_a_rollback_gives_an_old_replica_set_no_new_birthday() -> None:
    """Its number is the newest, and its age says nothing of when."""
    found = world.oom_killed()
    newest = max(found.objects["ReplicaSet"], key=lambda one: one["metadata"]["name"])
    newest["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"

    assert not any(text.startswith("revision 2") for text in whats(found))


def test_scaling_is_told_but_for_the_rollout_of_a_revision() -> None:
    """What a rollout did in its first minute is the revision's own line."""
    found = world.oom_killed()
    workload = of(found, "Deployment")
    rollout = scenes.event(workload, "ScalingReplicaSet", "Scaled up from 0 to 3", when="2026-05-04T10:00:10Z")
    later = scenes.event(workload, "ScalingReplicaSet", "Scaled down from 3 to 1", when="2026-05-04T10:15:00Z")
    found.objects["Event"] = [*found.objects.get("Event", []), rollout, later]

    assert [text for text in whats(found) if "Scaling" in text] == ["ScalingReplicaSet: Scaled down from 3 to 1"]


def test_the_oldest_beyond_a_bound_are_counted() -> None:
    """No more lines than fit under an incident; a day before the begin is too long ago."""
    found = world.oom_killed()
    policies = [
        {
            "kind": "NetworkPolicy",
            "metadata": world.meta(f"p-{n:02}", NAMES.namespace, created=f"2026-05-04T09:{n:02}:00Z"),
        }
        for n in range(30)
    ]
    policies.append({"kind": "NetworkPolicy", "metadata": world.meta("old", NAMES.namespace)})
    found.objects["NetworkPolicy"] = policies

    seen = line(found)

    assert len(seen.changes) == MOST
    assert seen.more == 30 + 1 - MOST
    times = [one.at for one in seen.changes]
    assert times == sorted(times)


def test_without_a_finding_there_is_no_time_line() -> None:
    """Nothing began."""
    assert line(world.healthy()) == Timeline()


def test_a_time_line_is_a_function_of_the_snapshot() -> None:
    """Whatever the order of the lists, and nothing is changed in them."""
    found = world.missing_variable()
    before = copy.deepcopy(found)
    mixed = msgspec.structs.replace(found, objects={kind: items[::-1] for kind, items in found.objects.items()})

    assert line(found) == line(mixed)
    assert found == before


def test_half_written_times_are_not_known() -> None:
    """No time, a wrong one, and entries that are no entries break nothing and are in no line."""
    found = world.wrong_selector()
    service = of(found, "Service")
    service["metadata"]["creationTimestamp"] = "yesterday"
    service["metadata"]["managedFields"] = [
        3,
        {"time": None},
        {"time": "x", "fieldsV1": {"f:spec": 3}},
        {"fieldsV1": []},
    ]

    assert whats(found, "Service") == []


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, ""), (0.4, "0 s"), (31, "−31 s"), (-45, "+45 s"), (600, "−10 min"), (-9000, "+2 h")]
)
def test_how_long_before_is_said_in_a_few_characters(seconds: float | None, said: str) -> None:
    """Before the begin with a minus, after it with a plus."""
    assert since(seconds) == said


def test_a_change_says_no_more_than_it_knows() -> None:
    """Of whom nothing is known nothing is said."""
    made = [one for one in line(world.oom_killed()).changes if one.what == "made"]

    assert all(one.by == "" for one in made)
    assert all(isinstance(one, Change) for one in made)
