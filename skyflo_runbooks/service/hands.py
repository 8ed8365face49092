"""What the agent graph asks of the gateway, answered by the gateway in this process.

The agent's role is `agent`: it reads, proposes and asks. It has no way to decide. What it proposes is asked for by who
started the session, or by who chose how it goes on, and must be theirs to ask.
"""

from typing import Any

import msgspec

from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.model.errors import BadInput, SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import bind
from skyflo_runbooks.model.proposal import Origin
from skyflo_runbooks.planning.graph import Asker, Choice
from skyflo_runbooks.service.answers import masked
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.incidents import Case, open_case

AGENT = Identity("agent", "graph")
WAIT_SECONDS = 3600.0


class GatewayHands:
    """See `planning.graph.Hands`. What a session found is kept with its runbook, under the session's id."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def discover(self, session: str, text: str, namespaces: list[str]) -> tuple[str, str, str]:
        """Diagnose and keep what was found."""
        try:
            case = await open_case(self._desk, text=text, namespaces=tuple(namespaces), who=AGENT, always=False)
        except SkyfloError as error:
            masked(error, self._desk.gateway.redactor)
            self._keep(session, {"error": {"code": int(error.exit_code), "message": str(error)}})
            return "", "error", str(error)
        self._keep(session, told(case))
        if case.plan is not None:
            changes = any(step["kind"] == "change" for step in self._steps(case.plan.id))
            return case.plan.id, "planned" if changes else "advice", ""
        unknown = case.diagnosis.unknown
        return "", "unknown" if unknown else "healthy", "; ".join(unknown or case.diagnosis.healthy)

    async def plan(self, session: str, runbook: str, parameters: dict[str, Any], requester: Asker) -> list[str]:
        """Propose every change step of the plan."""
        who = msgspec.convert(requester, Identity)
        values = self._values(session, parameters)
        made = []
        for step in self._steps(runbook, "change"):
            arguments: Any = bind(step["arguments"], values)
            origin = Origin(requester=str(who), runbook=runbook, step=step["id"], run=session)
            wish = Wish(step["tool"], arguments, origin, why=step.get("why", ""), parameters=values)
            made.append(str((await self._desk.gateway.propose(wish, who)).proposal.id))
        return made

    async def again(self, choice: Choice, before: str) -> list[str]:
        """Propose the way back, or the same change with other values."""
        gateway, who = self._desk.gateway, msgspec.convert(choice["by"], Identity)
        if choice.get("option") == "rollback":
            return [(await gateway.roll_back(before, who)).proposal.id]
        return [(await gateway.again(before, choice.get("set", {}), who)).proposal.id]

    async def current(self, proposal: str) -> tuple[str, str]:
        """Follow modifications to the proposal that stands now."""
        row = self._desk.gateway.store.get(proposal)
        while row.superseded_by:
            row = self._desk.gateway.store.get(row.superseded_by)
        return row.proposal.id, row.state

    async def settled(self, proposal: str) -> str:
        """Wait until it is applied, refused or lost."""
        return (await self._desk.gateway.settled(proposal, WAIT_SECONDS)).state

    async def verdict(self, proposals: list[str]) -> str:
        """Wait for the verdict of the verify step that judges the last of them."""
        gateway = self._desk.gateway
        while True:
            judgement = self._desk.view(proposals[-1])["judgement"]
            if gateway.store.get(proposals[-1]).proposal.verification is None:
                return ""
            if judgement is not None and judgement["ledger"] is not None:
                return str(judgement["verdict"])
            await gateway.events.changed(1.0)

    def tell(self, session: str, node: str, thought: str) -> None:
        """Publish what is being done."""
        self._desk.gateway.events.publish("thought", {"session": session, "node": node, "text": thought})

    def kept(self, session: str) -> Json:
        """Return what a session found."""
        return self._desk.gateway.runbook(f"rb-{session}") or {}

    def _keep(self, session: str, body: Json) -> None:
        self._desk.gateway.register(f"rb-{session}", body)

    def _steps(self, runbook: str, kind: str = "") -> list[Json]:
        known = self._desk.gateway.runbook(runbook) or {}
        return [step for step in known.get("steps", []) if not kind or step["kind"] == kind]

    def _values(self, session: str, given: dict[str, Any]) -> dict[str, str | int | float | bool]:
        """Return the plan's parameters with the given values, typed as the plan declares them."""
        declared = (self.kept(session).get("plan") or {}).get("parameters", [])
        values = {one["name"]: one["default"] for one in declared}
        for name, value in given.items():
            if name not in values:
                raise BadInput(f"The plan has no parameter {name!r}.", next_step=f"It has {', '.join(values)}.")
            values[name] = type(values[name])(value) if not isinstance(values[name], bool) else value in (True, "true")
        return values


def told(case: Case) -> Json:
    """Return what a session keeps of a case."""
    kept: Json = msgspec.to_builtins(case)
    return kept


async def decided(desk: Desk, hands: GatewayHands, proposals: list[str]) -> None:
    """Return when none of the proposals, as they stand now, waits for a person."""
    while "proposed" in [(await hands.current(id_))[1] for id_ in proposals]:
        await desk.gateway.events.changed(1.0)
