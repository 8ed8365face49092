"""Family E, admission beside refusals: ADM-07 and ADM-08.

Sources of the evidence: the webhooks (and MutatingAdmissionPolicies) that match the creation of a pod, by their rules
and selectors; the time that the API server gives one request (34 s: requestTimeoutUpperBound in k8s.io/apiserver,
endpoints/handlers), in which mutating webhooks are asked one after the other and validating ones at once; the pod that
was made beside the template that it was made from. Additions (sidecars, variables, tolerations) are what such webhooks
are for, and so is another registry: a rewrite counts only where the pod fails by what was rewritten. Commands are not
compared: what fetches secrets for a process is put in front of them on purpose.
"""

import re
from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import (
    PULL_ERRORS,
    condition,
    containers,
    each,
    labels_of,
    name_of,
    namespace_of,
    template,
    whole,
)
from skyflo_runbooks.diagnosis.rules.admission import refused
from skyflo_runbooks.diagnosis.rules.base import Rule, culprit, evidence, outdated, services
from skyflo_runbooks.diagnosis.rules.routing import matches
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_LATE = re.compile(r"(?i)request did not complete within (?:the )?(?:requested|allotted) timeout")
_WHOLE = 34
_DEFAULT = 10
# What keeps a container from starting because of its image.
_UNPULLED = (*PULL_ERRORS, "InvalidImageName", "ErrImageNeverPull")
_OF_THE_POD = ("nodeSelector", "schedulerName", "priorityClassName", "runtimeClassName")
_MUTATING = "MutatingWebhookConfiguration"
_VALIDATING = "ValidatingWebhookConfiguration"
_POLICY = "MutatingAdmissionPolicy"


class Hook(msgspec.Struct, frozen=True):
    """A webhook, or a policy, that matches the creation of a pod: its object, its place in it, its name and seconds."""

    held: Json
    index: int
    name: str
    seconds: int = 0


def hooks(graph: Graph, kind: str, labels: dict[str, str], namespace: str) -> list[Hook]:
    """Return the webhooks of a kind of configuration that match the creation of a pod with these labels there."""
    return [
        Hook(held, index, str(hook.get("name")), whole(hook, "timeoutSeconds", default=_DEFAULT))
        for held in graph.all(kind)
        for index, hook in enumerate(each(held, "webhooks"))
        if any(_of_pods(rule) for rule in each(hook, "rules")) and _chosen(graph, hook, labels, namespace)
    ]


def _of_pods(rule: Json) -> bool:
    def says(member: str, *words: str) -> bool:
        held = rule.get(member)
        return isinstance(held, list) and any(word in held for word in (*words, "*"))

    return says("operations", "CREATE") and says("apiGroups", "") and says("resources", "pods", "*/*", "pods/*")


def _chosen(graph: Graph, held: Json, labels: dict[str, str], namespace: str) -> bool:
    space = graph.get(ObjectRef("Namespace", namespace))
    named = labels_of(space) if space is not None else {"kubernetes.io/metadata.name": namespace}
    return matches(at(held, "namespaceSelector", default={}) or {}, named) and matches(
        at(held, "objectSelector", default={}) or {}, labels
    )


def _policies(graph: Graph, labels: dict[str, str], namespace: str) -> list[Hook]:
    """Return the MutatingAdmissionPolicies that are bound and match the creation of such a pod."""
    bound = [
        binding
        for binding in graph.all(f"{_POLICY}Binding")
        if _chosen(graph, at(binding, "spec", "matchResources", default={}) or {}, labels, namespace)
    ]
    names = {str(at(binding, "spec", "policyName")) for binding in bound}
    return [
        Hook(held, 0, name_of(held))
        for held in graph.all(_POLICY)
        if name_of(held) in names
        and any(_of_pods(rule) for rule in each(held, "spec", "matchConstraints", "resourceRules"))
        and _chosen(graph, at(held, "spec", "matchConstraints", default={}) or {}, labels, namespace)
    ]


# ADM-07 ---------------------------------------------------------------------------------------------------------------


