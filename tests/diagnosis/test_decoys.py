"""What looks like a fault of the other families and is none: a finding here would be a false alarm."""

import copy
from collections.abc import Callable

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Gap, Snapshot, diagnose
from skyflo_runbooks.diagnosis.snapshot import Log
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import scenes, world
from tests.diagnosis.world import Names

NAMES = Names()


def faults(found: Snapshot) -> list[str]:
    """Return the faults that a diagnosis names."""
    return [item.fault for item in diagnose(found, Incident("is everything well?")).findings]


def without_events(found: Snapshot) -> Snapshot:
    """Return the snapshot as if no event had been kept."""
    return msgspec.structs.replace(found, objects={k: v for k, v in found.objects.items() if k != "Event"})


# NET-03: two workloads behind one Service -----------------------------------------------------------------------------


def _behind_one(other: Names, **spec: object) -> Snapshot:
    found = scenes.too_broad(NAMES)
    own, more = scenes.serving(NAMES), scenes.serving(other, 1, **spec)
    for item in (*own, *more):
        if item["kind"] in ("Pod", "Deployment"):
            item["spec"].get("template", item)["metadata"]["labels"]["team"] = "payments"
    return world.snapshot([*own, *more, *found.objects["Service"]])


def test_a_canary_belongs_behind_its_service() -> None:
    """Another tag of the same image is the same application."""
    assert faults(_behind_one(scenes.beside(NAMES, "payment-canary", image=NAMES.image))) == []


def test_two_that_serve_the_same_port_may_both_be_meant() -> None:
    """Two applications behind one Service, each of which answers at its port, is somebody's wish."""
    assert faults(_behind_one(scenes.beside(NAMES, "payment-next"))) == []


def test_what_has_a_service_of_its_own_is_a_stranger() -> None:
    """A workload that another Service is for serves its own requests, even at the same port."""
    other = scenes.beside(NAMES, "ledger")
    found = _behind_one(other)
    found.objects["Service"].append(world.service(other))

    assert faults(found) == ["NET-03"]


def test_a_port_by_its_name_goes_only_to_pods_that_have_it() -> None:
    """The stranger carries the label, and gets no request."""
    found = scenes.too_broad(NAMES)
    found.objects["Service"][0]["spec"]["ports"] = [{"port": 80, "targetPort": "http"}]

    assert faults(found) == []


def test_a_headless_service_may_name_the_pods_of_all() -> None:
    """Its clients choose pods by name."""
    found = scenes.too_broad(NAMES)
    found.objects["Service"][0]["spec"]["clusterIP"] = "None"

    assert faults(found) == []


# NET-05 ---------------------------------------------------------------------------------------------------------------


def test_a_local_policy_with_an_endpoint_on_each_clients_node_is_well() -> None:
    """Requests stay on the node, and somebody answers there."""
    found = scenes.local_only(NAMES)
    for pod in found.objects["Pod"]:
        pod["spec"]["nodeName"] = "node-b"

    assert faults(found) == []


def test_a_local_policy_without_known_clients_is_nobodys_fault() -> None:
    """Nothing says that anybody on the other node asks."""
    found = scenes.local_only(NAMES)
    for workload in found.objects["Deployment"]:
        workload["spec"]["template"]["spec"]["containers"][0].pop("env", None)

    assert faults(found) == []


def test_a_daemon_set_behind_a_local_policy_is_not_opened_to_other_nodes() -> None:
    """What serves each node by design is to be there; the policy stays."""
    found = scenes.local_only(NAMES)
    for item in found.objects["ReplicaSet"][:1]:
        item["kind"] = "DaemonSet"
        item["metadata"].pop("ownerReferences")
    for pod in found.objects["Pod"][:2]:
        pod["metadata"]["ownerReferences"][0]["kind"] = "DaemonSet"
    found.objects["DaemonSet"] = [found.objects["ReplicaSet"].pop(0)]

    finding = diagnose(found, Incident("?")).findings[0]

    assert finding.fault == "NET-05"
    assert "policy" not in finding.facts


# NET-11 ---------------------------------------------------------------------------------------------------------------

