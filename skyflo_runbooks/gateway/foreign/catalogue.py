"""The tools of the operator's MCP servers as the gate offers them: reads, and nothing else.

Rules:
  1. A tool is offered if and only if `reads` of its server names it. What the server says of itself (`readOnlyHint`) is
     not believed; that a tool changes something is believed, and then it is not offered.
  2. What is not offered is refused, not proposed: a change by somebody else's server can be neither shown before nor
     taken back.
  3. Name, description, schema and hints of a tool are pinned by their digest when its server is listed first after a
     start. Before each call the server is listed again; a tool that is described differently then, or that was not
     there, is refused until the gateway is started again. What a server does behind an unchanged description, nobody
     sees.
  4. These tools lie in no namespace, so a token that is narrowed to some does not reach them.
  5. A server that is away or in trouble is an error of its own tools, and of nothing else.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping

import msgspec
from skyflo_mcp.foreign.connection import LISTING, OPENING, Connection, Definition, Told
from skyflo_mcp.foreign.way import Opened, Way, reach

from skyflo_runbooks.gateway.foreign import words
from skyflo_runbooks.gateway.foreign.config import Server, offered_as, resolved
from skyflo_runbooks.gateway.foreign.standing import Offered, Standing
from skyflo_runbooks.gateway.identity import EVERYWHERE, Identity
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused, SkyfloError, Unknown
from skyflo_runbooks.model.json import Json

SECONDS = 30.0
LONGEST = OPENING + 2 * LISTING + SECONDS  # the server may have to be started, and listed on a new connection
_LARGEST_ARGUMENTS = 256 * 2**10
_LONGEST_WORDS = 300
_MOST_NAMED = 40
GLANCE = 5.0
Record = Callable[[str, Json], object]


class Guest:
    """One server, under the rules above. `ways` opens what a configured way leads to."""

    def __init__(
        self, server: Server, variables: Mapping[str, str], ways: Callable[[Way], Opened], fence: tuple[str, ...] = ()
    ) -> None:
        self.server = server
        self._fence = fence
        self.name = server.name
        self.record: Record | None = None
        self._variables = variables
        self._ways = ways
        self._secrets: frozenset[str] = frozenset()
        self._pins: dict[str, Definition] | None = None
        self._connection = Connection(server.name, self._reach)

    async def read(self, tool: str, arguments: Json) -> Json:
        """Call one of its tools by the rules, and return what it answered as data."""
        self._check_read(tool)
        try:
            definition = self._admitted(tool, await self._listed())
            _check_arguments(offered_as(self.name, tool), definition, arguments)
            said = await self._connection.call(tool, arguments, SECONDS)
        except Told as told:
            raise self._shown(told) from None
        if said.failed:
            failed = Unknown(f"{offered_as(self.name, tool)} failed at its server.", next_step="Look at its arguments.")
            raise self._shown(Told(failed, "\n".join(said.texts)))
        answer = words.answer(self.name, tool, said, words.hiding(self._secrets))
        if answer is None:
            raise Unknown(f"{offered_as(self.name, tool)} answered what is nested more than {words.DEEPEST} deep.")
        return answer

    async def standing_within(self, seconds: float) -> Standing:
        """Return how the server stands, as far as it says so within so many seconds. It goes on opening meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                return await self.standing()
        except TimeoutError:
            said = f"The MCP server {self.name} is not ready yet."
            tools = (self._offered(tool, None, said) for tool in self.server.reads)
            return Standing(self.name, said, tuple(tools), fenced=self._fenced)

    async def standing(self) -> Standing:
        """Return how the server stands now."""
        try:
            listed = await self._listed()
        except Told as told:
            error = self._shown(told)
            refused = (self._offered(tool, None, error.message) for tool in self.server.reads)
            return Standing(self.name, error.message, tuple(refused), fenced=self._fenced)
        tools = (self._offered(tool, _named(tool, listed), self._problem(tool, listed)) for tool in self.server.reads)
        others = sorted({words.line(one.name, 64) for one in listed if one.name not in self.server.reads})
        return Standing(self.name, "", tuple(tools), tuple(others[:_MOST_NAMED]), self._fenced)

    async def aclose(self) -> None:
        """End the connection."""
        await self._connection.aclose()

    def _check_read(self, tool: str) -> None:
        if tool not in self.server.reads:
            raise self.not_a_read(tool)

    def _reach(self) -> Opened:
        way, secrets = resolved(self.server, self._variables)
        self._secrets |= secrets
        return self._ways(msgspec.structs.replace(way, command=(*self._fence, *way.command)) if way.command else way)

    @property
    def _fenced(self) -> bool | None:
        return bool(self._fence) if self.server.command else None

    async def _listed(self) -> tuple[Definition, ...]:
        listed = await self._connection.tools()
        if self._pins is None:
            self._pins = {one.name: one for one in listed if one.name in self.server.reads}
            if self.record is not None:
                pinned = {name: one.digest for name, one in self._pins.items()}
                self.record("mcp_server", {"server": self.name, "reads": pinned})
        return listed

    def _admitted(self, tool: str, listed: tuple[Definition, ...]) -> Definition:
        problem, found = self._problem(tool, listed), _named(tool, listed)
        if problem or found is None:
            raise Refused(f"{offered_as(self.name, tool)} is refused: {problem}", next_step=_AGAIN)
        return found

    def _problem(self, tool: str, listed: tuple[Definition, ...]) -> str:
        pinned = (self._pins or {}).get(tool)
        return problem_of(listed, tool, pinned=pinned, wanted=self.server.reads.get(tool, ""))

    def _offered(self, tool: str, found: Definition | None, problem: str) -> Offered:
        name = offered_as(self.name, tool)
        if found is None or problem:
            return Offered(name, self.name, problem=problem, digest=found.digest if found else "")
        hide = words.hiding(self._secrets)
        said = words.description(self.name, hide(found.description))
        return Offered(name, self.name, said, words.arguments_schema(found.schema), found.digest)

    def not_a_read(self, tool: str) -> Refused:
        """Return the refusal of what `reads` does not name, by rule 2."""
        return Refused(
            f"{offered_as(self.name, words.line(tool, 64))} is not among the reads of [mcp_servers.{self.name}]. A "
            "change by somebody else's server can be neither shown before nor taken back, so it is refused.",
            next_step="If it only reads, the operator names it in reads, in skyflo.toml, and starts the gateway again.",
        )

    def _shown(self, told: Told) -> SkyfloError:
        """Return the error with the server's own words, as data."""
        said = words.line(words.hiding(self._secrets)(told.words), _LONGEST_WORDS)
        if said:
            told.error.message = f"{told.error.message} It says: “{said}”"
        return told.error


