"""Ways that are one patch, one scale or one other call, and the checks that go with them."""

from collections.abc import Iterator, Mapping

from skyflo_runbooks.diagnosis.pods import condition, each, namespace_of
from skyflo_runbooks.model.check import Check, build
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import ChangeStep, Parameter, param
from skyflo_runbooks.planning.way import Case, Way, check_of, named, settle, steady, web_checks

EDITABLE = ("Deployment", "StatefulSet", "DaemonSet")
_NAMED_BY = {
    "ConfigMap": (("configMapKeyRef", "name"), ("configMapRef", "name"), ("configMap", "name")),
    "Secret": (("secretKeyRef", "name"), ("secretRef", "name"), ("secret", "secretName")),
}


def one(
    case: Case,
    tool: str,
    arguments: Json,
    title: str,
    why: str,
    *,
    checks: tuple[Check, ...] = (),
    parameters: tuple[Parameter, ...] = (),
    subject: ObjectRef | None = None,
    kinds: tuple[str, ...] = EDITABLE,
) -> Way:
    """Return the way that is one call of a tool, verified on what suffers (of `kinds`) and by the given checks."""
    change = ChangeStep(id=_step(tool), tool=tool, arguments=arguments, why=why)
    held = well_again(case, subject, kinds)
    window = (settle(),) if any("window" in check.arguments for check in held) else ()
    return Way(title=title, change=change, checks=(*held, *checks), parameters=(*parameters, *window), reasons=(why,))


def start_again(case: Case, asked: str, *, checks: tuple[Check, ...] = ()) -> Way:
    """Return the way that gives a workload without pods one again, because nothing answers for what `asked` names."""
    subject = case.finding.object
    return one(
        case,
        "k8s_scale",
        {"kind": subject.kind, "namespace": subject.namespace, "name": subject.name, "replicas": param("replicas")},
        f"Scale {subject} to 1",
        f"Nothing answers for {asked}, because it has no pods.",
        checks=(*waiting_for(case), *checks),
        parameters=(Parameter("replicas", "int", 1, f"pods that answer for {asked}"),),
    )


def scaler_of(case: Case, subject: ObjectRef) -> Json | None:
    """Return the autoscaler of a workload, which undoes a number that somebody else sets; None where it has none."""
    return next(
        (
            scaler
            for scaler in case.graph.all("HorizontalPodAutoscaler")
            if namespace_of(scaler) == subject.namespace
            and at(scaler, "spec", "scaleTargetRef", "kind") == subject.kind
            and at(scaler, "spec", "scaleTargetRef", "name") == subject.name
        ),
        None,
    )


def related_hold(case: Case, kind: str, holds: str) -> tuple[Check, ...]:
    """Return the checks that this condition is True of each related object of the kind: its controller looks again."""
    return tuple(
        build("condition_true", [kind, other.name], {"namespace": there(case, other), "condition": holds})
        for other in case.finding.related
        if other.kind == kind
    )


def answered_behind(case: Case, *more: str) -> tuple[Check, ...]:
    """Return the checks that somebody answers behind the Services that are led to, and those of `more` names."""
    led = [item for item in case.finding.related if item.kind == "Service"]
    led += [ObjectRef("Service", name, case.finding.object.namespace) for name in more]
    known = [
        item
        for item in dict.fromkeys(led)
        if (held := case.graph.get(item)) is not None and at(held, "spec", "type") != "ExternalName"
    ]
    return tuple(build("endpoints_ready", [item.name], {"namespace": there(case, item)}) for item in known[:3])


def address_of(case: Case, class_name: str) -> tuple[Check, ...]:
    """Return the check that the Ingress gets an address, where the class's controller is one that writes them."""
    writes = any(
        at(other, "spec", "ingressClassName") == class_name and each(other, "status", "loadBalancer", "ingress")
        for other in case.graph.all("Ingress")
    )
    where: dict[str, object] = {"namespace": param("namespace")}
    return (build("address_given", [case.finding.object.name], where),) if writes else ()


def told_by_controller(case: Case, *conditions: str) -> tuple[Check, ...]:
    """Return the checks that these conditions are True of the finding's object, as its controller says.

    Of those that a controller writes of it, or all of them where none has written any: somebody has to answer.
    """
    said = [name for name in conditions if condition(case.workload, name)]
    return tuple(check_of(case, "condition_true", condition=name) for name in said or conditions)


