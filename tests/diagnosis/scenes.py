"""More hand-made snapshots, one for each fault of the other families, built of the same parts as `world`.

Each takes the names that things have in it, and `SCENES` says which object its diagnosis has to name.
"""

import copy
from collections.abc import Callable

import msgspec

from skyflo_runbooks.diagnosis.snapshot import Log, Snapshot, Throttle, Usage
from skyflo_runbooks.model.json import Json
from tests.diagnosis import world
from tests.diagnosis.world import EARLIER, NOW, Names

SYSTEM = "kube-system"
COREFILE = ".:53 {\n    errors\n    kubernetes cluster.local in-addr.arpa\n    forward . /etc/resolv.conf\n}\n"


def serving(names: Names, count: int = 2, **spec: object) -> list[Json]:
    """Return a Deployment of one revision with its ReplicaSet and pods, all of which serve; no Service."""
    held = world.container(names, f"{names.image}:v2.4.0", **spec)
    pods = [world.pod(names, held, world.running(), index=index, number=1, serves=True) for index in range(count)]
    workload = world.deployment(names, held, replicas=count, available=count)
    return [workload, world.replica_set(names, held, 1, replicas=count), *pods]


def beside(names: Names, workload: str, **more: str) -> Names:
    """Return the names of another workload of the same namespace."""
    given = {"workload": workload, "service": workload, "container": workload, "image": f"other/{workload}", **more}
    return msgspec.structs.replace(names, **given)


def client_of(names: Names, *, port: int = 80) -> list[Json]:
    """Return a workload whose environment names the Service."""
    url = f"http://{names.service}:{port}/"
    return serving(beside(names, "shopfront"), 1, env=[{"name": "BACKEND_URL", "value": url}])


def event(about: Json, reason: str, message: str, *, when: str = NOW) -> Json:
    """Return an event about an object."""
    meta = about["metadata"]
    space = meta.get("namespace", "")
    named = {"kind": about["kind"], "name": meta["name"], **({"namespace": space} if space else {})}
    return {
        "kind": "Event",
        "metadata": world.meta(f"{meta['name']}.{reason}", space or "default"),
        "involvedObject": named,
        "type": "Warning",
        "reason": reason,
        "message": message,
        "lastTimestamp": when,
    }


def waiting(names: Names, *, index: int = 9, number: int = 2, volumes: list[Json] | None = None) -> Json:
    """Return a pod that has a node and whose container waits for its volumes."""
    held = world.container(names, f"{names.image}:v2.4.0")
    found = world.pod(names, held, {"state": {"waiting": {"reason": "ContainerCreating"}}}, index=index, number=number)
    found["spec"]["nodeName"] = "node-b"
    found["spec"]["volumes"] = volumes or []
    return found


def claim(names: Names, phase: str = "Bound", *, name: str = "data", **spec: object) -> Json:
    """Return a claim."""
    held = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}, **spec}
    status: Json = {"phase": phase} | ({"capacity": {"storage": "10Gi"}} if phase == "Bound" else {})
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": world.meta(name, names.namespace),
        "spec": held,
        "status": status,
    }


# Network --------------------------------------------------------------------------------------------------------------


def too_broad(names: Names) -> Snapshot:
    """The Service's selector holds for the pods of a batch workload too, which serves nothing."""
    own, other = serving(names), serving(beside(names, "batch-import"), 1, ports=[])
    for item in (*own, *other):
        for labels in (
            item["metadata"].get("labels"),
            item["spec"].get("template", {}).get("metadata", {}).get("labels"),
        ):
            if labels is not None and item["kind"] in ("Pod", "Deployment"):
                labels["team"] = "payments"
    return world.snapshot([*own, *other, world.service(names, {"team": "payments"})])


def local_only(names: Names) -> Snapshot:
    """Requests stay on the client's node, and the client runs where no endpoint is."""
    front = world.service(names)
    front["spec"]["internalTrafficPolicy"] = "Local"
    client = client_of(names)
    client[-1]["spec"]["nodeName"] = "node-b"
    nodes = [world.node(), world.node("node-b")]
    return world.snapshot([*serving(names), *client, front, world.service(beside(names, "shopfront")), *nodes])


