"""The answer to an incident, in the forms that the command line gives it. Pure.

`findings` and `steps` are the JSON of `new --json` (a contract with other people's scripts): an object is written
`Kind/namespace/name`, a plan's parameters are replaced by their defaults, prose is left out.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from skyflo_runbooks.model.errors import ExitCode
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.objects import ObjectRef
from skyflo_runbooks.model.plan import bind


def summary(answer: Json, path: str | None) -> Json:
    """Return the document of `new --json` for a gateway's answer."""
    return {
        "path": path,
        "id": answer["id"],
        "findings": findings(answer),
        "plan": steps(answer.get("plan")),
        "unknown": list(at(answer, "diagnosis", "unknown", default=[])),
        "timeline": timeline(answer),
        **({"untried": answer["untried"]} if "untried" in answer else {}),
        "elapsed_ms": answer.get("elapsed_ms"),
        "runbooks": [{**offer, "command": command(offer)} for offer in answer.get("runbooks") or []],
    }


def command(offer: Json) -> str:
    """Return the line that runs a curated runbook as it was offered; what a person has to choose stands as `…`."""
    given = [f"{name}={value}" for name, value in offer["parameters"].items()]
    left = [f"{name}=…" for name in offer["missing"]]
    words = ["skyflo-runbooks", "run", offer["runbook"], *(word for pair in given for word in ("-p", pair))]
    return " ".join([shlex.join(words), *(f"-p {pair}" for pair in left)])


def findings(answer: Json) -> list[Json]:
    """Return the findings of an answer, the cause first."""
    found: Iterable[Json] = at(answer, "diagnosis", "findings") or answer.get("findings") or []
    return [
        {
            "fault": finding["fault"],
            "title": finding["title"],
            "object": object_name(finding["object"]),
            "confidence": finding["confidence"],
            "evidence": [{key: item[key] for key in ("source", "at", "text")} for item in finding.get("evidence", [])],
            "consequences": list(finding.get("consequences", [])),
            "decided_by": list(finding.get("decided_by", [])),
        }
        for finding in found
    ]


def timeline(answer: Json) -> Json:
    """Return what changed around the begin of the symptom, oldest first; `before_s` are the seconds to its begin."""
    line = at(answer, "diagnosis", "timeline", default={})
    return {
        "began": line.get("began", ""),
        "symptom": line.get("symptom", ""),
        "changes": [
            {
                "at": one["at"],
                "before_s": one.get("before"),
                "object": object_name(one["object"]),
                "what": one["what"],
                "by": one.get("by", ""),
            }
            for one in line.get("changes", [])
        ],
        "more": line.get("more", 0),
    }


def object_name(said: Any) -> str:
    """Return `Kind/namespace/name`, or `Kind/name` where there is no namespace."""
    if isinstance(said, Mapping):
        return str(ObjectRef(str(said["kind"]), str(said["name"]), str(said.get("namespace") or "")))
    return str(said)


def steps(plan: Json | None) -> list[Json]:
    """Return the plan's steps with their arguments; each read of a gather is a step of its own."""
    if not plan:
        return []
    values = {parameter["name"]: parameter["default"] for parameter in plan.get("parameters", [])}
    return [bound for step in plan["steps"] for bound in _step(step, values)]


def _step(step: Json, values: dict[str, str | int | float | bool]) -> list[Json]:
    kind, id_ = step["kind"], step["id"]
    if kind == "gather":
        calls = step["reads"].values()
        return [_row(id_, "read", call["tool"], bind(call.get("arguments") or {}, values)) for call in calls]
    if kind in ("read", "change"):
        return [_row(id_, kind, step["tool"], bind(step.get("arguments") or {}, values))]
    if kind == "verify":
        said = {key: step[key] for key in ("checks", "after", "within") if key in step}
        return [_row(id_, kind, None, bind(said, values))]
    if kind in ("rollback", "record"):
        return [_row(id_, kind, None, {"of": step["of"]} if "of" in step else {})]
    return []


def _row(step: str, kind: str, tool: str | None, arguments: object) -> Json:
    return {"step": step, "kind": kind, "tool": tool, "arguments": arguments}


def outcome(answer: Json) -> ExitCode:
    """Return the exit code of a diagnosis: 0 something was found, 4 it could not be known, 3 nothing is wrong."""
    if findings(answer):
        return ExitCode.DONE
    return ExitCode.UNKNOWN if at(answer, "diagnosis", "unknown", default=[]) else ExitCode.NOTHING_WRONG


def stem(answer: Json) -> str:
    """Return a name for the runbook's file: the object that has to change, and the runbook's id."""
    found = findings(answer)
    subject = found[0]["object"].rpartition("/")[2] if found else "reads"
    return re.sub(r"[^a-z0-9.-]+", "-", f"{subject}-{answer['id']}".lower()).strip("-.")
