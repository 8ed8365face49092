"""Family E, admission, quota and identity: why the API server refuses the pods of a workload.

Source of the evidence: a controller that may not create a pod says so in an event FailedCreate on itself (ReplicaSet,
StatefulSet, DaemonSet, Job), with the API server's words; a Deployment repeats them in its condition ReplicaFailure.
The words of each refusal: k8s.io/apiserver/pkg/admission and the plug-ins under k8s.io/kubernetes/plugin/pkg/admission.
A refusal counts only while pods are missing: events outlive what they tell of.
"""

import re
from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref, selector
from skyflo_runbooks.diagnosis.pods import (
    EDITABLE,
    condition,
    each,
    finished,
    leaving,
    name_of,
    namespace_of,
    pod_spec,
    ready,
    replicas,
    template,
    texts,
    whole,
)
from skyflo_runbooks.diagnosis.rules.base import Rule, current, event_time, evidence, services
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef

_MAKERS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet")
_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>\S+), requested: (?P<asked>.+?), used: (?P<used>.+?), limited: (?P<hard>.+?)$"
)
_MUST = re.compile(r"failed quota: (?P<quota>\S+): must specify (?P<what>.+)$")
_RANGE = re.compile(
    r"(?P<bound>maximum|minimum) (?P<resource>\S+) usage per (?P<per>Container|Pod) is (?P<limit>\S+?), but "
    r"(?:limit|request) is (?P<given>\S+?)\.?(?:$|[\s,\]])"
)
_RATIO = re.compile(r"max limit to request ratio per (?P<per>Container|Pod) is")
_SECURITY = re.compile(r'violates PodSecurity "(?P<level>[^"]+)": (?P<what>.+)$')
_WEBHOOK = re.compile(r'failed calling webhook "(?P<webhook>[^"]+)": (?P<why>.+)$')
_DENIED = re.compile(r'admission webhook "(?P<webhook>[^"]+)" denied the request: (?P<why>.+)$')
_POLICY = re.compile(
    r"ValidatingAdmissionPolicy '(?P<policy>[^']+)' with binding '(?P<binding>[^']+)' denied request: (?P<why>.+)$"
)
# Characters of the API server's words that a title takes.
_SHOWN = 160
_ACCOUNT = re.compile(r'serviceaccount "(?P<account>[^"]+)" not found')


class Refused(msgspec.Struct, frozen=True):
    """A workload whose pods the API server refuses, the object that says so, its words and when (RFC 3339)."""

    workload: Json
    teller: Json
    message: str
    at: str

    def evidence(self) -> Iterator[Evidence]:
        """Yield what was said."""
        yield evidence(self.teller, "event FailedCreate", self.at, self.message)

    def related(self, graph: Graph) -> tuple[ObjectRef, ...]:
        """Return who says so, and the Services in front."""
        teller = () if self.teller is self.workload else (ref(self.teller),)
        return (*teller, *services(graph, self.workload))


def refused(graph: Graph) -> tuple[Refused, ...]:
    """Return the workloads whose newest attempt to make a pod was refused, and that still lack pods."""
    known: tuple[Refused, ...] | None = graph.notes.get("refused")
    if known is None:
        known = graph.notes["refused"] = tuple(_refused(graph))
    return known


def _refused(graph: Graph) -> Iterator[Refused]:
    for kind in _MAKERS:
        for workload in graph.all(kind):
            if graph.owner(workload) is not None and kind == "ReplicaSet":
                continue
            told = _told(graph, workload)
            if told is not None and _lacks(graph, workload, told.teller):
                yield msgspec.structs.replace(told, workload=graph.workload(workload))


def _told(graph: Graph, workload: Json) -> Refused | None:
    tellers = [workload] if workload.get("kind") != "Deployment" else [r for r in [current(graph, workload)] if r]
    events = [
        (event_time(event), " ".join(str(event.get("message", "")).split()), teller)
        for teller in tellers
        for event in graph.events(teller)
        if event.get("reason") == "FailedCreate"
    ]
    if events:
        when, message, teller = max(events, key=lambda item: item[0])
        return Refused(workload, teller, message, when)
    said = condition(workload, "ReplicaFailure")
    if said.get("status") == "True":
        return Refused(
            workload, workload, " ".join(str(said.get("message", "")).split()), str(said.get("lastUpdateTime", ""))
        )
    return None


