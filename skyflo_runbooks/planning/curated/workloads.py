"""Curated runbooks of workloads: out of memory, crash loop, image, placing, a failed rollout."""

from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Parameter, ReadStep, param
from skyflo_runbooks.planning.curated.book import (
    CONTAINER,
    KIND,
    NAME,
    NAMESPACE,
    SETTLE,
    WORKLOAD,
    Book,
    call,
    contained,
    named,
    of_workload,
    required,
    steady,
    workload_reads,
)

_USAGE = call("k8s_top_pods", namespace=param("namespace"))
_NODES = call("k8s_get", kind="Node")
_WORKLOAD_LOGS: Json = {**WORKLOAD, "container": param("container"), "tail": 40}
_ROLL_BACK = ChangeStep(
    "roll_back",
    "k8s_rollout_undo",
    {**WORKLOAD, "to_revision": param("to_revision")},
    "The pods of the present revision do not become or stay ready; this revision ran before.",
)
_REVISION = Parameter(
    "to_revision", "int", 0, "revision to go back to, a number of the revisions below, such as 3", required=True
)


OOM = Book(
    name="oom",
    title="A container is killed because it needs more memory than its limit (OOMKilled)",
    use=(
        "A container's last state is OOMKilled, exit code 137, and its limit is the reason.",
        "Restarts go up, and memory in use comes near the limit before each of them.",
    ),
    not_for=(
        "Exit code 137 without OOMKilled: a failed liveness probe or a drain kills with the same code.",
        "A pod that was evicted: the node had too little memory, not the container (`pending`, `node-drain`).",
    ),
    parameters=(
        NAMESPACE,
        KIND,
        NAME,
        CONTAINER,
        required("memory_limit", "new memory limit, above what it was seen to use, such as 512Mi"),
        SETTLE,
    ),
    reads=(
        workload_reads(
            usage=_USAGE,
            quota=call("k8s_get", kind="ResourceQuota", namespace=param("namespace")),
            limits=call("k8s_get", kind="LimitRange", namespace=param("namespace")),
            nodes=call("k8s_top_nodes"),
        ),
        ReadStep("last_words", "k8s_logs", {**_WORKLOAD_LOGS, "previous": True}),
    ),
    look=(
        "`workload`: the last state of each pod, and the limit. `usage`: what it uses now; a killed container used "
        "at least its limit.",
        "`quota`, `limits`, `nodes`: how much higher the limit may be.",
        "If use grows for hours without end, it leaks: a higher limit only makes the next kill come later.",
    ),
    will=(
        "The memory limit of this one container becomes `memory_limit`; the request and everything else stay.",
        "The pods are replaced by the workload's own rollout. The card says how many are available meanwhile, and "
        "whether quota and nodes have room.",
        "Verified: the new limit is set, the rollout is complete, no OOM kill and no restart for `settle`.",
    ),
    change=ChangeStep(
        "raise_memory",
        "k8s_set_resources",
        {**WORKLOAD, "container": param("container"), "limits": {"memory": param("memory_limit")}},
        "The container was OOMKilled at its present limit; this one is above what it needs.",
    ),
    checks=(*steady(), of_workload("no_oom_kills", window=param("settle"))),
    faults=("CON-07",),
    words=("oom", "oomkilled", "out of memory", "memory limit", "exit code 137"),
    values=contained,
)

CRASH_LOOP = Book(
    name="crash-loop",
    title="A container ends again and again since a release (CrashLoopBackOff)",
    use=(
        "Pods are in CrashLoopBackOff or restart, and an earlier revision ran without.",
        "The log of the ended container says why it cannot run: configuration, a missing variable, its own code.",
    ),
    not_for=(
        "OOMKilled: a roll-back may help, but the limit is the cause (`oom`).",
        "A dependency that is down: the earlier revision needs it, too. The last log line names it.",
    ),
    parameters=(NAMESPACE, KIND, NAME, CONTAINER, _REVISION, SETTLE),
    reads=(
        workload_reads(
            environment=call(
                "k8s_environment",
                kind=param("kind"),
                namespace=param("namespace"),
                name=param("name"),
                container=param("container"),
            ),
        ),
        ReadStep("last_words", "k8s_logs", {**_WORKLOAD_LOGS, "previous": True}),
    ),
    look=(
        "`last_words`: the last lines before the end. Exit code 1 or 2: its own error. 126, 127: its command. 137: "
        "killed. 139: a crash in native code. 0: it ended as if it were done.",
        "`environment`: `missing` names ConfigMaps, Secrets and keys that are not there.",
        "`revisions`: what each revision ran. The one before the trouble is the one for `to_revision`.",
    ),
    will=(
        "The pod template becomes that of revision `to_revision`: image, environment, command, probes and limits as "
        "they were. Replicas, Services, ConfigMaps and Secrets stay as they are.",
        "Where a ConfigMap or Secret changed and not the template, going back changes nothing that matters.",
        "Verified: the rollout is complete, all pods are Ready, and no container restarts for `settle`. A restart's "
        "back-off grows to 5 minutes, so a shorter `settle` proves less.",
    ),
    change=_ROLL_BACK,
    checks=steady(),
    faults=("CON-03", "CON-04", "CON-05", "CON-06"),
    words=("crash loop", "crashloop", "crashloopbackoff", "crash-looping", "crashing", "keeps restarting"),
    values=contained,
)


def _pulled(finding: Finding) -> dict[str, str]:
    return {**contained(finding), "image": finding.facts.get("good_image", "")}