def names_denied(names: Names, egress: list[Json] | None = None, *, known: bool = True) -> Snapshot:
    """A policy lets the client reach the Service's port and no resolver, which is kube-dns where it is `known`."""
    ports: list[Json] = [{"to": [{"podSelector": {}}], "ports": [{"port": 8080}]}]
    policy: Json = {
        "kind": "NetworkPolicy",
        "metadata": world.meta("no-way-out", names.namespace),
        "spec": {
            "podSelector": {"matchLabels": {names.label: "shopfront"}},
            "policyTypes": ["Egress"],
            "egress": ports if egress is None else egress,
        },
    }
    dns = resolver(names, count=2) if known else []
    found = world.snapshot([*serving(names), *client_of(names), world.service(names), *dns, policy])
    for space in found.objects["Namespace"]:
        space["metadata"]["labels"] = {"kubernetes.io/metadata.name": space["metadata"]["name"]}
    return found


def resolver(names: Names, *, count: int = 0, corefile: str = "") -> list[Json]:
    """Return the cluster's DNS with so many pods."""
    there = Names(SYSTEM, "coredns", "coredns", "kube-dns", "registry.k8s.io/coredns/coredns", "k8s-app")
    made = serving(there, count)
    for item in made:
        for holder in (item, item["spec"].get("template", {})):
            if "labels" in holder.get("metadata", {}):
                holder["metadata"]["labels"]["k8s-app"] = "kube-dns"
    front = world.service(there, {"k8s-app": "kube-dns"})
    front["metadata"]["labels"] = {"k8s-app": "kube-dns"}
    piece: Json = {
        "kind": "EndpointSlice",
        "metadata": world.meta("kube-dns-1", SYSTEM, labels={"kubernetes.io/service-name": "kube-dns"}),
        "endpoints": [{"addresses": [f"10.0.0.{n}"], "conditions": {"ready": True}} for n in range(count)],
    }
    text = (
        corefile or ".:53 {\n    errors\n    kubernetes cluster.local in-addr.arpa\n    forward . /etc/resolv.conf\n}\n"
    )
    settings: Json = {"kind": "ConfigMap", "metadata": world.meta("coredns", SYSTEM), "data": {"Corefile": text}}
    return [*made, front, piece, settings]


def lost_name(names: Names, made: list[Json], host: str = "ledger") -> Snapshot:
    """Return the snapshot in which the workload crashes because it finds no host."""
    held = world.container(names, f"{names.image}:v2.4.0")
    pod = world.pod(names, held, world.ended(1, "Error", restarts=4), number=1)
    text = f"FATAL dial tcp: lookup {host} on 10.96.0.10:53: no such host\n"
    log = Log(names.namespace, pod["metadata"]["name"], names.container, True, text)
    workload = [world.deployment(names, held, replicas=1), world.replica_set(names, held, 1, replicas=1), pod]
    found = world.snapshot([*workload, world.service(names), *made], logs=(log,))
    return msgspec.structs.replace(found, namespaces=(names.namespace,))


def no_resolver(names: Names) -> Snapshot:
    """CoreDNS is scaled to 0, and the workload crashes for it."""
    return lost_name(names, resolver(names))


def misspelt_zone(names: Names) -> Snapshot:
    """CoreDNS runs and answers for a zone that no pod asks for."""
    return other_zone(names, "cluster.locl")


def other_zone(names: Names, zone: str, host: str = "ledger.checkout.svc.cluster.local") -> Snapshot:
    """CoreDNS runs and answers for this zone, and the workload finds no host under another."""
    return lost_name(names, resolver(names, count=2, corefile=COREFILE.replace("cluster.local", zone)), host)


# Storage --------------------------------------------------------------------------------------------------------------


def held_by_old_pod(names: Names) -> Snapshot:
    """The new pod wants the volume that the old one holds on another node."""
    volumes: list[Json] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    made = serving(names, 1)
    made[2]["spec"]["volumes"] = volumes
    held = world.container(names, f"{names.image}:v2.4.1")
    new, pod = world.replica_set(names, held, 2, replicas=1), waiting(names, volumes=volumes)
    said = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) payment-service-r1-0'
    nodes = [world.node(), world.node("node-b")]
    return world.snapshot([*made, new, pod, event(pod, "FailedAttachVolume", said), claim(names), *nodes])


def released_volume(names: Names) -> Snapshot:
    """The claim names a volume that still belongs to a claim which is gone."""
    volume: Json = {
        "kind": "PersistentVolume",
        "metadata": world.meta("disk-7"),
        "spec": {"claimRef": {"namespace": names.namespace, "name": "data", "uid": "uid-of-before"}},
        "status": {"phase": "Released"},
    }
    return world.snapshot([*serving(names), claim(names, "Pending", volumeName="disk-7"), volume])


