"""The gate in front of every tool call.

Rules:
  1. A tool is read-only if and only if it is registered as `read` and says `readOnlyHint`, or is one of the operator's
     own MCP servers' that the configuration names as a read (`foreign`); everything else, also a name that nobody
     knows, is a change.
  2. A read runs within limits: a time, a size, and so many at once for each caller.
  3. Its result and its errors are redacted before anyone sees them, and the call is told to the event stream.
  4. A token that is narrowed to namespaces reads in those and nowhere else.
  5. A change never runs here. It becomes a proposal, whoever calls.
  6. Where an argument holds secret values (`Tool.sealed`) only references and entries are taken for them; where it
     holds manifests (`Tool.manifests`) only references for the values of Secrets.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable

import msgspec
from skyflo_mcp.kubernetes.answers import presented
from skyflo_mcp.kubernetes.catalogue import TOOLS, Tool, call, tool
from skyflo_mcp.kubernetes.change.manifests import unwritten
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway import reach
from skyflo_runbooks.gateway.events import Events
from skyflo_runbooks.gateway.foreign.catalogue import LONGEST, Foreign
from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.permissions import admit_read
from skyflo_runbooks.gateway.redaction import MARK, Redactor
from skyflo_runbooks.gateway.store import rfc3339
from skyflo_runbooks.model.entry import ENTRY
from skyflo_runbooks.model.errors import BadInput, Refused, SkyfloError, Unreachable
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Rendered

LARGEST = 2 * 2**20
AT_ONCE = 16


class Answer(msgspec.Struct, frozen=True):
    """A read's result: when (the cluster's time, RFC 3339), how long it took, and whether anything was masked."""

    result: object
    at: str
    elapsed_ms: float
    redacted: bool


class Gate:
    """Calls tools on one cluster, and those of the operator's own MCP servers, by the rules above."""

    def __init__(self, cluster: Cluster, redactor: Redactor, foreign: Foreign | None = None) -> None:
        self._cluster = cluster
        self._redactor = redactor
        self.foreign = foreign or Foreign()
        self._places: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self.events: Events | None = None

    def tools(self) -> list[Tool]:
        """Return the catalogue of our own tools; `foreign` has the others."""
        return list(TOOLS.values())

    def is_read(self, name: str) -> bool:
        """Return whether rule 1 lets the tool run without an approval."""
        return TOOLS[name].effect == "read" if name in TOOLS else self.foreign.offers(name)

    async def read(self, name: str, arguments: Json, who: Identity) -> Answer:
        """Run a read tool by the rules, or raise `Refused` where it is a change."""
        run = await self._admitted(name, arguments, who)
        started = time.monotonic()
        async with self._places[str(who)]:
            result = await run()
        masked = self._redactor.mask(result)
        shown = presented(masked) if name in TOOLS and isinstance(masked, dict) else masked
        size = len(msgspec.json.encode(shown))
        if size > LARGEST:
            raise BadInput(
                f"{name} answered {size} bytes; at most {LARGEST} are passed on.",
                next_step="Ask for less: a namespace, a name, a selector, a smaller limit or tail.",
            )
        answer = Answer(
            result=shown,
            at=rfc3339(await self._cluster.time_since(started)),
            elapsed_ms=round((time.monotonic() - started) * 1000, 1),
            redacted=masked != result,
        )
        if self.events is not None:
            self.events.publish("tool", {"tool": name, "who": str(who), "elapsed_ms": answer.elapsed_ms})
        return answer

    async def _admitted(self, name: str, arguments: Json, who: Identity) -> Callable[[], Awaitable[object]]:
        """Return what runs a read, once its caller and its arguments are admitted."""
        if self.foreign.owns(name) and name not in TOOLS:
            _check_unmasked(name, arguments)
            return lambda: self.limited(name, lambda: self.foreign.read(name, arguments, who), LONGEST)
        if tool(name).effect != "read":
            raise Refused(
                f"{name} changes something, so it is proposed and approved, never called.",
                next_step="Use runbook.change(…), or POST /api/v1/proposals.",
            )
        _check_unmasked(name, arguments)
        admit_read(who, arguments)
        await reach.admit_kind(self._cluster, who, arguments.get("kind"))
        return lambda: self.limited(name, lambda: call(self._cluster, name, arguments), tool(name).seconds)

    async def render(self, name: str, arguments: Json) -> Rendered:
        """Have a change tool render its requests, with the values that references stand for; nothing is sent."""
        if self.foreign.owns(name) and name not in TOOLS:
            raise self.foreign.never_proposed(name)
        if tool(name).effect == "read":
            raise BadInput(f"{name} only reads; there is nothing to propose.", next_step="Use runbook.read(…).")
        _check_sealed(tool(name), arguments)
        resolved = self._redactor.resolve(arguments)
        rendered = await self.limited(name, lambda: call(self._cluster, name, resolved), tool(name).seconds)
        if not isinstance(rendered, Rendered):
            raise BadInput(f"{name} rendered no request.")
        return rendered

    async def limited(self, name: str, run: Callable[[], Awaitable[object]], seconds: float) -> object:
        """Run one call within so many seconds, with its errors redacted."""
        try:
            async with asyncio.timeout(seconds):
                return await run()
        except TimeoutError:
            raise Unreachable(f"{name} did not answer within {seconds:.0f} s.", next_step="Ask for less.") from None
        except SkyfloError as error:
            error.message = self._redactor.error(error.message)
            raise


def _check_unmasked(name: str, arguments: Json) -> None:
    """Refuse masked values in a read's arguments: what it asks, and whom, could give them away."""
    if MARK.search(msgspec.json.encode(arguments).decode()):
        raise BadInput(
            f"{name} takes no masked value: only a change can carry one.",
            next_step="Ask by kind, namespace, name or selector.",
        )


def _check_sealed(tool: Tool, arguments: Json) -> None:
    """Raise `BadInput` where a sealed argument holds a value that was written down, by rule 5."""
    for field in tool.manifests:
        if arguments.get(field) is not None:  # what is missing is said where the arguments are checked
            unwritten(arguments[field])
    for field in tool.sealed:
        given = arguments.get(field)
        for key, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, str) and value != ENTRY and not MARK.fullmatch(value):
                raise BadInput(
                    f"`{tool.name}`: the value of {str(key)[:80]!r} is written down here, and so in the notebook.",
                    next_step=f"Give {ENTRY}: an operator types it on the gateway's page before approving.",
                )
