"""The revisions of a workload, read from where its controller keeps them."""

from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.workload import (
    REVISION,
    Revision,
    controller_revisions,
    fingerprint,
    replica_set_revisions,
    selector_text,
)
from skyflo_runbooks.model.json import Json, at


async def revisions(cluster: Cluster, workload: Json) -> list[Revision]:
    """Return the revisions of a Deployment, StatefulSet or DaemonSet, oldest first."""
    namespace = at(workload, "metadata", "namespace", default="")
    selector = selector_text(workload)
    if workload.get("kind") == "Deployment":
        found = await cluster.list("ReplicaSet", namespace, label_selector=selector)
        return replica_set_revisions(workload, found.items)
    found = await cluster.list("ControllerRevision", namespace, label_selector=selector)
    return controller_revisions(workload, found.items)


def current(workload: Json, known: list[Revision]) -> Revision | None:
    """Return the revision that the workload wants now, or None where its controller has not recorded it yet."""
    if workload.get("kind") == "Deployment":
        number = at(workload, "metadata", "annotations", REVISION, default="")
        return next((one for one in known if str(one.number) == number), None)
    wanted = fingerprint(at(workload, "spec", "template", default={}))
    same = [one for one in known if fingerprint(one.template) == wanted]
    return same[-1] if same else (known[-1] if known else None)


def images(template: Json) -> str:
    """Return `container=image` of each container of a template."""
    return ", ".join(f"{one.get('name')}={one.get('image')}" for one in at(template, "spec", "containers", default=[]))


def amounts(template: Json, member: str) -> str:
    """Return each container's limits or requests as text, as in `web: cpu=1 memory=256Mi`."""
    return ", ".join(
        f"{one.get('name')}: " + " ".join(f"{key}={value}" for key, value in sorted(said.items()))
        for one in at(template, "spec", "containers", default=[])
        if (said := at(one, "resources", member, default={}))
    )
