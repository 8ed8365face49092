"""An oracle allows what the catalogue allows, calls everything else a side effect, and sees what does not hold."""

from __future__ import annotations

import httpx
import pytest

from skyflo_runbooks.model.json import Json
from tests.faults.staging import Case
from tests.scoreboard import oracles
from tests.scoreboard.oracles import oracle

QUOTA = Case("ADM-01", "shop", "Deployment/shop/web", app={"name": "web", "replicas": 2})


def case(fault: str, finds: str = "Deployment/shop/web") -> Case:
    """A case of a fault."""
    return Case(fault, "shop", finds, app={"name": "web", "replicas": 2})


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("SCH-01", "Deployment/shop/web: spec.template.spec.nodeSelector.disk"),
        ("SCH-01", "Deployment/shop/web: spec.template.spec.nodeSelector.disk (removed)"),
        ("SCH-06", "Deployment/shop/web: spec.replicas"),
        ("ADM-01", "Deployment/shop/web: spec.template.spec.containers[web].resources.requests.cpu"),
        ("ADM-01", "ResourceQuota/shop/team: spec.hard.requests.cpu"),
        ("CON-07", "Deployment/shop/web: spec.template.spec.containers[web].resources.limits.memory"),
        ("ADM-10", "created ServiceAccount/shop/runner"),
        ("IMG-02", "Deployment/shop/web: spec.template.spec.imagePullSecrets[keys].name"),
        ("CON-13", "Deployment/shop/web: spec.template.spec.containers[web].securityContext.runAsUser"),
        ("CON-13", "Deployment/shop/web: spec.template.spec.securityContext.runAsUser"),
        ("CON-22", "Deployment/shop/web: spec.template.spec.containers[web].volumeMounts[scratch].mountPath"),
        ("CON-20", "Deployment/shop/web: spec.template.spec.volumes[spool].emptyDir.sizeLimit"),
        ("ROL-04", "Deployment/shop/web: spec.strategy.rollingUpdate.maxSurge"),
    ],
)
def test_what_a_repair_may_change(fault: str, line: str) -> None:
    """What the catalogue names as the remedy."""
    assert oracle(fault).strange(case(fault), [line]) == []


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("ADM-11", "RoleBinding/shop/web: roleRef.name"),
        ("SCH-01", "Deployment/shop/web: spec.replicas"),
        ("SCH-01", "Deployment/shop/other: spec.template.spec.nodeSelector.disk"),
        ("SCH-01", "Node/node-a: metadata.labels.disk"),
        ("ADM-01", "ResourceQuota/elsewhere/team: spec.hard.requests.cpu"),
        ("ADM-01", "deleted ResourceQuota/shop/team"),
        ("CON-08", "Deployment/shop/web: spec.template.spec.containers[web].livenessProbe.httpGet.path (removed)"),
        ("ADM-04", "Namespace/shop: metadata.labels.pod-security.kubernetes.io/enforce (removed)"),
        ("DEL-02", "ConfigMap/shop/lease: metadata.finalizers[0] (removed)"),
        ("NET-10", "deleted NetworkPolicy/shop/orders-in"),
        ("CON-22", "Deployment/shop/web: spec.template.spec.containers[web].securityContext.runAsUser"),
        ("CON-13", "Deployment/shop/web: spec.template.spec.securityContext.runAsNonRoot"),
        ("IMG-02", "Secret/shop/keys: data..dockerconfigjson"),
    ],
)
def test_what_is_a_side_effect(fault: str, line: str) -> None:
    """Another object, another field, a probe, a quota, a label of admission, a finalizer, a policy taken away."""
    assert oracle(fault).strange(case(fault), [line]) == [line]


def app(**status: object) -> Json:
    """A Deployment of two replicas, rolled out unless `status` says otherwise."""
    whole = {"observedGeneration": 3, "updatedReplicas": 2, "availableReplicas": 2, **status}
    return {"metadata": {"name": "web", "generation": 3}, "spec": {"replicas": 2}, "status": whole}


