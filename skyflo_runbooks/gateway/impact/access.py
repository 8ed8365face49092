"""Who may do what after a change of roles, bindings or service accounts. Pure.

Rules:
  1. A role grants; nothing takes away what another role grants. What is said as lost may still be had through one. A
     ClusterRole also grants through those that collect it by its labels
     (https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles).
  2. High is what lets somebody become somebody else, or run programs: everything (`*`), Secrets, `bind`, `escalate`,
     `impersonate`, tokens, exec and attach, `nodes/proxy`, webhooks, the roles themselves
     (https://kubernetes.io/docs/concepts/security/rbac-good-practices/); and a grant to everybody.
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each, finished, labels_of, name_of
from skyflo_runbooks.gateway.impact.change import Change, Line, Lines, high, listed, plural, some, touched
from skyflo_runbooks.gateway.impact.scene import Need, Scene
from skyflo_runbooks.gateway.impact.selecting import selects
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.proposal import Impact, Risk

ROLES = ("Role", "ClusterRole")
BINDINGS = ("RoleBinding", "ClusterRoleBinding")
_STRONG_VERBS = {"*", "bind", "escalate", "impersonate"}
_STRONG = {
    "*",
    "secrets",
    "serviceaccounts/token",
    "pods/exec",
    "pods/attach",
    "pods/ephemeralcontainers",
    "pods/portforward",
    "nodes/proxy",
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
    "certificatesigningrequests/approval",
    "roles",
    "rolebindings",
    "clusterroles",
    "clusterrolebindings",
}
_EVERYBODY = {"system:anonymous", "system:unauthenticated", "system:authenticated", "system:serviceaccounts"}
_READ = {"get", "list", "watch"}
_WIDEST = "cluster-admin"
_TOKEN, _FOR = "kubernetes.io/service-account-token", "kubernetes.io/service-account.name"


def needs(change: Change) -> Iterable[Need]:
    """The bindings of a role, the role of a binding, and of a service account its pods and bindings."""
    if change.kind == "Role":
        yield Need("RoleBinding", change.namespace)
    elif change.kind == "ClusterRole":
        yield from (Need("RoleBinding"), Need("ClusterRoleBinding"), Need("ClusterRole"))
    elif change.kind in BINDINGS:
        yield Need("ClusterRole")
        if change.namespace:
            yield Need("Role", change.namespace)
    elif change.kind == "ServiceAccount" and change.deletes:
        yield from (Need("Pod", change.namespace), Need("RoleBinding"), Need("ClusterRoleBinding"))


def said(change: Change, scene: Scene) -> Impact:
    """Say who gains and who loses what."""
    if change.kind in ROLES:
        found = list(_role(change, scene))
    elif change.kind in BINDINGS:
        found = list(_binding(change, scene))
    elif change.kind == "ServiceAccount" and change.deletes:
        found = list(_account(change, scene))
    elif change.kind == "Secret" and not change.deletes:
        found = list(_token(change))
    else:
        return Impact()
    return touched(found)


def _token(change: Change) -> Lines:
    """Say that a token is put into a Secret: https://kubernetes.io/docs/concepts/configuration/secret/."""
    asked = [(at(one, "type"), at(one, "metadata", "annotations", _FOR)) for one in (change.was, change.will)]
    if asked[1][0] == _TOKEN and asked[0] != asked[1]:
        yield high(
            f"A token of ServiceAccount {asked[1][1]} that never ends is put into it: who reads it is that account",
            "it makes a token that never ends",
        )


def grants(rules: Iterable[Json]) -> dict[str, set[str]]:
    """Return the verbs of each resource that rules grant; a resource of a group as `deployments.apps`."""
    found: dict[str, set[str]] = {}
    for rule in rules:
        verbs = {str(verb) for verb in listed(rule, "verbs")}
        names = listed(rule, "resourceNames")
        only = f" named {some(map(str, names))}" if names else ""
        places = [str(path) for path in listed(rule, "nonResourceURLs")]
        for group in listed(rule, "apiGroups") or [""]:
            for resource in listed(rule, "resources"):
                places.append(f"{resource}.{group}" if group and resource != "*" else str(resource))
        for place in places:
            found.setdefault(place + only, set()).update(verbs)
    return found


def subject(one: Json) -> str:
    """Return a binding's subject in words."""
    namespace = f"{one.get('namespace')}/" if one.get("namespace") else ""
    return f"{one.get('kind')} {namespace}{one.get('name')}"


def strong(place: str, verbs: set[str]) -> bool:
    """Return whether a grant lets somebody become somebody else or run programs, by rule 2."""
    resource = place.partition(" ")[0].partition(".")[0] if not place.startswith("/") else place
    if verbs & _STRONG_VERBS:
        return True
    if resource in ("roles", "rolebindings", "clusterroles", "clusterrolebindings", "nodes/proxy"):
        return resource == "nodes/proxy" or bool(verbs - _READ)
    return resource in _STRONG


def words(granted: dict[str, set[str]]) -> str:
    """Return grants in words, those first that weigh most."""
    order = sorted(granted.items(), key=lambda item: (not strong(*item), item[0]))
    said = [f"{'do everything (*)' if '*' in verbs else ', '.join(sorted(verbs))} on {place}" for place, verbs in order]
    return "; ".join(said[:6]) + (f"; and {len(said) - 6} more" if len(said) > 6 else "")


