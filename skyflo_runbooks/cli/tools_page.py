"""`docs/tools.md`, made from what the servers themselves offer: each tool's effect, arguments and kinds.

A tool is a read here exactly where its server says `readOnlyHint`. `make tools-doc` writes the page.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from skyflo_runbooks.model.json import Json

_HEAD = """# Tools

Made by `make tools-doc` from what the servers offer; do not edit.

Every tool takes typed arguments and is called in the same way from a cell, over REST, over MCP and by a plan. A
**read** runs by itself, within a time and a size, and its result is masked before anybody sees it; where it is cut it
says so, and how to get the rest. A **change** renders requests and becomes a proposal: dry-run, shown, approved by a
person, applied once. There is no third kind.

An argument with `?` may be left out. A kind may be named as people name it (`Deployment`, `deploy`,
`deployments.apps`); "any" is any kind that the cluster serves, custom resources included. Tools are named as operators
of the upstream system know them, wherever that has one; one with another name says in `replaces` which it stands for.
"""
_FORWARDING = """
## What is not the same as with kubectl

- **`k8s_exec` is always a change**, whatever it runs, and so is `k8s_cp`: nobody can tell from a command what it does.
  What people run to look has typed reads: `k8s_environment`, `k8s_disk_usage`, `k8s_http_get`, `k8s_logs`.
- **`k8s_port_forward` opens no tunnel.** A tunnel would be a door that no approval covers. It sends one text to one
  port of a pod, and keeps the answer; the text is part of what is approved. A GET alone is the read `k8s_http_get`.
- **`k8s_cp` copies the beginning of one text file** out of a container into the receipt. Of a binary file only size and
  digest are told.
- **Values of Secrets are never shown**, only how long they are. `k8s_set_secret` takes «entry» for a value that an
  operator types on the gateway's page, or the «masked:…» reference of one that a read met.
- **Waiting ends**: `k8s_wait` and `wait_for_x_seconds` wait at most 300 seconds; what has not come true by then is an
  answer. In a runbook a verify step waits better: it watches the whole window.
"""


class Offered(msgspec.Struct, frozen=True):
    """One tool as its server offers it, and what it replaces."""

    name: str
    description: str
    parameters: Json
    read: bool
    domain: str
    replaces: str = ""


async def offered() -> list[Offered]:
    """Return what the servers offer; no cluster is asked."""
    import httpx
    from skyflo_mcp.kubernetes import TOOLS, Cluster, server

    async def nobody(*_: object) -> Json:
        return {}

    async with Cluster(httpx.AsyncClient(base_url="http://nowhere.invalid")) as cluster:
        listed = await server(cluster, nobody).list_tools()
    return [
        Offered(
            name=one.name,
            description=one.description or "",
            parameters=one.parameters,
            read=bool(one.annotations and one.annotations.read_only_hint),
            domain=TOOLS[one.name].domain,
            replaces=TOOLS[one.name].replaces,
        )
        for one in listed
    ]


def page(tools: Sequence[Offered]) -> str:
    """Return the page. Pure."""
    parts = [_HEAD]
    for domain in sorted({one.domain for one in tools}):
        mine = [one for one in tools if one.domain == domain]
        reads, changes = [one for one in mine if one.read], [one for one in mine if not one.read]
        parts.append(f"\n## {domain.capitalize()}: {len(reads)} tools that read, {len(changes)} that change\n")
        parts += [_overview(mine), *(_section(one) for one in (*_sorted(reads), *_sorted(changes)))]
    parts.append(_FORWARDING)
    return "".join(parts)


def _sorted(tools: Iterable[Offered]) -> list[Offered]:
    return sorted(tools, key=lambda one: one.name)


def _overview(tools: Sequence[Offered]) -> str:
    named = any(one.replaces for one in tools)
    lines = [
        f"\n| tool | effect | does | kinds |{' replaces |' * named}\n| --- | --- | --- | --- |{' --- |' * named}\n"
    ]
    for one in (*_sorted(t for t in tools if t.read), *_sorted(t for t in tools if not t.read)):
        does = one.description.split("\n")[0].replace("|", "\\|")
        cells = [f"[`{one.name}`](#{one.name})", "read" if one.read else "change", does, _kinds(one.parameters)]
        lines.append(f"| {' | '.join([*cells, *([one.replaces] if named else [])])} |\n")
    return "".join(lines)


def _kinds(parameters: Json) -> str:
    rule = parameters.get("properties", {}).get("kind")
    if rule is None:
        return ""
    choices = _choices(rule)
    return ", ".join(choices) if choices else "any"


def _section(tool: Offered) -> str:
    about = " ".join(tool.description.split("\n\n")[0].split())
    more = ["\n" + " ".join(part.split()) + "\n" for part in tool.description.split("\n\n")[1:]]
    rows = "".join(
        _row(name, rule, needed=name in tool.parameters.get("required", []))
        for name, rule in tool.parameters.get("properties", {}).items()
    )
    arguments = f"\n| argument | type | default | |\n| --- | --- | --- | --- |\n{rows}" if rows else "\nNo arguments.\n"
    effect = "read" if tool.read else "change"
    return f"\n### {tool.name}\n\n*{effect}* · {about}\n{''.join(more)}{arguments}"


def _row(name: str, rule: Json, *, needed: bool) -> str:
    default = "" if rule.get("default") is None else f"`{msgspec.json.encode(rule['default']).decode()}`"
    about = rule.get("description") or next(
        (one["description"] for one in rule.get("anyOf", ()) if "description" in one), ""
    )
    cells = (f"`{name}`{'' if needed else ' ?'}", _type(rule), default, str(about))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _choices(rule: Json) -> list[str]:
    return [str(one) for part in (rule, *rule.get("anyOf", ())) for one in part.get("enum", ()) if one is not None]


def _type(rule: Json) -> str:
    """Return a schema in a few words, as in `whole number, 1 to 5000`."""
    if "anyOf" in rule:
        return " or ".join(dict.fromkeys(_type(one) for one in rule["anyOf"] if one.get("type") != "null"))
    if "enum" in rule:
        return ", ".join(f"`{one}`" for one in rule["enum"])
    kind: Any = rule.get("type")
    if kind == "array":
        return f"list of {_type(rule.get('items') or {})}"
    if kind == "object":
        inner = rule.get("additionalProperties")
        return f"map of {_type(inner)}" if isinstance(inner, dict) and inner else "object"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    said = words.get(str(kind), "anything")
    low = rule.get("minimum", rule.get("exclusiveMinimum"))
    high = rule.get("maximum", rule.get("exclusiveMaximum"))
    return said if low is None or high is None else f"{said}, {low} to {high}"
