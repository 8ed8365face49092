"""Curated runbooks of what is between a client and a pod: endpoints, cluster DNS, an autoscaler at its maximum."""

from skyflo_runbooks.model.check import build
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, GatherStep, Parameter, ReadStep, param
from skyflo_runbooks.planning.curated.book import KIND, NAME, NAMESPACE, SETTLE, Book, call, number, required, steady

_SERVICE: Json = {"kind": "Service", "namespace": param("namespace"), "name": param("service")}
_HPA: Json = {"kind": "HorizontalPodAutoscaler", "namespace": param("namespace"), "name": param("autoscaler")}


def _pointer(key: str) -> str:
    # RFC 6901: '~' and '/' are escaped in a pointer.
    return key.replace("~", "~0").replace("/", "~1")


def _selector(finding: Finding) -> dict[str, str]:
    """The one label in which the selector misses the pods that it was meant for; nothing where it is not just one."""
    found = {"namespace": finding.object.namespace, "service": finding.object.name}
    facts = finding.facts
    present = {key.removeprefix("selector:"): value for key, value in facts.items() if key.startswith("selector:")}
    meant = {key.removeprefix("meant:"): value for key, value in facts.items() if key.startswith("meant:")}
    wrong = [key for key in meant if key in present and meant[key] != present[key]]
    if len(wrong) == 1 and set(present) == set(meant):
        found |= {"label": f"/spec/selector/{_pointer(wrong[0])}", "value": meant[wrong[0]]}
    return found


NO_ENDPOINTS = Book(
    name="no-endpoints",
    title="A Service has no endpoints because its selector matches no pod",
    use=(
        "Requests to the Service are refused or time out: it has no endpoints, while pods that it is for are Ready.",
        "One label of the selector differs from what those pods carry.",
    ),
    not_for=(
        "Pods that are not Ready: until they are, they are no endpoints, whatever the selector (`crash-loop`, `oom`).",
        "Endpoints that are there and do not answer: the target port or a network policy.",
    ),
    parameters=(
        NAMESPACE,
        required("service", "name of the Service, such as payment-service"),
        required("label", "label of its selector that is wrong, as a path, such as /spec/selector/app"),
        required("value", "what the pods carry there, such as payment-service"),
    ),
    reads=(
        GatherStep(
            "state",
            {
                "service": call("k8s_describe", **_SERVICE),
                "slices": call("k8s_get", kind="EndpointSlice", namespace=param("namespace")),
                "pods": call("k8s_get", kind="Pod", namespace=param("namespace"), output="wide"),
                "workloads": call("k8s_get", kind="Deployment", namespace=param("namespace"), output="wide"),
                "events": call("k8s_events", namespace=param("namespace")),
            },
        ),
    ),
    look=(
        "`service`: the selector, and the endpoints. `workloads`: the labels that each workload's pods carry.",
        "`pods`: whether those that are meant are Ready. A selector that is right repairs nothing if they are not.",
        "A key with a slash is written with ~1 in `label`: /spec/selector/app.kubernetes.io~1name.",
    ),
    will=(
        "This one label of the selector becomes `value`. Requests go to the pods that carry it at once.",
        "The card says which pods that are, and which lose requests.",
        "Verified: the selector is as approved, it chooses pods, and each of them is a ready endpoint.",
    ),
    change=ChangeStep(
        "set_selector",
        "k8s_patch",
        {
            **_SERVICE,
            "patch": [{"op": "replace", "path": param("label"), "value": param("value")}],
            "patch_type": "json",
        },
        "No pod carries what the selector asks for; the pods that it is for carry this.",
    ),
    checks=(
        build("endpoints_ready", [param("service")], {"namespace": param("namespace")}),
        build(
            "field_equals",
            ["Service", param("service")],
            {"namespace": param("namespace"), "path": param("label"), "value": param("value")},
        ),
    ),
    faults=("NET-01",),
    words=("no endpoints", "no endpoint", "service unavailable", "connection refused", "selector"),
    values=_selector,
)


def _dns(finding: Finding) -> dict[str, str]:
    name = {"name": finding.object.name} if finding.object.kind == "Deployment" else {}
    return {"namespace": finding.object.namespace, **name}