SYSTEM_PEER: Json = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
UDP: Json = {"protocol": "UDP", "port": 53}


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"ports": [UDP]},
        {"ports": [{"protocol": "UDP"}]},
        {"ports": [{"protocol": "UDP", "port": 1, "endPort": 1000}]},
        {"ports": [{"protocol": "UDP", "port": "dns"}], "to": [SYSTEM_PEER]},
        {"to": [{"ipBlock": {"cidr": "10.96.0.10/32"}}]},
        {"to": [{"namespaceSelector": {}}], "ports": [UDP]},
        {"to": [SYSTEM_PEER | {"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}], "ports": [UDP]},
    ],
    ids=str,
)
def test_a_rule_that_lets_lookups_out_is_enough(rule: Json) -> None:
    """Policies add up: one rule that admits the resolver admits it; an address is not called wrong unread."""
    assert faults(scenes.names_denied(NAMES, [rule])) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"to": [{"podSelector": {}}], "ports": [UDP]},
        {"to": [SYSTEM_PEER], "ports": [{"port": 53}]},
    ],
    ids=["own-pods-only", "tcp-only"],
)
def test_a_rule_that_comes_near_is_not_enough(rule: Json) -> None:
    """Lookups go by UDP, in another namespace."""
    assert faults(scenes.names_denied(NAMES, [rule])) == ["NET-11"]


def _named(space: str) -> Json:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}}}


OTHER_PODS = SYSTEM_PEER | {"podSelector": {"matchLabels": {"k8s-app": "other"}}}
OPENSHIFT: Json = {"to": [_named("openshift-dns")], "ports": [{"protocol": "UDP", "port": 5353}]}


@pytest.mark.parametrize("rule", [{"to": [OTHER_PODS], "ports": [UDP]}, OPENSHIFT], ids=["other-pods", "other-space"])
def test_a_rule_to_another_resolver_counts_where_lookups_are_seen_to_fail(rule: Json) -> None:
    """Another namespace may have one that serves; a log that finds no host says that it does not."""
    found = scenes.names_denied(NAMES, [rule])
    assert faults(found) == []

    pod = next(item for item in found.objects["Pod"] if item["metadata"]["name"].startswith("shopfront"))
    log = Log("checkout", pod["metadata"]["name"], "shopfront", False, "getaddrinfo EAI_AGAIN payment-service")
    assert faults(msgspec.structs.replace(found, logs=(log,))) == ["NET-11"]


@pytest.mark.parametrize(
    "rule",
    [
        OPENSHIFT,
        {"to": [_named("openshift-dns")]},
        {"to": [{"namespaceSelector": {"matchExpressions": [{"key": "dns", "operator": "Exists"}]}}], "ports": [UDP]},
        {"to": [{"podSelector": {"matchLabels": {"app": "own-resolver"}}}], "ports": [UDP]},
        {"to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": [UDP]},
    ],
    ids=["openshift", "openshift-all-ports", "by-label", "own-resolver", "cache-of-the-node"],
)
def test_who_answers_is_not_guessed_where_kube_dns_was_not_read(rule: Json) -> None:
    """Whoever may be asked at the ports of DNS may be the resolver."""
    assert faults(scenes.names_denied(NAMES, [rule], known=False)) == []


def test_a_policy_that_lets_no_lookup_out_to_anybody_is_named_wherever_the_resolver_is() -> None:
    """Less certainly; and what to let out is not said, because it is not known."""
    (finding,) = diagnose(scenes.names_denied(NAMES, known=False), Incident("?")).findings
    (known,) = diagnose(scenes.names_denied(NAMES), Incident("?")).findings

    assert (finding.fault, known.fault) == ("NET-11", "NET-11")
    assert finding.confidence < known.confidence
    assert ("resolver" in finding.facts, "resolver" in known.facts) == (False, True)


def test_a_workload_that_looks_up_no_name_needs_no_resolver() -> None:
    """A database behind a policy that lets nothing out is well."""
    found = scenes.names_denied(NAMES, [])
    for workload in found.objects["Deployment"]:
        workload["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "PEER", "value": "http://10.1.2.3:80"}]

    assert faults(found) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"hostNetwork": True},
        {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.1.1.1"]}},
        {"hostAliases": [{"ip": "10.1.2.3", "hostnames": ["payment-service"]}]},
    ],
    ids=["host-network", "other-resolvers", "known-host"],
)
def test_a_workload_that_asks_the_clusters_names_of_nobody(spec: Json) -> None:
    """The policy does not hold for it, or it knows the host otherwise."""
    found = scenes.names_denied(NAMES)
    for workload in found.objects["Deployment"]:
        workload["spec"]["template"]["spec"] |= spec

    assert faults(found) == []


