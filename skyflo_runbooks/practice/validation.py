"""Whether an object may be stored: the real server's rules for what this cluster plays, with its texts.

Source: k8s.io/kubernetes/pkg/apis/{core,apps,batch}/validation. What is not checked here is accepted, as long as the
field is known; what a wrong value then does shows in the pods.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.practice.errors import Cause
from skyflo_runbooks.practice.kinds import Kind
from skyflo_runbooks.practice.selectors import selects

Causes = Iterator[Cause]
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def check(kind: Kind, obj: Json, before: Json | None = None) -> list[Cause]:
    """Return what is wrong with `obj`; `before` is the stored object of an update."""
    causes = list(_metadata(obj))
    if rule := _RULES.get(kind.kind):
        causes += rule(obj)
    if before is not None and (frozen := _FROZEN.get(kind.kind)):
        causes += frozen(obj, before)
    return causes


def _bad(field: str, value: Any, why: str) -> Cause:
    shown = (
        json.dumps(value, separators=(",", ":")) if isinstance(value, str | int | bool | dict | list) else str(value)
    )
    return Cause(field, f"Invalid value: {shown}: {why}")


def _missing(field: str, why: str = "") -> Cause:
    return Cause(field, f"Required value{': ' + why if why else ''}", "FieldValueRequired")


def _metadata(obj: Json) -> Causes:
    meta = obj["metadata"]
    name = meta.get("name", "")
    if not _SUBDOMAIN.fullmatch(name):
        yield _bad("metadata.name", name, _SUBDOMAIN_RULE)
    for key, value in meta.get("labels", {}).items():
        if len(value) > 63 or not _VALUE.fullmatch(value):
            yield _bad("metadata.labels", value, _VALUE_RULE)
        if not key:
            yield _bad("metadata.labels", key, "name part must be non-empty")


def _natural(value: Any, field: str) -> Causes:
    if isinstance(value, int) and value < 0:
        yield _bad(field, value, "must be greater than or equal to 0")


def _workload(obj: Json) -> Causes:
    spec = obj.get("spec", {})
    yield from _natural(spec.get("replicas"), "spec.replicas")
    if not spec.get("selector"):
        yield _missing("spec.selector")
    labels = at(spec, "template", "metadata", "labels", default={})
    if spec.get("selector") and not selects(spec["selector"], labels):
        yield _bad("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _strategy(spec)
    yield from _pod_spec(at(spec, "template", "spec", default={}), "spec.template.spec.")
    policy = at(spec, "template", "spec", "restartPolicy", default="Always")
    if policy != "Always":
        why = f'Unsupported value: "{policy}": supported values: "Always"'
        yield Cause("spec.template.spec.restartPolicy", why, "FieldValueNotSupported")


def _strategy(spec: Json) -> Causes:
    rolling = at(spec, "strategy", "rollingUpdate", default={})
    if rolling and str(rolling.get("maxUnavailable")) in {"0", "0%"} and str(rolling.get("maxSurge")) in {"0", "0%"}:
        field = "spec.strategy.rollingUpdate.maxUnavailable"
        yield _bad(field, rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0")


def _job(obj: Json) -> Causes:
    spec = obj.get("spec", {})
    for name in ("parallelism", "completions", "backoffLimit"):
        yield from _natural(spec.get(name), f"spec.{name}")
    yield from _pod_spec(at(spec, "template", "spec", default={}), "spec.template.spec.")
    policy = at(spec, "template", "spec", "restartPolicy", default="")
    if policy not in {"Never", "OnFailure"}:
        why = f'Unsupported value: "{policy}": supported values: "OnFailure", "Never"'
        yield Cause("spec.template.spec.restartPolicy", why, "FieldValueNotSupported")


def _pod(obj: Json) -> Causes:
    yield from _pod_spec(obj.get("spec", {}), "spec.")


def _pod_spec(spec: Json, path: str) -> Causes:
    if not spec.get("containers"):
        yield _missing(f"{path}containers")
    volumes = {volume.get("name") for volume in spec.get("volumes", [])}
    seen: set[str] = set()
    for field in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(field, [])):
            where = f"{path}{field}[{i}]"
            if container.get("name") in seen:
                message = f"Duplicate value: {json.dumps(container['name'])}"
                yield Cause(f"{where}.name", message, "FieldValueDuplicate")
            seen.add(container.get("name", ""))
            yield from _container(container, where, volumes)


def _container(container: Json, where: str, volumes: set[Any]) -> Causes:
    if not container.get("name"):
        yield _missing(f"{where}.name")
    elif not _LABEL.fullmatch(container["name"]):
        yield _bad(
            f"{where}.name",
            container["name"],
            _LABEL_RULE,
        )
    image = container.get("image", "")
    if not image:
        yield _missing(f"{where}.image")
    elif image != image.strip():
        yield _bad(f"{where}.image", image, "must not have leading or trailing whitespace")
    yield from _resources(container.get("resources", {}), f"{where}.resources")
    for i, mount in enumerate(container.get("volumeMounts", [])):
        if mount.get("name") not in volumes:
            message = f"Not found: {json.dumps(mount.get('name'))}"
            yield Cause(f"{where}.volumeMounts[{i}].name", message, "FieldValueNotFound")
    for i, variable in enumerate(container.get("env", [])):
        if not variable.get("name"):
            yield _missing(f"{where}.env[{i}].name")
        if variable.get("value") and variable.get("valueFrom"):
            yield _bad(f"{where}.env[{i}].valueFrom", "", "may not be specified when `value` is not empty")
    for i, port in enumerate(container.get("ports", [])):
        if not 0 < port.get("containerPort", 0) < 65536:
            yield _bad(
                f"{where}.ports[{i}].containerPort",
                port.get("containerPort", 0),
                "must be between 1 and 65535, inclusive",
            )


def _resources(resources: Json, where: str) -> Causes:
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for part, held in (("limits", limits), ("requests", requests)):
        for name, amount in held.items():
            if parse_quantity(amount) < 0:
                yield _bad(f"{where}.{part}[{name}]", amount, "must be greater than or equal to 0")
            if (
                name not in {"cpu", "memory", "ephemeral-storage"}
                and "/" not in name
                and not name.startswith("hugepages-")
            ):
                yield _bad(f"{where}.{part}[{name}]", name, "must be a standard resource type or fully qualified")
    for name, amount in requests.items():
        if name in limits and parse_quantity(amount) > parse_quantity(limits[name]):
            yield _bad(f"{where}.requests", amount, f"must be less than or equal to {name} limit of {limits[name]}")


def _service(obj: Json) -> Causes:
    spec = obj.get("spec", {})
    ports = spec.get("ports", [])
    if not ports and spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
        yield _missing("spec.ports")
    for i, port in enumerate(ports):
        if not 0 < port.get("port", 0) < 65536:
            yield _bad(f"spec.ports[{i}].port", port.get("port", 0), "must be between 1 and 65535, inclusive")
        if len(ports) > 1 and not port.get("name"):
            yield _missing(f"spec.ports[{i}].name")
    for value in spec.get("selector", {}).values():
        if not _VALUE.fullmatch(value):
            yield _bad("spec.selector", value, _VALUE_RULE)


def _config_map(obj: Json) -> Causes:
    for key in obj.get("data", {}):
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", key):
            yield _bad(
                f"data[{key}]",
                key,
                "a valid config key must consist of alphanumeric characters, '-', '_' or '.' "
                "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
            )


def _same_selector(obj: Json, before: Json) -> Causes:
    selector = at(obj, "spec", "selector")
    if selector != at(before, "spec", "selector"):
        yield _bad("spec.selector", selector, "field is immutable")


def _same_set(obj: Json, before: Json) -> Causes:
    movable = {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "revisionHistoryLimit",
    }
    now, then = obj.get("spec", {}), before.get("spec", {})
    if any(now.get(key) != then.get(key) for key in {*now, *then} - movable):
        listed = (
            "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
            "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds'"
        )
        why = f"Forbidden: updates to statefulset spec for fields other than {listed} are forbidden"
        yield Cause("spec", why, "FieldValueForbidden")


def _same_pod(obj: Json, before: Json) -> Causes:
    def fixed(pod: Json) -> Json:
        spec = {key: value for key, value in pod.get("spec", {}).items() if key not in {"tolerations", "nodeName"}}
        for field in ("containers", "initContainers"):
            if field in spec:
                spec[field] = [{k: v for k, v in item.items() if k != "image"} for item in spec[field]]
        return {k: v for k, v in spec.items() if k not in {"activeDeadlineSeconds", "terminationGracePeriodSeconds"}}

    if fixed(obj) != fixed(before):
        why = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
            "previously negative)"
        )
        yield Cause("spec", why, "FieldValueForbidden")


def _same_data(obj: Json, before: Json) -> Causes:
    if before.get("immutable"):
        for field in ("data", "binaryData", "immutable"):
            if obj.get(field) != before.get(field):
                yield Cause(field, "Forbidden: field is immutable when `immutable` is set", "FieldValueForbidden")


def _without_placing(template: Json) -> Json:
    """Return a pod template without what may change while its Job is suspended: where pods run, and how large."""
    spec = {key: value for key, value in template.get("spec", {}).items() if key not in _PLACING}
    containers = [{k: v for k, v in one.items() if k != "resources"} for one in spec.get("containers", [])]
    metadata = {k: v for k, v in template.get("metadata", {}).items() if k not in ("labels", "annotations")}
    return {**template, "metadata": metadata, "spec": {**spec, "containers": containers}}


def _same_job(obj: Json, before: Json) -> Causes:
    for field in ("template", "selector", "completions"):
        now, then = at(obj, "spec", field), at(before, "spec", field)
        if field == "template" and at(before, "spec", "suspend"):
            now, then = _without_placing(now), _without_placing(then)
        if now != then:
            yield _bad(f"spec.{field}", at(obj, "spec", field, default=""), "field is immutable")


_PLACING = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
_RULES: dict[str, Callable[[Json], Causes]] = {
    "Deployment": _workload,
    "ReplicaSet": _workload,
    "StatefulSet": _workload,
    "Job": _job,
    "Pod": _pod,
    "Service": _service,
    "ConfigMap": _config_map,
}
_FROZEN: dict[str, Callable[[Json, Json], Causes]] = {
    "Deployment": _same_selector,
    "ReplicaSet": _same_selector,
    "StatefulSet": _same_set,
    "Pod": _same_pod,
    "Job": _same_job,
    "ConfigMap": _same_data,
    "Secret": _same_data,
}
