"""Repairs of families D to I: rollouts, admission, routing, storage, autoscaling and nodes."""

import math
from collections.abc import Iterable
from decimal import Decimal

from skyflo_runbooks.diagnosis.graph import carries, selector
from skyflo_runbooks.diagnosis.pods import (
    EDITABLE,
    Resource,
    amount,
    each,
    labels_of,
    name_of,
    namespace_of,
    pod_request,
    pod_spec,
    quantity,
    replicas,
    surge,
    template,
    texts,
    whole,
)
from skyflo_runbooks.diagnosis.rules.routing import selects
from skyflo_runbooks.model.check import Check, build
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import Parameter, param
from skyflo_runbooks.model.quantity import format_cpu, format_memory
from skyflo_runbooks.planning.rules.common import roll_back
from skyflo_runbooks.planning.rules.patches import (
    address_of,
    answered_behind,
    merge,
    one,
    replace,
    start_again,
    waiting_for,
)
from skyflo_runbooks.planning.rules.placing import back_only
from skyflo_runbooks.planning.way import Case, Repair, Way, advised, check_of, named, web_checks

# What a rolling update may take away and add at a time where nobody says otherwise.
_SHARE = "25%"


# Rollouts -------------------------------------------------------------------------------------------------------------


def resume(case: Case) -> Repair:
    """Resume the rollout."""
    why = "It is paused, and its present template was not rolled out."
    return Repair(ways=(one(case, "k8s_rollout_resume", named(case), "Resume the rollout", why),), advice=advised(case))


def scale_back_up(case: Case) -> Repair:
    """Scale to as many replicas as there were before."""
    if "replicas" not in case.finding.facts:
        return Repair(advice=advised(case))
    before = int(case.finding.facts["replicas"])
    way = one(
        case,
        "k8s_scale",
        {**named(case), "replicas": param("replicas")},
        f"Scale to {before} again",
        f"It had {before} replicas before it was scaled to 0.",
        parameters=(Parameter("replicas", "int", before, "how many pods it had before"),),
        checks=waiting_for(case),
    )
    return Repair(ways=(way,), advice=advised(case))


def gently_back(case: Case) -> Repair:
    """Take back the images of the revision before, and let a rollout keep most pods; or go back to that revision."""
    back = roll_back(case, because="Its pods ran.")
    before = case.graph.previous(case.workload)
    images = _images_before(pod_spec(case.workload), pod_spec(before or {}))
    if not images or not at(case.workload, "spec", "strategy", "rollingUpdate", default={}):
        return Repair(ways=back, advice=advised(case))
    base = "/spec/strategy/rollingUpdate"
    values: dict[str, Json | str | int] = {f"{base}/{name}": _SHARE for name in ("maxUnavailable", "maxSurge")}
    values |= {f"/spec/template/spec/{path}/image": image for path, image in images.items()}
    title = f"Take back {', '.join(dict.fromkeys(images.values()))}, and replace a quarter of the pods at a time"
    why = "The rollout took every pod down at once; its images alone differ from the revision that ran before."
    return Repair(ways=(replace(case, values, title, why), *back), advice=())


def _images_before(now: Json, before: Json) -> dict[str, str]:
    """Return the images that were other before, by the path of their container; none where anything else differs."""
    found: dict[str, str] = {}
    for listed in ("containers", "initContainers"):
        new, old = each(now, listed), each(before, listed)
        for index, (one_now, one_before) in enumerate(zip(new, old, strict=False)):
            if one_now.get("image") != one_before.get("image"):
                found[f"{listed}/{index}"] = str(one_before.get("image"))
    return found if _without_images(now) == _without_images(before) else {}


def _without_images(spec: Json) -> Json:
    listed = ("containers", "initContainers")
    bare = {name: [{**item, "image": ""} for item in each(spec, name)] for name in listed}
    return {**spec, **bare}


def let_update_go(case: Case) -> Repair:
    """Take away what holds the update: the partition, or the broken pod that keeps the old template."""
    hold = case.finding.facts.get("hold")
    if hold == "partition":
        path = "/spec/updateStrategy/rollingUpdate/partition"
        why = "The partition keeps pods on the old revision; at 0 all are updated."
        return Repair(ways=(replace(case, {path: 0}, "Set the partition to 0", why),), advice=advised(case))
    if hold == "pod":
        pod = case.finding.facts["pod"]
        arguments: Json = {"kind": "Pod", "namespace": param("namespace"), "name": pod}
        why = f"{pod} keeps the old template and is not ready; made anew it has the present one."
        way = one(case, "k8s_delete", arguments, f"Delete {pod}, which is made again", why, subject=case.finding.object)
        return Repair(ways=(way,), advice=advised(case))
    return Repair(advice=("Delete the old pods one by one when they may be replaced.",))