def storage_class(name: str, *, grows: bool) -> Json:
    """Return a StorageClass of one driver."""
    return {
        "kind": "StorageClass",
        "metadata": world.meta(name),
        "provisioner": "disk.csi.example.com",
        "allowVolumeExpansion": grows,
    }


def fixed_size(names: Names) -> Snapshot:
    """The claim asks for more, and its class lets none grow; another class of the driver does."""
    held = claim(names, storageClassName="slow", resources={"requests": {"storage": "20Gi"}})
    said = event(held, "ExternalExpanding", "waiting for an external controller to expand this PVC")
    classes = [storage_class("slow", grows=False), storage_class("fast", grows=True)]
    return world.snapshot([*serving(names), held, said, *classes])


def absent_driver(names: Names) -> Snapshot:
    """The node's kubelet knows no such driver."""
    pod = waiting(names, number=1)
    said = (
        'MountVolume.MountDevice failed for volume "pvc-1" : kubernetes.io/csi: attacher.MountDevice failed to create '
        "newCsiDriverClient: driver name disk.csi.example.com not found in the list of registered CSI drivers"
    )
    made = serving(names, 1)
    return world.snapshot([*made, pod, event(pod, "FailedMount", said)])


# Disruption, Jobs, nodes, the API -------------------------------------------------------------------------------------


def kept_on_node(names: Names) -> Snapshot:
    """A node is to be emptied, and the budget wants as many pods as there are."""
    budget: Json = {
        "kind": "PodDisruptionBudget",
        "metadata": world.meta("at-least-two", names.namespace),
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {names.label: names.workload}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 2},
    }
    node = world.node()
    node["spec"]["unschedulable"] = True
    return world.snapshot([*serving(names), budget, node])


def job_with_helper(names: Names, *, by_cron: bool = True) -> Snapshot:
    """The work of a Job's pod is done, and the proxy beside it runs on."""
    work = {"name": "main", "image": "work:v1"}
    proxy: Json = {"name": "proxy", "image": "proxy:v1", "ports": [{"containerPort": 15001}]}
    template: Json = {"spec": {"restartPolicy": "Never", "containers": [work, proxy]}}
    owner: Json = {"ownerReferences": world.owned("CronJob", "nightly")} if by_cron else {}
    job: Json = {
        "kind": "Job",
        "metadata": world.meta("nightly-1", names.namespace, **owner),
        "spec": {"template": template},
        "status": {"active": 1},
    }
    done = {"exitCode": 0, "reason": "Completed", "startedAt": EARLIER, "finishedAt": "2026-05-04T10:19:00Z"}
    pod: Json = {
        "kind": "Pod",
        "metadata": world.meta("nightly-1-x", names.namespace, ownerReferences=world.owned("Job", "nightly-1")),
        "spec": template["spec"] | {"nodeName": "node-a"},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "False"}],
            "containerStatuses": [
                {"name": "main", "state": {"terminated": done}},
                {"name": "proxy", "ready": True, "state": {"running": {"startedAt": EARLIER}}},
            ],
        },
    }
    cron: Json = {
        "kind": "CronJob",
        "metadata": world.meta("nightly", names.namespace),
        "spec": {"schedule": "0 1 * * *", "jobTemplate": {"spec": {"template": copy.deepcopy(template)}}},
    }
    return world.snapshot([*serving(names), job, pod, *([cron] if by_cron else [])])


def eager_kubelet(names: Names) -> Snapshot:
    """A pod was evicted while three quarters of the disk were free."""
    node = world.node()
    node["status"]["capacity"] = {"ephemeral-storage": "100Gi", "memory": "8Gi"}
    gone = waiting(names, index=7, number=1)
    gone["spec"]["nodeName"] = "node-a"
    gone["status"] = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node was low on resource: ephemeral-storage. Threshold quantity: 80Gi, available: 75Gi. ",
    }
    return world.snapshot([*serving(names), gone, node])


def api_down(names: Names) -> Snapshot:
    """What answers for an added API has no pods."""
    backend = serving(names, 0)
    held: Json = {
        "kind": "APIService",
        "metadata": world.meta("v1.reports.example.com"),
        "spec": {"service": {"name": names.service, "namespace": names.namespace}},
        "status": {
            "conditions": [
                {
                    "type": "Available",
                    "status": "False",
                    "reason": "MissingEndpoints",
                    "message": f'endpoints for service/{names.service} in "{names.namespace}" have no addresses',
                    "lastTransitionTime": world.DEPLOYED,
                }
            ]
        },
    }
    return world.snapshot([*backend, held, world.service(names)])