# NET-12 ---------------------------------------------------------------------------------------------------------------


def test_a_resolver_that_answers_is_not_blamed_for_a_name_that_does_not_exist() -> None:
    """The crash stays what its log says."""
    assert faults(scenes.lost_name(NAMES, scenes.resolver(NAMES, count=2))) == ["CON-05"]


def test_a_cluster_whose_resolver_was_not_read_is_not_called_broken() -> None:
    """Endpoints that nobody may list are no missing endpoints."""
    found = scenes.no_resolver(NAMES)
    found.objects["EndpointSlice"] = []
    refused = msgspec.structs.replace(found, gaps=(Gap("EndpointSlice", "kube-system", "forbidden"),))

    assert "NET-12" not in faults(refused)


def test_a_corefile_that_names_the_zone_is_read_as_it_is() -> None:
    """The word that is wrong and the one that was meant are told apart; comments say nothing."""
    finding = diagnose(scenes.misspelt_zone(NAMES), Incident("?")).findings[0]
    both = scenes.COREFILE.replace("cluster.local", "cluster.locl cluster.local")
    commented = scenes.COREFILE.replace("    errors", "    # kubernetes cluster.locl")

    assert (finding.fault, finding.facts) == ("NET-12", {"word": "cluster.locl", "meant": "cluster.local"})
    assert str(finding.object) == "ConfigMap/kube-system/coredns"
    for text in (commented, both, scenes.COREFILE.replace("    kubernetes", "    import *.server\n    other")):
        assert faults(scenes.lost_name(NAMES, scenes.resolver(NAMES, count=1, corefile=text))) == ["CON-05"]


ZONES = ["mycluster.local", "prod-cluster.local", "cluster2.local", "eu-cluster.local", "k8s.cluster.local"]
SHORT, ELSEWHERE = "ledger", "ledger.checkout.svc.mycluster.local"


@pytest.mark.parametrize("zone", [*ZONES, "corp.local", "cluster.locl", "clutser.local"])
def test_a_domain_of_its_own_is_no_fault_where_nobody_asks_for_another(zone: str) -> None:
    """Whatever it is called: every pod is well."""
    text = scenes.COREFILE.replace("cluster.local", zone)
    dns = scenes.resolver(NAMES, count=2, corefile=text)
    well = world.snapshot([*scenes.serving(NAMES), world.service(NAMES), *dns])

    assert faults(well) == []
    for host in (SHORT, ELSEWHERE):
        assert faults(scenes.other_zone(NAMES, zone, host)) == ["CON-05"]


@pytest.mark.parametrize("zone", [*ZONES, "corp.local", "cluster.local.example"])
def test_a_domain_of_its_own_is_not_overwritten_for_one_who_asks_for_another(zone: str) -> None:
    """It may be the cluster's; then who asks is wrong."""
    finding = next(
        item for item in diagnose(scenes.other_zone(NAMES, zone), Incident("?")).findings if item.fault == "NET-12"
    )

    assert "meant" not in finding.facts
    assert finding.confidence <= 0.6
    assert "clusterDomain" in finding.advice
    assert not [item for item in finding.explains if item.kind == "Namespace"]


@pytest.mark.parametrize("zone", ["cluster.locl", "clutser.local", "cluster.lokal", "clster.local"])
def test_a_slip_in_the_usual_domain_is_one_where_somebody_asks_for_it(zone: str) -> None:
    """At most two letters of it, and none only added."""
    finding = diagnose(scenes.other_zone(NAMES, zone), Incident("?")).findings[0]

    assert (finding.fault, finding.facts["word"], finding.facts["meant"]) == ("NET-12", zone, "cluster.local")


@pytest.mark.parametrize("line", ["    kubernetes {$DOMAIN}", "    kubernetes", "    kubernetes in-addr.arpa {"])
def test_a_zone_that_is_not_written_is_not_judged(line: str) -> None:
    """It comes from the environment or from the block around it."""
    text = scenes.COREFILE.replace("    kubernetes cluster.local in-addr.arpa", line)
    asked = scenes.lost_name(NAMES, scenes.resolver(NAMES, count=2, corefile=text), "a.b.svc.cluster.local")

    assert faults(asked) == ["CON-05"]


