"""The objects of an incident as a Mermaid graph: the cause, what leads to it, and what it needs.

Drawn are the finding's object, its related objects, and what stands between or right behind them (ReplicaSets,
ConfigMaps, Secrets, Nodes), along the references that were read; at most `PODS` pods and `MOST` objects.
"""

from collections.abc import Iterable

from skyflo_runbooks.diagnosis.graph import Edge, Graph
from skyflo_runbooks.diagnosis.snapshot import Snapshot
from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.notebook.text import label

MOST = 20
PODS = 6
_WORDS = {"runs-on": "runs on", "env-from": "environment from"}


def drawing(snapshot: Snapshot, finding: Finding) -> str:
    """Return Mermaid source for a finding; empty where there is nothing to connect."""
    edges = sorted(Graph(snapshot).edges())
    near = _near(finding, edges)
    drawn = [edge for edge in edges if edge.source in near and edge.target in near]
    if not drawn:
        return ""
    names = {item: f"o{number}" for number, item in enumerate(near)}
    lines = [f'  {names[item]}["{label(item.kind)}<br/>{label(item.name)}"]' for item in near]
    lines += [f"  {names[edge.source]} -->|{_words(edge)}| {names[edge.target]}" for edge in drawn]
    style = "  classDef cause stroke:#c9362b,stroke-width:3px"
    return "\n".join(["graph LR", *lines, style, f"  class {names[finding.object]} cause"])


def _words(edge: Edge) -> str:
    return _WORDS.get(edge.relation, edge.relation)


def _near(finding: Finding, edges: Iterable[Edge]) -> tuple[ObjectRef, ...]:
    """Return what is drawn: the finding's own objects first, then their neighbours."""
    pods = [item for item in finding.related if item.kind == "Pod"][:PODS]
    others = [item for item in finding.related if item.kind != "Pod"]
    centre = dict.fromkeys([finding.object, *others, *pods])
    neighbours: dict[ObjectRef, None] = {}
    for edge in edges:
        if edge.source in centre or edge.target in centre:
            # A node carries many pods; only those that the finding names matter here.
            neighbours |= dict.fromkeys(item for item in (edge.source, edge.target) if item.kind != "Pod")
    return tuple({**centre, **neighbours})[:MOST]
