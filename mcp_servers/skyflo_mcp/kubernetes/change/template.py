"""When pods get what their template says, in sentences; and which template cannot be changed. Pure."""

from skyflo_mcp.kubernetes.change.operations import Target
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import at


def changeable(found: Target) -> Target:
    """Return the workload, or raise `BadInput` where its template is fixed: a Job's, once it may have pods."""
    if found.ref.kind == "Job" and not at(found.manifest, "spec", "suspend"):
        raise BadInput(
            f"The pods of {found.ref} cannot be changed any more: a Job's template is fixed.",
            next_step="Make a new Job from it with k8s_create_job, and say there what is different.",
        )
    return found


def effect(found: Target) -> tuple[str, ...]:
    """Return when the pods get what the template says, where that is not at once."""
    kind = found.ref.kind
    if kind in ("ReplicaSet", "ReplicationController"):
        return ("Pods that run keep what they have; only new ones get this.",)
    if kind == "CronJob":
        return ("Jobs that run keep what they have; the next run gets this.",)
    if at(found.manifest, "spec", "updateStrategy", "type") == "OnDelete":
        return ("Its update strategy is OnDelete: a pod gets this when somebody deletes it.",)
    if kind == "StatefulSet" and (
        partition := at(found.manifest, "spec", "updateStrategy", "rollingUpdate", "partition")
    ):
        return (f"Its update strategy keeps a partition: pods below ordinal {partition} do not get this.",)
    if at(found.manifest, "spec", "paused"):
        return ("Its rollout is paused: pods get this when it is resumed.",)
    return ()
