"""Repairs that give what is lacking, by what was read: a restart, CPU, disk, a certificate, a right.

CON-18, CON-19, CON-20, CON-21, NET-08, NET-09, ADM-11, ROL-07.
"""

from collections.abc import Iterator
from decimal import ROUND_FLOOR, Decimal

from skyflo_runbooks.diagnosis.capacity import allocatable
from skyflo_runbooks.diagnosis.pods import (
    each,
    labels_of,
    namespace_of,
    pod_spec,
    quantity,
    replicas,
    surge,
    template_container,
    whole,
)
from skyflo_runbooks.model.check import Check, build
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import Parameter, param
from skyflo_runbooks.model.quantity import format_cpu, format_memory
from skyflo_runbooks.planning.rules.common import roll_back
from skyflo_runbooks.planning.rules.patches import merge, one, place, replace
from skyflo_runbooks.planning.way import Case, Repair, advised, check_of, named

_ALIKE = 70.0
_GRAIN_CPU = Decimal("0.01")
# For so many days another certificate has to be valid still.
_LASTS = 7


# Containers -----------------------------------------------------------------------------------------------------------


def read_again(case: Case) -> Repair:
    """Replace the pods one by one, so that they read what is there now; nothing else changes."""
    facts = case.finding.facts
    if case.finding.object.kind not in ("Deployment", "StatefulSet", "DaemonSet"):
        return Repair(advice=advised(case))
    why = f"{facts['container']} read {facts['kind']} {facts['name']} as it started, and it was changed since."
    way = one(case, "k8s_rollout_restart", named(case), "Restart the rollout", why)
    return Repair(ways=(way,), advice=advised(case))


def raise_cpu(case: Case) -> Repair:
    """Double the CPU limit, within what a node, LimitRanges and quotas have; or go back a revision."""
    facts = case.finding.facts
    back = roll_back(case, because="It may have needed less CPU.") if _limit_was_other(case) else ()
    limit, found = quantity(facts["limit"]), template_container(case.workload, facts["container"])
    most = min((bound for bound in _bounds(case) if bound > 0), default=None)
    if limit is None or found is None or most is None or most <= limit:
        return Repair(ways=back, advice=advised(case))
    # Two digits after the point are a hundredth of a core: rounded down, so that no bound is passed.
    bounded = min(limit * 2, most).quantize(_GRAIN_CPU, ROUND_FLOOR)
    if bounded <= limit:
        return Repair(ways=back, advice=(*advised(case), "A quota, LimitRange or node leaves it no more than it has."))
    size = format_cpu(bounded)
    unknown = tuple(
        f"Whether a quota leaves room for it is not known: {gap.reason}."
        for gap in case.graph.snapshot.gaps_in("ResourceQuota")
    )
    path = f"/spec/template/spec/{found[0]}/{found[1]}/resources/limits/cpu"
    way = one(
        case,
        "k8s_set_resources",
        {**named(case), "container": facts["container"], "limits": {"cpu": param("cpu_limit")}},
        f"Raise the CPU limit of {facts['container']} from {facts['limit']} to {size}",
        f"It is used up in {float(facts['share']):.0%} of its periods; what it would use cannot be seen.",
        parameters=(Parameter("cpu_limit", "str", size, f"new CPU limit of {facts['container']}"),),
        checks=(check_of(case, "field_equals", path=path, value=param("cpu_limit")),),
    )
    return Repair(ways=(way, *back), advice=(*advised(case), *unknown))


