"""One call or more of every change tool: what is there before, the call, and what the cluster must show afterwards."""

from dataclasses import dataclass

from skyflo_runbooks.model.json import Json

CONTAINER = "/spec/template/spec/containers/0"
NOWHERE: Json = {"tests.skyflo.dev/none": "yes"}


@dataclass(frozen=True)
class Case:
    """`objects` exist before the call; `shows` is what its first target holds then, by JSON Pointer; None: it is gone.

    `{ns}` in arguments is the namespace. `played` cases also run on the practice cluster. `back` says whether there is
    a way back to the state before.
    """

    id: str
    tool: str
    arguments: Json
    objects: tuple[Json, ...]
    shows: Json | None
    played: bool = False
    back: bool = True
    requests: int = 1
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.id


def pod_spec(**more: object) -> Json:
    """A pod's spec that no scheduler can place, with one container `main`."""
    container = {"name": "main", "image": "shop:1", "resources": {"limits": {"memory": "64Mi", "cpu": "1"}}}
    return {"containers": [container], "nodeSelector": NOWHERE, **more}


def obj(api_version: str, kind: str, name: str, **members: object) -> Json:
    """A manifest."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **members}


def workload(kind: str, name: str, **more: object) -> Json:
    """A workload of the apps group, or a ReplicationController, with pods that are never placed."""
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec()}
    if kind == "ReplicationController":
        return obj("v1", kind, name, spec={"replicas": 1, "selector": {"app": name}, "template": template, **more})
    spec: Json = {"selector": {"matchLabels": {"app": name}}, "template": template}
    if kind != "DaemonSet":
        spec["replicas"] = 1
    if kind == "StatefulSet":
        spec["serviceName"] = f"{name}-all"
    return obj("apps/v1", kind, name, spec={**spec, **more})


def job(name: str, **more: object) -> Json:
    """A Job whose pods are never placed."""
    return obj("batch/v1", "Job", name, spec={"template": {"spec": pod_spec(restartPolicy="Never")}, **more})


def cronjob(name: str, **more: object) -> Json:
    """A CronJob that is not due for a long time."""
    template = {
        "metadata": {"labels": {"made": "nightly"}},
        "spec": {"template": {"spec": pod_spec(restartPolicy="Never")}},
    }
    return obj("batch/v1", "CronJob", name, spec={"schedule": "0 3 1 1 *", "jobTemplate": template, **more})


def node(name: str, **spec: object) -> Json:
    """A node that no kubelet speaks for."""
    return obj("v1", "Node", name, spec=spec)


def pod(name: str, **more: object) -> Json:
    """A pod of its own."""
    return obj("v1", "Pod", name, spec=pod_spec(**more))


def autoscaler(name: str, **spec: object) -> Json:
    """A HorizontalPodAutoscaler of the Deployment of that name."""
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return obj(
        "autoscaling/v2", "HorizontalPodAutoscaler", name, spec={"scaleTargetRef": scaled, "maxReplicas": 3, **spec}
    )


WIDGETS: Json = obj(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "widgets.tests.skyflo.dev",
    spec={
        "group": "tests.skyflo.dev",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wid"]},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"},
                },
            }
        ],
    },
)
_ANY: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
GIZMOS: Json = obj(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "gizmos.gizmos.skyflo.dev",
    spec={
        "group": "gizmos.skyflo.dev",
        "scope": "Namespaced",
        "names": {"plural": "gizmos", "singular": "gizmo", "kind": "Gizmo"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _ANY}}],
    },
)
GROWS = obj(
    "storage.k8s.io/v1",
    "StorageClass",
    "tests-grows",
    provisioner="tests.skyflo.dev/none",
    allowVolumeExpansion=True,
)
ONCE: tuple[Json, ...] = (WIDGETS, GROWS)


def on(kind: str, name: str, **arguments: object) -> Json:
    """Arguments that name an object of the namespace."""
    return {"kind": kind, "namespace": "{ns}", "name": name, **arguments}


def claim(name: str) -> Json:
    """A claim of a class that lets it grow."""
    return obj(
        "v1",
        "PersistentVolumeClaim",
        name,
        spec={
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "tests-grows",
            "resources": {"requests": {"storage": "1Gi"}},
            "volumeName": f"{name}-volume",
        },
    )


def volume(name: str, policy: str = "Delete") -> Json:
    """A volume that the claim of that name binds."""
    return obj(
        "v1",
        "PersistentVolume",
        f"{name}-volume",
        spec={
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "tests-grows",
            "persistentVolumeReclaimPolicy": policy,
            "csi": {"driver": "tests.skyflo.dev", "volumeHandle": name},
        },
    )


_TEMPLATED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController")
_PLAYED = ("Deployment", "StatefulSet", "ReplicaSet")
TEMPLATES: list[Case] = [
    Case(
        f"{tool} of a {kind}",
        tool,
        on(kind, f"{tool[8:]}-{kind.lower()}", **arguments),
        (workload(kind, f"{tool[8:]}-{kind.lower()}"),),
        shows,
        played=kind in _PLAYED,
    )
    for kind in _TEMPLATED
    for tool, arguments, shows in (
        ("k8s_set_image", {"images": {"main": "shop:2"}}, {f"{CONTAINER}/image": "shop:2"}),
        (
            "k8s_set_env",
            {"container": "main", "set": {"MODE": "fast"}},
            {f"{CONTAINER}/env": [{"name": "MODE", "value": "fast"}]},
        ),
        (
            "k8s_set_resources",
            {"container": "main", "limits": {"memory": "128Mi", "cpu": None}},
            {f"{CONTAINER}/resources/limits": {"memory": "128Mi"}},
        ),
    )
]
_CRON = "/spec/jobTemplate/spec/template/spec/containers/0"
WORKLOADS: list[Case] = [
    Case(
        "image of a CronJob",
        "k8s_set_image",
        on("CronJob", "image-cron", images={"main": "shop:2"}),
        (cronjob("image-cron"),),
        {f"{_CRON}/image": "shop:2"},
        notes=("the next run gets this",),
    ),
    Case(
        "amounts of a CronJob",
        "k8s_set_resources",
        on("CronJob", "amounts-cron", container="main", requests={"memory": "32Mi"}),
        (cronjob("amounts-cron"),),
        {f"{_CRON}/resources/requests": {"memory": "32Mi"}},
    ),
    Case(
        "image of a pod",
        "k8s_set_image",
        on("Pod", "image-pod", images={"main": "shop:2"}),
        (pod("image-pod"),),
        {"/spec/containers/0/image": "shop:2"},
        played=True,
    ),
    Case(
        "amounts of a pod",
        "k8s_set_resources",
        on("Pod", "amounts-pod", container="main", limits={"memory": "128Mi"}, requests={"memory": "128Mi"}),
        (pod("amounts-pod"),),
        {"/spec/containers/0/resources/limits/memory": "128Mi"},
    ),
    Case(
        "amounts of a suspended Job",
        "k8s_set_resources",
        on("Job", "held", container="main", limits={"memory": "128Mi"}),
        (job("held", suspend=True),),
        {f"{CONTAINER}/resources/limits/memory": "128Mi"},
        played=True,
    ),
    Case(
        "command of a Deployment",
        "k8s_set_command",
        on("Deployment", "command", container="main", command=["/app", "serve"], args=["--port", "80"]),
        (workload("Deployment", "command"),),
        {f"{CONTAINER}/command": ["/app", "serve"], f"{CONTAINER}/args": ["--port", "80"]},
        played=True,
    ),
    Case(
        "a new probe",
        "k8s_set_probe",
        on("Deployment", "probe", container="main", probe="readiness", path="/ready", port=80, period_seconds=5),
        (workload("Deployment", "probe"),),
        {
            f"{CONTAINER}/readinessProbe/httpGet/path": "/ready",
            f"{CONTAINER}/readinessProbe/httpGet/port": 80,
            f"{CONTAINER}/readinessProbe/periodSeconds": 5,
        },
        played=True,
        notes=("does not declare port 80",),
    ),
    Case(
        "a toleration",
        "k8s_tolerate",
        on("DaemonSet", "tolerate", key="dedicated", value="gpu", effect="NoSchedule"),
        (workload("DaemonSet", "tolerate"),),
        {
            "/spec/template/spec/tolerations": [
                {"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoSchedule"}
            ]
        },
    ),
    Case(
        "a label",
        "k8s_label",
        on("ConfigMap", "label", set={"team": "shop", "tests.skyflo.dev/x": ""}),
        (obj("v1", "ConfigMap", "label", data={"a": "1"}),),
        {"/metadata/labels": {"team": "shop", "tests.skyflo.dev/x": ""}},
        played=True,
    ),
    Case(
        "a label less, of an object of the cluster",
        "k8s_label",
        {"kind": "Node", "name": "label-{ns}", "set": {"rack": "r2"}, "remove": ["old"]},
        (node("label-{ns}") | {"metadata": {"name": "label-{ns}", "labels": {"rack": "r1", "old": "yes"}}},),
        {"/metadata/labels/rack": "r2", "/metadata/labels/old": None},
        played=True,
    ),
    Case(
        "an annotation",
        "k8s_annotate",
        on("Service", "annotate", set={"note": "line 1\nline 2"}),
        (obj("v1", "Service", "annotate", spec={"ports": [{"port": 80}]}),),
        {"/metadata/annotations": {"note": "line 1\nline 2"}},
        played=True,
    ),
    Case(
        "a patch of a custom resource",
        "k8s_patch",
        on("widgets.tests.skyflo.dev", "patched", patch={"spec": {"colour": "red"}}, patch_type="merge"),
        (obj("tests.skyflo.dev/v1", "Widget", "patched", spec={"size": 1}),),
        {"/spec": {"size": 1, "colour": "red"}},
    ),
]
SCALING: list[Case] = [
    *(
        Case(
            f"scale a {kind}",
            "k8s_scale",
            on(kind, f"scale-{kind.lower()}", replicas=0),
            (workload(kind, f"scale-{kind.lower()}"),),
            {"/spec/replicas": 0},
            played=kind in _PLAYED,
        )
        for kind in ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
    ),
    Case(
        "scale a custom resource",
        "k8s_scale",
        on("wid", "scaled", replicas=3),
        (obj("tests.skyflo.dev/v1", "Widget", "scaled", spec={"size": 1}),),
        {"/spec/size": 3},
    ),
    Case(
        "a new autoscaler",
        "k8s_autoscale",
        on("Deployment", "auto-new", max_replicas=5, cpu_percent=70),
        (workload("Deployment", "auto-new"),),
        {
            "/spec/maxReplicas": 5,
            "/spec/minReplicas": 1,
            "/spec/metrics/0/resource/target/averageUtilization": 70,
        },
    ),
    Case(
        "an autoscaler raised",
        "k8s_autoscale",
        on("Deployment", "auto-old", max_replicas=9, min_replicas=2, memory_percent=60),
        (workload("Deployment", "auto-old"), autoscaler("auto-old")),
        {
            "/spec/maxReplicas": 9,
            "/spec/minReplicas": 2,
            "/spec/metrics/0/resource/name": "cpu",
            "/spec/metrics/1/resource/target/averageUtilization": 60,
        },
    ),
]
ROLLOUTS: list[Case] = [
    *(
        Case(
            f"restart a {kind}",
            "k8s_rollout_restart",
            on(kind, f"restart-{kind.lower()}"),
            (workload(kind, f"restart-{kind.lower()}"),),
            {"/spec/template/metadata/labels": {"app": f"restart-{kind.lower()}"}},
            played=kind in _PLAYED,
        )
        for kind in ("Deployment", "StatefulSet", "DaemonSet")
    ),
    Case(
        "pause",
        "k8s_rollout_pause",
        {"namespace": "{ns}", "name": "pause"},
        (workload("Deployment", "pause"),),
        {"/spec/paused": True},
        played=True,
    ),
    Case(
        "resume",
        "k8s_rollout_resume",
        {"namespace": "{ns}", "name": "resume"},
        (workload("Deployment", "resume", paused=True),),
        {"/spec/paused": None},
        played=True,
    ),
]
MAKING: list[Case] = [
    Case(
        "run a pod",
        "k8s_run_pod",
        {
            "namespace": "{ns}",
            "name": "look",
            "image": "busybox:1.36",
            "command": ["sh", "-c", "nslookup db; exit 3"],
            "limits": {"memory": "32Mi"},
        },
        (),
        {
            "/spec/containers/0/command": ["sh", "-c", "nslookup db; exit 3"],
            "/spec/restartPolicy": "Never",
            "/spec/automountServiceAccountToken": False,
            "/spec/containers/0/resources/limits/memory": "32Mi",
        },
        played=True,
    ),
    Case(
        "a Job from a CronJob",
        "k8s_create_job",
        {"namespace": "{ns}", "name": "job-now", "cronjob": "job-cron"},
        (cronjob("job-cron"),),
        {
            "/metadata/labels/made": "nightly",
            "/metadata/annotations/cronjob.kubernetes.io~1instantiate": "manual",
            "/metadata/ownerReferences/0/kind": "CronJob",
            f"{CONTAINER}/image": "shop:1",
        },
    ),
    Case(
        "a Job again, mended",
        "k8s_create_job",
        {
            "namespace": "{ns}",
            "name": "job-again",
            "job": "job-failed",
            "images": {"main": "shop:2"},
            "set": {"MODE": "fast"},
            "limits": {"memory": "128Mi"},
        },
        (job("job-failed"),),
        {
            f"{CONTAINER}/image": "shop:2",
            f"{CONTAINER}/env": [{"name": "MODE", "value": "fast"}],
            f"{CONTAINER}/resources/limits": {"memory": "128Mi", "cpu": "1"},
        },
        played=True,
    ),
    Case(
        "a Service for a Deployment",
        "k8s_expose",
        on("Deployment", "expose", port=80, target_port=8080),
        (workload("Deployment", "expose"),),
        {"/spec/selector": {"app": "expose"}, "/spec/ports/0/targetPort": 8080},
        played=True,
    ),
    Case(
        "the governing Service of a StatefulSet",
        "k8s_expose",
        on("StatefulSet", "govern", port=5432, headless=True),
        (workload("StatefulSet", "govern"),),
        {"/metadata/name": "govern-all", "/spec/clusterIP": "None", "/spec/ports/0/targetPort": 5432},
        played=True,
    ),
    Case(
        "suspend a CronJob",
        "k8s_cronjob_suspend",
        {"namespace": "{ns}", "name": "suspend"},
        (cronjob("suspend"),),
        {"/spec/suspend": True},
    ),
    Case(
        "resume a CronJob",
        "k8s_cronjob_resume",
        {"namespace": "{ns}", "name": "resume-cron"},
        (cronjob("resume-cron", suspend=True),),
        {"/spec/suspend": False},
    ),
    Case(
        "grow a claim",
        "k8s_resize_claim",
        {"namespace": "{ns}", "name": "grow-{ns}", "storage": "2Gi"},
        (volume("grow-{ns}"), claim("grow-{ns}")),
        {"/spec/resources/requests/storage": "2Gi"},
        back=False,
    ),
]
NODES: list[Case] = [
    Case(
        "cordon",
        "k8s_cordon",
        {"name": "cordon-{ns}"},
        (node("cordon-{ns}"),),
        {"/spec/unschedulable": True},
        played=True,
    ),
    Case(
        "uncordon",
        "k8s_uncordon",
        {"name": "uncordon-{ns}"},
        (node("uncordon-{ns}", unschedulable=True),),
        {"/spec/unschedulable": None},
        played=True,
    ),
    Case(
        "taint",
        "k8s_taint",
        {"name": "taint-{ns}", "key": "dedicated", "value": "gpu", "effect": "NoSchedule"},
        (node("taint-{ns}", taints=[{"key": "dedicated", "value": "cpu", "effect": "NoSchedule"}]),),
        {"/spec/taints/0": {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}},
        played=True,
    ),
    Case(
        "untaint",
        "k8s_untaint",
        {"name": "untaint-{ns}", "key": "old"},
        (node("untaint-{ns}", taints=[{"key": key, "effect": "NoSchedule"} for key in ("old", "kept")]),),
        {"/spec/taints/0/key": "kept"},
        played=True,
    ),
    Case(
        "drain",
        "k8s_drain",
        {"name": "drain-{ns}", "force": True, "grace_period": 1},
        (node("drain-{ns}"), pod("lonely", nodeName="drain-{ns}", nodeSelector={})),
        {"/spec/unschedulable": True},
        played=True,
        requests=2,
    ),
]
LETTING_GO: list[Case] = [
    Case(
        "remove a finalizer",
        "k8s_remove_finalizer",
        on("ConfigMap", "held-up", finalizer="tests.skyflo.dev/a"),
        (
            obj("v1", "ConfigMap", "held-up")
            | {"metadata": {"name": "held-up", "finalizers": ["tests.skyflo.dev/a", "tests.skyflo.dev/b"]}},
        ),
        {"/metadata/finalizers": ["tests.skyflo.dev/b"]},
        played=True,
    ),
    Case(
        "remove a scheduling gate",
        "k8s_remove_scheduling_gate",
        on("Pod", "gated", gate="tests.skyflo.dev/a"),
        (pod("gated", schedulingGates=[{"name": "tests.skyflo.dev/a"}]),),
        {"/spec/schedulingGates": None},
        back=False,
    ),
    *(
        Case(
            f"delete a {manifest['kind']}",
            "k8s_delete",
            on(manifest["kind"], manifest["metadata"]["name"]),
            (manifest,),
            None,
            played=played,
        )
        for manifest, played in (
            (obj("v1", "ConfigMap", "delete-cm", data={"a": "1"}), True),
            (obj("v1", "Service", "delete-svc", spec={"ports": [{"port": 80}]}), True),
            (workload("Deployment", "delete-deploy"), True),
            (workload("StatefulSet", "delete-sts"), True),
            (workload("DaemonSet", "delete-ds"), False),
            (job("delete-job"), True),
            (cronjob("delete-cron"), False),
            (autoscaler("delete-hpa"), False),
            (pod("delete-pod"), True),
            (obj("tests.skyflo.dev/v1", "Widget", "delete-wid", spec={"size": 1}), False),
            (obj("v1", "ResourceQuota", "delete-quota", spec={"hard": {"count/widgets.tests.skyflo.dev": "50"}}), True),
            (obj("v1", "LimitRange", "delete-limits", spec={"limits": []}), True),
            (obj("v1", "ServiceAccount", "delete-sa"), True),
            (obj("v1", "Secret", "delete-secret", data={"a": "aHVudGVyMg=="}), True),
            (
                obj(
                    "networking.k8s.io/v1",
                    "NetworkPolicy",
                    "delete-netpol",
                    spec={"podSelector": {"matchLabels": {"app": "none"}}},
                ),
                False,
            ),
            (
                obj(
                    "networking.k8s.io/v1",
                    "Ingress",
                    "delete-ing",
                    spec={"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}},
                ),
                False,
            ),
            (
                obj(
                    "policy/v1",
                    "PodDisruptionBudget",
                    "delete-pdb",
                    spec={"maxUnavailable": 1, "selector": {"matchLabels": {"app": "none"}}},
                ),
                True,
            ),
            (
                obj(
                    "rbac.authorization.k8s.io/v1",
                    "Role",
                    "tests:delete-role",
                    rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
                ),
                False,
            ),
        )
    ),
]
# Tried where a history has to be made first, or where a pod has to run, or where an operator types.
ELSEWHERE = {
    "k8s_rollout_undo",
    "k8s_set_secret",
    "k8s_exec",
    "k8s_cp",
    "k8s_port_forward",
    "k8s_debug",
}
_SELECTED: Json = {"matchLabels": {"app": "none"}}
_BACKEND: Json = {"service": {"name": "x", "port": {"number": 80}}}
_RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
_RBAC = "rbac.authorization.k8s.io"
MANIFESTS: list[Case] = [
    *(
        Case(
            f"create a {manifest['kind']}",
            "k8s_create",
            {"manifest": manifest, "namespace": "{ns}"},
            (),
            {"/metadata/name": manifest["metadata"]["name"], **shows},
            played=played,
        )
        for manifest, shows, played in (
            (obj("v1", "ConfigMap", "new-cm", data={"a": "1"}), {"/data": {"a": "1"}}, True),
            (obj("v1", "Service", "new-svc", spec={"ports": [{"port": 80}]}), {"/spec/ports/0/port": 80}, True),
            (workload("StatefulSet", "new-sts"), {"/spec/serviceName": "new-sts-all"}, True),
            (workload("DaemonSet", "new-ds"), {f"{CONTAINER}/image": "shop:1"}, False),
            (cronjob("new-cron"), {"/spec/suspend": False}, False),
            (
                obj("v1", "ResourceQuota", "new-quota", spec={"hard": {"count/x.y": "9"}}),
                {"/spec/hard/count~1x.y": "9"},
                True,
            ),
            (obj("v1", "LimitRange", "new-limits", spec={"limits": []}), {}, True),
            (
                obj("policy/v1", "PodDisruptionBudget", "new-pdb", spec={"maxUnavailable": 1, "selector": _SELECTED}),
                {},
                True,
            ),
            (obj("networking.k8s.io/v1", "NetworkPolicy", "new-netpol", spec={"podSelector": _SELECTED}), {}, False),
            (obj("networking.k8s.io/v1", "Ingress", "new-ing", spec={"defaultBackend": _BACKEND}), {}, False),
            (obj(f"{_RBAC}/v1", "Role", "tests:new-role", rules=_RULES), {"/rules": _RULES}, False),
            (obj("tests.skyflo.dev/v1", "Widget", "new-wid", spec={"size": 2}), {"/spec/size": 2}, False),
        )
    ),
    Case(
        "apply to what is there",
        "k8s_apply",
        {
            "namespace": "{ns}",
            "content": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: apply-there}\ndata: {b: '2'}\n",
        },
        (obj("v1", "ConfigMap", "apply-there", data={"a": "1"}),),
        {"/data": {"a": "1", "b": "2"}},
        played=True,
    ),
    Case(
        "take a field over that somebody manages",
        "k8s_apply",
        {"namespace": "{ns}", "content": [obj("v1", "ConfigMap", "apply-force", data={"a": "2"})], "force": True},
        (obj("v1", "ConfigMap", "apply-force", data={"a": "1"}),),
        {"/data": {"a": "2"}},
        played=True,
    ),
    Case(
        "apply a namespace and what is in it",
        "k8s_apply",
        {
            "namespace": "fresh-{ns}",
            "content": [
                workload("Deployment", "web"),
                obj("v1", "Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
                obj("v1", "Namespace", "fresh-{ns}"),
            ],
        },
        (),
        {"/metadata/name": "fresh-{ns}"},
        played=True,
        requests=3,
    ),
    Case(
        "apply a definition and its first object",
        "k8s_apply",
        {
            "namespace": "{ns}",
            "content": [obj("gizmos.skyflo.dev/v1", "Gizmo", "first", spec={"size": 1}), GIZMOS],
        },
        (),
        {"/spec/names/kind": "Gizmo"},
        requests=2,
    ),
]
CASES: list[Case] = [*MANIFESTS, *TEMPLATES, *WORKLOADS, *SCALING, *ROLLOUTS, *MAKING, *NODES, *LETTING_GO]
