"""The diff that a person reads: what changes, and no noise."""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway import diff
from skyflo_runbooks.gateway.shown import sides
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef

FILLED_CONTAINER: Json = {
    "imagePullPolicy": "IfNotPresent",
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
FILLED_POD: Json = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}


def written(image: str = "app:1", **container: Any) -> Json:
    """A Deployment as somebody writes it."""
    containers = [{"name": "app", "image": image, "ports": [{"containerPort": 8080}], **container}]
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": spec,
    }


def served(manifest: Json) -> Json:
    """The same as the API server answers it: with defaults, status, and what it keeps for itself."""
    made = copy.deepcopy(manifest)
    made["metadata"] |= {
        "uid": "u-1",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    made["metadata"]["managedFields"] = [{"manager": "somebody"}]
    made["status"] = {"replicas": 2}
    spec = made["spec"]
    spec |= {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}
    rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
    spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
    pod = spec["template"]["spec"]
    pod |= {key: value for key, value in FILLED_POD.items() if key not in pod}
    for container in pod["containers"]:
        container |= {key: value for key, value in FILLED_CONTAINER.items() if key not in container}
        for port in container["ports"]:
            port.setdefault("protocol", "TCP")
    return made


REF = ObjectRef.of(written())


def test_a_creation_shows_what_was_written() -> None:
    """And nothing that the server fills in; the lines are the manifest."""
    shown = diff.unified(REF, None, served(written()), written())
    head, *lines = shown.splitlines()
    assert head == "@@ Deployment shop/web (new)"
    assert all(line.startswith("+") for line in lines)
    assert yaml.safe_load("\n".join(line[1:] for line in lines)) == written()


def test_a_creation_shows_what_admission_puts_in() -> None:
    """A side-car and a value that is no default are never hidden, though nobody wrote them."""
    made = served(written())
    made["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "image": "mesh:1", **FILLED_CONTAINER})
    made["spec"]["template"]["spec"]["dnsPolicy"] = "Default"
    shown = diff.unified(REF, None, made, written())
    assert "+      - image: mesh:1" in shown
    assert "+      dnsPolicy: Default" in shown
    assert "terminationMessagePath" not in shown


def test_a_default_that_was_written_is_shown() -> None:
    """Somebody wants it."""
    manifest = written(imagePullPolicy="IfNotPresent")
    assert "imagePullPolicy: IfNotPresent" in diff.unified(REF, None, served(manifest), manifest)


def test_a_change_shows_no_defaults_around_it() -> None:
    """One line out, one line in, and its neighbours that mean something."""
    patch = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "app:2"}]
    before, after = served(written()), served(written("app:2"))
    after["metadata"]["resourceVersion"] = "8"
    assert diff.unified(REF, before, after, patch).splitlines() == [
        "@@ Deployment shop/web · spec.template.spec.containers[app]",
        "     spec:",
        "       containers:",
        "-      - image: app:1",
        "+      - image: app:2",
        "         name: app",
        "         ports:",
    ]


def test_a_default_in_the_place_of_another_value_is_shown() -> None:
    """From OnDelete to the default is a change, whoever wrote it; so is one default instead of another."""
    before = served(written() | {"spec": {**written()["spec"], "strategy": {"type": "Recreate"}}})
    shown = diff.unified(REF, before, served(written()), [])
    assert "-    type: Recreate" in shown
    assert "+    type: RollingUpdate" in shown
    always = served(written(imagePullPolicy="Always"))
    assert "-        imagePullPolicy: Always" in diff.unified(REF, always, served(written()), [])


def test_a_deletion_shows_what_goes() -> None:
    """Without the defaults, too."""
    shown = diff.unified(REF, served(written()), None, {})
    assert shown.startswith("@@ Deployment shop/web (deleted)")
    assert "schedulerName" not in shown
    assert "-      - image: app:1" in shown


