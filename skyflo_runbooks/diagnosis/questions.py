"""What would decide a finding that is not certain: for each fault, where to look and what each outcome would mean.

A text may name `{object}`, `{name}`, `{namespace}` and the finding's facts (`{container}`). A rule that may be less
sure than `certainty.SURE` has a question here; a test asks for it. `UNREAD` says what a kind would have told that could
not be read.
"""

from typing import TypeAlias

from skyflo_runbooks.model.finding import Decider

Told: TypeAlias = tuple[str, str]

_NODES = Decider(
    "kubectl describe node: what is allocated on each node that the pod may use",
    "less is left on each than the pod asks for",
    "a node has room: the scheduler counted another reason there, or has not tried again since",
)
_WHO_SET = "metadata.managedFields of {object}, or whoever changed it last"

QUESTIONS: dict[str, tuple[Decider, ...]] = {
    "AUT-05": (
        Decider(
            "the answer to an eviction of a pod that {object} chooses: kubectl drain, or the log of what empties nodes",
            "it is refused with 429: the budget would be violated",
            "it goes through, or nobody evicts: the budget is as somebody wants it",
        ),
    ),
    "CON-04": (
        Decider(
            "the log of container {container} of {object}, of the run that ended",
            "it names {variable} as it ends",
            "it ends for another reason: then that {variable} was set before is a coincidence",
        ),
        Decider(
            "the revision before: env and envFrom of container {container}",
            "it sets {variable}, and ran",
            "it never did: the program began to ask for it, or reads it from somewhere else",
        ),
    ),
    "CON-05": (
        Decider(
            "the whole log of container {container} of {object}, of the run that ended",
            "its last error is the one that is cited",
            "an earlier line names what failed first: a host, a file, a right, a setting",
        ),
        Decider(
            "the revision before, by a roll-back to it",
            "it runs: what changed between the two is the cause",
            "it crashes as well: the cause lies outside the revision",
        ),
    ),
    "CON-07": (
        Decider(
            "the working set of container {container} over its life, in metrics or by kubectl top pod --containers",
            "it comes near the limit before each end",
            "it stays far below: the node ran out of memory (events of the node say so), or one burst is not sampled",
        ),
    ),
    "CON-08": (
        Decider(
            "the log of container {container} of {object} at the time of a failed probe",
            "it answers others and has no such place, or it answers this one with an error of its own",
            "it was not up, or what it depends on was down: the probe asks rightly",
        ),
    ),
    "CON-09": (
        Decider(
            "the log of container {container} of {object}: from its start to its first answer",
            "it is still starting, or busy, when it is killed",
            "it is up and hangs: the probe found a real fault",
        ),
    ),
    "CON-10": (
        Decider(
            "the log of container {container} of {object} while the probe fails",
            "it serves, and the probe asks elsewhere or too strictly",
            "it waits for something it depends on: that is the cause",
        ),
        Decider(
            "the probe's own request, from inside the pod: port and path as declared",
            "it answers well: time-out and threshold are too strict",
            "it answers with an error, and says which",
        ),
    ),
    "CON-12": (
        Decider(
            "the log of the init container {container} of {object}",
            "it repeats one and the same wait, and names what for",
            "it goes on: it is slow, and not stuck",
        ),
    ),
    "CON-17": (
        Decider(
            "the value of the variable that {container} runs with, against the one it is meant to have",
            "it runs with the other one",
            "the one that counts is meant: the hidden one is a leftover",
        ),
    ),
    "CON-18": (
        Decider(
            "what {container} of {object} does differently from what the changed {kind} {name} says",
            "it acts by the old values: a restart brings the new ones",
            "it acts by the new ones, or nothing it uses was changed",
        ),
    ),
    "CON-19": (
        Decider(
            "the log of container {container} of {object} since {kind} {name} was changed",
            "a credential is refused since then: a restart brings the new one",
            "nothing is refused: the old credential still serves",
        ),
    ),
    "CON-22": (
        Decider(
            "owner and mode of the path that the log names, and how it is mounted",
            "the container's user may not write there, or it is mounted read-only",
            "it may: another system denies it (SELinux, AppArmor, the server of a share)",
        ),
    ),
    "NET-01": (
        Decider(
            "who the Service {name} is meant for: its history, or the chart that makes it",
            "the workload that is named, whose labels it misses",
            "another workload, or one that is not there",
        ),
    ),
    "NET-02": (
        Decider(
            "the port on which the pods behind {object} listen, in their log or by a request to one",
            "not the target port: nothing answers there",
            "the target port, although it is not declared: ports need not be",
        ),
    ),
    "NET-03": (
        Decider(
            "the log of a pod that the selector should not choose, while requests come in",
            "requests of the Service arrive there",
            "it serves them well: both may be meant",
        ),
    ),
    "NET-11": (
        Decider(
            "a lookup from one of the pods: nslookup of any Service",
            "it times out, and succeeds in a pod that {object} does not choose",
            "it succeeds: an address that was not compared lets it out, or the plug-in enforces no policies",
        ),
    ),
    "NET-12": (
        Decider(
            "a lookup of a Service's full name, from a pod that has no policy",
            "it fails: {object} is the cause for everybody",
            "it succeeds: the name that is asked for, or the way there, is wrong",
        ),
    ),
    "NET-14": (
        Decider(
            "the log of the controller that makes load balancers, and what the cloud says of {name}",
            "there is none, or it refuses this one",
            "it is still at work: an address may take minutes",
        ),
    ),
    "STO-01": (
        Decider(
            "the events of {object}",
            "ProvisioningFailed, for the class that does not exist",
            "another reason: a quota, the provisioner's own error",
        ),
    ),
    "STO-02": (
        Decider(
            "the events of {object}",
            "FailedBinding: no volume, and no class is set",
            "another reason: a volume that fits exists and belongs to another claim",
        ),
    ),
    "STO-04": (
        Decider(
            "whether another volume fits the claim {claim}: class, size, access modes, labels",
            "none does: it waits for this one",
            "one does: the claim will be bound to it",
        ),
    ),
    "ADM-05": (
        Decider(
            "the webhook's configuration and the Service, Deployment and pods that answer for it",
            "nothing answers there",
            "they are well: the way from the API server to them is not",
        ),
    ),
    "ADM-06": (
        Decider(
            "the caBundle in the webhook's configuration, and the certificate that its server shows",
            "they do not belong together, or the certificate is over",
            "they do: the API server was asked by another name",
        ),
    ),
    "ADM-07": (
        Decider(
            "how long each webhook takes: apiserver_admission_webhook_admission_duration_seconds",
            "together they take longer than a request has",
            "they answer at once: what else the request waits for (etcd, a quota) is the cause",
        ),
    ),
    "ADM-08": (
        Decider(
            "kubectl create --dry-run=server of the template, with one of the webhooks left out by its selector",
            "the pod is then made as the template says: it was that one",
            "it is changed all the same: it is another of them",
        ),
    ),
    "ADM-11": (
        Decider(
            "kubectl auth can-i {verb} {resource} --as the ServiceAccount {account}",
            "no: the right is missing",
            "yes: it was given since, and the container has not asked again",
        ),
    ),
    "JOB-02": (
        Decider(
            _WHO_SET + ": spec.suspend, spec.schedule and spec.concurrencyPolicy",
            "nobody meant it to stand still, or its last Job is stuck",
            "somebody stopped it on purpose",
        ),
    ),
    "NET-13": (
        Decider(
            "which name {object} looks for: that of a Service, or of another network",
            "a Service's: the resolvers that it asks know none of them",
            "one outside of the cluster: its resolvers, or that name's own servers, have to answer",
        ),
    ),
    "ROL-01": (
        Decider(
            "the log and the events of a pod of the newest revision of {object}",
            "it fails by itself: roll back, or repair what it says",
            "it is slow to start: it needs time, not a roll-back",
        ),
    ),
    "ROL-02": (
        Decider(_WHO_SET + ": spec.paused", "nobody waits for anything: resume it", "a person or a pipeline holds it"),
    ),
    "ROL-03": (
        Decider(
            _WHO_SET + ": spec.replicas",
            "nobody meant it: the Service in front answers nobody",
            "somebody switched it off, or an autoscaler may do so",
        ),
    ),
    "ROL-05": (
        Decider(
            _WHO_SET + ": spec.updateStrategy",
            "nobody meant the rollout to stop there",
            "it is a canary, or the update is made by hand",
        ),
    ),
    "ROL-06": (
        Decider(
            "who asks for pods of {object} by name, as in {name}-0.{service}",
            "somebody does: those names are not found",
            "nobody does: the Service is not missed",
        ),
    ),
    "ROL-07": (
        Decider(
            "which nodes {object} is meant for",
            "all of them: what keeps it away is the cause",
            "those that it runs on: nothing is wrong",
        ),
    ),
    "MES-02": (
        Decider(
            "DestinationRules of other namespaces that are exported to this one",
            "none defines the subset",
            "one does: the route is right",
        ),
    ),
    "GWY-01": (
        Decider(
            "status.conditions of {object}, with the generation that they are about",
            "its controller refuses it for this reason, for the present generation",
            "they are about an older generation, or no controller has looked yet",
        ),
    ),
    "DLV-01": (
        Decider(
            "helm history and helm status of {release}",
            "it failed, and what it left behind is what ails",
            "it failed before it changed anything: what ails has another cause",
        ),
    ),
    "DLV-02": (
        Decider(
            _WHO_SET,
            "it was forgotten, or set by mistake",
            "somebody paused it, and is at work on it",
        ),
    ),
    "DEL-02": (
        Decider(
            "the controller that owns the finalizer {finalizer}: is it there, and what does its log say of {name}",
            "it is gone, or cannot finish",
            "it is still at work",
        ),
    ),
    "SCH-01": (
        Decider(
            "kubectl get nodes --show-labels, against the whole nodeSelector and affinity of {object}",
            "no node satisfies all of it",
            "one does: another reason keeps the pod from it",
        ),
    ),
    "SCH-02": (_NODES,),
    "SCH-03": (
        Decider(
            "who holds {resource} on the nodes that have it, and whether they still need it",
            "all of it is in use",
            "it is free: the device plug-in does not offer it",
        ),
    ),
    "SCH-04": (
        Decider(
            "who set the taint {taint}, and for whom the nodes are kept",
            "for others, or by mistake",
            "the node is ill: repair the node, and the taint goes",
        ),
    ),
    "SCH-05": (
        Decider(
            "kubectl describe node {node}: what is allocated there",
            "the pod would fit as soon as the node is open again",
            "it would not: the cluster is full",
        ),
    ),
    "SCH-06": (
        Decider(
            "labels and anti-affinity of the pods on the nodes that refuse, those of other namespaces too",
            "a rule of theirs, or of this workload, holds for each node",
            "none does: the scheduler has not tried since one of them left",
        ),
    ),
    "SCH-07": (
        Decider(
            "topologySpreadConstraints of the pod, and the scheduler's default ones",
            "the skew would be broken on each node that is left",
            "it would not: another reason keeps the pod away",
        ),
    ),
    "SCH-08": (
        Decider(
            "the hostPorts of all pods on the nodes that refuse, those of other namespaces too",
            "somebody has the port on each of them",
            "it is free on one: the scheduler has not tried since",
        ),
    ),
    "SCH-09": (
        Decider(
            "the pods of all namespaces on each node, against status.allocatable.pods",
            "each runs as many as it may",
            "one has places left: another reason keeps the pod away",
        ),
    ),
    "SCH-10": (
        Decider(
            "who sets the gate {gates}, and whether that controller runs",
            "it does not run, or its turn for these pods never comes",
            "it runs, and lets them go in their turn",
        ),
    ),
    "SCH-13": (
        Decider(
            "the events Preempted: by which pod",
            "a pod of {object}",
            "a pod of another workload with a higher priority",
        ),
    ),
    "SCH-15": (
        Decider(
            "the claims of the pod and spec.nodeAffinity of their volumes",
            "they can be reached from no node that is otherwise free",
            "they can: another reason keeps the pod away",
        ),
    ),
}