def given(namespace: str, account: str, scene: Scene) -> dict[str, set[str]]:
    """Return what bindings give to a ServiceAccount, by itself or by its groups; `subject` says how each is named."""
    mine = {f"ServiceAccount {namespace}/{account}"}
    mine |= {f"Group {name}" for name in ("system:authenticated", "system:serviceaccounts")}
    mine |= {f"Group system:serviceaccounts:{namespace}"}
    found: dict[str, set[str]] = {}
    for kind, where in (("RoleBinding", namespace), ("ClusterRoleBinding", "")):
        for binding in scene.of(kind, where):
            if mine & {subject(one) for one in each(binding, "subjects")}:
                name = str(at(binding, "roleRef", "name"))
                home = namespace if at(binding, "roleRef", "kind") == "Role" else ""
                role = scene.one("Role" if home else "ClusterRole", name, home)
                for place, verbs in grants(each(role, "rules")).items():
                    found.setdefault(place, set()).update(verbs)
    return found


def _risk(granted: dict[str, set[str]]) -> tuple[Risk, str]:
    weighing = [(place, verbs) for place, verbs in sorted(granted.items()) if strong(place, verbs)]
    heavy = [f"{'everything' if '*' in verbs else ', '.join(sorted(verbs))} on {place}" for place, verbs in weighing]
    return ("high", f"it grants {some(heavy, 3)}") if heavy else ("medium", "somebody may do more than now")


def _role(change: Change, scene: Scene) -> Lines:
    was, will = grants(each(change.was, "rules")), {} if change.deletes else grants(each(change.will, "rules"))
    collected = _collecting(change, change.will, scene)
    if into := sorted(set(collected) - set(_collecting(change, change.was, scene))):
        risk = _risk(will) if will else None
        yield Line(f"ClusterRole {some(into)} will have its rules, by its labels: {words(will) or 'none'}", risk)
    more = {place: new for place, verbs in will.items() if (new := verbs - was.get(place, set()))}
    less = {place: old for place, verbs in was.items() if (old := verbs - will.get(place, set()))}
    who = some(_bound(change, scene))
    whom = f"{who} may" if who else "Whoever is bound to it may"
    if more:
        yield Line(f"{whom} also {words(more)}", _risk(more))
    if less:
        yield high(f"{whom} no longer {words(less)}, unless another role lets them", "somebody may do less than now")
    if not who and not collected and all(scene.knows(need.kind, need.namespace) for need in needs(change)):
        yield Line("Nobody is bound to it now")


def _collecting(change: Change, role: Json, scene: Scene) -> list[str]:
    """Return the ClusterRoles that collect a role by its labels."""
    if change.kind != "ClusterRole" or not role:
        return []
    return [
        name_of(one)
        for one in scene.of("ClusterRole")
        if any(selects(by, labels_of(role)) for by in each(one, "aggregationRule", "clusterRoleSelectors"))
    ]


def _bound(change: Change, scene: Scene) -> list[str]:
    """Return whom bindings give this role to."""
    found = []
    for kind in BINDINGS:
        for binding in scene.of(kind, change.namespace):
            if (at(binding, "roleRef", "kind"), at(binding, "roleRef", "name")) == (change.kind, change.name):
                found += [subject(one) for one in each(binding, "subjects")]
    return found


def _binding(change: Change, scene: Scene) -> Lines:
    was = {subject(one) for one in each(change.was, "subjects")}
    will = set() if change.deletes else {subject(one) for one in each(change.will, "subjects")}
    kind, name = str(at(change.live, "roleRef", "kind")), str(at(change.live, "roleRef", "name"))
    where = f" in {change.namespace}" if change.namespace else " in the whole cluster"
    role = scene.one(kind, name, change.namespace if kind == "Role" else "")
    granted = grants(each(role, "rules"))
    what = f": {words(granted)}" if granted else ""
    if will - was:
        yield Line(f"{some(sorted(will - was))} gets {kind} {name}{where}{what}")
        yield from _weighed(will - was, kind, name, role, granted, scene)
    if was - will:
        yield high(
            f"{some(sorted(was - will))} loses {kind} {name}{where}{what}, unless another binding gives it",
            "somebody may do less than now",
        )


def _weighed(
    gaining: set[str], kind: str, name: str, role: Json | None, granted: dict[str, set[str]], scene: Scene
) -> Lines:
    """Say what makes a grant weigh, by rule 2."""
    names = (one.partition(" ")[2] for one in gaining)
    everybody = sorted(name for name in names if name.startswith("system:serviceaccounts:") or name in _EVERYBODY)
    if everybody:
        yield high(f"{some(everybody)} is everybody of that kind, known or not", "it grants something to everybody")
    if name == _WIDEST:
        yield high("cluster-admin may do everything", "it grants cluster-admin")
    elif role is not None:
        risk = _risk(granted)
        yield Line(f"{plural(len(granted), 'kind')} of object in all", risk)
    elif scene.knows(kind) or scene.knows("ClusterRole"):
        yield high(
            f"There is no {kind} {name}: whoever may make one decides what this grants",
            "the role that it grants does not exist",
        )


def _account(change: Change, scene: Scene) -> Lines:
    pods = [
        name_of(pod)
        for pod in scene.of("Pod", change.namespace)
        if not finished(pod) and at(pod, "spec", "serviceAccountName", default="default") == change.name
    ]
    if pods:
        yield high(
            f"{plural(len(pods), 'pod')} use it: {some(pods)}; their tokens stop working and no new pod starts",
            "pods use this service account",
        )
    mine = {f"ServiceAccount {change.namespace}/{change.name}"}
    bindings = [
        name_of(binding)
        for kind in BINDINGS
        for binding in scene.of(kind)
        if mine & {subject(one) for one in each(binding, "subjects")}
    ]
    if bindings:
        yield Line(f"Bindings that name it grant to whoever makes one of that name again: {some(bindings)}")
