"""What of an object is shown in a diff. Pure.

Rules:
  1. Status and what the server keeps for itself are left out: versions, uid, times, managedFields, addresses that a
     creation is given and did not ask for.
  2. A default is left out where the server put it in by itself: the request does not name the member, and the other
     side has no other value there. A default that takes the place of another value is shown, and so is one that is all
     that differs.
  3. Of custom resources no default is known: everything is shown.
  4. Values of Secrets never appear: a value that differs reads `(changed)`, every other one `(masked)`; the copy that
     kubectl keeps in an annotation is masked as a whole.
"""

import copy

from skyflo_runbooks.model.digest import allocated, desired_state, remove
from skyflo_runbooks.model.json import Json, at

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MASKED, CHANGED = "(masked)", "(changed)"
_GIVEN = (("metadata", "uid"), ("metadata", "creationTimestamp"))
_NAME_LABEL = ("metadata", "labels", "kubernetes.io/metadata.name")
_ABSENT = object()
_ROLLING: Json = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
_PARTITION: Json = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
_NODES: Json = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
# What the API server fills in, by the member's name, or by its parent's and its own. Source: the SetDefaults_ functions
# of k8s.io/kubernetes/pkg/apis/{core,apps,batch,networking}/v1, and its default admission plug-ins.
_DEFAULTS: dict[str, tuple[object, ...]] = {
    "allocateLoadBalancerNodePorts": (True,),
    "backoffLimit": (6,),
    "completionMode": ("NonIndexed",),
    "concurrencyPolicy": ("Allow",),
    "creationTimestamp": (None,),
    "defaultMode": (420,),
    "dnsPolicy": ("ClusterFirst",),
    "enableServiceLinks": (True,),
    "externalTrafficPolicy": ("Cluster",),
    "failedJobsHistoryLimit": (1,),
    "failureThreshold": (3,),
    "fieldRef.apiVersion": ("v1",),
    "hostPath.type": ("",),
    "httpGet.scheme": ("HTTP",),
    "imagePullPolicy": ("IfNotPresent", "Always"),
    "internalTrafficPolicy": ("Cluster",),
    "ipFamilies": (["IPv4"], ["IPv6"]),
    "ipFamilyPolicy": ("SingleStack",),
    "periodSeconds": (10,),
    "persistentVolumeClaimRetentionPolicy": ({"whenDeleted": "Retain", "whenScaled": "Retain"},),
    "podManagementPolicy": ("OrderedReady",),
    "podReplacementPolicy": ("TerminatingOrFailed",),
    "preemptionPolicy": ("PreemptLowerPriority",),
    "priority": (0,),
    "progressDeadlineSeconds": (600,),
    "protocol": ("TCP",),
    "resources": ({},),
    "revisionHistoryLimit": (10,),
    "schedulerName": ("default-scheduler",),
    "securityContext": ({},),
    "serviceAccount": ("default",),
    "serviceAccountName": ("default",),
    "sessionAffinity": ("None",),
    "spec.finalizers": (["kubernetes"],),
    "spec.restartPolicy": ("Always",),
    "spec.type": ("ClusterIP",),
    "strategy": (_ROLLING,),
    "successThreshold": (1,),
    "successfulJobsHistoryLimit": (3,),
    "suspend": (False,),
    "terminationGracePeriodSeconds": (30,),
    "terminationMessagePath": ("/dev/termination-log",),
    "terminationMessagePolicy": ("File",),
    "timeoutSeconds": (1,),
    "updateStrategy": (_PARTITION, _NODES),
    "volumeMode": ("Filesystem",),
}


def sides(before: Json | None, after: Json | None, written: object = None) -> tuple[Json | None, Json | None]:
    """Return the two sides of a diff as they are shown. `written` is the request's body: manifest or patch."""
    kind = (before or after or {}).get("kind")
    given = (*allocated(written), _NAME_LABEL)
    old = _wanted(before, (*_GIVEN, *(given if after is None else ())))
    new = _wanted(after, (*_GIVEN, *(given if before is None else ())))
    if kind == "Secret":
        _mask(old, new)
    for side, other in ((old, new), (new, old)):
        notes = at(side, "metadata", "annotations")
        if isinstance(notes, dict) and notes.get(LAST_APPLIED) == at(other, "metadata", "annotations", LAST_APPLIED):
            remove(side or {}, ("metadata", "annotations", LAST_APPLIED))
            remove(other or {}, ("metadata", "annotations", LAST_APPLIED))
    if _custom(before or after or {}):
        return old, new
    shown_old, shown_new = _members("", old, new, names(written))
    return (old, new) if shown_old == shown_new and old != new else (shown_old, shown_new)


