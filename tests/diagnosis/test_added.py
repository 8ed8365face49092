"""Admission, delivery, mesh and gateways: what comes near a fault and is none, and what the rules must not overlook."""

import msgspec
import pytest

from skyflo_runbooks.diagnosis import Gap, Snapshot, diagnose
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from tests.diagnosis import added, scenes, world
from tests.diagnosis.world import Names

NAMES = Names()


def findings(found: Snapshot) -> list[Finding]:
    """Return what a diagnosis finds."""
    return list(diagnose(found, Incident("is everything well?")).findings)


def faults(found: Snapshot) -> list[str]:
    """Return the faults that a diagnosis names."""
    return [item.fault for item in findings(found)]


def asked(found: Snapshot) -> list[Finding]:
    """Return what a diagnosis finds for who asks about the namespace."""
    return list(diagnose(found, Incident("something is wrong", (NAMES.namespace,))).findings)


# ADM-07, ADM-08 -------------------------------------------------------------------------------------------------------


def test_webhooks_that_fit_into_a_request_are_not_blamed() -> None:
    """Two of ten seconds are less than a request has."""
    found = added.late_webhooks(NAMES)
    found.objects["MutatingWebhookConfiguration"].pop()

    assert faults(found) == []


def test_validating_webhooks_are_asked_at_once() -> None:
    """Their time-outs do not add up."""
    found = added.late_webhooks(NAMES)
    moved = [
        {**item, "kind": "ValidatingWebhookConfiguration"} for item in found.objects["MutatingWebhookConfiguration"]
    ]
    found.objects["ValidatingWebhookConfiguration"] = moved
    found.objects["MutatingWebhookConfiguration"] = []

    assert faults(found) == []


@pytest.mark.parametrize(
    "left_out",
    [
        {"rules": [{"operations": ["CREATE"], "apiGroups": ["apps"], "resources": ["deployments"]}]},
        {"rules": [{"operations": ["DELETE"], "apiGroups": [""], "resources": ["pods"]}]},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}},
        {"objectSelector": {"matchLabels": {"app": "other"}}},
    ],
    ids=["other-kind", "other-verb", "other-namespace", "other-labels"],
)
def test_a_webhook_that_does_not_match_is_not_counted(left_out: Json) -> None:
    """By its rules and selectors (NEG-05)."""
    found = added.late_webhooks(NAMES)
    found.objects["MutatingWebhookConfiguration"][-1]["webhooks"][0] |= left_out

    assert faults(found) == []


@pytest.mark.parametrize(
    "change",
    [
        {"image": "payment-svc:v2.4.0", "env": [{"name": "ADDED", "value": "x"}]},
        {"image": "payment-svc:v2.4.0", "volumeMounts": [{"name": "token", "mountPath": "/var/run"}]},
    ],
    ids=["variable-added", "mount-added"],
)
def test_what_a_webhook_adds_is_no_rewrite(change: Json) -> None:
    """Sidecars, variables and tokens are what such webhooks are for; the pull is its own fault."""
    found = added.rewritten(NAMES)
    found.objects["Pod"][0]["spec"]["containers"][0] |= change

    assert "ADM-08" not in faults(found)


def test_a_rewritten_pod_that_serves_is_as_it_is_meant() -> None:
    """A mirror for images is usual."""
    found = added.rewritten(NAMES)
    spec = found.objects["Pod"][0]["spec"]["containers"][0]
    found.objects["Pod"] = [world.pod(NAMES, spec, world.running(), number=1, serves=True)]

    assert faults(found) == []


def test_a_rewritten_pod_that_fails_by_something_else_is_not_explained_by_it() -> None:
    """The mirror's image was pulled and runs; the process ends by an error of its own."""
    found = added.rewritten(NAMES)
    spec = found.objects["Pod"][0]["spec"]["containers"][0]
    found.objects["Pod"] = [world.pod(NAMES, spec, world.ended(1, "Error", restarts=4), number=1)]

    assert "ADM-08" not in faults(found)


def test_a_variable_that_was_rewritten_counts_where_the_process_ends() -> None:
    """And its value is not shown."""
    found = added.rewritten(NAMES)
    held = [found.objects[kind][0]["spec"]["template"] for kind in ("ReplicaSet", "Deployment")]
    for item in held:
        item["spec"]["containers"][0]["env"] = [{"name": "MODE", "value": "hidden-live"}]
    spec = found.objects["Pod"][0]["spec"]["containers"][0] | {"env": [{"name": "MODE", "value": "hidden-test"}]}
    found.objects["Pod"] = [world.pod(NAMES, spec, world.ended(1, "Error", restarts=4), number=1)]

    assert faults(found) == ["ADM-08"]
    assert b"hidden-" not in msgspec.json.encode(findings(found))


