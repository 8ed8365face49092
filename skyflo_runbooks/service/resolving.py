"""`resolve`: sessions of the agent graph, kept alive across restarts.

A session is a thread of the graph's checkpoints. It stops at the gate and where a person has to choose; a gateway that
starts again takes every unfinished session up where it stopped.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.permissions import admit_proposal
from skyflo_runbooks.model.errors import NotThere, Refused, SkyfloError
from skyflo_runbooks.model.incident import read_text
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.planning.graph import build
from skyflo_runbooks.service import bodies
from skyflo_runbooks.service.answers import answer, body, masked, seconds
from skyflo_runbooks.service.api import ANYONE, LONGEST_WAIT, OPERATOR, route
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.hands import GatewayHands, decided

_STATES = {
    "discover": "diagnosing",
    "model": "diagnosing",
    "gate": "executing",
    "execute": "executing",
    "verify": "verifying",
    "choose": "verifying",
    "report": "verifying",
}


class Sessions:
    """The running sessions. Opened on first use: the graph takes seconds to import."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.hands = GatewayHands(desk)
        self._opening = asyncio.Lock()
        self._stack = contextlib.AsyncExitStack()
        self._graph: Any = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._choices: dict[str, asyncio.Future[Json]] = {}
        self._waiting: set[str] = set()

    async def start(self, asked: bodies.Resolve, who: Identity) -> str:
        """Start a session and return its id."""
        graph = await self.graph()
        session = "rs-" + secrets.token_hex(5)
        given = {
            "session": session,
            "text": self._desk.gateway.redactor.text(read_text(asked.text)),
            "namespaces": list(asked.namespaces),
            "parameters": asked.parameters,
            "requester": msgspec.to_builtins(who),
        }
        self._run(graph, session, given)
        return session

    async def view(self, session: str) -> Json:
        """Return where a session stands."""
        graph = await self.graph()
        snapshot = await graph.aget_state(_config(session))
        state: Json = snapshot.values
        if not state and session not in self._tasks:
            raise NotThere(
                f"There is no session {session[:40]!r}.", next_step="Start one with 'skyflo-runbooks resolve'."
            )
        node = snapshot.next[0] if snapshot.next else "report" if state else "discover"
        proposals = [(await self.hands.current(id_))[0] for id_ in state.get("proposals", [])]
        views = [self._desk.view(id_) for id_ in proposals]
        kept = self.hands.kept(session)
        return {
            "id": session,
            "node": node,
            "state": self._state(session, node, bool(snapshot.next)),
            "outcome": state.get("outcome", ""),
            "diagnosis": kept.get("diagnosis"),
            "plan": kept.get("plan"),
            "notebook": kept.get("notebook"),
            "error": kept.get("error") or self._error(session),
            "elapsed_ms": kept.get("elapsed_ms"),
            "proposals": views,
            "judgement": views[-1]["judgement"] if views else None,
            "options": ["retry", "rollback", "escalate"] if node == "choose" else [],
            "message": state.get("message", ""),
        }

    async def settled(self, session: str, wait: float) -> Json:
        """Return where a session stands once it waits for somebody or is over, or after so many seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait
        while (view := await self.view(session))["state"] not in ("waiting", "done", "failed"):
            left = until - loop.time()
            if left <= 0:
                break
            await self._desk.gateway.events.changed(min(left, 1.0))
        return view

    async def choose(self, session: str, choice: Json, who: Identity) -> None:
        """Go on as a person chose, who could have proposed what it is about."""
        state = (await (await self.graph()).aget_state(_config(session))).values
        future = self._choices.get(session)
        if future is None or future.done() or not state.get("done"):
            raise Refused(f"Session {session} does not wait for a choice.", next_step="Look where it stands.")
        gateway = self._desk.gateway
        admit_proposal(gateway.rules.roles, who, gateway.store.get(state["done"][-1]).proposal.requests)
        self._waiting.discard(session)
        future.set_result({**choice, "by": msgspec.to_builtins(who)})

    async def graph(self) -> Any:
        """Return the compiled graph; the first call opens its checkpoints and takes up unfinished sessions."""
        async with self._opening:
            if self._graph is None:
                from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

                path = self._desk.settings.data_dir / "checkpoints.db"
                saver = await self._stack.enter_async_context(AsyncSqliteSaver.from_conn_string(str(path)))
                await saver.setup()
                path.chmod(0o600)
                self._graph = build(self.hands, saver)
                threads = {c.config["configurable"]["thread_id"] async for c in saver.alist(None)}
                for session in sorted(threads):
                    if (await self._graph.aget_state(_config(session))).next:
                        self._run(self._graph, session, None)
        return self._graph

    async def close(self) -> None:
        """Stop; what is unfinished goes on at the next start."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._stack.aclose()

    def _run(self, graph: Any, session: str, given: Json | None) -> None:
        self._tasks[session] = asyncio.create_task(self._drive(graph, session, given), name=f"session {session}")

    async def _drive(self, graph: Any, session: str, given: Json | None) -> None:
        """Run the graph to its end, answering its interrupts as people decide and choose."""
        from langgraph.types import Command

        config = _config(session)
        asked = _interrupt(await graph.aget_state(config)) if given is None else None
        step: Any = given
        while True:
            if asked is None:
                await graph.ainvoke(step, config)
                asked = _interrupt(await graph.aget_state(config))
            if asked is None:
                break
            step = Command(resume=await self._answer(session, asked))
            asked = None
        self._desk.gateway.events.publish("thought", {"session": session, "node": "end", "text": ""})

    async def _answer(self, session: str, asked: Json) -> Json:
        """Wait for the person that the graph waits for."""
        self._waiting.add(session)
        self._desk.gateway.events.publish("thought", {"session": session, "node": str(asked["wait"]), "text": "waits"})
        try:
            if asked["wait"] == "decision":
                await decided(self._desk, self.hands, asked["proposals"])
                return {"decided": True}
            future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
            self._choices[session] = future
            return await future
        finally:
            self._waiting.discard(session)

    def _error(self, session: str) -> Json | None:
        """Return what ended a session, in the form of an error body."""
        task = self._tasks.get(session)
        if task is None or not task.done() or task.cancelled():
            return None
        error = task.exception()
        if isinstance(error, SkyfloError):
            masked(error, self._desk.gateway.redactor)
            return {"code": int(error.exit_code), "message": error.message, "next_step": error.next_step}
        return None if error is None else {"code": 1, "message": type(error).__name__, "next_step": ""}

    def _state(self, session: str, node: str, unfinished: bool) -> str:
        task = self._tasks.get(session)
        if task is not None and task.done() and not task.cancelled() and task.exception() is not None:
            return "failed"
        if session in self._waiting:
            return "waiting"
        if not unfinished and (task is None or task.done()):
            return "done"
        return _STATES.get(node, "diagnosing")