def too_long_together(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each webhook whose time-out lets the pods of a workload run out of the request's time."""
    for told in refused(graph):
        if not _LATE.search(told.message):
            continue
        labels, here = labels_of(template(told.workload)), namespace_of(told.workload)
        asked = hooks(graph, _MUTATING, labels, here)
        at_once = hooks(graph, _VALIDATING, labels, here)
        longest = max((hook.seconds for hook in at_once), default=0)
        total = sum(hook.seconds for hook in asked) + longest
        if len(asked) + len(at_once) < 2 or total <= _WHOLE:
            continue
        worst = max([*asked, *at_once], key=lambda hook: (hook.seconds, hook.name))
        left = _WHOLE - 4 - (total - worst.seconds)
        facts = {"index": str(worst.index), "seconds": str(worst.seconds), "webhook": worst.name}
        yield Finding(
            fault="ADM-07",
            title=f"{ref(told.workload)} cannot create its pods: webhooks may take {total} s together, of {_WHOLE} s",
            object=ref(worst.held),
            confidence=0.88,
            evidence=(
                *told.evidence(),
                *(
                    evidence(hook.held, f"webhook {hook.name}", graph.snapshot.time, f"timeoutSeconds {hook.seconds}")
                    for hook in [*asked, *at_once][:6]
                ),
            ),
            facts=facts | ({"enough": str(min(left, 5))} if left > 0 else {}),
            related=(ref(told.workload), *told.related(graph)),
            explains=(ref(told.workload),),
            advice="Lower the time-outs, let selectors leave out what needs none, and restore what does not answer.",
        )


# ADM-08 ---------------------------------------------------------------------------------------------------------------


def rewritten(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose failing pods are not as their template says."""
    seen: set[ObjectRef] = set()
    for pod in graph.ailing:
        owner, workload = graph.owner(pod), culprit(graph, pod)
        resized = whole(pod, "metadata", "generation") > 1
        made_from = owner is not None and owner.get("kind") == "ReplicaSet" and not outdated(graph, workload, pod)
        if owner is None or not made_from or resized or ref(workload) in seen:
            continue
        changes = list(_changes(template(owner), pod))
        labels = labels_of(template(owner))
        asked = [
            *hooks(graph, _MUTATING, labels, namespace_of(pod)),
            *_policies(graph, labels, namespace_of(pod)),
        ]
        if changes and asked:
            seen.add(ref(workload))
            yield _rewritten(graph, workload, owner, pod, changes, asked)


def _changes(made_from: Json, pod: Json) -> Iterator[str]:
    """Yield by what a pod fails and what its template says otherwise; values of variables are not shown."""
    wanted = at(made_from, "spec", default={})
    unplaced = condition(pod, "PodScheduled").get("status") == "False"
    for member in _OF_THE_POD if unplaced else ():
        if at(wanted, member) and at(pod, "spec", member) != at(wanted, member):
            yield f"{member} is {at(pod, 'spec', member)}, and the template says {at(wanted, member)}"
    has = {container.name: container for container in containers(pod) if not container.init}
    for written in each(wanted, "containers"):
        held = has.get(str(written.get("name")))
        if held is None:
            continue
        if held.waiting[0] in _UNPULLED and written.get("image") != held.spec.get("image"):
            yield f"image of {held.name} is {held.spec.get('image')}, and the template says {written.get('image')}"
        mine, said = _variables(held.spec), _variables(written)
        crashed = any(end.get("exitCode") for end in held.terminations)
        for variable in said if crashed else ():
            if variable in mine and mine[variable] != said[variable]:
                yield f"variable {variable} of {held.name} has another value than in the template"


def _variables(container: Json) -> dict[str, str]:
    return {str(v.get("name")): str(v["value"]) for v in each(container, "env") if isinstance(v.get("value"), str)}


def _rewritten(graph: Graph, workload: Json, owner: Json, pod: Json, changes: list[str], asked: list[Hook]) -> Finding:
    now, only = graph.snapshot.time, len(asked) == 1
    names = ", ".join(f"{hook.name} of {ref(hook.held)}" for hook in asked)
    return Finding(
        fault="ADM-08",
        title=f"Pods of {ref(workload)} are not made as its template says: {changes[0][:160]}",
        object=ref(asked[0].held),
        confidence=0.92 if only else 0.6,
        evidence=(
            *(evidence(pod, "spec", now, change) for change in changes[:4]),
            evidence(owner, "template", now, "is what the pod was made from"),
            *(
                evidence(hook.held, f"rules of {hook.name}", now, "match the creation of these pods")
                for hook in asked[:4]
            ),
        ),
        facts={"rewrites": names, "workload": str(ref(workload))},
        related=(ref(workload), ref(pod), *services(graph, workload)),
        explains=(ref(workload),),
        advice=f"Repair {names}, or let its selector leave {namespace_of(workload)} out; then restart the rollout of "
        f"{ref(workload)}, because pods that are made already stay as they are.",
    )


_NEEDS = ("ReplicaSet", "Event", _MUTATING)
_POLICIES = (_POLICY, f"{_POLICY}Binding")
RULES = (
    Rule(fault="ADM-07", needs=_NEEDS, find=too_long_together),
    Rule(fault="ADM-08", needs=("Pod", "ReplicaSet", _MUTATING), find=rewritten, wants=_POLICIES),
)

__all__ = ["RULES", "Hook", "hooks"]
