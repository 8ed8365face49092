"""Who uses a ConfigMap or a Secret, and whether they see the change. Pure.

Rules:
  1. Users are the pods that are there and the workloads that would make such pods, as they name it: env, envFrom,
     volumes, projected volumes, image pull Secrets; and an Ingress by its TLS Secret.
  2. An environment is read when a container starts. Files of a volume follow within about a minute, but for a subPath
     mount, which never does (https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically).
  3. A key that is missing, or an object that is, keeps new pods from starting, unless the reference says `optional`.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from skyflo_runbooks.diagnosis.graph import controller
from skyflo_runbooks.diagnosis.pods import each, finished, name_of, pod_spec
from skyflo_runbooks.gateway.impact.change import Change, Line, Lines, high, medium, some
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact

Way = Literal["environment", "files", "subPath", "pull", "tls"]
_MAKERS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob")
_SEES = {
    "environment": "in its environment: its pods see the change after a restart only",
    "files": "as files: they follow within about a minute, without a restart; the program has to read them again",
    "subPath": "as a subPath mount: its pods see the change after a restart only",
    "pull": "to pull images: at the next pull",
    "tls": "as its certificate: the controller takes it over",
}
# How references name each: as a whole, one key of it, as a volume, and the name's member there.
_MEMBERS = {
    "ConfigMap": ("configMapRef", "configMapKeyRef", "configMap", "name"),
    "Secret": ("secretRef", "secretKeyRef", "secret", "secretName"),
}


class Use(msgspec.Struct, frozen=True):
    """One reference of a pod specification to a ConfigMap or Secret; without `keys` it takes all of them."""

    way: Way
    keys: tuple[str, ...] = ()
    optional: bool = False


def needs(change: Change) -> Iterable[Need]:
    """The pods of the namespace and what makes pods; for a Secret also what serves it."""
    if change.kind in _MEMBERS and not change.creates:
        yield from (Need(kind, change.namespace) for kind in ("Pod", *_MAKERS))
        if change.kind == "Secret":
            yield Need("Ingress", change.namespace)


def said(change: Change, scene: Scene) -> Impact:
    """Say who uses it, and what the change means to them."""
    if change.kind not in _MEMBERS or change.creates:
        return Impact()
    users = _users(change, scene)
    found = [*_seen(change, users), *_missing(change, users)]
    risks = [risk for _, risk in found if risk]
    if users and not change.deletes:
        risks.append(("medium", f"running pods use this {change.kind}"))
    lines = [text for text, _ in found]
    if not users and all(scene.knows(kind, change.namespace) for kind in ("Pod", *_MAKERS)):
        lines.append("No pod or workload of the namespace refers to it; a program may still read it through the API")
    return Impact(also_touched=tuple(lines), risks=tuple(risks))


def uses(spec: Json, kind: str, name: str) -> list[Use]:
    """Return how a pod specification uses a ConfigMap or Secret, by rule 1."""
    whole, one, volume, member = _MEMBERS[kind]
    found: list[Use] = []
    for container in (*each(spec, "initContainers"), *each(spec, "containers")):
        for source in each(container, "envFrom"):
            if at(source, whole, "name") == name:
                found.append(Use("environment", (), at(source, whole, "optional") is True))
        for entry in each(container, "env"):
            if at(entry, "valueFrom", one, "name") == name:
                key = str(at(entry, "valueFrom", one, "key"))
                found.append(Use("environment", (key,), at(entry, "valueFrom", one, "optional") is True))
    for item in each(spec, "volumes"):
        sources = [source.get(volume) for source in each(item, "projected", "sources")]
        named = [at(item, volume)] if at(item, volume, member) == name else []
        named += [source for source in sources if at(source, "name") == name]
        for source in named:
            keys = tuple(str(path.get("key")) for path in each(source, "items"))
            found.append(Use(_mounted(spec, item), keys, at(source, "optional") is True))
    if kind == "Secret" and any(one.get("name") == name for one in each(spec, "imagePullSecrets")):
        found.append(Use("pull", (), True))
    return found


def _mounted(spec: Json, volume: Json) -> Way:
    mounts = [
        mount
        for container in (*each(spec, "initContainers"), *each(spec, "containers"))
        for mount in each(container, "volumeMounts")
        if mount.get("name") == volume.get("name")
    ]
    return "subPath" if any(mount.get("subPath") or mount.get("subPathExpr") for mount in mounts) else "files"


def _users(change: Change, scene: Scene) -> dict[str, list[Use]]:
    """Return who uses it, the workload for its pods."""
    found: dict[str, list[Use]] = {}
    for kind in _MAKERS:
        for workload in scene.of(kind, change.namespace):
            made = at(workload, "spec", "jobTemplate", default={}) if kind == "CronJob" else workload
            if ways := uses(pod_spec(made), change.kind, change.name):
                found[f"{kind} {name_of(workload)}"] = ways
    for pod in scene.of("Pod", change.namespace):
        owner = controller(pod)
        if finished(pod) or (owner and owner.kind in ("ReplicaSet", "StatefulSet", "DaemonSet")):
            continue
        if ways := uses(at(pod, "spec", default={}), change.kind, change.name):
            found[f"{owner.kind} {owner.name}" if owner else f"Pod {name_of(pod)}"] = ways
    if change.kind == "Secret":
        for ingress in scene.of("Ingress", change.namespace):
            if any(one.get("secretName") == change.name for one in each(ingress, "spec", "tls")):
                found[f"Ingress {name_of(ingress)}"] = [Use("tls")]
    return found


def _seen(change: Change, users: dict[str, list[Use]]) -> Lines:
    """Say for each way of use who uses it so, and when they see the change, by rule 2."""
    for way, sees in _SEES.items():
        who = [name for name, ways in users.items() if any(use.way == way for use in ways)]
        if who and change.deletes:
            yield Line(f"{some(who)} {'uses' if len(who) == 1 else 'use'} it {sees.partition(':')[0]}")
        elif who:
            yield Line(f"{some(who)} {'uses' if len(who) == 1 else 'use'} it {sees}")


def _missing(change: Change, users: dict[str, list[Use]]) -> Lines:
    """Say who cannot start any more, by rule 3."""
    needed = {name: [use for use in ways if not use.optional] for name, ways in users.items()}
    if change.deletes:
        who = [name for name, ways in needed.items() if ways]
        if who:
            yield high(f"New pods of {some(who)} cannot start without it", "pods that need it cannot start again")
        return
    gone = _keys(change.was) - _keys(change.will)
    for key in sorted(gone):
        who = [name for name, ways in needed.items() if any(key in use.keys for use in ways)]
        if who:
            yield high(
                f"Key {key} is taken out, and {some(who)} needs it: new pods cannot start",
                "pods that need a key that is taken out cannot start again",
            )
    if at(change.was, "immutable") is not True and at(change.will, "immutable") is True:
        yield medium("It can never be changed again, only replaced (immutable)", "it becomes immutable")


def _keys(manifest: Json) -> set[str]:
    members = (at(manifest, member, default={}) for member in ("data", "binaryData", "stringData"))
    return {str(key) for member in members if isinstance(member, dict) for key in member}