def make_governing_service(case: Case) -> Repair:
    """Make the headless Service that names the pods."""
    port = next(
        (whole(p, "containerPort") for c in each(pod_spec(case.workload), "containers") for p in each(c, "ports")), 0
    )
    if not port:
        return Repair(advice=advised(case))
    name = case.finding.facts["service"]
    arguments: Json = {**named(case), "port": port, "service": name, "headless": True}
    why = f"The StatefulSet names {name} as its Service, and there is none."
    named_by = build("endpoints_ready", [name], {"namespace": param("namespace")})
    return Repair(
        ways=(one(case, "k8s_expose", arguments, f"Make the headless Service {name}", why, checks=(named_by,)),)
    )


# Admission ------------------------------------------------------------------------------------------------------------


def room_in_quota(case: Case) -> Repair:
    """Raise the quota to what the workload asks for, surge included; its owner decides."""
    facts, workload = case.finding.facts, case.workload
    missing = replicas(workload) + surge(workload) - len(case.graph.pods(workload))
    hard: dict[str, str] = {}
    quota = ObjectRef("ResourceQuota", facts["quota"], namespace_of(workload))
    held = case.graph.get(quota)
    # The event tells of the moment of the refusal; where the quota was read, it tells of now.
    used, present = _pairs(facts["used"]) | texts(held, "status", "used"), texts(held, "spec", "hard")
    for key, asked in (_asked(case.workload, present) | _pairs(facts["asked"])).items():
        each_one, taken = quantity(asked), quantity(used.get(key, "0"))
        if each_one is None or taken is None:
            return Repair(advice=advised(case))
        size = taken + each_one * max(1, missing)
        if size > (quantity(present.get(key, "0")) or 0):
            hard[key] = _written(key, size)
    if not hard:
        raised = f"Quota {quota.name} has room by now; its controller tries again by itself, later and later."
        return Repair(ways=back_only(case).ways, advice=(raised,))
    if any(quantity(present.get(key, "1")) == 0 for key in hard):
        return Repair(ways=back_only(case).ways, advice=_banned(held, quota))
    words = ", ".join(f"{key} {value}" for key, value in hard.items())
    arguments: Json = {
        "kind": "ResourceQuota",
        "namespace": param("namespace"),
        "name": quota.name,
        "patch": {"spec": {"hard": hard}},
        "patch_type": "merge",
    }
    why = f"{facts['used']} is used, and {max(1, missing)} pods with {facts['asked']} each are to come."
    way = one(case, "k8s_patch", arguments, f"Raise quota {quota.name} to {words}", why, subject=case.finding.object)
    return Repair(ways=(way, *back_only(case).ways), advice=advised(case))


def _banned(held: Json | None, quota: ObjectRef) -> tuple[str, ...]:
    """Return what to do where a quota allows none: it is there to forbid, and is not raised."""
    about = [str(scope) for scope in at(held, "spec", "scopes", default=[]) or []]
    way_out = (
        "Give the containers requests or limits, and the pod is none of these."
        if "BestEffort" in about
        else "Ask its owner what is to run here instead."
    )
    whom = f" of {', '.join(about)}" if about else ""
    return (f"Quota {quota.name} allows none{whom}: that is a ban. {way_out}",)


def _asked(workload: Json, quota: Iterable[str]) -> dict[str, str]:
    """Return how much of each resource of a quota one pod asks for: the refusal names only what was used up first."""
    spec = pod_spec(workload)
    resources: tuple[Resource, ...] = ("cpu", "memory")
    asked = {"pods": Decimal(1), "count/pods": Decimal(1)}
    for resource in resources:
        asked[resource] = asked[f"requests.{resource}"] = pod_request(spec, resource)
        limits = [amount(one, "limits", resource) for one in each(spec, "containers")]
        asked[f"limits.{resource}"] = sum((one for one in limits if one is not None), Decimal())
    return {key: str(asked[key]) for key in quota if key in asked}