_AGAIN = "Look at it with 'skyflo-runbooks tools'. Who starts the gateway again takes it as it is then."


def problem_of(listed: Iterable[Definition], tool: str, *, pinned: Definition | None, wanted: str) -> str:
    """Return why a tool is refused, by rules 1 and 3; nothing where it is not. Pure."""
    found = [one for one in listed if one.name == tool]
    if len(found) > 1:
        return "its server lists it more than once."
    if not found:
        return "its server does not list it" + (" any more." if pinned else ", or at too great a length.")
    if pinned is None:
        return "its server did not list it when it was asked first."
    if found[0].digest != pinned.digest:
        return "its server describes it differently than at first."
    if not found[0].digest.startswith(wanted):
        return f"its description has the digest {found[0].digest[:12]}…, and reads names {wanted[:12]}…."
    return "its server says itself that it changes something." if found[0].changes else ""


def _named(tool: str, listed: Iterable[Definition]) -> Definition | None:
    return next((one for one in listed if one.name == tool), None)


def _check_arguments(name: str, definition: Definition, arguments: Json) -> None:
    """Refuse what the tool does not take by name; the rest is for its server to judge."""
    schema = words.arguments_schema(definition.schema)
    takes = f"It takes {', '.join(schema['properties']) or 'nothing'}."
    if len(msgspec.json.encode(arguments)) > _LARGEST_ARGUMENTS:
        raise BadInput(f"{name}: the arguments are larger than {_LARGEST_ARGUMENTS // 2**10} KiB.")
    missing = [one for one in schema["required"] if one not in arguments]
    closed = definition.schema.get("additionalProperties") is False
    unknown = [str(one)[:60] for one in arguments if closed and one not in schema["properties"]]
    if missing or unknown:
        said = f"Missing {', '.join(missing)}." if missing else f"There is no argument {', '.join(unknown)}."
        raise BadInput(f"{name}: {said}", next_step=takes)


def _check_reach(who: Identity, name: str) -> None:
    """Raise `NotAllowed` by rule 4."""
    if who.namespaces != EVERYWHERE:
        raise NotAllowed(f"{who} reaches {', '.join(who.namespaces)}, and {name[:80]} lies in no namespace.")


class Foreign:
    """Every configured server. Without any, nothing here costs anything.

    `variables` are the gateway's environment, from which secrets come by name. `fence` is put before each command.
    """

    def __init__(
        self,
        servers: Iterable[Server] = (),
        variables: Mapping[str, str] | None = None,
        ways: Callable[[Way], Opened] = reach,
        fence: tuple[str, ...] = (),
    ) -> None:
        self._guests = {one.name: Guest(one, variables or {}, ways, fence) for one in servers}

    def owns(self, name: str) -> bool:
        """Return whether a name is one of a configured server's, offered or not."""
        return self._split(name)[0] in self._guests

    def offers(self, name: str) -> bool:
        """Return whether the operator's configuration says that this is a read."""
        server, tool = self._split(name)
        return server in self._guests and tool in self._guests[server].server.reads

    async def read(self, name: str, arguments: Json, who: Identity) -> Json:
        """Call a tool by the rules."""
        _check_reach(who, name)
        server, tool = self._split(name)
        return await self._guests[server].read(tool, arguments)

    def never_proposed(self, name: str) -> SkyfloError:
        """Return why a tool of somebody else's server is no proposal."""
        server, tool = self._split(name)
        if self.offers(name):
            return BadInput(f"{name} only reads; there is nothing to propose.", next_step="Use runbook.read(…).")
        return self._guests[server].not_a_read(tool)

    async def standing(self, seconds: float = OPENING + LISTING) -> list[Standing]:
        """Return how each server stands, side by side; one that says nothing in so many seconds is not ready yet."""
        return list(await asyncio.gather(*(guest.standing_within(seconds) for guest in self._guests.values())))

    def recorded_by(self, record: Record) -> None:
        """Have what is pinned put down in the record."""
        for guest in self._guests.values():
            guest.record = record

    async def aclose(self) -> None:
        """End every connection."""
        await asyncio.gather(*(guest.aclose() for guest in self._guests.values()))

    def _split(self, name: str) -> tuple[str, str]:
        server, _, tool = name.partition("_")
        return server, tool