_OWNER: Told = ("nothing owns it: it is the object to change", "it is owned, and the owner's template has to change")
UNREAD: dict[str, Told] = {
    "Deployment": _OWNER,
    "ReplicaSet": _OWNER,
    "StatefulSet": _OWNER,
    "DaemonSet": _OWNER,
    "Job": _OWNER,
    "CronJob": _OWNER,
    "Event": ("an event says the same, at the time", "the last events are of something else"),
    "Log": ("its last lines before the end fit", "they name something else"),
    "Pod": ("the other pods are alike", "others are well, or hold what is missing"),
    "Node": ("the nodes leave no other way", "a node would take it, or is itself ill"),
    "Service": ("no Service leads there in another way", "one exists that was not seen"),
    "EndpointSlice": ("nothing serves behind it", "it has endpoints that were not seen"),
    "NetworkPolicy": ("no policy forbids it", "a policy forbids it, and is the cause"),
    "Secret": ("it is there and was not changed", "it is missing, over, or was changed since"),
    "ConfigMap": ("it is there and was not changed", "it is missing, or was changed since"),
    "Usage": ("what it uses fits", "it uses far less: the cause is another"),
    "MutatingWebhookConfiguration": (
        "no webhook changes these pods",
        "a webhook writes what is wrong into them: then that is the cause",
    ),
}
OTHERWISE: Told = ("it shows nothing else", "it shows another cause, or that this one is meant")