def _pairs(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def _written(key: str, size: Decimal) -> str:
    if key.endswith("memory"):
        return format_memory(size)
    return format_cpu(size) if key.endswith("cpu") else str(math.ceil(size))


def within_range(case: Case) -> Repair:
    """Set the request or limit to what the LimitRange allows; or go back to the revision before."""
    facts = case.finding.facts
    back = back_only(case).ways
    resource, bound = facts.get("resource"), facts.get("bound")
    if resource not in ("cpu", "memory") or facts.get("per") != "Container":
        return Repair(ways=back, advice=advised(case))
    member = "limits" if bound == "maximum" else "requests"
    allowed = quantity(facts["limit"])
    for container in each(pod_spec(case.workload), "containers"):
        held = quantity(at(container, "resources", member, resource, default=""))
        if held is not None and allowed is not None and held == quantity(facts["given"]):
            arguments: Json = {**named(case), "container": container["name"], member: {resource: param("size")}}
            why = f"The LimitRange's {bound} of {resource} is {facts['limit']}, and {facts['given']} is asked for."
            way = one(
                case,
                "k8s_set_resources",
                arguments,
                f"Set the {resource} {member[:-1]} of {container['name']} to {facts['limit']}",
                why,
                parameters=(Parameter("size", "str", facts["limit"], f"{resource} that the LimitRange allows"),),
            )
            return Repair(ways=(way, *back), advice=advised(case))
    return Repair(ways=back, advice=advised(case))


def restore_backend(case: Case) -> Repair:
    """Start what answers for the webhook again."""
    subject = case.finding.object
    if subject.kind not in ("Deployment", "StatefulSet") or replicas(case.workload) != 0:
        return Repair(advice=advised(case))
    return Repair(ways=(start_again(case, "the webhook"),), advice=advised(case))


def account_that_exists(case: Case) -> Repair:
    """Name the ServiceAccount that exists; or make the one that is named."""
    facts, meant = case.finding.facts, case.finding.facts.get("meant")
    ways: list[Way] = []
    again: tuple[Check, ...] = ()
    path = "/spec/template/spec/serviceAccountName"
    if case.finding.object.kind == "CronJob":
        path = f"/spec/jobTemplate{path}"
        # Nothing of it runs between two runs: that one begins is what shows.
        again = (build("run_began", [case.finding.object.name], {"namespace": param("namespace")}),)
    if meant:
        why = f"There is no ServiceAccount {facts['account']}; {meant} exists."
        ways.append(replace(case, {path: meant}, f"Use the ServiceAccount {meant}", why, checks=again))
    manifest: Json = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": facts["account"], "namespace": case.finding.object.namespace},
    }
    why = "A ServiceAccount without any right lets the pods be created; what they may do is granted by Roles."
    title = f"Make the ServiceAccount {facts['account']}"
    ways.append(one(case, "k8s_create", {"manifest": manifest}, title, why, checks=again))
    return Repair(ways=tuple(ways), advice=advised(case))


# Routing --------------------------------------------------------------------------------------------------------------


def send_to_declared(case: Case) -> Repair:
    """Send to the port that the pods declare."""
    facts, meant = case.finding.facts, case.finding.facts.get("meant")
    ports = each(case.workload, "spec", "ports")
    said = facts["port"], facts["target"]
    index = next(
        (i for i, p in enumerate(ports) if (str(p.get("port")), str(p.get("targetPort", p.get("port")))) == said), None
    )
    if meant is None or index is None:
        return Repair(advice=advised(case))
    value: str | int = int(meant) if meant.isdigit() else meant
    why = f"The pods declare {meant}, and nothing declares {facts['target']}."
    reached = build("endpoints_ready", [case.finding.object.name], {"namespace": param("namespace")})
    path = f"/spec/ports/{index}/targetPort"
    title = f"Send to port {meant}"
    return Repair(ways=(replace(case, {path: value}, title, why, checks=(reached, *web_checks(case))),))


def class_that_exists(case: Case) -> Repair:
    """Set the Ingress class that exists."""
    meant = case.finding.facts.get("meant")
    if meant is None:
        return Repair(advice=advised(case))
    why = f"The class {case.finding.facts['class'] or 'none'} is served by nobody; {meant} exists."
    named_so = check_of(case, "field_equals", path="/spec/ingressClassName", value=meant)
    held = (named_so, *address_of(case, meant), *answered_behind(case), *web_checks(case))
    return Repair(
        ways=(merge(case, {"spec": {"ingressClassName": meant}}, f"Use the class {meant}", why, checks=held),)
    )