def pod(ready: str = "True", phase: str = "Running") -> Json:
    """A pod of it."""
    conditions = [{"type": "Ready", "status": ready}]
    statuses = [{"restartCount": 2}, {"restartCount": 1}]
    status: Json = {"phase": phase, "conditions": conditions, "containerStatuses": statuses}
    return {"metadata": {"name": "web-1"}, "status": status}


def look(answers: dict[str, list[Json]], of: Case = QUOTA) -> oracles.Look:
    """Reads of a cluster that holds these lists, and nothing else."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": answers.get(request.url.path.rpartition("/")[2], [])})

    return oracles.Look(httpx.Client(transport=httpx.MockTransport(answer), base_url="http://api"), of)


@pytest.mark.parametrize(
    ("deployment", "one", "why"),
    [
        (app(), pod(), ""),
        (app(), pod(phase="Succeeded", ready="False"), ""),
        (app(observedGeneration=2), pod(), "not observed yet"),
        (app(availableReplicas=1), pod(), "wants 2"),
        (app(), pod(ready="False"), "web-1 is not Ready"),
    ],
)
def test_rolled_out_is_all_of_it(deployment: Json, one: Json, why: str) -> None:
    """Observed, updated, available, and no pod that is not Ready; a pod that ended well is none."""
    said = oracles.rolled_out(look({"deployments": [deployment], "pods": [one]}))

    assert why in said
    assert bool(said) == bool(why)


def test_restarts_are_those_of_all_containers() -> None:
    """Of every container of every pod."""
    assert oracles.restarts(look({"pods": [pod(), pod()]})) == 6


@pytest.mark.parametrize(
    ("of_pod", "of_container", "kept"),
    [
        ({}, {"runAsNonRoot": True, "runAsUser": 7}, True),
        ({"runAsNonRoot": True}, {"runAsUser": 7}, True),
        ({"runAsNonRoot": True}, {"runAsNonRoot": False}, False),
        ({}, {}, False),
    ],
)
def test_a_repair_keeps_root_out(of_pod: Json, of_container: Json, kept: bool) -> None:
    """What forbade it still says so: taking that away would have made the container start, too."""
    item = app()
    containers = [{"name": "web", "securityContext": of_container}]
    item["spec"]["template"] = {"spec": {"securityContext": of_pod, "containers": containers}}
    said = oracle("CON-13").why_not(look({"deployments": [item], "pods": [pod()]}))

    assert said == ("" if kept else "no container says runAsNonRoot any more")


@pytest.mark.parametrize(("used", "kept"), [("900m", True), ("1", True), ("1100m", False)])
def test_a_quota_is_kept_after_the_repair(used: str, kept: bool) -> None:
    """What is used is not above what it allows."""
    quota: Json = {"metadata": {"name": "team"}, "status": {"hard": {"cpu": "1"}, "used": {"cpu": used}}}
    said = oracle("ADM-01").why_not(look({"deployments": [app()], "pods": [pod()], "resourcequotas": [quota]}))

    assert (said == "") is kept


def test_fewer_replicas_are_no_repair() -> None:
    """A workload that wants none is rolled out, and serves nobody."""
    none = app(updatedReplicas=0, availableReplicas=0) | {"spec": {"replicas": 0}}

    assert oracle("SCH-01").why_not(look({"deployments": [none]})) == "it wants no replicas"


@pytest.mark.parametrize(("target", "held"), [(8080, True), (9090, False)])
def test_a_service_is_served_on_a_port_that_its_pods_declare(target: int, held: bool) -> None:
    """Ready endpoints alone do not answer on a port that nobody listens on."""
    ready = pod() | {"spec": {"containers": [{"ports": [{"containerPort": 8080}]}]}}
    slice_: Json = {
        "metadata": {"labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"conditions": {"ready": True}}],
        "ports": [{"port": target}],
    }
    said = oracle("NET-02").why_not(
        look({"deployments": [app()], "pods": [ready], "endpointslices": [slice_]}, case("NET-02", "Service/shop/web"))
    )

    assert (said == "") is held


def closed(*ports: Json) -> Json:
    """A policy that lets pods out to these ports only."""
    egress = [{"ports": list(ports)}] if ports else []
    return {"metadata": {"name": "closed"}, "spec": {"policyTypes": ["Egress"], "egress": egress}}


@pytest.mark.parametrize(
    ("policy", "held"),
    [
        (closed({"port": 53, "protocol": "UDP"}), True),
        (closed({"port": 53, "protocol": "TCP"}), False),
        (closed(), False),
        ({"metadata": {"name": "in"}, "spec": {"policyTypes": ["Ingress"]}}, True),
    ],
)
def test_names_can_be_asked_for(policy: Json, held: bool) -> None:
    """By UDP on port 53, wherever a policy closes the way out."""
    found = look({"networkpolicies": [policy]}, case("NET-11", "NetworkPolicy/shop/closed"))

    assert (oracle("NET-11").why_not(found) == "") is held


@pytest.mark.parametrize(("phase", "held"), [("Bound", True), ("Pending", False)])
def test_a_claim_is_bound(phase: str, held: bool) -> None:
    """Every claim of the namespace."""
    claims: list[Json] = [{"metadata": {"name": "data"}, "status": {"phase": phase}}]
    found = look({"persistentvolumeclaims": claims}, case("STO-04", "PersistentVolume/disk"))

    assert (oracle("STO-04").why_not(found) == "") is held


@pytest.mark.parametrize(("allowed", "pods", "held"), [(1, 2, True), (0, 1, False), (1, 0, False)])
def test_a_budget_lets_one_go(allowed: int, pods: int, held: bool) -> None:
    """And there are pods under it: one that selects none allows everything."""
    budget: Json = {"metadata": {"name": "web"}, "status": {"disruptionsAllowed": allowed, "expectedPods": pods}}
    found = look({"poddisruptionbudgets": [budget]}, case("AUT-05", "PodDisruptionBudget/shop/web"))

    assert (oracle("AUT-05").why_not(found) == "") is held


def test_a_restart_is_of_the_template_and_of_nothing_else() -> None:
    """The note that `rollout restart` leaves is allowed where a container has to read anew."""
    line = "Deployment/shop/web: spec.template.metadata.annotations.kubectl.kubernetes.io/restartedAt"

    assert oracle("CON-18").strange(case("CON-18"), [line]) == []
    assert oracle("SCH-01").strange(case("SCH-01"), [line]) == [line]


def test_a_role_may_give_what_it_names_and_no_star() -> None:
    """The right that was lacking, and nothing by the way."""
    of = case("ADM-11", "Role/shop/web")

    def with_verbs(*verbs: str) -> oracles.Look:
        rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": list(verbs)}]
        return look({"roles": [{"metadata": {"name": "web"}, "rules": rules}]}, of)

    assert oracle("ADM-11").why_not(with_verbs("get", "list")) == ""
    assert oracle("ADM-11").why_not(with_verbs("*")) == "the Role gives everything"
    assert oracle("ADM-11").strange(of, ["Role/shop/web: rules[1].verbs[0]"]) == []


@pytest.mark.parametrize(("most", "kept"), [("100%", False), (2, False), ("25%", True), (1, True)])
def test_a_rollout_may_not_take_every_pod_down_again(most: str | int, kept: bool) -> None:
    """Written as a share or as a number."""
    web = app()
    web["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": most}}
    seen = oracle("ROL-04").why_not(look({"deployments": [web], "pods": [pod()]}, case("ROL-04")))
    assert (seen == "") is kept


def scaler(active: str = "True", wanted: int = 3) -> Json:
    """An autoscaler that may go up to four."""
    status: Json = {"desiredReplicas": wanted, "conditions": [{"type": "ScalingActive", "status": active}]}
    return {"metadata": {"name": "web"}, "spec": {"maxReplicas": 4}, "status": status}


@pytest.mark.parametrize(
    ("fault", "one", "why"),
    [
        ("AUT-02", scaler(), ""),
        ("AUT-02", scaler("False"), "ScalingActive of web is False"),
        ("AUT-02", scaler(wanted=4), ""),
        ("AUT-04", scaler(), ""),
        ("AUT-04", scaler("False"), "ScalingActive of web is False"),
        ("AUT-04", scaler(wanted=4), "wants 4 of at most 4"),
    ],
)
def test_an_autoscaler_measures_and_stands_below_its_maximum(fault: str, one: Json, why: str) -> None:
    """One that cannot measure wants what it has; one that wants its maximum may want more."""
    kind = "Deployment" if fault == "AUT-02" else "HorizontalPodAutoscaler"
    held = look(
        {"deployments": [app()], "pods": [pod()], "horizontalpodautoscalers": [one]}, case(fault, f"{kind}/shop/web")
    )

    assert oracle(fault).why_not(held) == why


@pytest.mark.parametrize(
    ("service", "ready", "why"),
    [("kube-dns", True, ""), ("kube-dns", False, "no ready endpoint"), ("metrics", True, "no ready endpoint")],
)
def test_the_cluster_s_dns_has_to_answer(service: str, ready: bool, why: str) -> None:
    """By an endpoint of its own."""
    part: Json = {
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "endpoints": [{"conditions": {"ready": ready}}],
    }
    held = look({"deployments": [app()], "pods": [pod()], "endpointslices": [part]}, case("NET-12"))
    said = oracle("NET-12").why_not(held)

    assert why in said
    assert bool(said) == bool(why)


@pytest.mark.parametrize(
    ("cordoned", "available", "why"),
    [(True, 2, ""), (False, 2, "the node is not cordoned"), (True, 1, "web wants 2")],
)
def test_who_was_on_a_silent_node_runs_elsewhere(cordoned: bool, available: int, why: str) -> None:
    """A pod that cannot be removed from it does not count."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/nodes/node-a":
            return httpx.Response(200, json={"spec": {"unschedulable": cordoned}})
        return httpx.Response(200, json={"items": [app(availableReplicas=available)]})

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://api")
    assert oracle("NOD-01").why_not(oracles.Look(client, case("NOD-01", "Node/node-a"))) == why


