"""Family E, rights: ADM-11, a right that a ServiceAccount lacks.

Source of the evidence: the API server's words in a log of a pod that runs as the account (`User "system:serviceaccount:
…" cannot list resource …`: k8s.io/apiserver, endpoints/handlers/responsewriters), beside the Roles that are bound to
it. A log is what a program chose to write: it names a right, and gives none that reaches far, nor one to anybody else.
Who keeps a list up to date (client-go's reflector) says that it may not list, and watches next: both belong together.
"""

import re
from collections.abc import Iterator

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import containers, each, name_of, namespace_of
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence, services
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_FORBIDDEN = re.compile(
    r'(?:is forbidden: )?User "system:serviceaccount:(?P<namespace>[^:"]+):(?P<account>[^"]+)" cannot (?P<verb>\w+) '
    r'resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<where>[^"]+)")?'
)
# Structured logs (klog, zap) quote the API server's words inside quotes of their own.
_ESCAPED = re.compile(r'\\+"')
# client-go's tools/cache/reflector.go, whatever logger a program gave it: its file, or its words.
_REFLECTOR = re.compile(r"\breflector(?:\.go:\d+|=)|(?i:failed to (?:list|watch) )\*[\w.]+:")
_READS = ("get", "list", "watch")
# A log is what a program chose to write: a right that it names is one to give only if it is one of these.
_VERBS = {"get", "list", "watch", "create", "update", "patch", "delete"}
_RESOURCE = re.compile(r"[a-z]{1,63}")
_GROUP = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){0,8})?")
# What gives more than it says: credentials, who may do what, who one is, what is let in; whoever makes pods may read
# every Secret of the namespace and run as each of its accounts; and a namespace's bounds are not its pods' to move.
_PRIVILEGED = {"secrets", "serviceaccounts", "nodes"}
_RUNNING = re.compile(
    r"(?:pods|podtemplates|replicationcontrollers|[a-z]*sets|deployments|(?:cron)?jobs"
    r"|networkpolicies|resourcequotas|limitranges)"
)
_PRIVILEGED_GROUPS = {
    "rbac.authorization.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "certificates.k8s.io",
    "admissionregistration.k8s.io",
    "apiregistration.k8s.io",
}


def forbidden(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each ServiceAccount that lacks a right which its pods' logs ask for."""
    seen: set[tuple[str, ...]] = set()
    for pod in graph.heard:
        for container in containers(pod):
            for line in reversed(graph.log(pod, container.name).splitlines()[-60:]):
                found = _FORBIDDEN.search(_ESCAPED.sub('"', line))
                if found is None or (found["namespace"], found["account"]) != _identity(pod):
                    continue
                key = (*found.group("namespace", "account", "resource", "group", "where"), *_verbs(found))
                if key in seen:
                    continue
                seen.add(key)
                yield _forbidden(graph, pod, container.name, line, found)


def _verbs(found: re.Match[str]) -> tuple[str, ...]:
    """Return the verbs that belong together: all that read, where a reflector may not list or watch; else this one."""
    kept = found["verb"] in ("list", "watch") and _REFLECTOR.search(found.string)
    return _READS if kept else (found["verb"],)


def _identity(pod: Json) -> tuple[str, str]:
    """Return the namespace and the name of the account that a pod runs as."""
    return namespace_of(pod), str(at(pod, "spec", "serviceAccountName", default="default"))


def _ordinary(pod: Json, found: re.Match[str]) -> bool:
    """Return whether the right is one that a Role of the pod's own namespace may be given on a log's word."""
    here = namespace_of(pod)
    return (
        found["verb"] in _VERBS
        and _RESOURCE.fullmatch(found["resource"]) is not None
        and found["resource"] not in _PRIVILEGED
        and (found["verb"] in _READS or not _RUNNING.fullmatch(found["resource"]))
        and _GROUP.fullmatch(found["group"]) is not None
        and found["group"] not in _PRIVILEGED_GROUPS
        and found["where"] == here
        and not here.startswith("kube-")
    )


def _forbidden(graph: Graph, pod: Json, container: str, line: str, found: re.Match[str]) -> Finding:
    workload, where = graph.workload(pod), found["where"] or ""
    roles = _roles(graph, found["namespace"], found["account"], where)
    what = found["resource"] + (f".{found['group']}" if found["group"] else "")
    verbs = _verbs(found)
    right, wanted = f"{found['verb']} {what}", f"{', '.join(verbs)} {what}"
    facts = {name: str(found[name] or "") for name in ("account", "resource", "group", "where")}
    facts["verbs"] = ",".join(verbs)
    account = ObjectRef("ServiceAccount", found["account"], found["namespace"])
    ordinary = _ordinary(pod, found)
    given = len(roles) == 1 and ordinary and _nobody_elses(graph, roles[0], account)
    return Finding(
        fault="ADM-11",
        title=f"{ref(workload)} fails: its ServiceAccount {found['account']} may not {right}"
        + (f" in {where}" if where else " in the cluster"),
        object=ref(roles[0]) if given else account,
        confidence=(0.92 if given else 0.8) if ordinary else 0.6,
        evidence=(
            evidence(pod, f"log of container {container}", graph.snapshot.time, line),
            *(evidence(role, "rules", graph.snapshot.time, _rules(role)) for role in roles[:3]),
        ),
        facts=facts if given else {},
        related=(account, ref(workload), *(ref(role) for role in roles), *services(graph, workload)),
        explains=(ref(workload),),
        advice=f"Let a Role of {account} say exactly: {wanted}. No wildcard."
        if ordinary
        else f"A log asks for this right, and it reaches far, or beyond {namespace_of(pod)}: a person has to judge "
        f"whether {account} needs it. Nothing gives it on the word of a log.",
    )


def _roles(graph: Graph, namespace: str, account: str, where: str) -> list[Json]:
    """Return the Roles of the namespace that are bound to a ServiceAccount."""
    names = {
        str(at(binding, "roleRef", "name"))
        for binding in graph.all("RoleBinding")
        if namespace_of(binding) == (where or namespace) and at(binding, "roleRef", "kind") == "Role"
        for subject in each(binding, "subjects")
        if (subject.get("kind"), subject.get("name"), subject.get("namespace"))
        == ("ServiceAccount", account, namespace)
    }
    return [role for role in graph.all("Role") if namespace_of(role) == (where or namespace) and name_of(role) in names]


def _nobody_elses(graph: Graph, role: Json, account: ObjectRef) -> bool:
    """Return whether a Role is bound to this account alone: what is added to it, everybody who is bound gets."""
    subjects = [
        (subject.get("kind"), subject.get("name"), subject.get("namespace"))
        for binding in graph.all("RoleBinding")
        if namespace_of(binding) == namespace_of(role)
        and (at(binding, "roleRef", "kind"), at(binding, "roleRef", "name")) == ("Role", name_of(role))
        for subject in each(binding, "subjects")
    ]
    return all(subject == (account.kind, account.name, account.namespace) for subject in subjects)


def _rules(role: Json) -> str:
    return "; ".join(
        f"{','.join(rule.get('verbs') or [])} {','.join(rule.get('resources') or [])}" for rule in each(role, "rules")
    )


RULES = (Rule(fault="ADM-11", needs=("Pod", "Log"), find=forbidden),)

__all__ = ["RULES"]
