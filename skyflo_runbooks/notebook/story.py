"""What happened, in Markdown: the incident, the cause with its evidence and times, and the objects it concerns.

A curated runbook has no incident yet: it says which one it is for.

Everything that came from a cluster or from the operator's words is escaped, so that it can look like nothing else.
"""

from collections.abc import Iterable

from skyflo_runbooks.model.finding import Finding
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import Plan
from skyflo_runbooks.notebook.text import label, markdown, shorten

MAX_TEXT = 600
CURATED = "curated"
_CURATED = (
    "*A curated runbook. Give the parameters that are marked `required`; the others have sound defaults. Cells that "
    "read run by themselves; each change waits for a person's approval in the gateway; verify cells measure.*"
)

# From what a customer meets to what a pod needs: an arrow goes from the earlier to the later kind.
_RANKS = {
    kind: rank
    for rank, kinds in enumerate(
        (
            ("Ingress",),
            ("Service",),
            ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "HorizontalPodAutoscaler"),
            ("ReplicaSet", "Job"),
            ("Pod",),
            ("ConfigMap", "Secret", "PersistentVolumeClaim", "Node", "ResourceQuota", "LimitRange"),
        )
    )
    for kind in kinds
}


def what_happened(plan: Plan, graph: str = "") -> str:
    """Return the first cell of a plan's notebook; `graph` is Mermaid source to use in place of our own drawing."""
    if plan.generator == CURATED:
        return f"# {markdown(plan.incident.text)}\n\n{_CURATED}"
    first = plan.findings[0] if plan.findings else None
    title = first.title if first else "What was looked at"
    parts = [f"# {markdown(title)}", f"> {markdown(shorten(plan.incident.text, MAX_TEXT))}"]
    if first:
        parts += _cause(first)
    drawing = graph or objects_graph(plan.findings)
    if drawing:
        parts.append(f"```mermaid\n{drawing.strip()}\n```")
    others = [
        f"- {_fault(finding)} {markdown(finding.title)} ({_object(finding.object)})" for finding in plan.findings[1:]
    ]
    parts += _section("Also found, not repaired here", others)
    parts += _section("Not known", [f"- {markdown(shorten(said, MAX_TEXT))}" for said in plan.unknown])
    parts.append(_origin(plan))
    return "\n\n".join(parts)


def objects_graph(findings: Iterable[Finding]) -> str:
    """Return Mermaid source for the objects that findings name, or nothing where there is only one."""
    lines: list[str] = []
    names: dict[ObjectRef, str] = {}
    causes: set[str] = set()
    for finding in findings:
        cause = names.setdefault(finding.object, f"o{len(names)}")
        causes.add(cause)
        for other in finding.related:
            related = names.setdefault(other, f"o{len(names)}")
            pair = (cause, related) if _rank(finding.object) <= _rank(other) else (related, cause)
            lines.append(f"  {pair[0]} --> {pair[1]}")
    if len(names) < 2:
        return ""
    nodes = [f'  {name}["{label(ref.kind)}<br/>{label(ref.name)}"]' for ref, name in names.items()]
    marks = [f"  class {name} cause" for name in sorted(causes)]
    style = "  classDef cause stroke:#c9362b,stroke-width:3px"
    return "\n".join(["graph LR", *nodes, *dict.fromkeys(lines), style, *marks])


def _rank(ref: ObjectRef) -> int:
    return _RANKS.get(ref.kind, len(_RANKS))


def _fault(finding: Finding) -> str:
    return f"**{markdown(finding.fault)}**"


def _object(ref: ObjectRef) -> str:
    return markdown(str(ref))


def _cause(finding: Finding) -> list[str]:
    sure = f"{finding.confidence:.0%} sure"
    where = "" if str(finding.object) in finding.title else f": {_object(finding.object)}"
    said = [f"**Cause:** {markdown(finding.title)}{where} ({markdown(finding.fault)}, {sure})."]
    evidence = [
        f"| {markdown(item.at)} | {markdown(item.source)} | {markdown(shorten(item.text, MAX_TEXT))} |"
        for item in finding.evidence
    ]
    if evidence:
        said.append("\n".join(["| seen at | where | what |", "| --- | --- | --- |", *evidence]))
    said += _section("It explains", [f"- {markdown(text)}" for text in finding.consequences])
    said += _deciding(finding)
    if finding.advice:
        said.append(f"**Advice:** {markdown(finding.advice)}")
    return said


def _deciding(finding: Finding) -> list[str]:
    """Return what would decide a cause that is not certain, as a table of what to look at and what it would mean."""
    rows = [
        f"| {markdown(shorten(one.look, MAX_TEXT))}"
        + (f" (not read: {markdown(shorten(one.missing, MAX_TEXT))})" if one.missing else "")
        + f" | {markdown(one.confirms)} | {markdown(one.refutes)} |"
        for one in finding.decided_by
    ]
    head = ["| what would decide it | it is this if | it is not if |", "| --- | --- | --- |"]
    return ["\n".join([*head, *rows])] if rows else []


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"**{title}:**\n\n" + "\n".join(lines)] if lines else []


def _origin(plan: Plan) -> str:
    where = f" on cluster {markdown(plan.target.context or plan.target.cluster)}" if plan.target.cluster else ""
    when = f", {markdown(plan.created)}" if plan.created else ""
    return (
        f"*Written by {markdown(plan.generator)}{where}{when}. Cells that read run by themselves; each change waits "
        "for a person's approval in the gateway; verify cells measure.*"
    )