def set_twice(names: Names) -> Snapshot:
    """The new revision sets a variable a second time, to something else, and a pod of it is not ready."""
    first: list[Json] = [{"name": "MODE", "value": "live"}]
    old = world.container(names, f"{names.image}:v2.4.0", env=first)
    new = world.container(names, f"{names.image}:v2.4.1", env=[*first, {"name": "MODE", "value": "test"}])
    pods = [world.pod(names, new, world.running(), index=index, serves=index == 0) for index in range(2)]
    sets = [world.replica_set(names, old, 1, replicas=0), world.replica_set(names, new, 2, replicas=2)]
    return world.snapshot([world.deployment(names, new, replicas=2, available=1), *sets, *pods, world.service(names)])


# What was changed since, waits for CPU, or is out of date -------------------------------------------------------------


def of_keys(kind: str, name: str, names: Names, *, when: str, keys: str = "mode") -> Json:
    """Return a ConfigMap or Secret as `Reader.metadata` tells of it: whose keys were changed when."""
    fields: Json = {"f:data": {f"f:{key}": {} for key in keys.split()}}
    changes = [{"manager": "kubectl", "time": when, "fieldsV1": fields}]
    return {"kind": kind, "metadata": world.meta(name, names.namespace, managedFields=changes)}


def read_before(
    names: Names, kind: str = "ConfigMap", *, when: str = "2026-05-04T10:10:00Z", well: bool = False
) -> Snapshot:
    """The pods started at 10:00 with all keys of an object that was changed ten minutes later, and are not ready."""
    source = {"configMapRef": {"name": "settings"}} if kind == "ConfigMap" else {"secretRef": {"name": "settings"}}
    made = serving(names, envFrom=[source])
    for pod in made[2:] if not well else ():
        pod["status"]["conditions"][0]["status"] = "False"
        pod["status"]["containerStatuses"][0]["ready"] = False
    return world.snapshot([*made, world.service(names), of_keys(kind, "settings", names, when=when)])


def secret_read_before(names: Names) -> Snapshot:
    """As `read_before`, of a Secret; the pods are ready, and the log says that its password is refused."""
    found = read_before(names, "Secret", well=True)
    text = "ERROR pq: password authentication failed for user app"
    pod = found.objects["Pod"][0]["metadata"]["name"]
    log = Log(names.namespace, pod, names.container, False, text)
    return msgspec.structs.replace(found, logs=(log,))


def failed_job(names: Names) -> Snapshot:
    """A Job that failed twice and gave up; the log of its last pod says why."""
    job: Json = {
        "kind": "Job",
        "metadata": world.meta("export", names.namespace),
        "spec": {},
        "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
    }
    made: list[Json] = [job]
    for name, at in (("export-a", "2026-05-04T10:05:00Z"), ("export-b", "2026-05-04T10:06:00Z")):
        ended = {"exitCode": 1, "reason": "Error", "finishedAt": at}
        made.append({
            "kind": "Pod",
            "metadata": world.meta(name, names.namespace, created=at, ownerReferences=world.owned("Job", "export")),
            "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "export:v1"}]},
            "status": {
                "phase": "Failed",
                "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [{"name": "main", "restartCount": 0, "state": {"terminated": ended}}],
            },
        })  # fmt: skip
    log = Log(names.namespace, "export-b", "main", False, "connecting\nFATAL: DB_URL is not set")
    return world.snapshot(made, logs=(log,))


def evicted(names: Names, said: str, *, size: str = "4Mi", share: str = "10Mi") -> Snapshot:
    """A pod was evicted because of its own disk, ten minutes ago, and another is in its place."""
    volumes = [{"name": "spool", "emptyDir": {"sizeLimit": size}}]
    limits = {"limits": {"ephemeral-storage": share}}
    made = serving(names, 1, volumeMounts=[{"name": "spool", "mountPath": "/var/spool/app"}], resources=limits)
    gone = copy.deepcopy(made[2])
    for item in (made[0]["spec"]["template"], made[1]["spec"]["template"], made[2], gone):
        item["spec"]["volumes"] = copy.deepcopy(volumes)
    gone["metadata"]["name"] += "-gone"
    condition = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-05-04T10:12:00Z"}
    gone["status"] = {"phase": "Failed", "reason": "Evicted", "message": said, "conditions": [condition]}
    return world.snapshot([*made, gone, world.service(names)])