def _lacks(graph: Graph, workload: Json, teller: Json) -> bool:
    """Return whether pods of the present revision are missing."""
    if workload.get("kind") == "Job":
        return not any(condition(workload, end).get("status") == "True" for end in ("Complete", "Failed"))
    wanted = (
        whole(teller, "spec", "replicas", default=replicas(workload)) if teller is not workload else replicas(workload)
    )
    have = [pod for pod in graph.owned(teller) if pod.get("kind") == "Pod" and not finished(pod) and not leaving(pod)]
    return len(have) < wanted


def _finding(
    graph: Graph,
    told: Refused,
    fault: str,
    title: str,
    *,
    advice: str,
    facts: dict[str, str] | None = None,
    more: tuple[Evidence, ...] = (),
    beside: tuple[ObjectRef, ...] = (),
    subject: ObjectRef | None = None,
    confidence: float = 0.95,
) -> Finding:
    return Finding(
        fault=fault,
        title=title,
        object=subject or ref(told.workload),
        confidence=confidence,
        evidence=(*told.evidence(), *more),
        facts=facts or {},
        related=(*beside, *told.related(graph)),
        explains=(ref(told.workload),),
        advice=advice,
    )


# ADM-01, ADM-02 -------------------------------------------------------------------------------------------------------


def quota_exceeded(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods would exceed a ResourceQuota."""
    for told in refused(graph):
        found = _QUOTA.search(told.message)
        if found is None:
            continue
        quota = ObjectRef("ResourceQuota", found["quota"], namespace_of(told.workload))
        facts = {"quota": found["quota"], "asked": found["asked"], "used": found["used"], "hard": found["hard"]}
        yield _finding(
            graph,
            told,
            "ADM-01",
            f"{ref(told.workload)} cannot create its pods: quota {found['quota']} allows {found['hard']}, "
            f"{found['used']} is used, {found['asked']} is asked for",
            facts=facts,
            more=_quota_evidence(graph, quota),
            beside=(quota,),
            advice=f"Ask for less in {ref(told.workload)} or elsewhere in the namespace, or have the owner of "
            f"{found['quota']} raise it; leave room for the surge pod of a rollout.",
        )


def _quota_evidence(graph: Graph, quota: ObjectRef) -> tuple[Evidence, ...]:
    held = graph.get(quota)
    if held is None:
        return ()
    hard, used = texts(held, "status", "hard"), texts(held, "status", "used")
    text = ", ".join(f"{key}: {used.get(key, '?')} of {limit} used" for key, limit in sorted(hard.items()))
    return (evidence(held, "status", graph.snapshot.time, text),)


def quota_wants_limits(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload without the requests or limits that a ResourceQuota asks for."""
    for told in refused(graph):
        found = _MUST.search(told.message)
        if found is not None:
            quota = ObjectRef("ResourceQuota", found["quota"], namespace_of(told.workload))
            what = found["what"].rstrip(".")
            yield _finding(
                graph,
                told,
                "ADM-02",
                f"{ref(told.workload)} cannot create its pods: quota {found['quota']} wants {what}",
                facts={"quota": found["quota"], "missing": what},
                more=_quota_evidence(graph, quota),
                beside=(quota,),
                advice=f"Give the containers {what}, or let a LimitRange set defaults.",
            )


# ADM-03 ---------------------------------------------------------------------------------------------------------------


def out_of_range(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose requests or limits a LimitRange does not allow."""
    for told in refused(graph):
        found = _RANGE.search(told.message)
        if found is None and not _RATIO.search(told.message):
            continue
        said = found.group(0).rstrip(" ,]") if found else told.message[-200:]
        facts = {name: found[name] for name in ("bound", "resource", "per", "limit", "given")} if found else {}
        ranges = [item for item in graph.all("LimitRange") if namespace_of(item) == namespace_of(told.workload)]
        yield _finding(
            graph,
            told,
            "ADM-03",
            f"{ref(told.workload)} cannot create its pods: {said}",
            facts=facts,
            more=tuple(
                evidence(
                    item,
                    "spec.limits",
                    graph.snapshot.time,
                    msgspec.json.encode(at(item, "spec", "limits", default=[])).decode(),
                )
                for item in ranges[:2]
            ),
            beside=tuple(ref(item) for item in ranges),
            advice=f"Stay within the LimitRange: {said}.",
        )


# ADM-04 ---------------------------------------------------------------------------------------------------------------


def pod_security(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods violate the namespace's Pod Security level."""
    for told in refused(graph):
        found = _SECURITY.search(told.message)
        if found is None:
            continue
        space = graph.get(ObjectRef("Namespace", namespace_of(told.workload)))
        label = texts(space, "metadata", "labels").get("pod-security.kubernetes.io/enforce", "") if space else ""
        more = (evidence(space, "metadata.labels", graph.snapshot.time, f"enforce={label}"),) if space and label else ()
        yield _finding(
            graph,
            told,
            "ADM-04",
            f"{ref(told.workload)} cannot create its pods, which violate Pod Security {found['level']}: "
            f"{found['what'][:160]}",
            facts={"level": found["level"], "violations": found["what"]},
            more=more,
            advice="Harden the containers' securityContext as the message says; lowering the namespace's level weakens "
            "every pod in it.",
        )


# ADM-05, ADM-06, ADM-09 -----------------------------------------------------------------------------------------------


def webhook_down(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each admission webhook that does not answer, so that what it guards is refused."""
    for told, found in _failing_webhooks(graph):
        service = _service_of(graph, found["webhook"])
        if "x509" not in found["why"] or (service is not None and _nobody_behind(graph, service)):
            yield _webhook(graph, told, "ADM-05", found["webhook"], f"does not answer: {_end(found['why'])}")


def webhook_untrusted(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each admission webhook whose certificate its caBundle does not trust."""
    for told, found in _failing_webhooks(graph):
        service = _service_of(graph, found["webhook"])
        if "x509" in found["why"] and not (service is not None and _nobody_behind(graph, service)):
            why = found["why"][found["why"].index("x509") :]
            made = _webhook(graph, told, "ADM-06", found["webhook"], f"is not trusted: {why[:_SHOWN]}")
            seen = _configuration(graph, found["webhook"])[0] is not None and (service is None or graph.get(service))
            yield made if seen else msgspec.structs.replace(made, confidence=0.5)  # perhaps nobody is behind it


def _end(text: str) -> str:
    """Return the end of what the API server says of a call, where the reason stands, from a word on."""
    return text if len(text) <= _SHOWN else text[-_SHOWN:].partition(" ")[2]


def _failing_webhooks(graph: Graph) -> Iterator[tuple[Refused, re.Match[str]]]:
    for told in refused(graph):
        found = _WEBHOOK.search(told.message)
        if found is not None:
            yield told, found


def _service_of(graph: Graph, webhook: str) -> ObjectRef | None:
    named = texts(_configuration(graph, webhook)[1], "clientConfig", "service")
    return ObjectRef("Service", named["name"], named.get("namespace", "")) if named.get("name") else None


def _nobody_behind(graph: Graph, service: ObjectRef) -> bool:
    """Return whether no pod is ready behind a Service whose namespace was read."""
    if not any(namespace_of(item) == service.namespace for item in graph.all("Service")):
        return False
    held = graph.get(service)
    return held is None or not any(ready(pod) for pod in graph.selected(service.namespace, selector(held)))


def _webhook(graph: Graph, told: Refused, fault: str, webhook: str, why: str) -> Finding:
    held, hook = _configuration(graph, webhook)
    service = _service_of(graph, webhook)
    facts = {"webhook": webhook, "policy": str(hook.get("failurePolicy", ""))}
    more = []
    if held is not None:
        facts |= {"configuration": name_of(held), "kind": str(held.get("kind"))}
        text = f"{webhook}: failurePolicy {hook.get('failurePolicy')}, service {service or 'by URL'}"
        more.append(evidence(held, "webhooks", graph.snapshot.time, text))
    backend = _backend(graph, service) if service else None
    restore = f"Restore what answers for it: {backend or service}" if service else "Restore the server at its URL"
    return _finding(
        graph,
        told,
        fault,
        f"{ref(told.workload)} cannot create its pods: the webhook {webhook} {why}",
        subject=backend or (ref(held) if held is not None else ref(told.workload)),
        confidence=0.93 if held is not None else 0.8,
        facts=facts,
        more=tuple(more),
        beside=(*((ref(held),) if held is not None else ()), *((service,) if service else ())),
        advice=f"Put the authority that signed its server's certificate into caBundle of {webhook}, or renew the "
        "certificate by the one that is there."
        if fault == "ADM-06"
        else f"{restore}. Setting failurePolicy to Ignore lets everything past it: for a short time at most.",
    )


def _configuration(graph: Graph, webhook: str) -> tuple[Json | None, Json]:
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        for held in graph.all(kind):
            for hook in each(held, "webhooks"):
                if hook.get("name") == webhook:
                    return held, hook
    return None, {}


def _backend(graph: Graph, service: ObjectRef) -> ObjectRef | None:
    """Return the workload behind a webhook's Service, where it was read."""
    held = graph.get(service)
    wanted = texts(held, "spec", "selector") if held is not None else {}
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        for workload in graph.all(kind):
            labels = texts(template(workload), "metadata", "labels")
            if wanted and namespace_of(workload) == service.namespace and wanted.items() <= labels.items():
                return ref(workload)
    return None


def denied(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose pods a policy denies: a webhook's or a ValidatingAdmissionPolicy."""
    for told in refused(graph):
        found = _DENIED.search(told.message) or _POLICY.search(told.message)
        if found is not None:
            by = found.groupdict().get("webhook") or found.groupdict().get("policy", "")
            yield _finding(
                graph,
                told,
                "ADM-09",
                f"{ref(told.workload)} cannot create its pods: {by} denies them: {found['why'][:200]}",
                facts={"policy": by, "why": found["why"]},
                advice=f"Make {ref(told.workload)} comply with what {by} asks for; the policy is somebody's intention.",
            )


# ADM-10 ---------------------------------------------------------------------------------------------------------------


def no_account(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each workload whose ServiceAccount does not exist."""
    from rapidfuzz import fuzz

    for told in refused(graph):
        found = _ACCOUNT.search(told.message)
        if found is None:
            continue
        namespace = namespace_of(told.workload)
        there = sorted(name_of(item) for item in graph.all("ServiceAccount") if namespace_of(item) == namespace)
        near = [
            name
            for name in there
            if fuzz.ratio(name, found["account"]) >= 75
            and name != "default"
            and (_used_before(graph, told.workload, name) or not _used_by_others(graph, told.workload, name))
        ]
        facts = {"account": found["account"]} | ({"meant": near[0]} if len(near) == 1 else {})
        more = (Evidence(f"ServiceAccounts of {namespace}", graph.snapshot.time, ", ".join(there[:10]) or "none"),)
        yield _finding(
            graph,
            told,
            "ADM-10",
            f"{ref(told.workload)} cannot create its pods: ServiceAccount {found['account']} does not exist",
            facts=facts,
            more=more,
            advice=f"Create ServiceAccount {found['account']} with what it needs, or name the one that was meant.",
        )


def _used_before(graph: Graph, workload: Json, account: str) -> bool:
    """Return whether the revision before ran with this ServiceAccount."""
    before = graph.previous(workload)
    return bool(at(pod_spec(before or {}), "serviceAccountName") == account)


def _used_by_others(graph: Graph, workload: Json, account: str) -> bool:
    """Return whether another workload has this ServiceAccount: its rights are given to that one, and not to this."""
    here = namespace_of(workload)
    others = [other for kind in EDITABLE for other in graph.all(kind) if other is not workload]
    pods = [pod for pod in graph.all("Pod") if graph.workload(pod) is not workload]
    named = [at(pod_spec(other), "serviceAccountName") for other in others if namespace_of(other) == here]
    named += [at(pod, "spec", "serviceAccountName") for pod in pods if namespace_of(pod) == here]
    return account in named


_NEEDS = ("ReplicaSet", "Event")
_WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "Service", "Deployment", "Pod")
RULES = (
    Rule(fault="ADM-01", needs=(*_NEEDS, "ResourceQuota"), find=quota_exceeded),
    Rule(fault="ADM-02", needs=(*_NEEDS, "ResourceQuota"), find=quota_wants_limits),
    Rule(fault="ADM-03", needs=(*_NEEDS, "LimitRange"), find=out_of_range),
    Rule(fault="ADM-04", needs=_NEEDS, find=pod_security),
    Rule(fault="ADM-05", needs=_NEEDS, find=webhook_down, wants=_WEBHOOKS),
    Rule(fault="ADM-06", needs=_NEEDS, find=webhook_untrusted, wants=_WEBHOOKS),
    Rule(fault="ADM-09", needs=_NEEDS, find=denied),
    Rule(fault="ADM-10", needs=_NEEDS, find=no_account),
)

__all__ = ["RULES", "refused"]
