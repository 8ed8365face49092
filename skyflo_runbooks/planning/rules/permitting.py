"""Repairs of what a container may do: pull from a registry (IMG-02), not run as root (CON-13), write (CON-22).

What forbids it stays: no pull secret is taken away, and no way leads back to a revision that ran as root or wrote
everywhere. The value comes from what is known to work here.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import count

from skyflo_runbooks.diagnosis.pods import each, template_container
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.planning.rules.common import roll_back
from skyflo_runbooks.planning.rules.patches import one, replace
from skyflo_runbooks.planning.way import Case, Repair, advised, check_of, named

_SCRATCH = re.compile(r"(?P<own>(?:/tmp|/run|/var/(?:run|cache|lock|log|spool|tmp))(?:/[\w.-]+)*)/[\w.-]+$")


def pull_with(case: Case) -> Repair:
    """Pull with the Secret that is known to open the registry; or go back to the revision before."""
    facts, listed = case.finding.facts, "/spec/template/spec/imagePullSecrets"
    back = roll_back(case, because="Its image could be pulled.")
    secret, missing = facts.get("secret"), facts.get("missing", "")
    if not secret:
        return Repair(ways=back, advice=advised(case))
    names = [item.get("name") for item in each(case.workload, "spec", "template", "spec", "imagePullSecrets")]
    if missing and missing not in names:
        return Repair(ways=back, advice=advised(case))  # somebody else gives it to the pod: its ServiceAccount
    if missing:
        where = f"{listed}/{names.index(missing)}/name"
        why = f"There is no Secret {missing}; {secret} exists."
        return Repair(ways=(replace(case, {where: secret}, f"Pull with {secret} instead of {missing}", why), *back))
    patch = [_appended(listed, names, {"name": secret})]
    held = check_of(case, "field_equals", path=f"{listed}/{len(names)}/name", value=secret)
    why = f"{secret} {facts['secret_source']}."
    arguments: Json = {**named(case), "patch": patch, "patch_type": "json"}
    way = one(case, "k8s_patch", arguments, f"Pull with {secret}", why, checks=(held,))
    return Repair(ways=(way, *back), advice=advised(case))


def run_as(case: Case) -> Repair:
    """Run as the user that the image is known to support; or go back to a revision that kept runAsNonRoot."""
    container = case.finding.facts["container"]
    back = roll_back(case, because="Its user was not root.") if _says(case, "runAsNonRoot") else ()
    found, user = template_container(case.workload, container), case.finding.facts.get("user", "")
    if found is None or not user.isdigit():
        return Repair(ways=back, advice=advised(case))
    of_pod = _of_whole_pod(case, int(user))
    path = f"/spec/template/spec{'' if of_pod else f'/{found[0]}/{found[1]}'}/securityContext"
    holder = at(case.workload, "spec", "template", "spec", default={}) if of_pod else found[2]
    patch: list[Json] = [{"op": "add", "path": f"{path}/runAsUser", "value": int(user)}]
    if not holder.get("securityContext"):
        patch = [{"op": "add", "path": path, "value": {"runAsUser": int(user)}}]
    held = check_of(case, "field_equals", path=f"{path}/runAsUser", value=int(user))
    arguments: Json = {**named(case), "patch": patch, "patch_type": "json"}
    why = f"The image is known to run as user {user}, and runAsNonRoot stays."
    title = f"Run {'all containers' if of_pod else container} as user {user}"
    way = one(case, "k8s_patch", arguments, title, why, checks=(held,))
    return Repair(ways=(way, *back), advice=advised(case))


def _of_whole_pod(case: Case, user: int) -> bool:
    """Return whether the revision before said this user for all containers of its pods, and this one leaves it open."""
    before = case.graph.previous(case.workload)
    where = ("spec", "template", "spec", "securityContext", "runAsUser")
    return before is not None and at(before, *where) == user and at(case.workload, *where) is None


def give_scratch(case: Case) -> Repair:
    """Mount an emptyDir where the container keeps what it may lose; or go back to a revision with a read-only root.

    Only a directory that is meant for that: another one may hold what the image brings, and an emptyDir
    would hide it.
    """
    facts, workload = case.finding.facts, case.workload
    container, folder = facts["container"], scratch(facts.get("path", ""))
    back = (
        roll_back(case, because="It could write where it wanted to.") if _says(case, "readOnlyRootFilesystem") else ()
    )
    found = template_container(workload, container)
    mounts = each(found[2], "volumeMounts") if found else []
    volumes = [str(item.get("name")) for item in each(workload, "spec", "template", "spec", "volumes")]
    if found is None or not folder or any(f"{folder}/".startswith(f"{mount.get('mountPath')}/") for mount in mounts):
        return Repair(ways=back, advice=advised(case))
    name = next(name for name in _numbered("scratch") if name not in volumes)
    base = "/spec/template/spec"
    mounted = f"{base}/{found[0]}/{found[1]}/volumeMounts"
    patch = [
        _appended(f"{base}/volumes", volumes, {"name": name, "emptyDir": {}}),
        _appended(mounted, mounts, {"name": name, "mountPath": folder}),
    ]
    held = check_of(case, "field_equals", path=f"{mounted}/{len(mounts)}/mountPath", value=folder)
    arguments: Json = {**named(case), "patch": patch, "patch_type": "json"}
    why = f"It writes in {folder}, which is for what a program may lose; the root file system stays read-only."
    way = one(case, "k8s_patch", arguments, f"Give {container} an emptyDir at {folder}", why, checks=(held,))
    return Repair(ways=(way, *back), advice=advised(case))


def scratch(path: str) -> str:
    """Return the directory of a file where that is for what a program may lose; empty where it is not, or not known.

    Filesystem Hierarchy Standard 3.0: /tmp, /run (/var/run), /var/cache, /var/lock, /var/log, /var/spool, /var/tmp.
    """
    found = _SCRATCH.match(path)
    return found["own"] if found and ".." not in path else ""


def _says(case: Case, field: str) -> bool:
    """Return whether the revision before says this field of a container's security, its pod's word counting too."""
    before = case.graph.previous(case.workload)
    found = template_container(before, case.finding.facts["container"]) if before is not None else None
    said = at(found[2], "securityContext", field) if found else None
    whole = at(before, "spec", "template", "spec", "securityContext", field) if before is not None else None
    return bool(whole if said is None else said)


def _appended(path: str, there: Sequence[object], value: Json) -> Json:
    """Return the operation that puts a value at the end of a list, which may not be there yet."""
    if there:
        return {"op": "add", "path": f"{path}/-", "value": value}
    made: Json = {"op": "add", "path": path, "value": [value]}
    return made


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in count(2))


REPAIRS = {"IMG-02": pull_with, "CON-13": run_as, "CON-22": give_scratch}

__all__ = ["REPAIRS", "scratch"]
