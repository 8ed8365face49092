"""Curated runbooks of what workloads stand on: nodes, quotas, claims, certificates."""

from decimal import Decimal

from skyflo_runbooks.model.check import build
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, GatherStep, Parameter, ReadStep, param
from skyflo_runbooks.model.quantity import parse_quantity
from skyflo_runbooks.planning.curated.book import KIND, NAME, NAMESPACE, SETTLE, Book, call, named, required, steady

_NODE = required("node", "name of the node, such as node-a")
_NODE_READS = GatherStep(
    "state",
    {
        "node": call("k8s_describe", kind="Node", name=param("node")),
        "nodes": call("k8s_get", kind="Node"),
        "node_usage": call("k8s_top_nodes"),
        "pods": call("k8s_get", kind="Pod", field_selector="status.phase!=Succeeded", output="wide"),
        "budgets": call("k8s_get", kind="PodDisruptionBudget"),
        "events": call("k8s_events", kind="Node", name=param("node")),
    },
)


def _node(finding: Finding) -> dict[str, str]:
    node = finding.object.name if finding.object.kind == "Node" else finding.facts.get("node", "")
    return {"node": node} if node else {}


NODE_DRAIN = Book(
    name="node-drain",
    title="A node has to be emptied before work on it",
    use=(
        "A node is to be repaired, upgraded or taken away, and its pods have to run elsewhere first.",
        "It comes back with `node-return`, when the work is done.",
    ),
    not_for=(
        "A node that does not answer: its pods cannot be evicted, they are replaced when the control plane gives up.",
        "Pods without an owner: they would be lost, and the drain is refused and says which.",
    ),
    parameters=(
        _NODE,
        Parameter(
            "delete_emptydir_data",
            "bool",
            False,
            "true: pods with emptyDir volumes go, and what is in them is lost; the card names them",
        ),
    ),
    reads=(_NODE_READS,),
    look=(
        "`node`: its pods and what they ask for. `nodes` and `node_usage`: whether the others have room for that.",
        "`budgets`: one that allows no disruption holds the drain until more of its pods are ready.",
    ),
    will=(
        "The node is cordoned, and its pods are evicted one after another; DaemonSet pods stay. Budgets are kept: an "
        "eviction that a budget refuses ends the drain there, and the receipt says how far it came.",
        "The way back lets the node take pods again; what was evicted does not move back by itself.",
        "Verified: cordoned, empty but for DaemonSets, and no pod anywhere that was made since waits for a node.",
    ),
    change=ChangeStep(
        "drain",
        "k8s_drain",
        {"name": param("node"), "delete_emptydir_data": param("delete_emptydir_data")},
        "The node is to be worked on; its pods run elsewhere meanwhile.",
    ),
    checks=(build("node_drained", [param("node")], {}),),
    faults=(),
    words=("drain", "node maintenance", "node upgrade", "take the node out", "reboot the node"),
    values=_node,
    within="15m",
)

NODE_RETURN = Book(
    name="node-return",
    title="A cordoned node comes back after the work on it",
    use=(
        "The work on a drained or cordoned node is done, and it is Ready.",
        "Pods stay Pending because a node was left cordoned, and nobody works on it any more.",
    ),
    not_for=(
        "A node that is not Ready, or under pressure: the verify step would say FAILED; repair it first.",
        "A node that somebody still works on: `node` says who cordoned it and when. Ask.",
    ),
    parameters=(_NODE, SETTLE),
    reads=(_NODE_READS,),
    look=(
        "`node`: Ready since when, any pressure, its taints, and who last changed it.",
        "`pods`: which wait for a place.",
    ),
    will=(
        "The node may be given pods again. Taints that somebody set stay: `k8s_untaint` is a change of its own.",
        "Verified: the node is Ready, without pressure, and takes pods, for `settle`.",
    ),
    change=ChangeStep(
        "uncordon", "k8s_uncordon", {"name": param("node")}, "The work on the node is done, and it is Ready."
    ),
    checks=(build("node_ready", [param("node")], {"window": param("settle")}),),
    faults=("SCH-05",),
    words=("uncordon", "cordoned", "node back", "node return"),
    values=_node,
)

_QUOTA: Json = {"kind": "ResourceQuota", "namespace": param("namespace"), "name": param("quota")}