def test_a_pod_that_was_resized_was_changed_by_somebody_else() -> None:
    """Its generation says that its specification was changed after it was made."""
    found = added.rewritten(NAMES)
    found.objects["Pod"][0]["metadata"]["generation"] = 2

    assert "ADM-08" not in faults(found)


def test_without_a_webhook_that_matches_nobody_is_blamed() -> None:
    """Only the decoy is left."""
    found = added.rewritten(NAMES)
    found.objects["MutatingWebhookConfiguration"] = found.objects["MutatingWebhookConfiguration"][1:]

    assert "ADM-08" not in faults(found)


def test_of_two_that_match_neither_is_certain() -> None:
    """Both are named, and the confidence says that it is a guess."""
    found = added.rewritten(NAMES)
    found.objects["MutatingWebhookConfiguration"].append(added.webhook("other"))
    finding = findings(found)[0]

    assert finding.fault == "ADM-08"
    assert finding.confidence <= 0.6
    assert "other.example.com" in finding.advice


def test_a_policy_without_a_server_rewrites_too() -> None:
    """A MutatingAdmissionPolicy counts where it is bound."""
    found = added.rewritten(NAMES)
    rule = {"operations": ["CREATE"], "apiGroups": [""], "resources": ["pods"]}
    policy: Json = {
        "kind": "MutatingAdmissionPolicy",
        "metadata": world.meta("mirror-all"),
        "spec": {"matchConstraints": {"resourceRules": [rule]}},
    }
    binding: Json = {
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": world.meta("mirror-all"),
        "spec": {"policyName": "mirror-all"},
    }
    found.objects["MutatingWebhookConfiguration"] = []
    found.objects["MutatingAdmissionPolicy"] = [policy]
    assert "ADM-08" not in faults(found)

    found.objects["MutatingAdmissionPolicyBinding"] = [binding]
    assert [str(item.object) for item in findings(found)] == ["MutatingAdmissionPolicy/mirror-all"]


# DLV-01, DLV-02 -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "modified"),
    [("deployed", 1777886520), ("pending-upgrade", 1777890000), ("superseded", 1777700000)],
    ids=["deployed", "just-begun", "superseded"],
)
def test_a_release_that_is_well_or_at_work_is_no_fault(status: str, modified: int) -> None:
    """An upgrade of two minutes may end yet."""
    found = added.pending_release(NAMES)
    found.objects["Secret"][-1] = added.release(NAMES, 3, status, modified)

    assert faults(found) == []


def test_the_advice_names_the_revision_that_was_deployed() -> None:
    """And no change touches the release's Secret."""
    finding = findings(added.pending_release(NAMES))[0]

    assert "helm rollback shop 2 --namespace checkout" in finding.advice
    assert finding.facts["revision"] == "2"


def test_a_failed_release_whose_pods_fail_is_a_consequence() -> None:
    """What ails the pods is the cause; where they are well, the failed operation is one."""
    found = added.pending_release(NAMES)
    found.objects["Secret"][-1] = added.release(NAMES, 3, "failed", 1777886520)
    assert faults(found) == ["DLV-01"]

    found.objects["Deployment"][0]["metadata"]["annotations"] = {"meta.helm.sh/release-name": "shop"}
    found.objects["Pod"][0]["status"]["conditions"][0]["status"] = "False"
    assert faults(found) == []


def test_a_rollout_that_waits_at_its_own_step_waits_for_a_person() -> None:
    """That is what the step is for."""
    found = added.degraded(NAMES)
    found.objects["Rollout"][0]["status"] = {"phase": "Paused", "message": "CanaryPauseStep"}

    assert faults(found) == []


def test_a_rollout_that_was_paused_as_a_whole_is_named() -> None:
    """By its own field, to whoever asks: somebody did it on purpose."""
    found = added.degraded(NAMES)
    found.objects["Rollout"][0]["spec"]["paused"] = True
    found.objects["Rollout"][0]["status"] = {"phase": "Paused"}

    (finding,) = asked(found)
    assert (finding.facts, finding.confidence) == ({"paused": "true", "intended": "spec.paused"}, 0.5)
    assert "why it was paused" in finding.advice
    assert faults(found) == []