async def start(desk: Desk, request: Request, who: Identity) -> Response:
    """Start to resolve an incident: diagnose, propose, wait, apply, verify."""
    asked = await body(request, bodies.Resolve)
    return answer({"session": await _sessions(request).start(asked, who)})


async def show(desk: Desk, request: Request, who: Identity) -> Response:
    """Where a session stands; `wait` answers when it waits for somebody or is over."""
    return answer(await _sessions(request).settled(request.path_params["id"], seconds(request, "wait", LONGEST_WAIT)))


async def choose(desk: Desk, request: Request, who: Identity) -> Response:
    """Choose how to go on after a verdict other than VERIFIED. It proposes; it applies nothing."""
    asked = await body(request, bodies.Choice)
    await _sessions(request).choose(request.path_params["id"], msgspec.to_builtins(asked), who)
    return answer({"chosen": asked.option})


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[Sessions]:
    """The sessions for the life of the application; unfinished ones are taken up in the background."""
    sessions = Sessions(desk)
    resuming = asyncio.create_task(_resume(sessions))
    try:
        yield sessions
    finally:
        resuming.cancel()
        await asyncio.gather(resuming, return_exceptions=True)
        await sessions.close()


async def _resume(sessions: Sessions) -> None:
    await asyncio.to_thread(__import__, "langgraph.checkpoint.sqlite.aio")
    await asyncio.to_thread(__import__, "langgraph.graph")
    await sessions.graph()


def _sessions(request: Request) -> Sessions:
    found: Sessions = request.state.sessions
    return found


def _config(session: str) -> Json:
    return {"configurable": {"thread_id": session}}


def _interrupt(snapshot: Any) -> Json | None:
    for task in snapshot.tasks:
        for interrupt in task.interrupts:
            value: Json = interrupt.value
            return value
    return None


ROUTES = (
    route("POST", "/resolve", start, ANYONE, bodies.Resolve, rank="requester"),
    route("GET", "/resolve/{id}", show, ANYONE, queries=("wait",)),
    route("POST", "/resolve/{id}/choose", choose, OPERATOR, bodies.Choice, rank="requester"),
)