def test_an_empty_member_goes_where_it_is_filled() -> None:
    """A container without resources has the empty wish; the first request takes its place."""
    line = "Deployment/shop/web: spec.template.spec.containers[web].resources (removed)"
    assert oracle("AUT-02").strange(case("AUT-02"), [line]) == []


def cluster(held: Json, *, jobs: int = 0) -> httpx.Client:
    """A cluster that has this object, and so many Jobs."""

    def answer(request: httpx.Request) -> httpx.Response:
        found: list[Json] = [{"metadata": {"name": "j"}}] * jobs if request.url.path.endswith("/jobs") else [held]
        return httpx.Response(200, json={"items": found})

    return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://cluster")


def honest(fault: str, finds: str, status: Json, why_not: str = "", **more: int) -> str:
    """The verdict that the oracle would give."""
    held: Json = {"metadata": {"name": "web"}, "spec": {}, "status": status}
    return oracle(fault).honest(oracles.Look(cluster(held, **more), case(fault, finds)), why_not)


@pytest.mark.parametrize("status", [{"conditions": [{"type": "Accepted"}]}, {"parents": [{"conditions": []}]}])
@pytest.mark.parametrize(
    ("fault", "kind"), [("GWY-01", "Gateway"), ("GWY-01", "HTTPRoute"), ("DLV-02", "Rollout")], ids=str
)
def test_where_somebody_answers_it_is_known(fault: str, kind: str, status: Json) -> None:
    """And where nobody does it is not; what failed has failed all the same."""
    finds = f"{kind}/shop/web"
    assert honest(fault, finds, status) == "VERIFIED"
    assert honest(fault, finds, {}) == "INCONCLUSIVE"
    assert honest(fault, finds, {}, "web-1 is not Ready") == "FAILED"


def test_a_run_is_awaited() -> None:
    """A CronJob that began none proves nothing yet."""
    assert honest("JOB-02", "CronJob/shop/web", {}, jobs=1) == "VERIFIED"
    assert honest("JOB-02", "CronJob/shop/web", {}) == "INCONCLUSIVE"


def test_who_needs_no_answer_is_judged_by_what_holds() -> None:
    """Most repairs are seen on the pods themselves."""
    assert honest("SCH-01", "Deployment/shop/web", {}) == "VERIFIED"
