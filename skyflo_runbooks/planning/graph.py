"""The one agent graph: discover → model → gate (interrupt) → execute → verify → report, and back from a failed verify.

Rules:
  1. The state holds ids. What they stand for lies with the gateway, whose ledger is the truth.
  2. The graph executes nothing and judges nothing: it asks (`Hands`), waits at the gate, and reads.
  3. At the gate it stops until a person decided. A process that dies there resumes there.
  4. After a verdict other than VERIFIED nothing is proposed again until a person chose: retry, rollback or escalate.
  5. Where no language model is configured the rules fill the `model` node.
"""

import operator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypedDict

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

Option = Literal["retry", "rollback", "escalate"]
OPTIONS: tuple[Option, ...] = ("retry", "rollback", "escalate")


# Who asks, as the gateway wrote it down; the graph hands it on.
Asker = dict[str, Any]


class Choice(TypedDict, total=False):
    """What a person chose; `set` holds other argument values for a retry, `by` who it was."""

    option: Option
    set: dict[str, Any]
    by: Asker


class State(TypedDict, total=False):
    """Ids and words, nothing that could not be read again."""

    session: str
    text: str
    namespaces: list[str]
    parameters: dict[str, Any]
    requester: Asker
    runbook: str
    proposals: list[str]
    done: Annotated[list[str], operator.add]
    verdict: str
    choice: Choice
    outcome: str
    message: str


class Hands(Protocol):
    """What the graph may ask of the gateway."""

    async def discover(self, session: str, text: str, namespaces: list[str]) -> tuple[str, str, str]:
        """Diagnose and write the runbook; return its id (empty: no plan), an outcome, and a message."""

    async def plan(self, session: str, runbook: str, parameters: dict[str, Any], requester: Asker) -> list[str]:
        """Propose the runbook's changes with these parameters; return the proposals' ids."""

    async def again(self, choice: Choice, before: str) -> list[str]:
        """Propose what was chosen after the verify step of `before` did not succeed; return the proposals' ids.

        Who chose is who asks for it.
        """

    async def current(self, proposal: str) -> tuple[str, str]:
        """Return the id that stands for a proposal now (a modification replaces it) and its state."""

    async def settled(self, proposal: str) -> str:
        """Wait until nothing more is under way for a proposal and return its state."""

    async def verdict(self, proposals: list[str]) -> str:
        """Wait for the verdict over these proposals and return it; empty where no verify step judges them."""

    def tell(self, session: str, node: str, thought: str) -> None:
        """Say what is being done."""


class Agent:
    """The nodes, each one question to the gateway."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    async def discover(self, state: State) -> State:
        """Read the cluster and name the cause."""
        self._hands.tell(state["session"], "discover", "reading the cluster")
        runbook, outcome, message = await self._hands.discover(
            state["session"], state["text"], state.get("namespaces", [])
        )
        return {"runbook": runbook, "outcome": outcome, "message": message, "choice": {}}

    async def model(self, state: State) -> State:
        """Propose the next changes: the plan's, or what a person chose after a failed verify."""
        choice = state.get("choice", {})
        self._hands.tell(state["session"], "model", f"proposing {choice.get('option', 'the plan')}")
        if choice:
            ids = await self._hands.again(choice, state["done"][-1])
        else:
            given = state.get("parameters", {})
            ids = await self._hands.plan(state["session"], state["runbook"], given, state["requester"])
        return {"proposals": ids, "verdict": ""}

    async def gate(self, state: State) -> State:
        """Wait for a person."""
        from langgraph.types import interrupt

        standing = [await self._hands.current(id_) for id_ in state["proposals"]]
        if any(now == "proposed" for _, now in standing):
            interrupt({"wait": "decision", "proposals": [id_ for id_, _ in standing]})
            standing = [await self._hands.current(id_) for id_ in state["proposals"]]
        return {"proposals": [id_ for id_, _ in standing]}

    async def execute(self, state: State) -> State:
        """Wait while the gateway applies what was approved."""
        self._hands.tell(state["session"], "execute", "the gateway applies what was approved")
        states = [await self._hands.settled(id_) for id_ in state["proposals"]]
        refused = [now for now in states if now not in ("executed", "in_place")]
        return {"done": state["proposals"], "outcome": refused[0] if refused else "executed"}

    async def verify(self, state: State) -> State:
        """Wait for the measured verdict."""
        self._hands.tell(state["session"], "verify", "the gateway measures the result")
        verdict = await self._hands.verdict(state["proposals"])
        return {"verdict": verdict, "outcome": verdict.lower() or state["outcome"]}

    async def choose(self, state: State) -> State:
        """After a verdict other than VERIFIED: wait until a person chose."""
        from langgraph.types import interrupt

        choice: Choice = interrupt({"wait": "choice", "options": list(OPTIONS), "verdict": state["verdict"]})
        return {"choice": choice}

    async def report(self, state: State) -> State:
        """Say how it ended."""
        self._hands.tell(state["session"], "report", state.get("outcome", ""))
        return {}


def after_discover(state: State) -> str:
    """Without a plan there is nothing to propose."""
    return "model" if state.get("outcome") == "planned" else "report"


def after_model(state: State) -> str:
    """Without a proposal there is nothing to decide."""
    return "gate" if state["proposals"] else "report"


async def after_gate(hands: Hands, state: State) -> str:
    """A refused change ends the story; one that was replaced waits again."""
    states = [(await hands.current(id_))[1] for id_ in state["proposals"]]
    if any(now == "proposed" for now in states):
        return "gate"
    return "report" if any(now in ("rejected", "expired", "superseded") for now in states) else "execute"


def after_execute(state: State) -> str:
    """What was not applied is not verified."""
    return "verify" if state["outcome"] == "executed" else "report"


def after_verify(state: State) -> str:
    """VERIFIED ends; a roll-back has no verify step of its own; anything else is for a person to choose."""
    return "report" if state["verdict"] in ("VERIFIED", "") else "choose"


def after_choose(state: State) -> str:
    """Escalation ends the graph's part."""
    return "report" if state["choice"].get("option") == "escalate" else "model"


def build(hands: Hands, checkpoints: "BaseCheckpointSaver[Any]") -> "CompiledStateGraph[Any, Any, Any, Any]":
    """Return the compiled graph over `hands`, with durable checkpoints."""
    from langgraph.graph import END, START, StateGraph

    agent = Agent(hands)
    graph = StateGraph(State)
    for node in (agent.discover, agent.model, agent.gate, agent.execute, agent.verify, agent.choose, agent.report):
        graph.add_node(node.__name__, node)

    async def gate_route(state: State) -> str:
        return await after_gate(hands, state)

    graph.add_edge(START, "discover")
    graph.add_conditional_edges("discover", after_discover, ["model", "report"])
    graph.add_conditional_edges("model", after_model, ["gate", "report"])
    graph.add_conditional_edges("gate", gate_route, ["gate", "execute", "report"])
    graph.add_conditional_edges("execute", after_execute, ["verify", "report"])
    graph.add_conditional_edges("verify", after_verify, ["choose", "report"])
    graph.add_conditional_edges("choose", after_choose, ["model", "report"])
    graph.add_edge("report", END)
    return graph.compile(checkpointer=checkpoints)