def test_of_custom_resources_everything_is_shown() -> None:
    """Their defaults are not ours to know."""
    manifest = {
        "apiVersion": "example.com/v1",
        "kind": "Database",
        "metadata": {"name": "db"},
        "spec": {"suspend": False},
    }
    assert "suspend: false" in diff.unified(ObjectRef.of(manifest), None, manifest, {})


def test_an_address_that_will_be_another_one_is_not_shown() -> None:
    """A dry run's creation is given an address that the real one will not have."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": "10.0.0.7"}}
    assert "10.0.0.7" not in diff.unified(ObjectRef.of(service), None, service, {})
    changed = {**service, "spec": {"clusterIP": "None"}}
    assert "-  clusterIP: 10.0.0.7" in diff.unified(ObjectRef.of(service), service, changed, {})


def config(text: str) -> Json:
    """A ConfigMap with one file."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"app.conf": text}}


def test_one_changed_line_of_a_file_is_one_changed_line() -> None:
    """A file in a ConfigMap is not one long line."""
    lines = [f"option_{number} = {number}" for number in range(40)]
    before, after = "\n".join(lines), "\n".join([*lines[:20], "option_20 = changed", *lines[21:]])
    shown = diff.unified(ObjectRef("ConfigMap", "settings"), config(before), config(after)).splitlines()
    assert [line for line in shown if line[0] in "+-"] == ["-    option_20 = 20", "+    option_20 = changed"]
    assert len(shown) == 7


@pytest.mark.parametrize(
    "text", ["a\x1b[31m\nb", "a \nb", "@@ -1 +1 @@\n--- a\n+++ b", "a\r\nb", "\u2028\nb", "\ta\nb"]
)
def test_odd_texts_stay_in_their_place(text: str) -> None:
    """Control characters are escaped, and no line of a value reads as a head of the diff."""
    shown = diff.unified(ObjectRef("ConfigMap", "settings"), None, config(text))
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert sum(line.startswith("@@") for line in shown.splitlines()) == 1
    assert yaml.safe_load("\n".join(line[1:] for line in shown.split("\n")[1:]))["data"]["app.conf"] == text


def secret(**data: str) -> Json:
    """A Secret as kubectl apply leaves it: its values once more in an annotation."""
    copied = str({"data": data})
    notes = {"kubectl.kubernetes.io/last-applied-configuration": copied}
    metadata = {"name": "db", "resourceVersion": "1", "managedFields": [{"manager": "m"}], "annotations": notes}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def test_values_of_secrets_never_show() -> None:
    """Which keys change shows; neither their values nor kubectl's copy of them do, nor versions."""
    before, after = secret(a="b2xk", b="c2FtZQ==", c="Z29uZQ=="), secret(a="bmV3", b="c2FtZQ==", d="YWRk")
    after["metadata"]["resourceVersion"] = "2"
    shown = diff.unified(ObjectRef("Secret", "db"), before, after)
    assert [line for line in shown.splitlines() if line[0] in "+-"] == [
        "-  a: (masked)",
        "+  a: (changed)",
        "-  c: (masked)",
        "+  d: (masked)",
    ]
    for one in (shown, diff.unified(ObjectRef("Secret", "db"), before, None), diff.unified(REF, None, after)):
        assert not any(value in one for value in ("b2xk", "bmV3", "c2FtZQ", "Z29uZQ", "YWRk", "resourceVersion"))


keys = st.sampled_from(["a", "protocol", "strategy", "suspend", "name", "imagePullPolicy", "type", "metadata", "spec"])
values: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["TCP", "UDP", "Always", "IfNotPresent", "ClusterIP", False, 0, 1, None]),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(keys, v, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(keys.filter(lambda key: key != "metadata"), values, max_size=4)


@given(objects, objects, values)
def test_nothing_that_differs_is_hidden(before: Json, after: Json, body: Any) -> None:
    """A diff is empty if and only if nothing differs."""
    assert (diff.unified(REF, before, after, body) == "") == (before == after)


@given(objects, objects)
def test_what_the_request_names_is_shown(before: Json, after: Json) -> None:
    """Whatever value it has."""
    assert sides(before, after, [*before.items(), before, after])[1] == after
