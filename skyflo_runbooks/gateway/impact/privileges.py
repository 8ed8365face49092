"""What a pod specification is newly allowed to do to its node, and as whom it speaks to the API. Pure.

Source of what counts: the baseline level of https://kubernetes.io/docs/concepts/security/pod-security-standards/.
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each
from skyflo_runbooks.gateway.impact.change import WORKLOADS, Change, Lines, high, listed, medium, members, touched
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact

_HOST = {"hostNetwork": "the node's network", "hostPID": "the node's processes", "hostIPC": "the node's memory"}
# What the baseline level lets a container add.
_HARMLESS = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)


def needs(_: Change) -> Iterable[Need]:
    """Nothing beyond the object itself."""
    return ()


def said(change: Change, _: Scene) -> Impact:
    """Say what its pods may do that they could not do before."""
    if change.deletes or not change.will or change.kind not in (*WORKLOADS, "Pod", "CronJob"):
        return Impact()
    return touched(_gained(_spec(change.was), _spec(change.will)))


def held(spec: Json) -> set[str]:
    """Return in words what a pod of this specification may do to its node."""
    found = {f"shares {what} ({name})" for name, what in _HOST.items() if spec.get(name) is True}
    for volume in each(spec, "volumes"):
        if path := at(volume, "hostPath", "path"):
            found.add(f"reads or writes {path} of its node (hostPath)")
    for one in (*each(spec, "initContainers"), *each(spec, "containers"), *each(spec, "ephemeralContainers")):
        if at(one, "securityContext", "privileged") is True:
            found.add(f"runs container {one.get('name')} privileged: it can do everything on its node")
        added = {str(name) for name in listed(one, "securityContext", "capabilities", "add")} - _HARMLESS
        if added:
            found.add(f"runs container {one.get('name')} with {', '.join(sorted(added))}")
    return found


def _gained(was: Json, will: Json) -> Lines:
    for what in sorted(held(will) - held(was)):
        yield high(f"It {what}", "its pods may do more to their nodes than is usual")
    before, after = (str(spec.get("serviceAccountName") or "default") for spec in (was, will))
    if was and before != after:
        yield medium(f"Its pods speak to the API as {after}, no longer as {before}", "its pods get other rights")


def _spec(manifest: Json) -> Json:
    if manifest.get("kind") == "Pod":
        return members(manifest, "spec")
    if manifest.get("kind") == "CronJob":
        return members(manifest, "spec", "jobTemplate", "spec", "template", "spec")
    return members(manifest, "spec", "template", "spec")
