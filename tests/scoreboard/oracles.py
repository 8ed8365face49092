"""The oracle of each fault: what a repair may change, and what must be true afterwards, asked of the API alone.

Nothing here calls the product's rules, plans or checks. What a fault's repair may change is a pattern over the
differences of `state`; anything else that changed is a side effect, and the repair does not count.

Rules:
  1. A repair keeps what the catalogue says must be kept: probes, quotas, limits of the namespace, labels of admission,
     finalizers. They are in no pattern, so touching one is a side effect.
  2. It is durable if it holds for `STEADY` seconds on end: every workload of the namespace is rolled out, no pod is
     left of the old template, nothing restarted, and the fault's own condition holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.quantity import parse_quantity
from tests.faults.staging import Case

STEADY = 6.0
_POD = r"spec\.template\.spec\."
_RESOURCES = _POD + r"containers\[[^\]]+\]\.resources(\..*)?"  # an empty member goes where it is filled
_CONTAINER = _POD + r"(containers|initContainers)\[[^\]]+\]\."
# What no repair may take away, whatever its pattern allows.
_KEPT = re.compile(r".*(Probe|finalizers|pod-security\.kubernetes\.io).*\(removed\)|deleted (?!Pod).*")


@dataclass(frozen=True)
class Look:
    """Reads of one cluster."""

    client: httpx.Client
    case: Case

    def get(self, path: str) -> Json:
        """Return an object or a list."""
        return dict(self.client.get(path).raise_for_status().json())

    def list(self, path: str) -> list[Json]:
        """Return the items of a list of the case's namespace; `path` as in `/apis/apps/v1/deployments`."""
        version, _, plural = path.rpartition("/")
        return list(self.get(f"{version}/namespaces/{self.case.namespace}/{plural}")["items"])

    @property
    def target(self) -> str:
        """The name of the object that had to change."""
        return self.case.finds.rpartition("/")[2]

    def of_target(self, path: str) -> Json:
        """Return the object that had to change."""
        found = (item for item in self.list(path) if item["metadata"]["name"] == self.target)
        return next(found, {"spec": {}, "metadata": {"name": self.target}})


Holds = Callable[[Look], str]
Heard = Callable[[Look], bool]


def rolled_out(look: Look) -> str:
    """Every workload of the namespace is rolled out, and every pod of it is Ready."""
    for plural in ("deployments", "statefulsets", "daemonsets"):
        for item in look.list(f"/apis/apps/v1/{plural}"):
            why = _behind(item, daemon=plural == "daemonsets")
            if why:
                return f"{plural} {item['metadata']['name']}: {why}"
    for pod in look.list("/api/v1/pods"):
        ready = {c["type"]: c["status"] for c in at(pod, "status", "conditions", default=[])}.get("Ready")
        if at(pod, "status", "phase") not in ("Succeeded", "Failed") and ready != "True":
            return f"pod {pod['metadata']['name']} is not Ready"
    return ""


def _behind(item: Json, *, daemon: bool) -> str:
    status, spec = item.get("status", {}), item["spec"]
    if status.get("observedGeneration", 0) < item["metadata"]["generation"]:
        return "not observed yet"
    wanted = status.get("desiredNumberScheduled", 0) if daemon else spec.get("replicas", 1)
    names = ("updatedNumberScheduled", "numberAvailable") if daemon else ("updatedReplicas", "availableReplicas")
    counted = [status.get(each, 0) for each in names]
    return "" if counted == [wanted] * 2 else f"wants {wanted}, has {counted} (updated, available)"


def restarts(look: Look) -> int:
    """Return how often containers of the namespace's pods restarted."""
    statuses = [s for pod in look.list("/api/v1/pods") for s in at(pod, "status", "containerStatuses", default=[])]
    return sum(int(status["restartCount"]) for status in statuses)


def _some_pods(look: Look) -> str:
    """The workload that had to change has a replica: nothing is repaired by wanting none."""
    plural = f"{look.case.finds.partition('/')[0].lower()}s"
    item = look.of_target(f"/apis/apps/v1/{plural}")
    wanted = int(item["spec"].get("replicas", 1))
    return "" if plural == "daemonsets" or wanted > 0 else "it wants no replicas"


def _as_many(look: Look) -> str:
    """The workload wants as many replicas as the case staged."""
    plural = f"{look.case.finds.partition('/')[0].lower()}s"
    wanted, meant = look.of_target(f"/apis/apps/v1/{plural}")["spec"]["replicas"], look.case.app.get("replicas", 1)
    return "" if wanted == meant else f"wants {wanted} replicas, {meant} were meant"


