"""What a pod specification is newly allowed to do to its node, and as whom it speaks to the API. Pure.

Rules:
  1. What counts at the node: the baseline level of https://kubernetes.io/docs/concepts/security/pod-security-standards/.
  2. Who may make a pod may be whatever ServiceAccount of its namespace they name: no authorizer asks. So where pods are
     to speak as another one than `default`, or than before, it is said what bindings give it; what lets somebody become
     somebody else (`access.strong`) is high.
  3. Nor does any authorizer ask whether they may read the Secrets that its pods get.
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each
from skyflo_runbooks.gateway.impact import access
from skyflo_runbooks.gateway.impact.change import (
    WORKLOADS,
    Change,
    Line,
    Lines,
    high,
    listed,
    medium,
    members,
    some,
    touched,
)
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact

_HOST = {"hostNetwork": "the node's network", "hostPID": "the node's processes", "hostIPC": "the node's memory"}
_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_syncookies",
    )
)
_GET = "its pods get Secrets that they did not have"
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


def needs(change: Change) -> Iterable[Need]:
    """The bindings and roles, where pods are to speak as somebody else."""
    if _account(change):
        yield from (Need("RoleBinding", change.namespace), Need("Role", change.namespace))
        yield from (Need("ClusterRoleBinding"), Need("ClusterRole"))


def said(change: Change, scene: Scene) -> Impact:
    """Say what its pods may do that they could not do before."""
    if not _runs_pods(change):
        return Impact()
    return touched([*_gained(_spec(change.was), _spec(change.will)), *_speaking(change, scene)])


def _runs_pods(change: Change) -> bool:
    return not change.deletes and bool(change.will) and change.kind in (*WORKLOADS, "Pod", "CronJob")


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
        found |= _loosened(one)
    return found | _unconfined(spec, "its pods")


def _loosened(container: Json) -> set[str]:
    """Return what a container's own settings and ports allow it beyond the baseline."""
    name = f"container {container.get('name')}"
    found = _unconfined(container, name)
    if at(container, "securityContext", "procMount") == "Unmasked":
        found.add(f"shows {name} all of /proc (procMount)")
    ports = [str(port["hostPort"]) for port in each(container, "ports") if port.get("hostPort")]
    return found | {f"listens for {name} on port {port} of its node (hostPort)" for port in ports}


def _unconfined(place: Json, name: str) -> set[str]:
    """Return which of the kernel's fences a security context takes away."""
    context = members(place, "securityContext")
    found = {
        f"runs {name} without {said}"
        for member, said in (("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor"))
        if at(context, member, "type") == "Unconfined"
    }
    if at(context, "windowsOptions", "hostProcess") is True:
        found.add(f"runs {name} as a process of its node (hostProcess)")
    kernel = sorted({str(one.get("name")) for one in each(context, "sysctls")} - _SYSCTLS)
    return found | ({f"sets {', '.join(kernel)} of its node's kernel"} if kernel else set())


def _gained(was: Json, will: Json) -> Lines:
    for what in sorted(held(will) - held(was)):
        yield high(f"It {what}", "its pods may do more to their nodes than is usual")
    if new := sorted(secrets(will) - secrets(was)):
        yield medium(f"Its pods get the Secrets {some(new)}" if new[1:] else f"Its pods get the Secret {new[0]}", _GET)


def secrets(spec: Json) -> set[str]:
    """Return the Secrets that the containers of a pod of this specification can read."""
    inside = (*each(spec, "initContainers"), *each(spec, "containers"), *each(spec, "ephemeralContainers"))
    found = [at(one, "secretRef", "name") for container in inside for one in each(container, "envFrom")]
    found += [at(e, "valueFrom", "secretKeyRef", "name") for container in inside for e in each(container, "env")]
    for volume in each(spec, "volumes"):
        found.append(at(volume, "secret", "secretName"))
        found += [at(source, "secret", "name") for source in each(volume, "projected", "sources")]
    return {str(name) for name in found if name}


def _account(change: Change) -> str:
    """Return as which ServiceAccount its pods are to speak from now on; nothing where that is as before, or usual."""
    if not _runs_pods(change):
        return ""
    before, after = (_named(_spec(side)) for side in (change.was, change.will))
    return "" if after == before else after


def _named(spec: Json) -> str:
    return str(spec.get("serviceAccountName") or "default")


def _speaking(change: Change, scene: Scene) -> Lines:
    """Say as whom its pods speak, and what that one may do, by rule 2."""
    account = _account(change)
    if not account:
        return
    before = f", no longer as {_named(_spec(change.was))}" if change.was else ""
    granted = access.given(change.namespace, account, scene)
    may = f", which may {access.words(granted)}" if granted else ""
    text = f"Its pods speak to the API as {account}{before}{may}"
    if any(access.strong(place, verbs) for place, verbs in granted.items()):
        yield high(text, f"its pods get rights by which one becomes somebody else ({account})")
    elif change.was:
        yield medium(text, "its pods get other rights")
    else:
        yield Line(text)


def _spec(manifest: Json) -> Json:
    if manifest.get("kind") == "Pod":
        return members(manifest, "spec")
    if manifest.get("kind") == "CronJob":
        return members(manifest, "spec", "jobTemplate", "spec", "template", "spec")
    return members(manifest, "spec", "template", "spec")