def backend_that_exists(case: Case) -> Repair:
    """Send to the Service, or to its port, that exists."""
    facts, meant = case.finding.facts, case.finding.facts.get("meant")
    places = [path for path, backend in _backend_paths(case.workload) if at(backend, "name") == facts["service"]]
    if meant is None or not places:
        return Repair(advice=advised(case))
    values: dict[str, Json | str | int] = {}
    for path in places:
        if facts["wrong"] == "service":
            values[f"{path}/name"] = meant
        else:
            values[f"{path}/port"] = {"number": int(meant)}
    what = f"Service {meant}" if facts["wrong"] == "service" else f"port {meant} of {facts['service']}"
    why = f"{facts['service']}:{facts['port']} does not exist; {what} does."
    behind = meant if facts["wrong"] == "service" else facts["service"]
    reached = build("endpoints_ready", [behind], {"namespace": param("namespace")})
    return Repair(ways=(replace(case, values, f"Send to {what}", why, checks=(reached,)),))


def _backend_paths(ingress: Json) -> list[tuple[str, Json]]:
    found: list[tuple[str, Json]] = []
    if at(ingress, "spec", "defaultBackend", "service"):
        found.append(("/spec/defaultBackend/service", at(ingress, "spec", "defaultBackend", "service")))
    for i, rule in enumerate(each(ingress, "spec", "rules")):
        for j, path in enumerate(each(rule, "http", "paths")):
            if at(path, "backend", "service"):
                found.append((f"/spec/rules/{i}/http/paths/{j}/backend/service", at(path, "backend", "service")))
    return found


def admit_client(case: Case) -> Repair:
    """Admit the client's pods to the Service's port, and nothing else.

    A policy that is about other pods too stays as it is: policies add up, so the Service's pods get one of their own.
    """
    facts = case.finding.facts
    labels = {key.removeprefix("label:"): value for key, value in facts.items() if key.startswith("label:")}
    service = case.graph.get(ObjectRef("Service", facts["service"], case.finding.object.namespace))
    ports: list[Json] = [
        {"port": port.get("targetPort", port.get("port")), "protocol": port.get("protocol", "TCP")}
        for port in each(service, "spec", "ports")
    ]
    if not labels or not ports or service is None:
        return Repair(advice=advised(case))
    rule: Json = {"from": [{"podSelector": {"matchLabels": labels}}], "ports": ports}
    if not _of_these_alone(case, service):
        return Repair(ways=_policy_of_its_own(case, service, rule), advice=advised(case))
    add: Json = {"op": "add", "path": "/spec/ingress/-", "value": rule}
    if not each(case.workload, "spec", "ingress"):
        add = {"op": "add", "path": "/spec/ingress", "value": [rule]}
    arguments: Json = {**named(case), "patch": [add], "patch_type": "json"}
    why = f"{facts['client']} needs {facts['service']}, and no rule lets it in; nobody else is let in by this one."
    # The rule is the last of the list: it stands there only if it was added.
    peer = f"/spec/ingress/{len(each(case.workload, 'spec', 'ingress'))}/from/0/podSelector/matchLabels"
    there = tuple(
        check_of(case, "field_equals", path=f"{peer}/{_escaped(key)}", value=value) for key, value in labels.items()
    )
    way = one(case, "k8s_patch", arguments, f"Admit {facts['client']}", why, checks=there)
    return Repair(ways=(way,), advice=advised(case))


def _of_these_alone(case: Case, service: Json) -> bool:
    """Return whether the policy is about pods of the Service and no others, of workloads that sleep included."""
    here, wanted = namespace_of(service), selector(service)
    if not at(case.workload, "spec", "podSelector"):
        return False
    sleeping: list[Json] = [
        {"metadata": {**at(template(item), "metadata", default={}), "namespace": here}}
        for kind in EDITABLE
        for item in case.graph.all(kind)
        if namespace_of(item) == here
    ]
    meant = [pod for pod in (*case.graph.all("Pod"), *sleeping) if selects(case.workload, pod)]
    return all(carries(labels_of(pod), wanted) for pod in meant)