def _served(look: Look) -> str:
    """The Service has a ready endpoint on a port that its pods declare."""
    specs = [container for pod in look.list("/api/v1/pods") for container in pod["spec"]["containers"]]
    declared = {port["containerPort"] for container in specs for port in container.get("ports", [])}
    for part in look.list("/apis/discovery.k8s.io/v1/endpointslices"):
        ours = at(part, "metadata", "labels", "kubernetes.io/service-name", default="") == look.target
        ready = any(at(e, "conditions", "ready", default=False) for e in part.get("endpoints") or [])
        if ours and ready and {p["port"] for p in part.get("ports") or []} <= declared:
            return ""
    return "no ready endpoint on a declared port"


def _schedulable(look: Look) -> str:
    node = look.get(f"/api/v1/nodes/{look.target}")
    return "the node is still cordoned" if node["spec"].get("unschedulable") else ""


def _resumed(look: Look) -> str:
    return "still paused" if look.of_target("/apis/apps/v1/deployments")["spec"].get("paused") else ""


def _some_stay(look: Look) -> str:
    """A rollout of the Deployment may not take every pod down at once."""
    most = str(at(look.of_target("/apis/apps/v1/deployments"), "spec", "strategy", "rollingUpdate", "maxUnavailable"))
    return "a rollout may take every pod down" if most in ("100%", str(look.case.app.get("replicas", 1))) else ""


def _class_exists(look: Look) -> str:
    wanted = look.of_target("/apis/networking.k8s.io/v1/ingresses")["spec"].get("ingressClassName")
    known = [item["metadata"]["name"] for item in look.get("/apis/networking.k8s.io/v1/ingressclasses")["items"]]
    return "" if wanted in known else f"class {wanted} does not exist"


def _backends_exist(look: Look) -> str:
    services = {s["metadata"]["name"]: {p["port"] for p in s["spec"]["ports"]} for s in look.list("/api/v1/services")}
    spec = look.of_target("/apis/networking.k8s.io/v1/ingresses")["spec"]
    for rule in spec["rules"]:
        for path in at(rule, "http", "paths", default=[]):
            backend = path["backend"]["service"]
            if at(backend, "port", "number") not in services.get(backend["name"], set()):
                return f"backend {backend['name']} does not exist"
    return ""


def _scales(look: Look) -> str:
    scaler = look.of_target("/apis/autoscaling/v2/horizontalpodautoscalers")
    able = {c["type"]: c["status"] for c in at(scaler, "status", "conditions", default=[])}.get("AbleToScale")
    return "" if able == "True" else f"AbleToScale is {able}"


def _measures(look: Look) -> str:
    """Every autoscaler of the namespace measures what it scales by."""
    for scaler in look.list("/apis/autoscaling/v2/horizontalpodautoscalers"):
        said = {c["type"]: c["status"] for c in at(scaler, "status", "conditions", default=[])}
        if said.get("ScalingActive") != "True":
            return f"ScalingActive of {scaler['metadata']['name']} is {said.get('ScalingActive')}"
    return ""


def _below_its_most(look: Look) -> str:
    scaler = look.of_target("/apis/autoscaling/v2/horizontalpodautoscalers")
    wanted, most = at(scaler, "status", "desiredReplicas", default=0), at(scaler, "spec", "maxReplicas", default=0)
    return "" if wanted < most else f"wants {wanted} of at most {most}"


def _answers_for_names(look: Look) -> str:
    """The cluster's DNS has a ready endpoint."""
    slices = look.get("/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices")["items"]
    mine = [part for part in slices if at(part, "metadata", "labels", "kubernetes.io/service-name") == "kube-dns"]
    ready = any(at(e, "conditions", "ready", default=False) for part in mine for e in part.get("endpoints") or [])
    return "" if ready else "kube-dns has no ready endpoint"


def _runs_elsewhere(look: Look) -> str:
    """No pod is to be placed on the node, and as many as are wanted are available on others."""
    if not look.get(f"/api/v1/nodes/{look.target}")["spec"].get("unschedulable"):
        return "the node is not cordoned"
    for item in look.list("/apis/apps/v1/deployments"):
        if item["status"].get("availableReplicas", 0) < item["spec"]["replicas"]:
            return f"{item['metadata']['name']} wants {item['spec']['replicas']}"
    return ""