def more_room(case: Case) -> Repair:
    """Raise the emptyDir's sizeLimit: to what it was, or to twice what it is; or go back to that revision."""
    facts = case.finding.facts
    spec = pod_spec(case.workload)
    index = place(spec, "volumes", {"name": facts.get("volume", "")})
    limit = quantity(facts.get("limit", ""))
    if index is None or not limit or at(spec, "volumes", index, "emptyDir", "sizeLimit") != facts["limit"]:
        return Repair(ways=roll_back(case, because="It may have needed less."), advice=advised(case))
    before = _size_before(case)
    more = before is not None and before > limit
    back = roll_back(case, because="It gave the volume more.") if more else ()
    size = format_memory(before if before is not None and more else limit * 2)
    path = f"/spec/template/spec/volumes/{index}/emptyDir/sizeLimit"
    why = f"The volume is full at {facts['limit']}" + ("; the revision before gave it more." if more else ".")
    title = f"Raise the sizeLimit of {facts['volume']} from {facts['limit']} to {size}"
    return Repair(ways=(replace(case, {path: size}, title, why), *back), advice=advised(case))


def _size_before(case: Case) -> Decimal | None:
    """Return the limit that the revision before gave the volume; None where there was none."""
    before = case.graph.previous(case.workload)
    held = each(pod_spec(before or {}), "volumes")
    sizes = [at(v, "emptyDir", "sizeLimit") for v in held if v.get("name") == case.finding.facts["volume"]]
    return quantity(sizes[0]) if sizes and sizes[0] is not None else None


def _limit_was_other(case: Case) -> bool:
    before = case.graph.previous(case.workload)
    found = template_container(before, case.finding.facts["container"]) if before else None
    return found is not None and at(found[2], "resources", "limits", "cpu") != case.finding.facts["limit"]


def _bounds(case: Case) -> list[Decimal]:
    """Return what a limit may not pass: the largest node, what LimitRanges allow a container, and what quotas leave."""
    nodes = [allocatable(node, "cpu") for node in case.graph.all("Node")]
    ranges = [
        quantity(at(item, "max", "cpu", default="0")) or Decimal(0)
        for held in case.graph.all("LimitRange")
        if namespace_of(held) == namespace_of(case.workload)
        for item in each(held, "spec", "limits")
        if item.get("type") == "Container"
    ]
    return [max(nodes, default=Decimal(0)), *ranges, *_of_quotas(case)]


def _of_quotas(case: Case) -> Iterator[Decimal]:
    """Yield the limits at which each quota would be used up while a rolling update runs.

    All wanted pods have the new limit then, and the surge pods are still there with the old one. A request that is not
    set follows the limit, and counts as well.
    """
    found = template_container(case.workload, case.finding.facts["container"])
    old, wanted = quantity(case.finding.facts["limit"]), replicas(case.workload)
    if found is None or old is None or wanted == 0:
        return
    follows = at(found[2], "resources", "requests", "cpu") is None
    counted = ("limits.cpu", *(("requests.cpu", "cpu") if follows else ()))
    for quota in case.graph.all("ResourceQuota"):
        for key in counted if namespace_of(quota) == namespace_of(case.workload) else ():
            hard = quantity(at(quota, "status", "hard", key) or at(quota, "spec", "hard", key, default=""))
            used = quantity(at(quota, "status", "used", key, default="0"))
            if hard is not None and used is not None:
                # At least the old limit: a bound that is met already says that there is no more, and not that there
                # is no bound.
                yield max(old, old + (hard - used - surge(case.workload) * old) / wanted)


# Certificates ---------------------------------------------------------------------------------------------------------


def serve_another(case: Case) -> Repair:
    """Serve the certificate of another Secret, which is for the same hosts and lasts."""
    facts, meant = case.finding.facts, case.finding.facts.get("meant")
    if meant is None:
        return Repair(advice=advised(case))
    why = f"{facts['secret']} serves none that is valid; the certificate in {meant} is for the same hosts, and lasts."
    valid = build("certificate_valid", [meant], {"namespace": param("namespace"), "days": _LASTS})
    named_so = check_of(case, "field_equals", path=facts["path"], value=meant)
    patch: list[Json] = [{"op": "replace", "path": facts["path"], "value": meant}]
    arguments: Json = {**named(case), "patch": patch, "patch_type": "json"}
    title = f"Serve the certificate of Secret {meant}"
    way = one(case, "k8s_patch", arguments, title, why, checks=(named_so, valid))
    return Repair(ways=(way,), advice=advised(case))


