"""Repairs of family A beside requests: SCH-01, SCH-03 to SCH-08, SCH-11 to SCH-14."""

from skyflo_runbooks.diagnosis.graph import controller
from skyflo_runbooks.diagnosis.pods import each, name_of, pod_spec, whole
from skyflo_runbooks.model.check import build
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import Parameter, param
from skyflo_runbooks.planning.rules.common import roll_back
from skyflo_runbooks.planning.rules.patches import EDITABLE, merge, one, replace, scaler_of
from skyflo_runbooks.planning.way import Case, Repair, Way, advised, check_of, named

_TEMPLATE = "/spec/template/spec"


def select_existing(case: Case) -> Repair:
    """Select the label that nodes carry; or go back to the revision that found nodes."""
    facts = case.finding.facts
    back = roll_back(case, because="Its pods found nodes.")
    key, meant = facts.get("key", ""), facts.get("meant")
    if meant is None:
        return Repair(ways=back, advice=advised(case))
    way = merge(
        case,
        {"spec": {"template": {"spec": {"nodeSelector": {key: meant}}}}},
        f"Select nodes with {key}={meant}",
        f"{facts['nodes']} nodes carry {key}={meant}, and none carries {facts['wanted']}.",
        checks=(check_of(case, "pods_scheduled"),),
    )
    return Repair(ways=(way, *back), advice=advised(case))


def bear_taint(case: Case) -> Repair:
    """Let the workload tolerate this one taint."""
    written = case.finding.facts.get("taint", "")
    pair, _, effect = written.rpartition(":")
    key, _, value = pair.partition("=")
    if not key or effect not in ("NoSchedule", "NoExecute"):
        return Repair(advice=advised(case))
    arguments: Json = {**named(case), "key": key, "effect": effect} | ({"value": value} if value else {})
    why = f"The nodes that it could use ({case.finding.facts['nodes']}) carry {written}."
    way = one(case, "k8s_tolerate", arguments, f"Tolerate {written}", why, checks=(check_of(case, "pods_scheduled"),))
    return Repair(ways=(way,), advice=advised(case))


def uncordon(case: Case) -> Repair:
    """Let pods be placed on the cordoned node again."""
    node = case.finding.facts.get("node", case.finding.object.name)
    others = case.finding.facts.get("others", "")
    checks = tuple(
        build("pods_scheduled", [item.kind, item.name], {"namespace": param("namespace")})
        for item in case.finding.explains
        if item.kind in ("Deployment", "StatefulSet", "DaemonSet")
    )
    way = one(
        case,
        "k8s_uncordon",
        {"name": node},
        f"Uncordon {node}",
        f"{node} is Ready and has room; pods wait because nothing may be placed on it.",
        checks=checks,
    )
    more = f"Also cordoned, and able to take them: {others}." if others else ""
    ask = "Whoever cordoned it may be about to work on it: look for a drain under way before it is uncordoned."
    return Repair(ways=(way,), advice=tuple(text for text in (ask, more) if text))


def fewer(case: Case) -> Repair:
    """Want as many replicas as there are places for them; or go back to the revision before.

    Where an autoscaler has the number, it is the autoscaler that has to want no more. A StatefulSet's pods are members
    with data and a vote of their own: how many there are is for people to decide.
    """
    facts = case.finding.facts
    wanted, domains = int(facts.get("replicas", "0")), int(facts.get("domains") or facts.get("own") or 0)
    back = roll_back(case, because="Its pods found nodes.")
    if case.finding.object.kind == "DaemonSet" or not 0 < domains < wanted:
        return Repair(ways=back, advice=advised(case))
    if case.finding.object.kind == "StatefulSet":
        return Repair(ways=back, advice=(*advised(case), _more_places(case, wanted, domains)))
    scaler = scaler_of(case, case.finding.object)
    if scaler is not None:
        return _lower_maximum(case, scaler, domains, back)
    unknown = tuple(
        f"Whether an autoscaler scales it is not known: {gap.reason}. One would undo this at once."
        for gap in case.graph.snapshot.gaps_in("HorizontalPodAutoscaler")
    )
    way = one(
        case,
        "k8s_scale",
        {**named(case), "replicas": param("replicas")},
        f"Scale {case.finding.object} to {domains}",
        f"{wanted} replicas are wanted, and there are places for {domains}; the others can never run.",
        parameters=(Parameter("replicas", "int", domains, "how many pods there are places for"),),
        checks=(check_of(case, "pods_scheduled"),),
    )
    return Repair(ways=(way, *back), advice=(*advised(case), *unknown))


def _more_places(case: Case, wanted: int, places: int) -> str:
    key = case.finding.facts.get("key", "")
    missing, apart = wanted - places, f", each with a {key} of its own" if key else ""
    return (
        f"{case.finding.object} wants {wanted} pods, and there are places for {places}: add {missing} "
        f"node{'s' * (missing != 1)}{apart}, or let its rule be a preference. It is not scaled down: each pod may be a "
        "member with data of its own."
    )


