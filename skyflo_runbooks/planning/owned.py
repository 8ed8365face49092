"""Who will undo a change, in a plan's words: Helm, Argo CD, Flux, an operator. What leaves no fields is left out."""

from skyflo_runbooks.diagnosis.owners import owners
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import ChangeStep, bind
from skyflo_runbooks.planning.way import Case

# What makes an object, takes one away, or asks for something once.
_LEAVES_NOTHING = ("k8s_create", "k8s_delete", "k8s_expose", "k8s_rollout_restart")
_OF = {"k8s_cordon": "Node", "k8s_uncordon": "Node", "k8s_cronjob_resume": "CronJob"}


def undone_by(case: Case, change: ChangeStep) -> list[str]:
    """Return a sentence for each who writes the object that the change is of."""
    if change.tool in _LEAVES_NOTHING:
        return []
    said = change.arguments
    kind = str(said.get("kind") or _OF.get(change.tool, case.finding.object.kind))
    space = bind(said.get("namespace", ""), {"namespace": case.finding.namespace})
    subject = ObjectRef(kind, str(said.get("name", "")), str(space))
    return [f"{subject}: {text}." for text in owners(case.graph.get(subject) or {})]


__all__ = ["undone_by"]