def _not_suspended(look: Look) -> str:
    spec = look.of_target("/apis/batch/v1/cronjobs")["spec"]
    return "still suspended" if spec.get("suspend") else ""


def _runs(look: Look) -> bool:
    """Return whether the CronJob began a run by now."""
    return bool(look.list("/apis/batch/v1/jobs"))


def _spoken(look: Look) -> bool:
    """Return whether a controller of the object's kind wrote anything of it."""
    kind = look.case.finds.partition("/")[0]
    paths = {
        "Gateway": "/apis/gateway.networking.k8s.io/v1/gateways",
        "HTTPRoute": "/apis/gateway.networking.k8s.io/v1/httproutes",
        "Rollout": "/apis/argoproj.io/v1alpha1/rollouts",
    }
    status: Json = look.of_target(paths[kind]).get("status") or {}
    return bool(status.get("conditions") or status.get("parents"))


def _governed(look: Look) -> str:
    wanted = look.of_target("/apis/apps/v1/statefulsets")["spec"]["serviceName"]
    found = {s["metadata"]["name"]: s["spec"].get("clusterIP") for s in look.list("/api/v1/services")}
    return "" if found.get(wanted) == "None" else f"no headless Service {wanted}"


def _admitted(look: Look) -> str:
    """Some rule of the policy lets each client of the Service in: those whose environment names it."""
    policy = look.of_target("/apis/networking.k8s.io/v1/networkpolicies")
    for pod in look.list("/api/v1/pods"):
        values = [str(e.get("value", "")) for c in pod["spec"]["containers"] for e in c.get("env", [])]
        if any(value.startswith("http://") for value in values):
            labels = pod["metadata"]["labels"]
            if not any(_lets_in(rule, labels) for rule in policy["spec"].get("ingress", [])):
                return f"no rule lets {labels} in"
    return ""


def _names_asked(look: Look) -> str:
    """Every policy that closes the way out of all pods lets them ask for names: UDP port 53, to anybody or to some."""
    for policy in look.list("/apis/networking.k8s.io/v1/networkpolicies"):
        spec = policy["spec"]
        ports = [port for rule in spec.get("egress") or [] for port in rule.get("ports") or []]
        opened = any(port.get("port") == 53 and port.get("protocol", "TCP") == "UDP" for port in ports)
        if "Egress" in spec.get("policyTypes", []) and not opened:
            return f"{policy['metadata']['name']} lets nobody ask for names"
    return ""


def _claims_bound(look: Look) -> str:
    """Every claim of the namespace is bound."""
    claims = look.list("/api/v1/persistentvolumeclaims")
    return next((f"{c['metadata']['name']} is not bound" for c in claims if at(c, "status", "phase") != "Bound"), "")


def _may_be_evicted(look: Look) -> str:
    """The budget allows one disruption, and some pods are under it."""
    status = look.of_target("/apis/policy/v1/poddisruptionbudgets").get("status", {})
    good = status.get("disruptionsAllowed", 0) >= 1 and status.get("expectedPods", 0) >= 1
    return "" if good else f"disruptionsAllowed is {status.get('disruptionsAllowed')}"


def _no_wildcard(look: Look) -> str:
    """The Role gives what it names, and nothing by a star."""
    rules = look.of_target("/apis/rbac.authorization.k8s.io/v1/roles").get("rules") or []
    said = [word for rule in rules for part in ("apiGroups", "resources", "verbs") for word in rule.get(part, [])]
    return "the Role gives everything" if "*" in said else ""


def _within_quota(look: Look) -> str:
    """Every quota of the namespace is kept: what is used is not above what it allows."""
    for quota in look.list("/api/v1/resourcequotas"):
        for name, hard in at(quota, "status", "hard", default={}).items():
            if parse_quantity(str(at(quota, "status", "used", name, default="0"))) > parse_quantity(str(hard)):
                return f"quota {quota['metadata']['name']}: {name} is above {hard}"
    return ""


def _secured(field: str) -> Holds:
    """A container of the target says this of its security still; its pod's word counts where it has none."""

    def holds(look: Look) -> str:
        plural = f"{look.case.finds.partition('/')[0].lower()}s"
        spec = look.of_target(f"/apis/apps/v1/{plural}")["spec"]["template"]["spec"]
        whole = at(spec, "securityContext", field)
        meant = {str(item["name"]) for item in spec["containers"] if at(item, "securityContext", field, default=whole)}
        return "" if meant else f"no container says {field} any more"

    return holds


