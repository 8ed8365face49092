"""Which kinds the practice cluster serves, and how far.

`played` kinds have a store, validation and where they need one a controller. `empty` kinds can be listed, so that a
reader of the whole cluster gets an honest empty answer, and refuse creation by name: nothing here would act on them.
"""

from dataclasses import dataclass
from typing import Literal

READS = ("get", "list", "watch")
WRITES = ("create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True)
class Kind:
    """One kind as discovery names it; `model` is its name in the field table, `subs` its subresources."""

    group: str
    version: str
    kind: str
    plural: str
    model: str = ""
    short: tuple[str, ...] = ()
    namespaced: bool = True
    subs: tuple[str, ...] = ()
    level: Literal["played", "empty"] = "played"
    in_all: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """Return `deployments.apps`, or `pods` for the core group, as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def verbs(self) -> tuple[str, ...]:
        return READS if self.level == "empty" else READS + WRITES

    @property
    def counted(self) -> bool:
        """True where the server counts `metadata.generation`."""
        return self.kind in {"Deployment", "ReplicaSet", "StatefulSet", "Job", "Pod", "PodDisruptionBudget"}


POD = Kind("", "v1", "Pod", "pods", "V1Pod", ("po",), subs=("status", "log", "proxy", "eviction"), in_all=True)
SERVICE = Kind("", "v1", "Service", "services", "V1Service", ("svc",), subs=("status", "proxy"), in_all=True)
ENDPOINTS = Kind("", "v1", "Endpoints", "endpoints", "V1Endpoints", ("ep",))
NODE = Kind("", "v1", "Node", "nodes", "V1Node", ("no",), namespaced=False, subs=("status",))
EVENT = Kind("", "v1", "Event", "events", "CoreV1Event", ("ev",))
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps", "V1ConfigMap", ("cm",))
SECRET = Kind("", "v1", "Secret", "secrets", "V1Secret")
NAMESPACE = Kind("", "v1", "Namespace", "namespaces", "V1Namespace", ("ns",), namespaced=False, subs=("status",))
QUOTA = Kind("", "v1", "ResourceQuota", "resourcequotas", "V1ResourceQuota", ("quota",), subs=("status",))
LIMIT_RANGE = Kind("", "v1", "LimitRange", "limitranges", "V1LimitRange", ("limits",))
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts", "V1ServiceAccount", ("sa",))
_SCALED = ("status", "scale")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments", "V1Deployment", ("deploy",), subs=_SCALED, in_all=True)
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets", "V1ReplicaSet", ("rs",), subs=_SCALED, in_all=True)
STATEFUL_SET = Kind("apps", "v1", "StatefulSet", "statefulsets", "V1StatefulSet", ("sts",), subs=_SCALED, in_all=True)
JOB = Kind("batch", "v1", "Job", "jobs", "V1Job", subs=("status",), in_all=True)
SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "V1EndpointSlice")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases", "V1Lease")


BUDGET = Kind(
    "policy",
    "v1",
    "PodDisruptionBudget",
    "poddisruptionbudgets",
    "V1PodDisruptionBudget",
    ("pdb",),
    subs=("status",),
)


def _empty(group: str, version: str, kind: str, plural: str, *short: str, namespaced: bool = True) -> Kind:
    return Kind(group, version, kind, plural, "", short, namespaced, level="empty")


KINDS: tuple[Kind, ...] = (
    POD,
    SERVICE,
    ENDPOINTS,
    NODE,
    EVENT,
    CONFIG_MAP,
    SECRET,
    NAMESPACE,
    QUOTA,
    LIMIT_RANGE,
    SERVICE_ACCOUNT,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    JOB,
    SLICE,
    LEASE,
    BUDGET,
    _empty("", "v1", "PersistentVolume", "persistentvolumes", "pv", namespaced=False),
    _empty("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc"),
    _empty("", "v1", "ReplicationController", "replicationcontrollers", "rc"),
    _empty("apps", "v1", "DaemonSet", "daemonsets", "ds"),
    _empty("apps", "v1", "ControllerRevision", "controllerrevisions"),
    _empty("batch", "v1", "CronJob", "cronjobs", "cj"),
    _empty("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa"),
    _empty("networking.k8s.io", "v1", "Ingress", "ingresses", "ing"),
    _empty("networking.k8s.io", "v1", "IngressClass", "ingressclasses", namespaced=False),
    _empty("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "netpol"),
    _empty("storage.k8s.io", "v1", "StorageClass", "storageclasses", "sc", namespaced=False),
    _empty("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "pc", namespaced=False),
)

_BY_PATH = {(kind.group, kind.version, kind.plural): kind for kind in KINDS}
_BY_NAME = {(kind.api_version, kind.kind): kind for kind in KINDS}


def by_path(group: str, version: str, plural: str) -> Kind | None:
    """Return the kind served at this path, if any."""
    return _BY_PATH.get((group, version, plural))


def by_name(api_version: str, kind: str) -> Kind | None:
    """Return the kind that a manifest names, if any."""
    return _BY_NAME.get((api_version, kind))


def groups() -> list[tuple[str, str]]:
    """Return every named group with its version, in discovery's order."""
    seen = {(kind.group, kind.version): None for kind in KINDS if kind.group}
    return list(seen)
