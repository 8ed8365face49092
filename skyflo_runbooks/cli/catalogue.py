"""The fault catalogue's words: what `explain` shows beside what the rules say themselves.

The repair is not here: the repair rule's docstring says it. A fault without an entry is explained by its rules alone.
"""

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One row of the catalogue: name, evidence that it is recognised by, invariant after the repair, way back."""

    title: str = ""
    evidence: str = ""
    verify: str = ""
    way_back: str = ""


CATALOGUE: dict[str, Entry] = {
    "ADM-07": Entry(
        title="Webhooks take too long together",
        evidence=(
            "a refused creation with the request's time-out, and webhooks that match it whose time-outs pass 34 "
            "s together"
        ),
        verify="pods are created",
        way_back="restore the time-out",
    ),
    "ADM-08": Entry(
        title="A mutating webhook rewrites pods",
        evidence="a failing pod that is not as its template says, and the webhooks and policies that match it",
        verify="a new pod is as its template says",
        way_back="restore the selector",
    ),
    "API-01": Entry(
        title="An aggregated API is not available",
        evidence="the APIService's condition Available False, and what stands behind its Service",
        verify="the APIService is Available",
        way_back="restore the replicas",
    ),
    "AUT-05": Entry(
        title="A PodDisruptionBudget keeps a drain",
        evidence="disruptionsAllowed 0 while all pods are healthy, and a cordoned node with pods under it",
        verify="one disruption is allowed",
        way_back="restore the replicas or the budget",
    ),
    "CON-04": Entry(
        title="The application crashes: an environment variable is missing",
        evidence="an exit code other than 0, a log line that names the variable, and a revision before that had it",
        verify="no restarts in the window",
        way_back="undo to the stored template",
    ),
    "CON-07": Entry(
        title="OOMKilled",
        evidence="last state OOMKilled (exit 137), the limit beside the use",
        verify="no OOMKilled in the window",
        way_back="restore the limit",
    ),
    "CON-17": Entry(
        title="An environment variable is set twice",
        evidence="two entries of one name in the template, whose values differ",
        verify="the entry that is meant is the only one",
        way_back="undo to the stored template",
    ),
    "CON-18": Entry(
        title="A ConfigMap was changed after it was read",
        evidence=(
            "managedFields of the ConfigMap later than the start of a container that reads it as variables or by "
            "subPath"
        ),
        verify="all pods are newer than the change",
        way_back="undo the restart; no value was changed",
    ),
    "CON-19": Entry(
        title="A Secret was changed after it was read",
        evidence=(
            "as CON-18 for a Secret's keys (never its values), and a log line that says that a credential is refused"
        ),
        verify="all pods are newer than the change, no restarts in the window",
        way_back="undo the restart; no value was changed",
    ),
    "CON-21": Entry(
        title="A container waits for CPU",
        evidence="throttled periods above a quarter of all, while it uses nearly all of its CPU limit",
        verify="ready, with the new limit, no restarts in the window",
        way_back="restore the limit",
    ),
    "DLV-01": Entry(
        title="A Helm release is pending or failed",
        evidence="the status, version and time in the labels of the release's newest Secret",
        verify="helm status says deployed",
        way_back="advice only: the operator's own helm command",
    ),
    "DLV-02": Entry(
        title="An Argo Rollout is degraded or paused",
        evidence="status.phase, abort and message, and its failed AnalysisRuns",
        verify="the image of the stable revision, or not paused",
        way_back="restore the image or the pause",
    ),
    "GWY-01": Entry(
        title="A Gateway or HTTPRoute is not served",
        evidence=(
            "a class, parent, backend or port that does not exist, or a condition Accepted, Programmed or "
            "ResolvedRefs False"
        ),
        verify="what is named exists",
        way_back="restore the name",
    ),
    "IMG-01": Entry(
        title="Image or tag not found",
        evidence="ErrImagePull or ImagePullBackOff, with a message that says not found or manifest unknown",
        verify="only pods of the new ReplicaSet, all ready, with the image as planned",
        way_back="undo to the stored template",
    ),
    "JOB-03": Entry(
        title="A helper container keeps a Job from completing",
        evidence="the containers that worked ended with 0, and one beside them runs on",
        verify="the helper is a sidecar (init container with restartPolicy Always)",
        way_back="restore the job template",
    ),
    "MES-01": Entry(
        title="A policy of the mesh refuses a client",
        evidence=(
            "a PeerAuthentication or AuthorizationPolicy that selects the Service's pods, and a client that it "
            "does not admit"
        ),
        verify="requests are answered",
        way_back="remove the rule that was added",
    ),
    "MES-02": Entry(
        title="A VirtualService names a subset that is not defined",
        evidence="the subset, and those of the host's DestinationRule",
        verify="the subset is defined",
        way_back="restore the subset",
    ),
    "NET-01": Entry(
        title="The Service's selector matches no pod",
        evidence="no endpoints, and the labels that nearly match",
        verify="ready endpoints = ready pods",
        way_back="restore the selector",
    ),
    "NET-03": Entry(
        title="The Service's selector chooses foreign pods",
        evidence="endpoints of two workloads, with other images and without the port, or with a Service of their own",
        verify="only the intended workload's pods are chosen",
        way_back="restore the selector",
    ),
    "NET-05": Entry(
        title="Requests stay on a node without an endpoint",
        evidence="internalTrafficPolicy Local, and clients on nodes where no endpoint is ready",
        verify="the Service sends to every node",
        way_back="restore the policy",
    ),
    "NET-08": Entry(
        title="The Secret of a certificate does not exist",
        evidence="the Secret that an Ingress or Gateway names, beside the TLS Secrets that there are",
        verify="the Secret that is named exists",
        way_back="restore the name",
    ),
    "NET-09": Entry(
        title="A certificate has expired",
        evidence="notAfter of the public certificate that is served, before the cluster's time",
        verify="a certificate for the same hosts that lasts is served",
        way_back="restore the name",
    ),
    "NET-11": Entry(
        title="A NetworkPolicy keeps lookups of names in",
        evidence=(
            "policies that select the pods and let nothing out at UDP port 53 to the cluster's DNS, and a host "
            "that they name"
        ),
        verify="lookups are let out",
        way_back="remove the rule that was added",
    ),
    "NET-12": Entry(
        title="The cluster's DNS does not answer",
        evidence=(
            "no ready endpoint of kube-dns, or a Corefile that answers for other names, and logs that find no host"
        ),
        verify="endpoints of kube-dns are ready",
        way_back="restore the replicas or the Corefile",
    ),
    "NOD-04": Entry(
        title="The kubelet evicts too soon",
        evidence="the threshold in an evicted pod's message, beside the node's capacity",
        verify="no evictions",
        way_back="advice only: the node's own configuration",
    ),
    "SCH-02": Entry(
        title="Insufficient CPU or memory",
        evidence="the scheduler's Insufficient cpu or memory, the sum of requests beside what nodes can allocate",
        verify="ready pods = desired pods",
        way_back="restore the requests",
    ),
    "STO-03": Entry(
        title="A volume is attached to another node",
        evidence="the event FailedAttachVolume with Multi-Attach error, and the pod that holds the claim",
        verify="the new pod has the volume, strategy Recreate",
        way_back="restore the strategy",
    ),
    "STO-04": Entry(
        title="A volume still belongs to a claim that is gone",
        evidence="a claim Pending, and its volume Released with another claim's uid",
        verify="the claim is Bound",
        way_back="none once data was written by the new claim: the approval says so",
    ),
    "STO-05": Entry(
        title="A claim cannot grow",
        evidence="a request above the capacity, a class without allowVolumeExpansion, and the resizer's event",
        verify="the class lets claims grow",
        way_back="restore the class; a claim never shrinks",
    ),
    "STO-06": Entry(
        title="The CSI driver is not on the node",
        evidence="the kubelet's driver name not found in the list of registered CSI drivers",
        verify="volumes are mounted",
        way_back="advice only: the driver's own installation",
    ),
}