def test_without_the_plugin_somebody_has_to_miss_it() -> None:
    """A cluster may have its names served otherwise."""
    text = scenes.COREFILE.replace("    kubernetes cluster.local in-addr.arpa\n", "")
    dns = scenes.resolver(NAMES, count=2, corefile=text)

    assert faults(scenes.lost_name(NAMES, dns)) == ["CON-05"]
    assert faults(scenes.lost_name(NAMES, dns, "a.b.svc.cluster.local")) == ["NET-12"]


def test_a_directive_that_coredns_refuses_is_named_with_what_was_meant() -> None:
    """Its own log says which word it does not know."""
    text = scenes.COREFILE.replace("kubernetes cluster", "kubernets cluster")
    found = scenes.lost_name(NAMES, scenes.resolver(NAMES, count=1, corefile=text))
    said = Log("kube-system", "coredns-r1-0", "coredns", True, "Corefile:3 - Error: Unknown directive 'kubernets'")
    named = diagnose(msgspec.structs.replace(found, logs=(*found.logs, said)), Incident("?")).findings[0]

    assert named.facts == {"word": "kubernets", "meant": "kubernetes"}


# Storage --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [scenes.held_by_old_pod, scenes.fixed_size, scenes.absent_driver])
def test_without_the_event_that_tells_it_there_is_no_finding(build: Callable[[Names], Snapshot]) -> None:
    """The evidence is an event; without it something waits, and why is not known."""
    assert faults(without_events(build(NAMES))) == []


def test_a_claim_that_many_nodes_may_have_is_not_held_by_one() -> None:
    """ReadWriteMany is attached wherever it is wanted."""
    found = scenes.held_by_old_pod(NAMES)
    found.objects["PersistentVolumeClaim"][0]["spec"]["accessModes"] = ["ReadWriteMany"]

    assert faults(found) == []


def test_a_claim_that_another_workload_holds_has_no_change_that_is_safe() -> None:
    """Whose it should be is for a person to say."""
    found = scenes.held_by_old_pod(NAMES)
    holder = scenes.serving(scenes.beside(NAMES, "ledger"), 1)
    holder[2]["spec"]["volumes"] = found.objects["Pod"][0]["spec"].pop("volumes")
    for item in holder:
        found.objects[item["kind"]].append(item)

    finding = diagnose(found, Incident("?")).findings[0]

    assert finding.fault == "STO-03"
    assert "strategy" not in finding.facts
    assert "scale Deployment/checkout/ledger to 0" in finding.advice


def test_a_released_volume_that_nobody_waits_for_is_kept_on_purpose() -> None:
    """Its reclaim policy says so."""
    found = scenes.released_volume(NAMES)
    found.objects["PersistentVolumeClaim"] = [scenes.claim(NAMES)]

    assert faults(found) == []


def test_a_claim_that_grows_is_let_grow() -> None:
    """Its class lets it; the resizer is at work."""
    found = scenes.fixed_size(NAMES)
    found.objects["PersistentVolumeClaim"][0]["spec"]["storageClassName"] = "fast"

    assert faults(found) == []


# Disruption, Jobs, nodes, the API -------------------------------------------------------------------------------------


def test_a_strict_budget_while_nobody_drains_is_somebodys_wish() -> None:
    """Without a node that is to be emptied nothing is kept from leaving."""
    found = scenes.kept_on_node(NAMES)
    found.objects["Node"] = [world.node()]

    assert faults(found) == []


@pytest.mark.parametrize("expected", [3, 4, 5])
def test_a_budget_of_a_workload_that_lacks_pods_is_a_consequence(expected: int) -> None:
    """As many are well as must stay, and not as many as there should be: once they are, the drain goes on."""
    found = scenes.kept_on_node(NAMES)
    found.objects["Deployment"][0]["spec"]["replicas"] = expected
    found.objects["PodDisruptionBudget"][0]["status"]["expectedPods"] = expected

    assert faults(found) == []


def test_a_budget_that_waits_for_pods_to_become_ready_is_a_consequence() -> None:
    """What ails the pods is the cause."""
    found = scenes.kept_on_node(NAMES)
    found.objects["PodDisruptionBudget"][0]["status"]["currentHealthy"] = 1

    assert faults(found) == []