def _quota(finding: Finding) -> dict[str, str]:
    """The quota, and the first of its limits that what is asked for goes beyond."""
    found = {**named(finding), "quota": finding.facts.get("quota", "")}
    asked, used, hard = (_amounts(finding.facts.get(key, "")) for key in ("asked", "used", "hard"))
    for key, amount in asked.items():
        if key in used and key in hard and used[key] + amount > hard[key]:
            return {**found, "limit": f"/spec/hard/{key}"}
    return found


def _amounts(text: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in text.split(","):
        key, _, value = part.partition("=")
        try:
            found[key] = parse_quantity(value)
        except BadInput:
            continue
    return found


QUOTA = Book(
    name="quota",
    title="Pods cannot be created because a quota is used up",
    use=(
        'FailedCreate with "exceeded quota": pods are missing, and no pod waits for a node.',
        "The quota's owner agrees that the namespace may use more.",
    ),
    not_for=(
        "A workload that asks for more than it needs: lower its requests instead (`pending` changes them).",
        '"must specify limits": the quota wants limits of each container, and a higher one changes nothing.',
    ),
    parameters=(
        NAMESPACE,
        required("quota", "name of the ResourceQuota, such as checkout-quota"),
        required("limit", "which of its limits, as a path, such as /spec/hard/requests.memory"),
        required("amount", "its new amount, with room for one pod more than at rest, such as 6Gi"),
        KIND,
        NAME,
        SETTLE,
    ),
    reads=(
        GatherStep(
            "state",
            {
                "quota": call("k8s_describe", **_QUOTA),
                "limits": call("k8s_get", kind="LimitRange", namespace=param("namespace")),
                "workload": call("k8s_describe", kind=param("kind"), namespace=param("namespace"), name=param("name")),
                "usage": call("k8s_top_pods", namespace=param("namespace")),
                "events": call("k8s_events", namespace=param("namespace"), type="Warning"),
                "node_usage": call("k8s_top_nodes"),
            },
        ),
    ),
    look=(
        "`events`: asked for, used and allowed, as the API server said it. `quota`: the same for all its limits.",
        "`usage` against requests: who in the namespace asks for much more than is used.",
        "A rollout needs its surge pod as well: a quota that fits at rest stops the next release.",
    ),
    will=(
        "This one limit of the quota becomes `amount`. The controllers try again by themselves, up to half a minute "
        "later; the nodes must have the room.",
        "A quota protects its neighbours: raise it by what is missing, not to be rid of it.",
        "Verified: the quota is as approved and nothing is used beyond it, and the workload has all its pods Ready, "
        "without a restart for `settle`.",
    ),
    change=ChangeStep(
        "raise_quota",
        "k8s_patch",
        {
            **_QUOTA,
            "patch": [{"op": "replace", "path": param("limit"), "value": param("amount")}],
            "patch_type": "json",
        },
        "The namespace has used up this limit, and pods are missing because of it.",
    ),
    checks=(
        build("quota_kept", [param("quota")], {"namespace": param("namespace")}),
        build(
            "field_equals",
            ["ResourceQuota", param("quota")],
            {"namespace": param("namespace"), "path": param("limit"), "value": param("amount")},
        ),
        *steady(),
    ),
    faults=("ADM-01",),
    words=("quota", "exceeded quota", "resourcequota"),
    values=_quota,
)

_CLAIM: Json = {"kind": "PersistentVolumeClaim", "namespace": param("namespace"), "name": param("claim")}


def _claim(finding: Finding) -> dict[str, str]:
    found = {"namespace": finding.object.namespace, "claim": finding.object.name}
    classes = [name.strip() for name in finding.facts.get("classes", "none").split(",")]
    if len(classes) == 1 and classes[0] != "none":
        found["storage_class"] = classes[0]
    return found


PVC = Book(
    name="pvc",
    title="A claim stays Pending because it names no storage class, and none is the default",
    use=(
        "A PersistentVolumeClaim is Pending, its pods wait for it, and its events say that no storage class is set.",
        "You know which class it is to have.",
    ),
    not_for=(
        "A class that does not exist: a claim's class cannot be changed once it has one. Make the claim anew; it is "
        "empty.",
        "WaitForFirstConsumer: such a claim waits for its pod, and that is no fault.",
        "A volume that is full: `k8s_resize_claim` grows it, and there is no way back from that.",
    ),
    parameters=(
        NAMESPACE,
        required("claim", "name of the PersistentVolumeClaim, such as data-ledger-0"),
        required("storage_class", "class that it is to have, one of those below, such as standard"),
    ),
    reads=(
        GatherStep(
            "state",
            {
                "claim": call("k8s_describe", **_CLAIM),
                "claims": call("k8s_get", kind="PersistentVolumeClaim", namespace=param("namespace")),
                "classes": call("k8s_get", kind="StorageClass"),
                "volumes": call("k8s_get", kind="PersistentVolume"),
                "pods": call("k8s_get", kind="Pod", namespace=param("namespace")),
                "events": call("k8s_events", **_CLAIM),
            },
        ),
    ),
    look=(
        "`claim`: its class (none), its size, and the pods that wait for it. `events`: why it is not bound.",
        "`classes`: which there are, who provisions them, and what becomes of a volume when its claim is deleted.",
        "`volumes`: those without a claim; one of the class and size is bound without a provisioner.",
    ),
    will=(
        "The class of this one claim becomes `storage_class`, once: afterwards it cannot be changed, so the way back "
        "is refused by the API server.",
        "Making a class the default instead changes every claim without one, now and later.",
        "Verified: the claim is bound to a volume that holds what it asks for.",
    ),
    change=ChangeStep(
        "set_class",
        "k8s_patch",
        {**_CLAIM, "patch": {"spec": {"storageClassName": param("storage_class")}}, "patch_type": "merge"},
        "The claim names no class, and no class is the default, so nobody makes its volume.",
    ),
    checks=(
        build("claim_bound", [param("claim")], {"namespace": param("namespace")}),
        build(
            "field_equals",
            ["PersistentVolumeClaim", param("claim")],
            {"namespace": param("namespace"), "path": "/spec/storageClassName", "value": param("storage_class")},
        ),
    ),
    faults=("STO-02",),
    words=("pvc", "persistentvolumeclaim", "claim is pending", "storage class", "storageclass", "volume claim"),
    values=_claim,
)


def _secret(finding: Finding) -> dict[str, str]:
    name = finding.facts.get("secret", "")
    return {"namespace": finding.object.namespace} | ({"secret": name} if name else {})


CERTIFICATE = Book(
    name="certificate",
    title="A TLS certificate has expired, is about to, or was renewed",
    use=(
        "Clients report an expired or untrusted certificate, or a renewal is due.",
        "After a renewal, or on a schedule: FAILED means that less than `days` are left.",
    ),
    not_for=(
        "Certificates that are not in a Secret of the cluster: a load balancer or a CDN may hold its own.",
        "Whether a client trusts the issuer, or gets this very certificate: only a handshake shows that.",
    ),
    parameters=(
        NAMESPACE,
        required("secret", "name of the TLS Secret, such as shop-tls"),
        Parameter("days", "int", 14, "how many days it must still be valid"),
    ),
    reads=(
        ReadStep("certificate", "k8s_certificate", {"namespace": param("namespace"), "name": param("secret")}),
        GatherStep(
            "state",
            {
                "secret": call("k8s_describe", kind="Secret", namespace=param("namespace"), name=param("secret")),
                "ingresses": call("k8s_get", kind="Ingress", namespace=param("namespace")),
                "events": call("k8s_events", namespace=param("namespace"), type="Warning"),
            },
        ),
    ),
    look=(
        "`certificate`: for which names, by whom, until when; every certificate of the chain counts. `issued_by` is "
        "what cert-manager wrote on the Secret, where it made it.",
        "`ingresses`: who serves it. `secret`: which pods mount it; some read it only at their start.",
    ),
    will=(
        "Nothing is changed: the private key of a new certificate comes from an issuer or a person, never from here.",
        "Verified: each certificate in `tls.crt` is valid now, by the cluster's clock, and for `days` more days.",
        "If it FAILED and cert-manager issues it: look at its Certificate and CertificateRequest "
        "(`kubectl describe certificate`), then `cmctl renew`. Else put the new one in with `k8s_set_secret`, whose "
        "values an operator types unseen. Then run this again.",
    ),
    checks=(
        build("certificate_valid", [param("secret")], {"namespace": param("namespace"), "days": param("days")}),
        build(
            "field_equals",
            ["Secret", param("secret")],
            {"namespace": param("namespace"), "path": "/type", "value": "kubernetes.io/tls"},
        ),
    ),
    faults=("NET-08", "NET-09"),
    words=("certificate", "x509", "tls", "cert-manager", "certificate expired", "ssl"),
    values=_secret,
)

BOOKS = (NODE_DRAIN, NODE_RETURN, QUOTA, PVC, CERTIFICATE)

__all__ = ["BOOKS"]
