"""Family C, what a running container was given: CON-17, a variable that hides another.

Source of the evidence: the template. Of two entries of one name the last one counts (the API server warns of it:
`hides previous definition of`). A variable that overrides one of its `envFrom` sources, and a later source that
overrides an earlier one, are usual; they are named only while the workload's pods are not well. Values are compared
and never shown: they may be secrets.
"""

from collections.abc import Iterator

import msgspec

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import (
    EDITABLE,
    each,
    leaving,
    namespace_of,
    pod_spec,
    ready,
    template_container,
    texts,
)
from skyflo_runbooks.diagnosis.rules.base import Rule, evidence, services
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef


class Shadow(msgspec.Struct, frozen=True):
    """A variable that is set twice: where the value that is hidden stands, and the index of the entry that hides it."""

    name: str
    hidden: str
    by: str
    index: int | None = None


def shadowed(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each container with a variable that another entry of the same name hides."""
    for kind in EDITABLE:
        for workload in graph.all(kind):
            for container in each(pod_spec(workload), "containers"):
                found = _twice(container)
                if found is None and _ill(graph, workload):
                    found = _overridden(graph, workload, container)
                if found is not None:
                    yield _finding(graph, workload, container, found)


def _ill(graph: Graph, workload: Json) -> bool:
    return any(not ready(pod) and not leaving(pod) for pod in graph.pods(workload))


def _twice(container: Json) -> Shadow | None:
    seen: dict[str, tuple[int, Json]] = {}
    for index, variable in enumerate(each(container, "env")):
        name = str(variable.get("name"))
        first = seen.setdefault(name, (index, variable))
        if first[0] != index and _value(first[1]) != _value(variable):
            return Shadow(name, f"env[{first[0]}]", f"env[{index}]", index)
    return None


def _value(variable: Json) -> object:
    return variable.get("valueFrom") or str(variable.get("value") or "")


def _overridden(graph: Graph, workload: Json, container: Json) -> Shadow | None:
    """Return a key of a ConfigMap that a later source or a variable of the container sets to something else."""
    held: dict[str, tuple[str, str]] = {}
    for source in each(container, "envFrom"):
        name, prefix = str(at(source, "configMapRef", "name", default="")), str(source.get("prefix") or "")
        found = graph.get(ObjectRef("ConfigMap", name, namespace_of(workload)))
        for key, value in texts(found, "data").items() if found else ():
            before = held.get(prefix + key)
            if before is not None and before[1] != value:
                return Shadow(prefix + key, f"ConfigMap {before[0]}", f"ConfigMap {name}")
            held[prefix + key] = (name, value)
    for index, variable in enumerate(each(container, "env")):
        name = str(variable.get("name"))
        if name in held and "value" in variable and held[name][1] != str(variable["value"]):
            return Shadow(name, f"ConfigMap {held[name][0]}", f"env[{index}]", index)
    return None


def _finding(graph: Graph, workload: Json, container: Json, shadow: Shadow) -> Finding:
    name = str(container.get("name"))
    before = graph.previous(workload) if workload.get("kind") == "Deployment" else None
    earlier = template_container(before, name) if before is not None else None
    new = earlier is not None and (_twice(earlier[2]) or Shadow("", "", "")).name != shadow.name
    facts = {"container": name, "variable": shadow.name, "hidden": shadow.hidden}
    text = f"{shadow.name}: {shadow.by} hides {shadow.hidden}, and the two differ"
    more = (evidence(before, "template", graph.snapshot.time, f"sets {shadow.name} once"),) if new and before else ()
    return Finding(
        fault="CON-17",
        title=f"{shadow.name} of {name} of {ref(workload)} is set twice: {shadow.by} hides {shadow.hidden}",
        object=ref(workload),
        confidence=0.85 if shadow.hidden.startswith("env") else 0.6,
        evidence=(evidence(workload, f"template of container {name}", graph.snapshot.time, text), *more),
        facts=facts | ({"index": str(shadow.index)} if shadow.index is not None else {}),
        related=services(graph, workload),
        advice="The last entry counts. Keep the one that is meant.",
    )


RULES = (Rule(fault="CON-17", needs=("Deployment",), find=shadowed),)

__all__ = ["RULES"]