def _lower_maximum(case: Case, scaler: Json, places: int, back: tuple[Way, ...]) -> Repair:
    """Let the autoscaler want no more than there are places for: a number that is set beside it is undone at once."""
    name, owner = name_of(scaler), controller(scaler)
    least = whole(scaler, "spec", "minReplicas", default=1)
    said = f"HorizontalPodAutoscaler {name} scales it, and there are places for {places} pods"
    if owner is not None or least > places:
        why = f"{owner} writes it" if owner is not None else f"it wants at least {least}"
        return Repair(ways=back, advice=(*advised(case), f"{said}; {why}: lower its numbers there, or add places."))
    where: dict[str, Json | str] = {"namespace": case.finding.object.namespace, "name": name}
    way = one(
        case,
        "k8s_patch",
        {
            "kind": "HorizontalPodAutoscaler",
            **where,
            "patch": {"spec": {"maxReplicas": param("maximum")}},
            "patch_type": "merge",
        },
        f"Lower the maximum of HorizontalPodAutoscaler {name} to {places}",
        f"{said}; the others can never run.",
        parameters=(Parameter("maximum", "int", places, "how many pods there are places for"),),
        checks=(check_of(case, "pods_scheduled"),),
    )
    return Repair(ways=(way, *back), advice=advised(case))


def spread_if_possible(case: Case) -> Repair:
    """Let the spread that cannot be met be a wish instead of a condition; the others stay as they are."""
    rules = each(pod_spec(case.workload), "topologySpreadConstraints")
    unmet = case.finding.facts.get("unmet", "").split(",")
    hard = [
        index
        for index, rule in enumerate(rules)
        if rule.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule" and rule.get("topologyKey") in unmet
    ]
    if not hard or not case.finding.facts:
        return Repair(advice=advised(case))
    places: dict[str, Json | str | int] = {
        f"{_TEMPLATE}/topologySpreadConstraints/{index}/whenUnsatisfiable": "ScheduleAnyway" for index in hard
    }
    over = " and ".join(dict.fromkeys(str(rules[index].get("topologyKey")) for index in hard))
    why = f"No placing satisfies the spread over {over}; the pods run all the same, less spread."
    return Repair(ways=(replace(case, places, "Spread where it is possible", why),), advice=advised(case))


def default_scheduler(case: Case) -> Repair:
    """Use the scheduler that every cluster has."""
    if "scheduler" not in case.finding.facts:
        return Repair(advice=advised(case))
    why = f"Nothing that looks at pods of the scheduler {case.finding.facts['scheduler']} runs here."
    path = f"{_TEMPLATE}/schedulerName"
    return Repair(
        ways=(replace(case, {path: "default-scheduler"}, "Use default-scheduler", why),), advice=advised(case)
    )


def free_of_node(case: Case) -> Repair:
    """Let the scheduler choose the node."""
    if "node" not in case.finding.facts:
        return Repair(advice=advised(case))
    arguments: Json = {
        **named(case),
        "patch": [{"op": "remove", "path": f"{_TEMPLATE}/nodeName"}],
        "patch_type": "json",
    }
    why = f"The node {case.finding.facts['node']} does not exist, so its pods are deleted as often as they are made."
    way = one(case, "k8s_patch", arguments, "Take nodeName away", why, checks=(check_of(case, "pods_scheduled"),))
    return Repair(ways=(way,), advice=advised(case))


def claim_that_exists(case: Case) -> Repair:
    """Name the claim that exists; or go back to the revision before."""
    facts = case.finding.facts
    back = roll_back(case, because="Its claim existed.")
    meant = facts.get("meant")
    volumes = each(pod_spec(case.workload), "volumes")
    index = next(
        (i for i, v in enumerate(volumes) if at(v, "persistentVolumeClaim", "claimName") == facts.get("claim")), None
    )
    if meant is None or index is None:
        return Repair(ways=back, advice=advised(case))
    path = f"{_TEMPLATE}/volumes/{index}/persistentVolumeClaim/claimName"
    why = f"There is no claim {facts['claim']}; {meant} exists, and no pod uses it."
    return Repair(ways=(replace(case, {path: meant}, f"Use the claim {meant}", why), *back), advice=advised(case))


def back_only(case: Case) -> Repair:
    """Go back to the revision that ran before."""
    ways: tuple[Way, ...] = roll_back(case, because="Its pods ran.")
    return Repair(ways=ways, advice=advised(case))


def give_way(case: Case) -> Repair:
    """Go back to the revision that drove nobody out; those that were driven out have to have places again."""
    victims = [item for item in case.finding.explains if item != case.finding.object and item.kind in EDITABLE]
    where: dict[str, object] = {"namespace": param("namespace")}
    checks = tuple(build("pods_scheduled", [item.kind, item.name], where) for item in victims)
    return Repair(ways=roll_back(case, because="It drove nobody out.", checks=checks), advice=advised(case))


REPAIRS = {
    "SCH-01": select_existing,
    "SCH-03": back_only,
    "SCH-04": bear_taint,
    "SCH-05": uncordon,
    "SCH-06": fewer,
    "SCH-07": spread_if_possible,
    "SCH-08": fewer,
    "SCH-11": default_scheduler,
    "SCH-12": free_of_node,
    "SCH-13": give_way,
    "SCH-14": claim_that_exists,
}

__all__ = ["REPAIRS", "back_only"]
