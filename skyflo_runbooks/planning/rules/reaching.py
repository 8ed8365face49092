"""Repairs of family F beside selectors and ports: NET-03, NET-05, NET-11, NET-12."""

from skyflo_runbooks.diagnosis.pods import each, texts
from skyflo_runbooks.diagnosis.rules.names import DNS_LABELS, SYSTEM
from skyflo_runbooks.model.check import build
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import Parameter, param
from skyflo_runbooks.planning.rules.patches import merge, one, replace, waiting_for
from skyflo_runbooks.planning.rules.placing import back_only
from skyflo_runbooks.planning.way import Case, Repair, advised, check_of, named

_PORTS: list[Json] = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]


def choose_own(case: Case) -> Repair:
    """Let the Service choose by one label more, which only the pods that it is for carry."""
    facts = case.finding.facts
    key, value = facts.get("key"), facts.get("value")
    if key is None or value is None:
        return Repair(advice=advised(case))
    pointer = key.replace("~", "~0").replace("/", "~1")
    checks = (
        build("endpoints_ready", [case.finding.object.name], {"namespace": param("namespace")}),
        check_of(case, "field_equals", path=f"/spec/selector/{pointer}", value=value),
    )
    why = f"{facts['own']} carries {key}={value}, and {facts['strangers']} does not."
    way = merge(case, {"spec": {"selector": {key: value}}}, f"Choose by {key}={value} as well", why, checks=checks)
    return Repair(ways=(way,), advice=advised(case))


def any_node(case: Case) -> Repair:
    """Let requests go to endpoints of every node."""
    if "policy" not in case.finding.facts:
        return Repair(advice=advised(case))
    why = f"{case.finding.facts['client']} runs on nodes without an endpoint, and Local sends its requests nowhere."
    title = "Send requests to endpoints of every node"
    return Repair(ways=(replace(case, {"/spec/internalTrafficPolicy": "Cluster"}, title, why),), advice=advised(case))


def let_names_out(case: Case) -> Repair:
    """Let the policy's pods ask the cluster's DNS, and nothing else; where that is, has to have been read."""
    if "resolver" not in case.finding.facts:
        return Repair(advice=advised(case))
    space = case.graph.get(ObjectRef("Namespace", SYSTEM))
    if space is not None and texts(space, "metadata", "labels").get("kubernetes.io/metadata.name") != SYSTEM:
        return Repair(advice=advised(case))
    peer: Json = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SYSTEM}},
        "podSelector": {"matchLabels": DNS_LABELS},
    }
    rule: Json = {"to": [peer], "ports": _PORTS}
    held = each(case.workload, "spec", "egress")
    add: Json = {"op": "add", "path": "/spec/egress/-", "value": rule}
    if not held:
        add = {"op": "add", "path": "/spec/egress", "value": [rule]}
    arguments: Json = {**named(case), "patch": [add], "patch_type": "json"}
    why = f"{case.finding.facts['workload']} looks up names, and no policy lets its lookups out."
    # The rule is the last of the list: it stands there only if it was added.
    peers = f"/spec/egress/{len(held)}/to/0/namespaceSelector/matchLabels/kubernetes.io~1metadata.name"
    there = check_of(case, "field_equals", path=peers, value=SYSTEM)
    title = "Let lookups of names out, to the cluster's DNS alone"
    way = one(case, "k8s_patch", arguments, title, why, checks=(there,))
    return Repair(ways=(way,), advice=advised(case))


def answer_again(case: Case) -> Repair:
    """Let the cluster's DNS run again: its replicas, its Corefile, or the revision that ran before."""
    facts = case.finding.facts
    if case.finding.object.kind == "ConfigMap":
        return _corefile(case)
    if "replicas" not in facts:
        return back_only(case)
    count = int(facts["replicas"])
    way = one(
        case,
        "k8s_scale",
        {**named(case), "replicas": param("replicas")},
        f"Scale {case.finding.object} to {count}",
        f"It is scaled to 0, and no name of the cluster is found without it; {count} ran before, or at least one must.",
        parameters=(Parameter("replicas", "int", count, "pods that answer for names"),),
        checks=(build("endpoints_ready", ["kube-dns"], {"namespace": param("namespace")}), *waiting_for(case)),
    )
    return Repair(ways=(way,), advice=advised(case))


def _corefile(case: Case) -> Repair:
    """Put the word that was meant in place of the one that is wrong."""
    facts, text = case.finding.facts, texts(case.workload, "data").get("Corefile", "")
    word, meant = facts.get("word", ""), facts.get("meant")
    if meant is None or text.count(word) != 1:
        return Repair(advice=advised(case))
    why = f"{word} is not known there; {meant} is what comes nearest. CoreDNS reads it again within two minutes."
    way = replace(case, {"/data/Corefile": text.replace(word, meant)}, f"Write {meant} instead of {word}", why)
    return Repair(ways=(way,), advice=advised(case))


REPAIRS = {"NET-03": choose_own, "NET-05": any_node, "NET-11": let_names_out, "NET-12": answer_again}

__all__ = ["REPAIRS"]