def test_that_a_rollout_was_paused_as_a_whole_rests_on_the_field_that_is_cited() -> None:
    """Its status says "Paused" at a step of its own as well: without the field there is no finding."""
    found = added.degraded(NAMES)
    rollout = found.objects["Rollout"][0]
    found.objects["AnalysisRun"] = []
    rollout["spec"]["paused"] = True
    rollout["status"] = {"phase": "Paused", "message": "manually paused"}
    (finding,) = asked(found)
    assert [piece.source for piece in finding.evidence] == [f"{finding.object} spec.paused"]

    del rollout["spec"]["paused"]
    assert asked(found) == []


@pytest.mark.parametrize("paused", [False, True], ids=["going", "paused"])
def test_an_aborted_rollout_rests_on_its_status(paused: bool) -> None:
    """Whether it is paused or not, what its controller says of the abort is cited."""
    found = added.degraded(NAMES)
    rollout = found.objects["Rollout"][0]
    rollout["spec"]["paused"] = paused
    finding = findings(found)[0]
    assert finding.evidence[0].source == f"{finding.object} status"
    assert "abort True" in finding.evidence[0].text

    rollout["status"] = {"phase": "Healthy"}
    left = [piece.source for one in findings(found) for piece in one.evidence]
    assert f"{finding.object} status" not in left


# MES-01, MES-02 -------------------------------------------------------------------------------------------------------


def _peer(mode: str, **spec: object) -> Json:
    return added.policy(NAMES, "PeerAuthentication", "default", {"mtls": {"mode": mode}, **spec})


def test_mutual_tls_between_two_of_the_mesh_is_well() -> None:
    """Both have the proxy."""
    assert faults(added.in_mesh(NAMES, _peer("STRICT"), client=True)) == []


@pytest.mark.parametrize("spec", [{"mode": "PERMISSIVE"}, {"mode": "UNSET"}], ids=str)
def test_a_policy_that_takes_plain_requests_is_well(spec: dict[str, str]) -> None:
    """The client needs no proxy."""
    assert faults(added.in_mesh(NAMES, _peer(spec["mode"]))) == []


def test_the_workloads_own_policy_comes_before_the_namespaces() -> None:
    """Which lets plain requests in."""
    own = _peer("PERMISSIVE", selector={"matchLabels": {"app": "payment-service"}})
    own["metadata"] = world.meta("own", "checkout")

    assert faults(added.in_mesh(NAMES, _peer("STRICT"), own)) == []


def test_a_port_that_goes_past_the_proxy_is_not_judged() -> None:
    """Which of them do is for the proxy to know."""
    found = added.strict(NAMES)
    for pod in found.objects["Pod"]:
        pod["metadata"]["annotations"] = {"traffic.sidecar.istio.io/excludeInboundPorts": "8080"}

    assert faults(found) == []


def test_a_namespace_whose_nodes_carry_the_mesh_needs_no_proxy() -> None:
    """Its label says so."""
    found = added.strict(NAMES)
    found.objects["Namespace"][0]["metadata"]["labels"] = {"istio.io/dataplane-mode": "ambient"}

    assert faults(found) == []


WHO = "cluster.local/ns/checkout/sa/default"