def evicted_and_well(snapshot: Snapshot) -> Snapshot:
    """The same, where the process ended well on the kubelet's signal: the event alone tells of the eviction."""
    (gone,) = (pod for pod in snapshot.objects["Pod"] if pod["status"].get("reason") == "Evicted")
    when = gone["status"]["conditions"][0]["lastTransitionTime"]
    told = event(gone, "Evicted", message=gone["status"]["message"], when=when)
    gone["status"] = {"phase": "Succeeded", "containerStatuses": [{"name": gone["spec"]["containers"][0]["name"]}]}
    return world.snapshot([*(one for held in snapshot.objects.values() for one in held), told])


def waits_for_cpu(names: Names, *, throttled: int = 900, cpu: float = 0.19) -> Snapshot:
    """The container uses its whole CPU limit and waits in nine of ten periods."""
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
    made = serving(names, 1, resources=resources)
    pod = made[2]["metadata"]["name"]
    use = Usage(names.namespace, pod, names.container, memory=2**26, cpu=cpu, at=NOW)
    waited = Throttle(names.namespace, pod, names.container, periods=1000, throttled=throttled)
    return world.snapshot([*made, world.service(names)], usage=(use,), throttled=(waited,))


def certificate(names: Names, name: str, *, ends: str, hosts: tuple[str, ...] = ("shop.example.com",)) -> Json:
    """Return a Secret as `Reader.certificate` tells of it."""
    said = {
        "notBefore": "2025-05-01T00:00:00Z",
        "notAfter": ends,
        "serial": "0a",
        "issuer": "CN=Example CA",
        "names": list(hosts),
    }
    metadata = world.meta(name, names.namespace, managedFields=[])
    return {"kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "certificate": said}


def entrance(names: Names, served: str = "shop-tls") -> list[Json]:
    """Return an Ingress that serves TLS by a Secret, with its class and Service."""
    path = {"path": "/", "backend": {"service": {"name": names.service, "port": {"number": 80}}}}
    ingress: Json = {
        "kind": "Ingress",
        "metadata": world.meta("entrance", names.namespace),
        "spec": {
            "ingressClassName": "edge",
            "tls": [{"hosts": ["shop.example.com"], "secretName": served}],
            "rules": [{"host": "shop.example.com", "http": {"paths": [path]}}],
        },
    }
    return [ingress, {"kind": "IngressClass", "metadata": world.meta("edge")}, world.service(names)]


def out_of_date(names: Names) -> Snapshot:
    """The certificate that is served ended yesterday."""
    held = certificate(names, "shop-tls", ends="2026-05-03T10:00:00Z")
    return world.snapshot([*serving(names), *entrance(names), held])


def no_certificate(names: Names) -> Snapshot:
    """The Ingress names a Secret that does not exist; one of nearly its name holds the certificate."""
    held = certificate(names, "shop-tls", ends="2027-01-01T00:00:00Z")
    return world.snapshot([*serving(names), *entrance(names, "shops-tls"), held])


Scene = Callable[[Names], Snapshot]
# Fault, snapshot, and the object that has to change: its parts are names as `Names` calls them, or themselves.
SCENES: dict[str, tuple[Scene, str, str]] = {
    "NET-03": (too_broad, "Service", "service"),
    "NET-05": (local_only, "Service", "service"),
    "NET-11": (names_denied, "NetworkPolicy", "no-way-out"),
    "NET-12": (no_resolver, "Deployment", "coredns"),
    "STO-03": (held_by_old_pod, "Deployment", "workload"),
    "STO-04": (released_volume, "PersistentVolume", "disk-7"),
    "STO-05": (fixed_size, "StorageClass", "slow"),
    "STO-06": (absent_driver, "Deployment", "workload"),
    "AUT-05": (kept_on_node, "PodDisruptionBudget", "at-least-two"),
    "JOB-03": (job_with_helper, "CronJob", "nightly"),
    "NOD-04": (eager_kubelet, "Node", "node-a"),
    "API-01": (api_down, "Deployment", "workload"),
    "CON-18": (read_before, "Deployment", "workload"),
    "CON-19": (secret_read_before, "Deployment", "workload"),
    "CON-21": (waits_for_cpu, "Deployment", "workload"),
    "NET-08": (no_certificate, "Ingress", "entrance"),
    "NET-09": (out_of_date, "Secret", "shop-tls"),
    "CON-17": (set_twice, "Deployment", "workload"),
}
