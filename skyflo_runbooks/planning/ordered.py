"""What a StatefulSet, or pods that are replaced by hand, need beside a right template.

One that makes its pods in order waits for each pod that is not ready before it makes any other anew, that pod included:
it stays with the old template until somebody deletes it. Each broken pod is a deletion of its own, in their order.
Source: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback

Whoever chose OnDelete decides when each pod goes, so no plan deletes one; it says that the change reaches none before.
"""

from skyflo_runbooks.diagnosis.pods import containers, leaving, name_of, ready
from skyflo_runbooks.diagnosis.rules.base import falling
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import ChangeStep, param
from skyflo_runbooks.planning.way import Case, Way

_OF_THE_TEMPLATE = (
    "k8s_set_image", "k8s_set_env", "k8s_set_resources", "k8s_set_command", "k8s_set_probe", "k8s_tolerate",
    "k8s_rollout_undo", "k8s_rollout_restart",
)  # fmt: skip


_BY_HAND = ("StatefulSet", "DaemonSet")
# Deletions of one plan; who has more broken pods than that looks again after these.
MOST = 5


def made_anew(case: Case, way: Way) -> tuple[ChangeStep, ...]:
    """Return the changes that have to follow a way: the deletion of each pod that keeps the old template."""
    subject, done = case.finding.object, way.change.arguments.get("name")
    deleted = way.change.tool == "k8s_delete" and way.change.arguments.get("kind") == "Pod"
    if subject.kind != "StatefulSet" or not (deleted or _changes_template(way.change)):
        return ()
    if at(case.workload, "spec", "podManagementPolicy") == "Parallel":
        return ()
    if at(case.workload, "spec", "updateStrategy", "type") == "OnDelete":
        return ()
    broken = sorted((pod for pod in case.graph.pods(case.workload) if _broken(case, pod)), key=_place)
    return tuple(_deletion(str(subject), pod) for pod in broken[:MOST] if not (deleted and name_of(pod) == done))


def by_hand(case: Case, change: ChangeStep) -> tuple[str, ...]:
    """Return what a person has to do after a change of the template that reaches no pod by itself."""
    subject = case.finding.object
    if subject.kind not in _BY_HAND or not _changes_template(change):
        return ()
    if at(case.workload, "spec", "updateStrategy", "type") != "OnDelete":
        return ()
    broken = sorted(name_of(pod) for pod in case.graph.pods(case.workload) if _broken(case, pod))
    first = f", {', '.join(broken[:MOST])} first" if broken else ""
    return (
        f"{subject} updates OnDelete: its pods keep the old template until somebody deletes them{first}. The checks "
        "fail where none of them is replaced in their time.",
    )


def _deletion(subject: str, pod: Json) -> ChangeStep:
    name = name_of(pod)
    arguments: Json = {"kind": "Pod", "namespace": param("namespace"), "name": name}
    why = f"{subject} makes its pods in order and waits for {name}, which keeps the old template until it is deleted."
    return ChangeStep(id=f"delete_{_place(pod)}", tool="k8s_delete", arguments=arguments, why=why)


def _broken(case: Case, pod: Json) -> bool:
    """Return whether a pod stands in the way: not ready, or only between two ends of a container that falls."""
    falls = any(falling(case.graph, container) for container in containers(pod) if not container.init)
    return not leaving(pod) and (falls or not ready(pod))


def _changes_template(change: ChangeStep) -> bool:
    if change.arguments.get("kind") not in _BY_HAND:
        return False
    return change.tool in _OF_THE_TEMPLATE or (
        change.tool == "k8s_patch" and "template" in str(change.arguments.get("patch"))
    )


def _place(pod: Json) -> int:
    """Return the ordinal of a StatefulSet's pod: https://kubernetes.io/docs/reference/labels-annotations-taints/."""
    ordinal = name_of(pod).rpartition("-")[2]
    return int(ordinal) if ordinal.isdigit() else 0
