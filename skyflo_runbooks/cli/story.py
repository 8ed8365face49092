"""The whole story of an incident, as one terminal follows it: `resolve` and `demo --headless`.

The graph runs in the gateway and waits there; this loop shows where it is, and brings a person's decisions to the
gate. Killing it loses nothing: `resolve --resume SESSION` begins at the state that the gateway names.

Rules:
  1. Each thing is told once: the findings, the plan, each card, each verdict.
  2. A card is decided by a `Decider`. Nothing is decided without one; `leave` ends the story here and leaves it there.
  3. After a verdict that is not VERIFIED nothing happens by itself: a person chooses among what the gateway offers.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol
from urllib.parse import quote

from skyflo_runbooks.cli import card, decide, deciding, incident
from skyflo_runbooks.cli.client import Gateway, error_of
from skyflo_runbooks.cli.files import free_name, write_new
from skyflo_runbooks.cli.new import tell
from skyflo_runbooks.cli.operator import Operator
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import ExitCode, worst
from skyflo_runbooks.model.json import Json

_SLICE = 20.0  # seconds of one waiting request
_PAUSE = 0.3  # between two answers that say the same
_ENDED = ("done", "failed")
_VERDICTS = {
    "VERIFIED": ExitCode.DONE,
    "FAILED": ExitCode.FAILED,
    "INCONCLUSIVE": ExitCode.INCONCLUSIVE,
}


class CardAnswer(NamedTuple):
    """What a person says to a card: `leave` decides nothing."""

    choice: Literal["approve", "modify", "reject", "leave"]
    reason: str = ""
    values: Mapping[str, str] = {}


class Decider(Protocol):
    """Who answers the cards and the questions."""

    def card(self, view: Json, status: Json) -> CardAnswer:
        """Return the answer to a proposal that was shown."""

    def option(self, options: list[str]) -> str | None:
        """Return which of the offered ways goes on after a verdict, or None to leave it there."""


class Left(Exception):
    """The story is left at the gate; the gateway keeps it."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Story:
    """One session of the gateway's graph, followed and told."""

    gateway: Gateway
    session: str
    screen: Screen
    decider: Decider
    operator: Operator | None = None
    output: Path | None = None
    write_notebook: bool = True
    path: Path | None = None
    _told: set[str] = field(default_factory=set)
    _judged: list[Json] = field(default_factory=list)
    _last: Json = field(default_factory=dict)

    def follow(self) -> ExitCode:
        """Tell the story until it ends or is left, and return its exit code; raises what ended it otherwise."""
        try:
            while True:
                self._last = status = self._next()
                if status.get("error"):
                    raise error_of(status["error"])
                self._tell(status)
                if not self._act(status):
                    return self._end(status)
        except Left as left:
            return left.code

    def document(self, code: ExitCode) -> Json:
        """Return what `resolve --json` says at the end."""
        status = self._last
        views = status.get("proposals") or []
        return {
            "session": self.session,
            "state": status.get("state"),
            "path": str(self.path) if self.path else None,
            "findings": incident.findings(status),
            "plan": incident.steps(status.get("plan")),
            "proposals": [{key: view.get(key) for key in ("id", "step", "state", "tool")} for view in views],
            "verdicts": self._judged,
            "exit": int(code),
        }

    def _next(self) -> Json:
        """Return the session's next state: at once where something was told, else when it moves."""
        path = f"/api/v1/resolve/{quote(self.session, safe='')}"
        if not self._last:
            first: Json = self.gateway.get(path)
            return first
        began = time.monotonic()
        status: Json = self.gateway.get(path, query={"wait": _SLICE}, timeout=_SLICE + 40.0)
        if _place(status) == _place(self._last) and time.monotonic() - began < _PAUSE:
            time.sleep(_PAUSE)  # an answer that came at once and says nothing new must not make a busy loop
        return status

    def _tell(self, status: Json) -> None:
        if status.get("diagnosis") and self._first("diagnosis"):
            self.screen.line()
            tell(self.screen, status)
        if status.get("notebook") and self._first("notebook"):
            self._write(status)
        message = str(status.get("message") or "")
        if message and self._first(f"message {message}"):
            self.screen.line(f"> {message}", "dim")
        if status["state"] == "verifying" and self._first(f"verifying {_place(status)}"):
            self.screen.line("> Verifying: the gateway observes each check for its whole window…", "dim")
        judged = status.get("judgement")
        # While it verifies the gateway tells how far it is; only what it comes to is the verdict.
        final = status["state"] in _ENDED or bool(status.get("options"))
        if judged and final and self._first(f"judgement {_identity(judged)}"):
            self._judged.append(judged)
            self.screen.line()
            self.screen.lines(card.judgement(judged))

    def _write(self, status: Json) -> None:
        if not self.write_notebook:
            return
        notebook = status["notebook"]
        id_ = notebook.get("metadata", {}).get("skyflo", {}).get("id") or self.session
        named = incident.stem({**status, "id": id_})
        self.path = self.output or free_name(Path.cwd(), named, ".ipynb")
        write_new(self.path, json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
        self.screen.line(f"Runbook: {self.path}", "green")

    def _act(self, status: Json) -> bool:
        """Bring a decision where one is asked for; tell whether the story goes on."""
        waiting = [view for view in status.get("proposals") or [] if view["state"] == "proposed"]
        for view in waiting:
            self._decide(view, status)
        if waiting:
            return True
        options = list(status.get("options") or [])
        if options and self._first(f"options {_place(status)}"):
            return self._choose(options)
        return status["state"] not in _ENDED

    def _decide(self, view: Json, status: Json) -> None:
        view = self.gateway.proposal(str(view["id"]))
        if view["state"] != "proposed":
            return
        self.screen.line()
        self.screen.lines(card.card(view))
        answer = self.decider.card(view, status)
        if answer.choice == "leave" or self.operator is None:
            raise Left(ExitCode.WAITING)
        as_operator = self.gateway.using(self.operator.session)
        if answer.choice == "approve" and view.get("entries"):
            self._decide(deciding.typed_values(as_operator, view, self.screen), status)
            return
        if answer.choice == "modify":
            after = decide.propose_modified(as_operator, view, dict(answer.values))
            self.screen.line(f"{after['id']} replaces {view['id']}.", "yellow")
            self._decide(after, status)
            return
        typed = deciding.names([view], [], self.screen, ask=True) if answer.choice == "approve" else {}
        name = typed.get(str(view["id"]), "")
        deciding.carry_out(as_operator, self.operator, view, answer.choice, answer.reason, self.screen, typed=name)

    def _choose(self, options: list[str]) -> bool:
        self.screen.line()
        self.screen.line(f"What now? Offered: {', '.join(options)}.", "bold")
        option = self.decider.option(options)
        if option is None:
            return False
        token = self.operator.session if self.operator else self.gateway.token
        path = f"/api/v1/resolve/{quote(self.session, safe='')}/choose"
        self.gateway.using(token).post(path, {"option": option}, timeout=180.0)
        self.screen.line(f"Chosen: {option}.")
        return option != "escalate"

    def _end(self, status: Json) -> ExitCode:
        verdicts = [_VERDICTS.get(str(judged["verdict"]), ExitCode.INCONCLUSIVE) for judged in self._judged[-1:]]
        states = [deciding.code_of(str(view["state"])) for view in status.get("proposals") or []]
        refused = [code for code in states if code == ExitCode.REFUSED]
        if verdicts:
            return worst(verdicts)
        if states:
            return ExitCode.REFUSED if refused and len(refused) == len(states) else worst(states)
        return incident.outcome(status)

    def _first(self, what: str) -> bool:
        if what in self._told:
            return False
        self._told.add(what)
        return True


def _place(status: Json) -> str:
    views = [f"{view['id']} {view['state']}" for view in status.get("proposals") or []]
    return " ".join([str(status.get("node")), str(status.get("state")), *views])


def _identity(judged: Json) -> str:
    return f"{judged.get('step')} {judged.get('changes')} {judged.get('verdict')} {judged.get('finished')}"