IMAGE_PULL = Book(
    name="image-pull",
    title="An image cannot be pulled (ImagePullBackOff, ErrImagePull, InvalidImageName)",
    use=(
        "Pods wait with ImagePullBackOff or ErrImagePull, and the message says that the tag or name does not exist.",
        "You know an image that does exist: from the revision before, or from your registry.",
    ),
    not_for=(
        "A refused login (401, 403, denied): the pull secret is the cause, and no other tag helps.",
        "A registry that does not answer: an image that is on the nodes already may run, a new one will not.",
    ),
    parameters=(
        NAMESPACE,
        KIND,
        NAME,
        CONTAINER,
        required("image", "image that exists, with its tag or digest, such as registry.example/shop/api:v1.4.2"),
        SETTLE,
    ),
    reads=(workload_reads(nodes=_NODES),),
    look=(
        '`events`: what the registry answered. "not found" and "manifest unknown" are a wrong name or tag.',
        "`revisions`: the image that ran before. `nodes`: whether their architecture is what the image is for.",
    ),
    will=(
        "The image of this one container becomes `image`; the rest of the new revision stays.",
        "Whether a registry has the image is only known when a node pulls it: the dry run cannot tell.",
        "Verified: every pod runs `image`, the rollout is complete, and nothing restarts for `settle`.",
    ),
    change=ChangeStep(
        "set_image",
        "k8s_patch",
        {
            **WORKLOAD,
            "patch": {
                "spec": {
                    "template": {"spec": {"containers": [{"name": param("container"), "image": param("image")}]}},
                }
            },
            "patch_type": "strategic",
        },
        "The present image cannot be pulled; this one exists.",
    ),
    checks=(*steady(), of_workload("image_running", container=param("container"), image=param("image"))),
    faults=("IMG-01", "IMG-03", "IMG-05"),
    words=("imagepullbackoff", "errimagepull", "image pull", "pull the image", "invalidimagename"),
    values=_pulled,
)

PENDING = Book(
    name="pending",
    title="Pods stay Pending because no node has what they ask for",
    use=(
        "The scheduler says Insufficient cpu or Insufficient memory, and the request is higher than what is used.",
        "The workload ran with less before, or `usage` shows that it needs less.",
    ),
    not_for=(
        "A cordoned node (`node-return`), a taint, a selector or a claim: the scheduler's message says which, and a "
        "smaller request does not help.",
        "A workload that needs what it asks for: add a node, or scale something down.",
    ),
    parameters=(
        NAMESPACE,
        KIND,
        NAME,
        CONTAINER,
        required("cpu_request", "CPU request; the present one where only memory is short, such as 250m"),
        required("memory_request", "memory request; the present one where only CPU is short, such as 256Mi"),
        SETTLE,
    ),
    reads=(
        workload_reads(
            usage=_USAGE,
            node_usage=call("k8s_top_nodes"),
            nodes=_NODES,
            pods=call("k8s_get", kind="Pod", namespace=param("namespace")),
        ),
    ),
    look=(
        "`events`: FailedScheduling counts the nodes by reason. Only Insufficient cpu or memory is for this runbook.",
        "`workload`: the present requests. `usage`: what its running pods use. `node_usage`: what nodes can allocate.",
        "A request below what is used is no repair: the node then takes more than it can bear.",
    ),
    will=(
        "The requests of this one container become `cpu_request` and `memory_request`; limits and replicas stay.",
        "Its pods are replaced, also those that run: a rollout needs room for one pod more than at rest.",
        "Verified: every pod has a node, no node is asked for more than it can allocate, and nothing restarts for "
        "`settle`.",
    ),
    change=ChangeStep(
        "lower_requests",
        "k8s_set_resources",
        {
            **WORKLOAD,
            "container": param("container"),
            "requests": {"cpu": param("cpu_request"), "memory": param("memory_request")},
        },
        "No node has left what the pods ask for; they need less than that.",
    ),
    checks=(of_workload("pods_scheduled"), *steady()),
    faults=("SCH-02",),
    words=("pending", "unschedulable", "insufficient cpu", "insufficient memory", "cannot be scheduled"),
    values=contained,
)

ROLLBACK = Book(
    name="rollback",
    title="A rollout does not finish, and the revision before was good",
    use=(
        "A rollout stalls (ProgressDeadlineExceeded) or its new pods are not ready, and the time to find out why is "
        "later.",
        "A release made things worse although its pods are ready: the decision to go back is yours.",
    ),
    not_for=(
        "A release that changed data or an interface: the old code may not understand the new data.",
        "A Helm release or a GitOps application: whoever owns it will set the template again (the card names it).",
    ),
    parameters=(NAMESPACE, KIND, NAME, _REVISION, SETTLE),
    reads=(workload_reads(usage=_USAGE),),
    look=(
        "`rollout`: how far it is, and what holds it. `events`: why the new pods are not ready.",
        "`revisions`: choose `to_revision` by what it ran and when. The card's diff shows what going back changes.",
    ),
    will=(
        "The pod template becomes that of revision `to_revision`. Replicas stay, and the pods that are ready now go "
        "on until new ones have taken their place, as far as the rollout's strategy says so.",
        "Roll forward instead where the cause is known and small: then this runbook is the way back that you keep.",
        "Verified: the rollout is complete without a pod of another revision, all pods are Ready, and no container "
        "restarts for `settle`.",
    ),
    change=_ROLL_BACK,
    checks=steady(),
    faults=("ROL-01", "ROL-04"),
    words=("roll back", "rollback", "rollout stuck", "bad release", "progressdeadlineexceeded", "last release"),
    values=named,
)

BOOKS = (OOM, CRASH_LOOP, IMAGE_PULL, PENDING, ROLLBACK)

__all__ = ["BOOKS"]