# Rights, requests, tolerations ----------------------------------------------------------------------------------------


def grant_exactly(case: Case) -> Repair:
    """Add what is asked for to the one Role that is bound: these verbs, this resource, nothing more."""
    facts = case.finding.facts
    if case.finding.object.kind != "Role" or "verbs" not in facts:
        return Repair(advice=advised(case))
    verbs = facts["verbs"].split(",")
    rule: Json = {"apiGroups": [facts["group"]], "resources": [facts["resource"]], "verbs": [*verbs]}
    add: Json = {"op": "add", "path": "/rules/-", "value": rule}
    if not each(case.workload, "rules"):
        add = {"op": "add", "path": "/rules", "value": [rule]}
    arguments: Json = {**named(case), "patch": [add], "patch_type": "json"}
    right = f"{', '.join(verbs)} {facts['resource']}"
    why = f"{facts['account']} asks to {right}, and its Role does not say it."
    if len(verbs) > 1:
        why = f"{facts['account']} keeps a list of {facts['resource']} up to date: it lists and then watches them."
    # The rule is the last of the list: it stands there only if it was added.
    last = f"/rules/{len(each(case.workload, 'rules'))}"
    held = (
        check_of(case, "field_equals", path=f"{last}/resources/0", value=facts["resource"]),
        *(check_of(case, "field_equals", path=f"{last}/verbs/{place}", value=verb) for place, verb in enumerate(verbs)),
    )
    way = one(case, "k8s_patch", arguments, f"Let the Role say: {right}", why, checks=held)
    return Repair(ways=(way,), advice=advised(case))


def onto_every_node(case: Case) -> Repair:
    """Tolerate the one taint that keeps the DaemonSet away, or select what nodes carry."""
    from rapidfuzz import fuzz

    facts = case.finding.facts
    pair, _, effect = facts.get("taint", "").rpartition(":")
    key, _, value = pair.partition("=")
    if key and effect in ("NoSchedule", "NoExecute"):
        why = f"Nodes that it selects carry {facts['taint']}, and it does not tolerate it."
        arguments: Json = {**named(case), "key": key, "effect": effect} | ({"value": value} if value else {})
        way = one(case, "k8s_tolerate", arguments, f"Tolerate {key}", why, checks=_spread(case))
        return Repair(ways=(way,), advice=advised(case))
    for label, wanted in facts.items():
        values = {labels_of(node)[label] for node in case.graph.all("Node") if label in labels_of(node)}
        near = [value for value in sorted(values) if fuzz.ratio(value, wanted) >= _ALIKE]
        if len(near) == 1 and len(facts) == 1:
            patch: Json = {"spec": {"template": {"spec": {"nodeSelector": {label: near[0]}}}}}
            why = f"No node carries {label}={wanted}; nodes carry {label}={near[0]}."
            way = merge(case, patch, f"Select {label}={near[0]}", why, checks=_spread(case))
            return Repair(ways=(way,), advice=advised(case))
    return Repair(advice=advised(case))


def _spread(case: Case) -> tuple[Check, ...]:
    """Return the check that more nodes have it than now: it may be rolled out on as few as before."""
    than = whole(case.workload, "status", "desiredNumberScheduled")
    where = {"namespace": param("namespace"), "than": than}
    return (build("on_more_nodes", [case.finding.object.name], where),)


REPAIRS = {
    "CON-18": read_again,
    "CON-19": read_again,
    "CON-20": more_room,
    "CON-21": raise_cpu,
    "NET-08": serve_another,
    "NET-09": serve_another,
    "ADM-11": grant_exactly,
    "ROL-07": onto_every_node,
}

__all__ = ["REPAIRS"]