def test_a_helper_beside_work_that_has_just_ended_may_be_ending_too() -> None:
    """Some seconds are nothing."""
    found = scenes.job_with_helper(NAMES)
    ended = found.objects["Pod"][2]["status"]["containerStatuses"][0]["state"]["terminated"]
    ended["finishedAt"] = "2026-05-04T10:21:40Z"

    assert faults(found) == []


def test_a_container_that_only_works_longer_is_no_helper() -> None:
    """It serves nothing, and its neighbour worked for days."""
    found = scenes.job_with_helper(NAMES)
    found.objects["Pod"][2]["spec"]["containers"][1].pop("ports")

    assert faults(found) == []


def test_a_sidecar_is_ended_by_the_kubelet() -> None:
    """An init container that restarts always keeps no Job from completing."""
    found = scenes.job_with_helper(NAMES)
    pod = found.objects["Pod"][2]
    pod["spec"]["initContainers"] = [pod["spec"]["containers"].pop(1) | {"restartPolicy": "Always"}]
    pod["status"]["initContainerStatuses"] = [pod["status"]["containerStatuses"].pop(1)]

    assert faults(found) == []


def test_an_eviction_below_the_usual_threshold_is_the_nodes_need() -> None:
    """Ten per cent of a disk is what kubelets keep free."""
    found = scenes.eager_kubelet(NAMES)
    gone = found.objects["Pod"][2]["status"]
    gone["message"] = gone["message"].replace("80Gi", "10Gi").replace("75Gi", "9Gi")

    assert faults(found) == []


def test_an_api_that_is_available_or_local_is_well() -> None:
    """Only one that a Service answers for, and that is not available, is a fault."""
    local, well = scenes.api_down(NAMES), scenes.api_down(NAMES)
    local.objects["APIService"][0]["spec"] = {}
    well.objects["APIService"][0]["status"]["conditions"][0]["status"] = "True"

    assert faults(local) == faults(well) == []


# CON-17 ---------------------------------------------------------------------------------------------------------------


def test_the_same_value_twice_hides_nothing() -> None:
    """Untidy, and without any effect."""
    found = scenes.set_twice(NAMES)
    for item in found.objects["Deployment"]:
        item["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"] = "live"

    assert faults(found) == []


def _overriding(found: Snapshot) -> Snapshot:
    more = copy.deepcopy(found)
    spec = more.objects["Deployment"][0]["spec"]["template"]["spec"]["containers"][0]
    spec |= {"envFrom": [{"configMapRef": {"name": "settings"}}], "env": [{"name": "MODE", "value": "test"}]}
    meta = world.meta("settings", "checkout")
    more.objects["ConfigMap"] = [{"kind": "ConfigMap", "metadata": meta, "data": {"MODE": "live"}}]
    return more


def test_a_variable_that_overrides_its_source_is_usual_while_all_is_well() -> None:
    """Defaults in a ConfigMap, exceptions beside it: that is what both are for."""
    assert faults(_overriding(world.healthy())) == []


def test_a_variable_that_overrides_its_source_is_named_where_pods_fail() -> None:
    """And no value is shown."""
    found = _overriding(world.healthy())
    found.objects["Pod"][0]["status"]["conditions"][0]["status"] = "False"
    finding = diagnose(found, Incident("?")).findings[0]

    assert finding.fault == "CON-17"
    assert b"live" not in msgspec.json.encode(finding)


# Collapse -------------------------------------------------------------------------------------------------------------


def test_a_deeper_cause_speaks_for_what_it_explains() -> None:
    """One finding, with the crash that follows from it among its consequences."""
    found = diagnose(scenes.no_resolver(NAMES), Incident("payment-service crashes"))

    assert [item.fault for item in found.findings] == ["NET-12"]
    assert any("CrashLoopBackOff" in text for text in found.findings[0].consequences)


def test_a_deeper_cause_leaves_other_objects_alone() -> None:
    """What the DNS does not explain is a finding of its own."""
    found = scenes.no_resolver(NAMES)
    for item in scenes.set_twice(scenes.beside(NAMES, "other")).objects.items():
        found.objects.setdefault(item[0], []).extend(item[1] if item[0] not in ("Namespace", "Node") else [])

    assert sorted(faults(found)) == ["CON-17", "NET-12"]
