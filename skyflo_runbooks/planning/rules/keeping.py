"""Repairs of families G, H and J beside those that steer a workload: volumes, budgets, Jobs and aggregated APIs."""

from skyflo_runbooks.diagnosis.pods import each
from skyflo_runbooks.model.check import build
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import Parameter, param
from skyflo_runbooks.planning.rules.patches import merge, one, place, related_hold, start_again, there
from skyflo_runbooks.planning.way import Case, Repair, Way, advised, check_of, named

_JOB = "/spec/jobTemplate/spec/template/spec"


# Volumes --------------------------------------------------------------------------------------------------------------


def one_at_a_time(case: Case) -> Repair:
    """End the old pod before the new one starts, so that one node at a time has the volume."""
    facts = case.finding.facts
    if "strategy" not in facts:
        return Repair(advice=advised(case))
    why = f"{facts['holder']} holds {facts['claim']}, which one node at a time may have, until the new pod is ready."
    held = (check_of(case, "field_equals", path="/spec/strategy/type", value="Recreate"),)
    patch: Json = {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}
    way = merge(case, patch, "Replace the pod instead of rolling (strategy Recreate)", why, checks=held)
    beside = "The workload is away while its pod is replaced; with a claim that many nodes may have it need not be."
    return Repair(ways=(way,), advice=(beside,))


def give_again(case: Case) -> Repair:
    """Keep the released volume for the claim of the same name that names it; what is on it goes to no other."""
    facts, held = case.finding.facts, at(case.workload, "spec", "claimRef", default={})
    if "uid" not in facts:
        return Repair(advice=advised(case))
    test: Json = {"op": "test", "path": "/spec/claimRef/uid", "value": facts["uid"]}
    told = [name for name in ("uid", "resourceVersion") if name in held]
    arguments: Json = {
        "kind": "PersistentVolume",
        "name": case.finding.object.name,
        "patch": [test, *({"op": "remove", "path": f"/spec/claimRef/{name}"} for name in told)],
        "patch_type": "json",
    }
    bound = build("claim_bound", [facts["claim"]], {"namespace": param("namespace")})
    why = f"It belongs to a claim that is gone; {facts['claim']} waits for it, and gets the data that is on it."
    title = f"Keep {case.finding.object} for the claim {facts['claim']} that is there now"
    way = one(case, "k8s_patch", arguments, title, why, checks=(bound,))
    return Repair(ways=(way,), advice=advised(case))


def let_claims_grow(case: Case) -> Repair:
    """Let claims of the class grow, where another class shows that its driver can do it."""
    if case.finding.object.kind != "StorageClass":
        return Repair(advice=advised(case))
    able = case.finding.facts["able"]
    why = f"{able} has the same provisioner and lets claims grow, so the driver can do it."
    arguments: Json = {**named(case), "patch": {"allowVolumeExpansion": True}, "patch_type": "merge"}
    title = f"Let claims of {case.finding.object.name} grow"
    claims = [item for item in case.finding.explains if item.kind == "PersistentVolumeClaim"]
    grown = tuple(build("claim_bound", [item.name], {"namespace": there(case, item)}) for item in claims[:3])
    held = (check_of(case, "field_equals", path="/allowVolumeExpansion", value=True), *grown)
    return Repair(ways=(one(case, "k8s_patch", arguments, title, why, checks=held),), advice=advised(case))


# Disruption, Jobs, APIs -----------------------------------------------------------------------------------------------


def room_to_evict(case: Case) -> Repair:
    """Have one pod more than must stay; or let the budget allow one disruption.

    A member more of a StatefulSet joins the others, with data of its own, so nobody is added there.
    """
    facts, ways = case.finding.facts, list[Way]()
    kind, namespace, name = facts["workload"].split("/")
    subject = ObjectRef(kind, name, namespace)
    freed = build("eviction_allowed", [case.finding.object.name], {"namespace": param("namespace")})
    member = f"One more pod of {subject} is a member more, with a volume of its own: add it only if its program can."
    more = "replicas" in facts
    if more and kind != "StatefulSet":
        arguments: Json = {"kind": kind, "namespace": param("namespace"), "name": name, "replicas": param("replicas")}
        title = f"Scale {subject} to {facts['replicas']}"
        why = "Its budget wants as many pods as there are; with one more, one may leave."
        count = Parameter("replicas", "int", int(facts["replicas"]), "pods, one more than the budget wants")
        ways.append(
            one(case, "k8s_scale", arguments, title, why, checks=(freed,), parameters=(count,), subject=subject)
        )
    if "allow" in facts:
        patch: Json = {"spec": {"maxUnavailable": 1, "minAvailable": None}}
        why = "One pod at a time may leave; the others stay, as the budget is there for."
        held = (check_of(case, "field_equals", path="/spec/maxUnavailable", value=1), freed)
        ways.append(merge(case, patch, "Allow one disruption at a time", why, checks=held))
    return Repair(ways=tuple(ways), advice=(*advised(case), *((member,) if more and kind == "StatefulSet" else ())))


def run_again(case: Case) -> Repair:
    """Let the CronJob start its Jobs again."""
    if "suspend" not in case.finding.facts:
        return Repair(advice=advised(case))
    where: Json = {"namespace": param("namespace"), "name": case.finding.object.name}
    held = (
        check_of(case, "field_equals", path="/spec/suspend", value=False),
        build("run_began", [case.finding.object.name], {"namespace": param("namespace")}),
    )
    way = one(case, "k8s_cronjob_resume", where, "Resume the CronJob", "It is suspended.", checks=held)
    return Repair(ways=(way,), advice=advised(case))


def helper_that_ends(case: Case) -> Repair:
    """Make the helper a sidecar: an init container that runs beside the work and is ended with it."""
    facts, spec = case.finding.facts, at(case.workload, "spec", "jobTemplate", "spec", "template", "spec", default={})
    index = place(spec, "containers", {"name": facts.get("helper", "")})
    if case.finding.object.kind != "CronJob" or index is None:
        return Repair(advice=advised(case))
    before = len(each(spec, "initContainers"))
    begin: list[Json] = [] if before else [{"op": "add", "path": f"{_JOB}/initContainers", "value": []}]
    patch: list[Json] = [
        *begin,
        {"op": "move", "from": f"{_JOB}/containers/{index}", "path": f"{_JOB}/initContainers/-"},
        {"op": "add", "path": f"{_JOB}/initContainers/{before}/restartPolicy", "value": "Always"},
    ]
    arguments: Json = {**named(case), "patch": patch, "patch_type": "json"}
    path = f"{_JOB}/initContainers/{before}/restartPolicy"
    held = (check_of(case, "field_equals", path=path, value="Always"),)
    why = f"{facts['helper']} runs on when the work is done; as a sidecar it is ended, and the Job completes."
    way = one(case, "k8s_patch", arguments, f"Make {facts['helper']} a sidecar", why, checks=held)
    later = f"{facts['job']} keeps its old template: delete it, or end its helper, so that the next run can start."
    return Repair(ways=(way,), advice=(later,))


def server_of_the_api(case: Case) -> Repair:
    """Start what answers for the API again."""
    held = related_hold(case, "APIService", "Available")
    ways = (start_again(case, "the API", checks=held),) if "stopped" in case.finding.facts else ()
    return Repair(ways=ways, advice=advised(case))


REPAIRS = {
    "STO-03": one_at_a_time,
    "STO-04": give_again,
    "STO-05": let_claims_grow,
    "AUT-05": room_to_evict,
    "JOB-02": run_again,
    "JOB-03": helper_that_ends,
    "API-01": server_of_the_api,
}

__all__ = ["REPAIRS"]