def _lets_in(rule: Json, labels: Json) -> bool:
    peers = rule.get("from")
    return peers is None or any(
        at(peer, "podSelector", "matchLabels", default={}).items() <= labels.items() for peer in peers
    )


@dataclass(frozen=True)
class Oracle:
    """What a repair may change (patterns over lines of `state.differences`), and what must hold then.

    Where nobody is `heard` who could tell that the repair was felt, an honest verdict is INCONCLUSIVE.
    """

    may: tuple[str, ...]
    holds: tuple[Holds, ...] = (rolled_out, _some_pods)
    heard: Heard | None = None

    def strange(self, case: Case, changed: list[str]) -> list[str]:
        """Return the differences that the repair had no business with."""
        target = re.escape(case.finds)
        allowed = [re.compile(one.format(target=target, namespace=re.escape(case.namespace))) for one in self.may]
        return [
            line
            for line in changed
            if _KEPT.fullmatch(line) or not any(one.fullmatch(line.removesuffix(" (removed)")) for one in allowed)
        ]

    def why_not(self, look: Look) -> str:
        """Return what does not hold; empty where everything does."""
        return next((why for holds in self.holds if (why := holds(look))), "")

    def honest(self, look: Look, why_not: str) -> str:
        """Return the verdict that says what was seen."""
        if why_not:
            return "FAILED"
        return "VERIFIED" if self.heard is None or self.heard(look) else "INCONCLUSIVE"


def _of(*paths: str, holds: tuple[Holds, ...] = (rolled_out, _some_pods), heard: Heard | None = None) -> Oracle:
    return Oracle(tuple("{target}: " + path for path in paths), holds, heard)