def _policy_of_its_own(case: Case, service: Json, rule: Json) -> tuple[Way, ...]:
    facts, here, wanted = case.finding.facts, namespace_of(service), selector(service)
    name = f"admit-{facts['client'].split('/')[-1]}-to-{name_of(service)}"
    if case.graph.get(ObjectRef("NetworkPolicy", name, here)) is not None:
        return ()
    manifest: Json = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": here},
        "spec": {"podSelector": {"matchLabels": wanted}, "policyTypes": ["Ingress"], "ingress": [rule]},
    }
    why = (
        f"{facts['client']} needs {facts['service']}, and no rule lets it in. {case.finding.object} is about others "
        "too, so it stays as it is: nobody else is let in, and nowhere else."
    )
    there = tuple(
        build(
            "field_equals",
            ["NetworkPolicy", name],
            {"namespace": param("namespace"), "path": f"/spec/podSelector/matchLabels/{_escaped(key)}", "value": value},
        )
        for key, value in wanted.items()
    )
    return (one(case, "k8s_create", {"manifest": manifest}, f"Admit {facts['client']}", why, checks=there),)


def _escaped(key: str) -> str:
    """Return a member's name as a JSON Pointer writes it (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def cluster_names(case: Case) -> Repair:
    """Resolve names by the cluster's DNS."""
    path = "/spec/template/spec/dnsPolicy"
    why = f"dnsPolicy {case.finding.facts['policy']} asks resolvers that know no names of the cluster."
    return Repair(ways=(replace(case, {path: "ClusterFirst"}, "Use the cluster's DNS", why),), advice=advised(case))


def missing_service(case: Case) -> Repair:
    """Make the Service for the workload of its name."""
    workload = next((item for item in case.finding.explains[1:]), None)
    port = case.finding.facts.get("port", "")
    if workload is None or not port.isdigit():
        return Repair(advice=advised(case))
    arguments: Json = {
        "kind": workload.kind,
        "namespace": param("namespace"),
        "name": workload.name,
        "port": int(port),
        "service": case.finding.object.name,
    }
    why = f"{case.finding.object} is asked for at port {port}, and {workload} runs without a Service."
    return Repair(ways=(one(case, "k8s_expose", arguments, f"Make {case.finding.object}", why),), advice=advised(case))


# Storage, nodes -------------------------------------------------------------------------------------------------------


def mark_default(case: Case) -> Repair:
    """Mark the only StorageClass as the default."""
    classes = case.finding.facts.get("classes", "")
    if not classes or "," in classes or classes == "none":
        return Repair(advice=advised(case))
    arguments: Json = {
        "kind": "StorageClass",
        "name": classes,
        "set": {"storageclass.kubernetes.io/is-default-class": "true"},
    }
    why = f"{classes} is the only StorageClass, and no class is the default."
    return Repair(
        ways=(one(case, "k8s_annotate", arguments, f"Make {classes} the default", why),), advice=advised(case)
    )


def keep_away(case: Case) -> Repair:
    """Let no new pod be placed on the node until it is repaired."""
    if "node" not in case.finding.facts:
        return Repair(advice=advised(case))
    why = "It does not answer; what runs there is replaced elsewhere, and nothing new should come."
    name = case.finding.object.name
    held = (check_of(case, "field_equals", path="/spec/unschedulable", value=True),)
    # Pods of other kinds stay with their node until somebody knows that it is dead.
    way = one(case, "k8s_cordon", {"name": name}, f"Cordon {name}", why, checks=held, kinds=("Deployment",))
    return Repair(ways=(way,), advice=advised(case))


REPAIRS = {
    "ROL-01": back_only,
    "ROL-02": resume,
    "ROL-03": scale_back_up,
    "ROL-04": gently_back,
    "ROL-05": let_update_go,
    "ROL-06": make_governing_service,
    "ADM-01": room_in_quota,
    "ADM-02": back_only,
    "ADM-03": within_range,
    "ADM-04": back_only,
    "ADM-05": restore_backend,
    "ADM-09": back_only,
    "ADM-10": account_that_exists,
    "NET-02": send_to_declared,
    "NET-04": missing_service,
    "NET-06": class_that_exists,
    "NET-07": backend_that_exists,
    "NET-10": admit_client,
    "NET-13": cluster_names,
    "STO-02": mark_default,
    "NOD-01": keep_away,
}

__all__ = ["REPAIRS"]
