"""Which pods a selector means, as the API server reads it. Pure.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors. What a half-written
selector says that is no requirement is not met by anything.
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.pods import each, finished, labels_of, texts
from skyflo_runbooks.model.json import Json, at


def selects(selector: object, labels: dict[str, str]) -> bool:
    """Return whether a LabelSelector means these labels: an empty one means all, none at all means nothing."""
    if not isinstance(selector, dict):
        return False
    wanted = at(selector, "matchLabels", default={})
    if not isinstance(wanted, dict) or any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_meets(rule, labels) for rule in each(selector, "matchExpressions"))


def _meets(rule: Json, labels: dict[str, str]) -> bool:
    key, operator, values = str(rule.get("key")), rule.get("operator"), rule.get("values")
    listed = values if isinstance(values, list) else []
    if operator == "In":
        return labels.get(key) in listed and key in labels
    if operator == "NotIn":
        return labels.get(key) not in listed
    return key in labels if operator == "Exists" else operator == "DoesNotExist" and key not in labels


def wanted(service: Json) -> dict[str, str]:
    """Return the labels by which a Service chooses; without any it chooses no pod by itself."""
    return {} if at(service, "spec", "type") == "ExternalName" else texts(service, "spec", "selector")


def chooses(service: Json, labels: dict[str, str]) -> bool:
    """Return whether a Service sends to pods with these labels."""
    by = wanted(service)
    return bool(by) and by.items() <= labels.items()


def chosen(service: Json, pods: Iterable[Json]) -> list[Json]:
    """Return the pods that a Service sends to, ready or not."""
    by = wanted(service)
    return [pod for pod in pods if by and by.items() <= labels_of(pod).items() and not finished(pod)]


def template_labels(workload: Json) -> dict[str, str]:
    """Return the labels of the pods: those of a workload's template, or a pod's own."""
    if workload.get("kind") == "Pod":
        return labels_of(workload)
    return texts(workload, "spec", "template", "metadata", "labels")


def own_pods(workload: Json, pods: Iterable[Json]) -> list[Json]:
    """Return the pods that a workload's selector means and that have not ended."""
    if workload.get("kind") == "ReplicationController":
        wanted = texts(workload, "spec", "selector")
        return [pod for pod in pods if wanted and not finished(pod) and wanted.items() <= labels_of(pod).items()]
    selector = at(workload, "spec", "selector")
    return [pod for pod in pods if not finished(pod) and selector and selects(selector, labels_of(pod))]
