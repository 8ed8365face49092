"""`docs/faults.md`: the fault catalogue, made from the rules, their repairs and the catalogue's words.

`make faults-doc` writes the page.
"""

from collections.abc import Iterable

from skyflo_runbooks.cli.text import listed
from skyflo_runbooks.model.json import Json

FAMILIES = {
    "SCH": "Scheduling",
    "IMG": "Images",
    "CON": "Containers",
    "ROL": "Rollouts",
    "ADM": "Admission, quota, identity",
    "NET": "Services, DNS, Ingress, network",
    "STO": "Storage",
    "AUT": "Autoscaling and disruption",
    "JOB": "Jobs",
    "NOD": "Nodes",
    "DEL": "Deletion",
    "API": "API machinery",
    "DLV": "Delivery",
    "MES": "Mesh",
    "GWY": "Gateway API",
}
_HEAD = """# Faults

Made by `make faults-doc` from the rules themselves; do not edit. `skyflo-runbooks explain CON-07` says the same of one.

A **rule** names a fault from what was read and nothing else; where one of its reads was refused, the answer is
*unknown*, not *healthy*. **What decides it** stands where a rule may be less than 90 % sure: where to look, and what it
would mean. A **repair** is proposed only after it passed a dry run, and runs only after somebody approved it.
**Verify** is what must hold afterwards; the checks of a plan stand in its runbook, and a window belongs to each.
**Way back** is what undoing the change does: `skyflo-runbooks rollback` proposes it from what was stored before the
change. Where no repair stands, no change by rule is safe: the finding's advice says what a person can do.
"""


def page(faults: Iterable[Json]) -> str:
    """Return the page for what `explain --json` lists."""
    known = list(faults)
    parts = [_HEAD, _summary(known)]
    for prefix, family in FAMILIES.items():
        if mine := [fault for fault in known if str(fault["fault"]).startswith(f"{prefix}-")]:
            parts += [f"\n## {family}\n", *(_section(fault) for fault in mine)]
    return "\n".join(parts)


def _summary(known: list[Json]) -> str:
    repaired = sum(1 for fault in known if fault["repair"])
    return f"{len(known)} faults are named; for {repaired} of them there is a repair.\n"


def _section(fault: Json) -> str:
    rows = [
        ("evidence", fault["evidence"]),
        ("reads", listed(fault["needs"])),
        *(("what decides it", f"{one['look']}. {_outcomes(one)}") for one in fault["decided_by"]),
        ("repair", fault["repair"] or "none by rule"),
        ("verify", fault["verify"]),
        ("way back", fault["way_back"]),
    ]
    lines = [f"- **{name}**: {_plain(str(text))}" for name, text in rows if text]
    title = f": {fault['title']}" if fault["title"] else ""
    return "\n".join([f"### {fault['fault']}{title}\n", _plain(str(fault["means"])), "", *lines, ""])


def _outcomes(one: Json) -> str:
    return f"It is this if {one['confirms']}; it is not if {one['refutes']}."


def _plain(text: str) -> str:
    """Return a docstring's text in one line, with the characters that Markdown would take escaped."""
    return " ".join(text.split()).replace("*", "\\*").replace("<", "\\<").replace("|", "\\|")