@pytest.mark.parametrize(
    ("spec", "refused"),
    [
        ({"rules": [{"from": [{"source": {"principals": [WHO]}}]}]}, False),
        ({"rules": [{"from": [{"source": {"principals": ["*/sa/default"]}}]}]}, False),
        ({"rules": [{"from": [{"source": {"namespaces": ["check*"]}}]}]}, False),
        ({"rules": [{}]}, False),
        ({"rules": [{"to": [{"operation": {"paths": ["/x"]}}]}]}, False),
        ({"rules": [{"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]}]}, False),
        ({}, True),
        ({"rules": [{"from": [{"source": {"namespaces": ["billing"]}}]}]}, True),
        ({"action": "DENY", "rules": [{"from": [{"source": {"namespaces": ["checkout"]}}]}]}, True),
        ({"action": "DENY", "rules": [{"from": [{"source": {"namespaces": ["billing"]}}]}]}, False),
        ({"action": "DENY", "rules": [{"to": [{"operation": {"methods": ["PUT"]}}]}]}, False),
        ({"action": "AUDIT", "rules": [{}]}, False),
    ],
    ids=str,
)
def test_who_an_authorization_policy_lets_in(spec: Json, refused: bool) -> None:
    """By identity and namespace; what depends on the request is not judged."""
    policy = added.policy(NAMES, "AuthorizationPolicy", "rules", spec)

    assert faults(added.in_mesh(NAMES, policy, client=True)) == (["MES-01"] if refused else [])


OTHERS: list[Json] = [{"from": [{"source": {"principals": ["cluster.local/ns/billing/sa/batch"]}}]}]


def _authorized(*specs: Json) -> Snapshot:
    held = [added.policy(NAMES, "AuthorizationPolicy", f"rules-{n}", spec) for n, spec in enumerate(specs)]
    return added.in_mesh(NAMES, *held, client=True)


@pytest.mark.parametrize("action", ["ALLOW", "DENY"])
@pytest.mark.parametrize("kind", ["Gateway", "Service"])
def test_a_policy_of_a_gateway_or_a_waypoint_is_not_about_pods(action: str, kind: str) -> None:
    """It has targets and no selector."""
    target: Json = {"kind": kind, "name": "front"}
    rules: list[Json] = [{"from": [{"source": {"namespaces": ["checkout" if action == "DENY" else "billing"]}}]}]

    assert faults(_authorized({"targetRefs": [target], "action": action, "rules": rules})) == []
    assert faults(_authorized({"targetRef": target, "action": action, "rules": rules})) == []
    assert faults(_authorized({"action": action, "rules": rules})) == ["MES-01"]


def test_another_trust_domain_is_not_taken_for_another_identity() -> None:
    """Which of them is the mesh's own is not read; a pattern for any of them is."""
    named = "prod.example.com/ns/checkout/sa/default"

    assert faults(_authorized({"rules": [{"from": [{"source": {"principals": [named]}}]}]})) == []
    assert faults(_authorized({"rules": OTHERS}, {"action": "DENY", "rules": [_of(named)]})) == []
    assert faults(_authorized({"rules": [_of("*/ns/billing/sa/batch")]})) == ["MES-01"]


def _of(principal: str) -> Json:
    return {"from": [{"source": {"principals": [principal]}}]}


def test_what_the_root_namespace_admits_is_admitted() -> None:
    """Its policies hold everywhere; where it was not read, nobody is called refused."""
    root = added.policy(NAMES, "AuthorizationPolicy", "mesh-wide", {"rules": [{}]})
    root["metadata"] = world.meta("mesh-wide", "istio-system")
    found = added.not_allowed(NAMES)
    assert faults(found) == ["MES-01"]

    assert faults(msgspec.structs.replace(found, namespaces=("checkout",))) == []
    assert faults(msgspec.structs.replace(found, namespaces=("checkout", "istio-system"))) == ["MES-01"]
    refused = Gap("AuthorizationPolicy", "istio-system", "forbidden")
    assert "MES-01" not in faults(msgspec.structs.replace(found, gaps=(refused,)))
    found.objects["AuthorizationPolicy"].append(root)
    assert faults(found) == []


def test_a_denial_holds_whatever_is_admitted_elsewhere() -> None:
    """It comes first."""
    denied = _authorized({"action": "DENY", "rules": [{"from": [{"source": {"namespaces": ["checkout"]}}]}]})

    assert faults(msgspec.structs.replace(denied, namespaces=("checkout",))) == ["MES-01"]


@pytest.mark.parametrize(
    ("selector", "alone"),
    [({"app": "payment-service"}, True), ({"team": "shop"}, False), ({}, False)],
    ids=["own", "of-two", "namespace"],
)
def test_an_identity_is_admitted_only_by_a_policy_of_this_one_workload(selector: dict[str, str], alone: bool) -> None:
    """One that others are behind would let it in there, too."""
    found = _authorized({"selector": {"matchLabels": selector}, "rules": OTHERS})
    for item in (*found.objects["Pod"], *(d["spec"]["template"] for d in found.objects["Deployment"])):
        item["metadata"]["labels"]["team"] = "shop"
    (finding,) = findings(found)

    assert finding.facts.get("ports") == ("8080" if alone else None)
    assert ("principal" in finding.facts) is alone


def test_a_port_that_is_known_by_a_name_alone_is_not_guessed() -> None:
    """A policy counts the pods' ports."""
    found = added.not_allowed(NAMES)
    found.objects["Service"][0]["spec"]["ports"][0]["targetPort"] = "unheard"

    assert "principal" not in findings(found)[0].facts


def test_a_subset_of_a_host_whose_namespace_was_not_read_is_not_called_lost() -> None:
    """Its DestinationRule is there."""
    found = added.lost_subset(NAMES)
    route = found.objects["VirtualService"][0]
    route["metadata"]["namespace"] = "edge"
    host = "payment-service.checkout.svc.cluster.local"
    route["spec"]["http"][0]["route"][0]["destination"]["host"] = host
    edge = msgspec.structs.replace(world.snapshot([route]), namespaces=("edge",))

    assert faults(edge) == []
    assert faults(msgspec.structs.replace(edge, namespaces=("edge", "checkout"))) == ["MES-02"]
    route["spec"]["http"][0]["route"][0]["destination"]["host"] = "pay.example.com"
    assert faults(edge) == []


def test_a_subset_that_is_defined_is_well_however_the_host_is_written() -> None:
    """In short, or in full."""
    found = added.lost_subset(NAMES)
    found.objects["DestinationRule"][0]["spec"] = {
        "host": "payment-service.checkout.svc.cluster.local",
        "subsets": [{"name": "stabel"}],
    }

    assert faults(found) == []


def test_destination_rules_that_may_not_be_read_are_not_missing() -> None:
    """A refusal is no evidence."""
    found = world.without(added.lost_subset(NAMES), "DestinationRule")

    assert faults(found) == []


# GWY-01 ---------------------------------------------------------------------------------------------------------------


def _routed(backend: Json, parent: str = "front") -> Snapshot:
    held = added.route(NAMES, backend, parent)
    return world.snapshot([*scenes.serving(NAMES), world.service(NAMES), *added.gateway(NAMES), held])


def test_a_route_to_a_port_that_is_there_is_well() -> None:
    """And so is its Gateway, before a controller has said anything."""
    assert faults(_routed({"name": "payment-service", "port": 80})) == []


@pytest.mark.parametrize(
    ("backend", "parent", "meant"),
    [
        ({"name": "payment-service", "port": 8080}, "front", "80"),
        ({"name": "payment-servce", "port": 80}, "front", "payment-service"),
        ({"name": "payment-service", "port": 80}, "frnt", "front"),
        ({"name": "quite-other", "port": 80}, "front", None),
    ],
)
def test_what_a_route_names_and_is_not_there(backend: Json, parent: str, meant: str | None) -> None:
    """A port, a Service, a Gateway; what comes nearest is what was meant, or nothing is."""
    (finding,) = findings(_routed(backend, parent))

    assert (finding.fault, finding.object.kind, finding.facts.get("meant")) == ("GWY-01", "HTTPRoute", meant)


def test_a_backend_of_another_kind_or_an_unread_namespace_is_not_judged() -> None:
    """Who serves it is not known here."""
    other = {"kind": "Bucket", "group": "storage.example.com", "name": "files"}
    elsewhere = {"name": "orders", "namespace": "other", "port": 80}

    assert faults(_routed(other)) == faults(_routed(elsewhere)) == []


def test_what_a_controller_says_is_evidence() -> None:
    """False is a refusal; Unknown is a controller at work."""
    found = _routed({"name": "payment-service", "port": 80})
    said = {"type": "Accepted", "status": "Unknown", "reason": "Pending", "message": "Waiting for controller"}
    found.objects["Gateway"][0]["status"] = {"conditions": [said]}
    assert faults(found) == []

    said |= {"status": "False", "reason": "ListenersNotValid", "message": "port 443 is in use"}
    assert [(item.fault, str(item.object)) for item in findings(found)] == [("GWY-01", "Gateway/checkout/front")]
    assert "port 443 is in use" in findings(found)[0].title


def test_what_ails_the_gateway_is_not_told_again_of_its_routes() -> None:
    """One finding."""
    found = _routed({"name": "payment-service", "port": 80})
    said = {"type": "Accepted", "status": "False", "reason": "NoMatchingParent"}
    found.objects["HTTPRoute"][0]["status"] = {"parents": [{"conditions": [said]}]}
    found.objects["Gateway"][0]["spec"]["gatewayClassName"] = "other"

    assert [str(item.object) for item in findings(found)] == ["Gateway/checkout/front"]


@pytest.mark.parametrize(("words", "unknown"), [("the gateway answers 404", True), ("pods crash", False)])
def test_refused_kinds_are_unknown_where_the_words_are_about_them(words: str, unknown: bool) -> None:
    """And a note elsewhere."""
    gap = Gap("HTTPRoute", "checkout", "httproutes is forbidden")
    answer = diagnose(msgspec.structs.replace(world.healthy(), gaps=(gap,)), Incident(words))

    assert bool(answer.unknown) is unknown
    assert any("httproutes is forbidden" in text for text in (*answer.unknown, *answer.notes))