def _step(tool: str) -> str:
    return tool.removeprefix("k8s_")


def merge(case: Case, patch: Json, title: str, why: str, *, checks: tuple[Check, ...] = ()) -> Way:
    """Return the way that is a merge patch of the finding's object."""
    return one(case, "k8s_patch", {**named(case), "patch": patch, "patch_type": "merge"}, title, why, checks=checks)


def replace(
    case: Case, values: dict[str, Json | str | int], title: str, why: str, *, checks: tuple[Check, ...] = ()
) -> Way:
    """Return the way that replaces fields of the finding's object: JSON Pointers and their new values."""
    patch: list[Json] = [{"op": "replace", "path": path, "value": value} for path, value in values.items()]
    held = tuple(check_of(case, "field_equals", path=path, value=value) for path, value in _leaves(values))
    arguments: Json = {**named(case), "patch": patch, "patch_type": "json"}
    return one(case, "k8s_patch", arguments, title, why, checks=(*held, *checks))


def _leaves(values: Mapping[str, object]) -> Iterator[tuple[str, str | int]]:
    """Yield the texts and numbers among new values, those that stand one level deeper included."""
    for path, value in values.items():
        if isinstance(value, str | int):
            yield path, value
        elif isinstance(value, dict):
            yield from ((f"{path}/{key}", item) for key, item in value.items() if isinstance(item, str | int))


def there(case: Case, item: ObjectRef) -> object:
    """Return the namespace of what a check looks at: the plan's own, or another that is said outright."""
    return param("namespace") if item.namespace == case.finding.namespace else item.namespace


def waiting_for(case: Case) -> tuple[Check, ...]:
    """Return the checks that those have their pods again who suffer and are not what is repaired."""
    suffering = [item for item in case.finding.explains if item.kind in EDITABLE and item != case.finding.object]
    return tuple(
        build("pods_ready", [item.kind, item.name], {"namespace": there(case, item)}) for item in suffering[:3]
    )


def well_again(case: Case, subject: ObjectRef | None = None, kinds: tuple[str, ...] = EDITABLE) -> tuple[Check, ...]:
    """Return the checks that what suffers is well: the workload that the finding is of, or those that it explains."""
    if subject is None and case.finding.object.kind in EDITABLE:
        return (*steady(case), *web_checks(case, window=param("settle")))
    sufferers = [subject] if subject else [item for item in case.finding.explains if item.kind in kinds]
    found: list[Check] = []
    for item in sufferers[:3]:
        where: dict[str, object] = {"namespace": there(case, item)}
        found.append(build("pods_ready", [item.kind, item.name], where))
        found.append(build("no_restarts", [item.kind, item.name], {**where, "window": param("settle")}))
    return (*found, *web_checks(case, window=param("settle"))) if found else ()


def place(spec: Json, path: str, matches: Json) -> int | None:
    """Return the index of the member of the list at `path` that holds all of `matches`."""
    for index, item in enumerate(each(spec, path)):
        if all(item.get(key) == value for key, value in matches.items()):
            return index
    return None


def references(workload: Json, kind: str, name: str, key: str) -> Iterator[str]:
    """Yield the JSON Pointers at which a pod template names a ConfigMap or Secret (or a key of it)."""
    yield from _walk(at(workload, "spec", "template", "spec", default={}), "/spec/template/spec", kind, name, key)


def _walk(value: object, path: str, kind: str, name: str, key: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}/{index}", kind, name, key)
    elif isinstance(value, dict):
        for member, item in value.items():
            here = f"{path}/{member.replace('~', '~0').replace('/', '~1')}"
            for holder, field in _NAMED_BY.get(kind, ()):
                if member == holder and isinstance(item, dict) and item.get(field) == name:
                    if not key:
                        yield f"{here}/{field}"
                    elif item.get("key") == key:
                        yield f"{here}/key"
            yield from _walk(item, here, kind, name, key)


__all__ = [
    "EDITABLE",
    "merge",
    "one",
    "place",
    "references",
    "replace",
    "scaler_of",
    "start_again",
    "waiting_for",
    "well_again",
]