DNS = Book(
    name="dns",
    title="Names inside the cluster are not resolved, and the DNS pods are missing",
    use=(
        "Pods cannot resolve names of Services or of the internet, in many namespaces at once.",
        "The DNS Deployment has too few pods or none, and its Service no ready endpoints.",
    ),
    not_for=(
        "One namespace alone: look at its network policies (egress to port 53) and at the pods' dnsPolicy.",
        "DNS pods that crash: the Corefile or the upstream is wrong, and more pods crash as well (`logs` says why; "
        "`rollback` where the Deployment was changed).",
    ),
    parameters=(
        Parameter("namespace", "str", "kube-system", "namespace of the cluster's DNS"),
        Parameter("name", "str", "coredns", "Deployment that answers DNS"),
        Parameter("service", "str", "kube-dns", "Service that pods ask"),
        Parameter("replicas", "int", 2, "how many pods should answer; one of them is not enough while a node drains"),
        SETTLE,
    ),
    reads=(
        GatherStep(
            "state",
            {
                "workload": call("k8s_describe", kind="Deployment", namespace=param("namespace"), name=param("name")),
                "service": call("k8s_describe", kind="Service", namespace=param("namespace"), name=param("service")),
                "configuration": call("k8s_get", kind="ConfigMap", namespace=param("namespace"), output="yaml"),
                "events": call("k8s_events", namespace=param("namespace")),
                "policies": call("k8s_get", kind="NetworkPolicy"),
                "nodes": call("k8s_get", kind="Node"),
            },
        ),
        ReadStep(
            "logs",
            "k8s_logs",
            {"kind": "Deployment", "namespace": param("namespace"), "name": param("name"), "tail": 40},
        ),
    ),
    look=(
        "`workload`: how many pods are wanted and Ready, and who scaled it last. `service`: its ready endpoints.",
        "`configuration`: the Corefile, with the upstream in `forward`. `logs`: SERVFAIL, loops, time-outs to it.",
        "`policies`: an egress policy without port 53 blocks DNS for the pods that it selects, however well DNS is.",
    ),
    will=(
        "The DNS Deployment is scaled to `replicas`. Where it has as many already, the change is in place and only the "
        "verify step measures.",
        "Verified: the rollout is complete, all pods are Ready and endpoints of the Service, and nothing restarts for "
        "`settle`. A DNS pod is Ready when its own plug-ins say so.",
        "Not verified: that a name is resolved. The API server cannot ask; try it from a pod of yours, for example "
        "with `k8s_exec` and nslookup, which waits for an approval of its own.",
    ),
    change=ChangeStep(
        "scale_dns",
        "k8s_scale",
        {
            "kind": "Deployment",
            "namespace": param("namespace"),
            "name": param("name"),
            "replicas": param("replicas"),
        },
        "Too few pods answer DNS for the whole cluster.",
    ),
    checks=(
        build("rollout_complete", ["Deployment", param("name")], {"namespace": param("namespace")}),
        build(
            "pods_ready", ["Deployment", param("name")], {"namespace": param("namespace"), "count": param("replicas")}
        ),
        build("endpoints_ready", [param("service")], {"namespace": param("namespace")}),
        build(
            "no_restarts",
            ["Deployment", param("name")],
            {"namespace": param("namespace"), "window": param("settle")},
        ),
    ),
    faults=("NET-12",),
    words=("dns", "resolve", "resolved", "nxdomain", "no such host", "coredns", "name resolution"),
    values=_dns,
)


def _at_maximum(finding: Finding) -> dict[str, str]:
    target = next((item for item in finding.related if item.kind != finding.object.kind), None)
    found = {"namespace": finding.object.namespace, "autoscaler": finding.object.name}
    if target is not None:
        found |= {"name": target.name} | ({} if target.kind == "Deployment" else {"kind": target.kind})
    return found


HPA_MAX = Book(
    name="hpa-max",
    title="An autoscaler stands at its maximum and wants more (ScalingLimited)",
    use=(
        "The HorizontalPodAutoscaler says ScalingLimited, TooManyReplicas, and its measure is above the target.",
        "Latency or errors rise while as many pods run as may run, and each of them is busy.",
    ),
    not_for=(
        "ScalingActive False: it does not measure, and a higher maximum changes nothing.",
        "Pods that wait for something else than their own CPU: more of them press harder on what they wait for.",
    ),
    parameters=(
        NAMESPACE,
        required("autoscaler", "name of the HorizontalPodAutoscaler, such as storefront"),
        KIND,
        NAME,
        number("maximum", "new maximum of replicas, within quota and nodes, such as 12"),
        SETTLE,
    ),
    reads=(
        GatherStep(
            "state",
            {
                "autoscaler": call("k8s_describe", **_HPA),
                "workload": call("k8s_describe", kind=param("kind"), namespace=param("namespace"), name=param("name")),
                "usage": call("k8s_top_pods", namespace=param("namespace")),
                "quota": call("k8s_get", kind="ResourceQuota", namespace=param("namespace")),
                "node_usage": call("k8s_top_nodes"),
                "events": call("k8s_events", namespace=param("namespace")),
            },
        ),
    ),
    look=(
        "`autoscaler`: present and wanted replicas, the measure against its target, and its conditions.",
        "`usage`: whether the pods are busy, or only one of them. `quota` and `node_usage`: for how many more is room.",
        "What the pods call (a database, a queue) has to bear that many more as well: no read here shows it.",
    ),
    will=(
        "The maximum becomes `maximum`; minimum, target and behaviour stay. The autoscaler then scales as it measures.",
        "Verified: the maximum is as approved, the autoscaler measures and wants fewer than it, and the workload has "
        "all its pods Ready without a restart for `settle`. Scaling takes minutes: `within` is 15.",
    ),
    change=ChangeStep(
        "raise_maximum",
        "k8s_patch",
        {**_HPA, "patch": {"spec": {"maxReplicas": param("maximum")}}, "patch_type": "merge"},
        "It stands at its maximum, and its measure asks for more.",
    ),
    checks=(
        build("below_maximum", [param("autoscaler")], {"namespace": param("namespace")}),
        build(
            "field_equals",
            ["HorizontalPodAutoscaler", param("autoscaler")],
            {"namespace": param("namespace"), "path": "/spec/maxReplicas", "value": param("maximum")},
        ),
        *steady(),
    ),
    faults=("AUT-04",),
    words=("autoscaler", "hpa", "max replicas", "at its maximum", "scalinglimited"),
    values=_at_maximum,
    within="15m",
)

BOOKS = (NO_ENDPOINTS, DNS, HPA_MAX)

__all__ = ["BOOKS"]