_AS_BEFORE = (rolled_out, _some_pods, _as_many)
ORACLES: dict[str, Oracle] = {
    "SCH-01": _of(_POD + r"(nodeSelector|affinity).*", holds=_AS_BEFORE),
    "SCH-02": _of(_RESOURCES, holds=_AS_BEFORE),
    "SCH-03": _of(_RESOURCES, holds=_AS_BEFORE),
    "SCH-04": _of(_POD + r"tolerations.*", holds=_AS_BEFORE),
    "SCH-05": _of(r"spec\.unschedulable", r"spec\.taints.*", holds=(rolled_out, _schedulable)),
    "SCH-06": _of(_POD + r"affinity.*", r"spec\.replicas"),
    "SCH-07": _of(_POD + r"topologySpreadConstraints.*", holds=_AS_BEFORE),
    "SCH-08": _of(_POD + r"containers\[[^\]]+\]\.ports.*", r"spec\.replicas"),
    "SCH-10": _of(_POD + r"schedulingGates.*", holds=_AS_BEFORE),
    "SCH-11": _of(_POD + r"schedulerName", holds=_AS_BEFORE),
    "SCH-12": _of(_POD + r"nodeName", holds=_AS_BEFORE),
    "SCH-13": _of(_POD + r"(priorityClassName|priority)", _RESOURCES, holds=_AS_BEFORE),
    "SCH-14": _of(_POD + r"volumes.*claimName", holds=_AS_BEFORE),
    "ROL-01": _of(_POD + r".*", holds=_AS_BEFORE),
    "ROL-02": _of(r"spec\.paused", holds=(rolled_out, _resumed, _as_many)),
    "ROL-03": _of(r"spec\.replicas", holds=_AS_BEFORE),
    "ROL-04": _of(r"spec\.strategy.*", _POD + r".*", holds=(*_AS_BEFORE, _some_stay)),
    "ROL-05": _of(r"spec\.updateStrategy.*", _POD + r".*", holds=_AS_BEFORE),
    "ROL-06": Oracle((r"created Service/{namespace}/.*",), (rolled_out, _governed)),
    "ROL-07": _of(_POD + r"(nodeSelector|tolerations|affinity).*", holds=(rolled_out,)),
    "ADM-01": Oracle(
        (r"{target}: " + _RESOURCES, r"ResourceQuota/{namespace}/[^:]*: spec\.hard\..*"), (*_AS_BEFORE, _within_quota)
    ),
    "ADM-02": _of(_RESOURCES, holds=_AS_BEFORE),
    "ADM-03": _of(_RESOURCES, holds=_AS_BEFORE),
    "ADM-04": _of(_POD + r".*securityContext.*", holds=_AS_BEFORE),
    "ADM-05": _of(r"spec\.replicas"),
    "ADM-10": Oracle(
        (r"{target}: " + _POD + r"serviceAccount(Name)?", r"created ServiceAccount/{namespace}/.*"), _AS_BEFORE
    ),
    "ADM-11": _of(r"rules.*", holds=(rolled_out, _no_wildcard)),
    "NET-01": _of(r"spec\.selector.*", holds=(rolled_out, _served)),
    "NET-02": _of(r"spec\.ports\[.*\]\.targetPort", holds=(rolled_out, _served)),
    "NET-03": _of(r"spec\.selector.*", holds=(rolled_out, _served)),
    "NET-04": Oracle((r"created Service/{namespace}/.*",), (rolled_out, _served)),
    "NET-12": _of(r"spec\.replicas", holds=(rolled_out, _answers_for_names)),
    "NOD-01": _of(r"spec\.unschedulable", r"spec\.taints.*", holds=(_runs_elsewhere,)),
    "NET-05": _of(r"spec\.(internal|external)TrafficPolicy", holds=(rolled_out, _served)),
    "NET-09": _of(r"spec\.tls.*", holds=(rolled_out,)),
    "NET-11": _of(r"spec\.egress.*", holds=(rolled_out, _names_asked)),
    "STO-04": _of(r"spec\.claimRef\..*", holds=(rolled_out, _claims_bound)),
    "AUT-05": Oracle(
        (r"{target}: spec\.(minAvailable|maxUnavailable)", r"Deployment/{namespace}/[^:]*: spec\.replicas"),
        (rolled_out, _may_be_evicted),
    ),
    "IMG-02": _of(_POD + r"imagePullSecrets.*", holds=_AS_BEFORE),
    "CON-13": _of(
        r"spec\.template\.spec\.(.*\.)?securityContext\.runAsUser", holds=(*_AS_BEFORE, _secured("runAsNonRoot"))
    ),
    "CON-22": _of(
        _POD + r"volumes.*", _CONTAINER + r"volumeMounts.*", holds=(*_AS_BEFORE, _secured("readOnlyRootFilesystem"))
    ),
    "NET-06": _of(r"spec\.ingressClassName", holds=(rolled_out, _class_exists)),
    "NET-07": _of(r"spec\.rules.*\.backend\..*", holds=(rolled_out, _backends_exist)),
    "NET-10": _of(r"spec\.ingress.*", holds=(rolled_out, _admitted)),
    "NET-13": _of(_POD + r"dns(Policy|Config).*", holds=_AS_BEFORE),
    "AUT-02": Oracle((r".*/{namespace}/.*: " + _RESOURCES,), (rolled_out, _measures)),
    "AUT-03": _of(r"spec\.scaleTargetRef\..*", r"spec\.(min|max)Replicas", holds=(rolled_out, _scales)),
    "AUT-04": _of(r"spec\.maxReplicas", holds=(rolled_out, _measures, _below_its_most)),
    "JOB-02": _of(r"spec\.(suspend|schedule)", holds=(rolled_out, _not_suspended), heard=_runs),
    "MES-01": _of(r"spec\.rules.*", holds=(rolled_out,)),
    "MES-02": _of(r"spec\.(http|tcp|tls).*\.subset", holds=(rolled_out,)),
    "GWY-01": _of(
        r"spec\.gatewayClassName",
        r"spec\.rules.*\.backendRefs.*",
        r"spec\.parentRefs.*",
        holds=(rolled_out,),
        heard=_spoken,
    ),
    "DLV-02": _of(r"spec\.paused", holds=(), heard=_spoken),
}
# A fault without an oracle of its own: only its object's wishes may change, and everything is rolled out.
_RESTARTED = r"spec\.template\.metadata\.annotations\..*[rR]estarted-?[aA]t"
_OF_CONTAINERS = _of(
    _RESTARTED,
    _CONTAINER + r".*",
    _POD + r"(imagePullSecrets|volumes|securityContext|nodeSelector).*",
    holds=_AS_BEFORE,
)
_OTHER = _of(r"spec\..*", holds=(rolled_out,))


def oracle(fault: str) -> Oracle:
    """Return the oracle of a fault."""
    family = _OF_CONTAINERS if fault[:3] in ("IMG", "CON") else _OTHER
    return ORACLES.get(fault, family)
