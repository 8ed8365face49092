"""Who uses a ConfigMap or a Secret, and whether they see the change."""

import pytest

from skyflo_runbooks.gateway.impact.configuration import Use, uses
from skyflo_runbooks.model.json import Json
from tests.gateway.impact.scenes import Around, changed, created, deleted, level, lines, made, pod, told, workload


def spec(*volumes: Json, mounts: tuple[Json, ...] = (), **container: object) -> Json:
    """A pod specification of one container."""
    return {"volumes": list(volumes), "containers": [{"name": "app", "volumeMounts": list(mounts), **container}]}


ENV = spec(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}])
FROM = spec(envFrom=[{"configMapRef": {"name": "settings"}}])
FILES = spec({"name": "v", "configMap": {"name": "settings"}}, mounts=({"name": "v", "mountPath": "/etc/a"},))
SUB = spec({"name": "v", "configMap": {"name": "settings"}}, mounts=({"name": "v", "subPath": "a"},))
PROJECTED = spec(
    {
        "name": "v",
        "projected": {"sources": [{"configMap": {"name": "settings", "items": [{"key": "a"}], "optional": True}}]},
    }
)
SETTINGS = made("ConfigMap", "settings", data={"a": "1", "b": "2"})
SECRET = made("Secret", "db", data={"password": "eA=="})


@pytest.mark.parametrize(
    ("pod_spec", "expected"),
    [
        (ENV, [Use("environment", ("a",))]),
        (FROM, [Use("environment")]),
        (FILES, [Use("files")]),
        (SUB, [Use("subPath")]),
        (PROJECTED, [Use("files", ("a",), True)]),
        (spec(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "other", "key": "a"}}}]), []),
        ({"initContainers": FROM["containers"]}, [Use("environment")]),
    ],
)
def test_every_way_of_using_a_config_map_is_found(pod_spec: Json, expected: list[Use]) -> None:
    """Each with its keys, and whether it may be missing."""
    assert uses(pod_spec, "ConfigMap", "settings") == expected


@pytest.mark.parametrize(
    ("pod_spec", "expected"),
    [
        (spec(envFrom=[{"secretRef": {"name": "db"}}]), [Use("environment")]),
        (spec({"name": "v", "secret": {"secretName": "db"}}), [Use("files")]),
        (spec({"name": "v", "projected": {"sources": [{"secret": {"name": "db"}}]}}), [Use("files")]),
        ({"imagePullSecrets": [{"name": "db"}], "containers": []}, [Use("pull", (), True)]),
    ],
)
def test_and_of_a_secret(pod_spec: Json, expected: list[Use]) -> None:
    """Its members are named otherwise."""
    assert uses(pod_spec, "Secret", "db") == expected


@pytest.mark.parametrize(
    ("pod_spec", "said"),
    [
        (ENV, "Deployment web uses it in its environment: its pods see the change after a restart only"),
        (FILES, "Deployment web uses it as files: they follow within about a minute, without a restart"),
        (SUB, "Deployment web uses it as a subPath mount: its pods see the change after a restart only"),
    ],
)
def test_whether_a_change_is_seen_without_a_restart(pod_spec: Json, said: str) -> None:
    """The question that everybody has about a ConfigMap."""
    users = Around(workload(pod=pod_spec), pod("web-1", owner=workload("ReplicaSet", "web-5d"), spec=pod_spec))
    impact = told(changed(SETTINGS, data__a="9"), users)
    assert said in lines(impact)
    assert "ReplicaSet" not in lines(impact)
    assert level(impact) == "medium"


def test_users_without_a_workload_and_scheduled_ones_count() -> None:
    """A bare pod, and a CronJob that runs tonight."""
    cron = made("CronJob", "nightly", spec={"jobTemplate": {"spec": {"template": {"spec": FROM}}}})
    said = lines(told(changed(SETTINGS, data__a="9"), Around(cron, pod("lone", spec=FROM))))
    assert "CronJob nightly, Pod lone use it in its environment" in said


def test_nobody_uses_it() -> None:
    """That is said, and that a program can read it all the same."""
    impact = told(changed(SETTINGS, data__a="9"), Around(workload()))
    assert impact.also_touched == (
        "No pod or workload of the namespace refers to it; a program may still read it through the API",
    )
    assert level(impact) == "low"


def test_a_key_that_is_taken_out_keeps_pods_from_starting() -> None:
    """If somebody names it; the other one may go."""
    users = Around(workload(pod=ENV))
    impact = told(changed(SETTINGS, data={"b": "2"}), users)
    assert "Key a is taken out, and Deployment web needs it: new pods cannot start" in impact.also_touched
    assert level(impact) == "high"
    assert level(told(changed(SETTINGS, data={"a": "1"}), users)) == "medium"


def test_a_deletion_keeps_pods_from_starting_unless_they_can_do_without() -> None:
    """An optional reference is no obstacle."""
    assert "New pods of Deployment web cannot start without it" in lines(
        told(deleted(SETTINGS), Around(workload(pod=ENV)))
    )
    assert "cannot start" not in lines(told(deleted(SETTINGS), Around(workload(pod=PROJECTED))))


def test_a_certificate_is_used_by_its_ingress() -> None:
    """And is taken over without a restart."""
    ingress = made("Ingress", "shop", spec={"tls": [{"secretName": "db"}]})
    said = lines(told(changed(SECRET, data__password="eQ=="), Around(ingress)))
    assert "Ingress shop uses it as its certificate: the controller takes it over" in said
    assert "eQ==" not in said


def test_what_can_never_change_again() -> None:
    """immutable is one way."""
    assert "It can never be changed again" in lines(told(changed(SETTINGS, immutable=True), Around()))


def test_a_new_one_touches_nothing() -> None:
    """Nobody can have used it."""
    assert told(created(SETTINGS), Around(workload(pod=ENV))).also_touched == ("Nothing else that was found",)