def names(written: object) -> set[str]:
    """Return every member that a manifest or a patch names."""
    if isinstance(written, dict):
        inner = (name for value in written.values() for name in names(value))
        pointer = str(written["path"]).split("/") if "op" in written and "path" in written else ()
        return {*map(str, written), *inner, *pointer}
    return {name for value in written for name in names(value)} if isinstance(written, list | tuple) else set()


def _wanted(manifest: Json | None, without: tuple[tuple[str, ...], ...]) -> Json | None:
    """Return an object without what the server keeps for itself, by rule 1; real Secret values included."""
    if manifest is None:
        return None
    plain = desired_state({**manifest, "kind": "-"})
    if "kind" in manifest:
        plain["kind"] = manifest["kind"]
    else:
        plain.pop("kind")
    for path in without:
        remove(plain, path)
    return plain


def _custom(manifest: Json) -> bool:
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def _trimmed(parent: str, own: str, old: object, new: object, named: set[str]) -> tuple[object, object]:
    """Return both sides without the defaults that nobody wrote, by rule 2."""
    if isinstance(old, dict) or isinstance(new, dict):
        left, right = _members(own, _members_of(old), _members_of(new), named)
        return (old if left is None else left), (new if right is None else right)
    if isinstance(old, list) or isinstance(new, list):
        return _elements(parent, own, old, new, named)
    return old, new


def _members(own: str, old: Json | None, new: Json | None, named: set[str]) -> tuple[Json | None, Json | None]:
    was, will = old or {}, new or {}
    left: Json = {}
    right: Json = {}
    for key in (*was, *(key for key in will if key not in was)):
        one, other = was.get(key, _ABSENT), will.get(key, _ABSENT)
        if key not in named and _filled_in(own, key, one, other, stays=new is not None):
            continue
        shown, shown_other = _trimmed(own, key, one, other, named)
        if one is not _ABSENT:
            left[key] = shown
        if other is not _ABSENT:
            right[key] = shown_other
    return (None if old is None else left), (None if new is None else right)


def _filled_in(own: str, key: object, old: object, new: object, *, stays: bool) -> bool:
    """Return whether a member is a default on every side that has it, and nobody's choice."""
    if old is _ABSENT or new is _ABSENT:
        # Gone from an object that stays: somebody took it out.
        return _default(own, key, new if old is _ABSENT else old) and not (new is _ABSENT and stays)
    return old == new and _default(own, key, old)


def _members_of(value: object) -> Json | None:
    return value if isinstance(value, dict) else None


def _elements(parent: str, own: str, old: object, new: object, named: set[str]) -> tuple[object, object]:
    """Trim the elements of two lists; those of one name belong together, else those of one place."""
    was, will = (old if isinstance(old, list) else []), (new if isinstance(new, list) else [])
    left = [_trimmed(parent, own, one, _partner(one, place, will), named)[0] for place, one in enumerate(was)]
    right = [_trimmed(parent, own, _partner(one, place, was), one, named)[1] for place, one in enumerate(will)]
    return (left if isinstance(old, list) else old), (right if isinstance(new, list) else new)


def _partner(one: object, place: int, others: list[object]) -> object:
    name = at(one, "name")
    if name is not None:
        return next((other for other in others if at(other, "name") == name), _ABSENT)
    return others[place] if place < len(others) else _ABSENT


def _default(parent: str, key: object, value: object) -> bool:
    for known in (f"{parent}.{key}", str(key)):
        if known in _DEFAULTS:
            return any(type(value) is type(one) and value == one for one in _DEFAULTS[known])
    return False


def _mask(before: Json | None, after: Json | None) -> None:
    """Mask the values of a Secret in place, by rule 4."""
    was, now = copy.deepcopy(before), copy.deepcopy(after)
    for member in ("data", "stringData"):
        for own, other, side in ((was, None, before), (now, was, after)):
            values = at(own, member)
            if side is not None and isinstance(values, dict):
                known = at(other, member, default={})
                side[member] = {key: CHANGED if _moved(known, key, value) else MASKED for key, value in values.items()}
            elif side is not None and member in side:
                side[member] = MASKED
    for side in (before, after):
        notes = at(side, "metadata", "annotations")
        if isinstance(notes, dict) and LAST_APPLIED in notes:
            notes[LAST_APPLIED] = MASKED


def _moved(known: object, key: object, value: object) -> bool:
    return isinstance(known, dict) and key in known and known[key] != value
