"""What the steps of a runbook return: values to look at and to hand on. None of them can decide anything."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

from skyflo_kernel.gateway import OPEN, Gateway
from skyflo_runbooks.model.json import Json, at


class Quiet:
    """A value that was shown already: a notebook does not show it again as the cell's last line."""

    def _ipython_display_(self) -> None:
        """Show nothing."""


class Result(Quiet):
    """What a read answered: `value`, with its time. `unknown` says why there is no answer, empty where there is one."""

    def __init__(self, tool: str, value: object, at: str = "", unknown: str = "") -> None:
        self.tool = tool
        self.value = value
        self.at = at
        self.unknown = unknown

    def __getitem__(self, key: str | int) -> object:
        """Return a member of the answer; None where it has none."""
        found: object = at(self.value, key)
        return found

    def __repr__(self) -> str:
        return f"<{self.tool}: {'not known' if self.unknown else 'read'} at {self.at or '?'}>"


class Results(Quiet, Mapping[str, Result]):
    """What a gather answered: results by name, also as attributes."""

    def __init__(self, results: dict[str, Result]) -> None:
        self._results = results

    def __getitem__(self, name: str) -> Result:
        return self._results[name]

    def __getattr__(self, name: str) -> Result:
        if name.startswith("_") or name not in self._results:
            raise AttributeError(name)
        return self._results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return f"<{', '.join(self._results)}>"


class Change(Quiet):
    """A change that was proposed. It holds the proposal's id and last known state; the gateway holds the truth.

    `would` is empty but in a replay, where nothing is proposed: then it says what the change would do.
    """

    def __init__(self, step: str, view: Json, gateway: Gateway, *, would: str = "") -> None:
        self.step = step
        self.would = would
        self.settled = threading.Event()
        self._view = view
        self._gateway = gateway

    @property
    def id(self) -> str:
        """The proposal's id; that of its successor once it was superseded."""
        return str(self._view.get("id", ""))

    @property
    def state(self) -> str:
        """The state that was last heard of."""
        return self.would or str(self._view.get("state", ""))

    @property
    def url(self) -> str:
        """The gateway's page, where a person decides."""
        return str(self._view.get("url", ""))

    @property
    def view(self) -> Json:
        """The proposal as it was last heard of."""
        return self._view

    @property
    def open(self) -> bool:
        """Whether it was still undecided or under way when it was last heard of."""
        return not self.would and self.state in OPEN

    def refresh(self, *, wait: float = 0.0) -> Change:
        """Ask the gateway, at most `wait` seconds; follow a proposal that was modified to the one that replaced it."""
        if self.id and not self.would:
            self._view = self._gateway.proposal(self.id, wait=wait)
            successor = self._view.get("superseded_by")
            if self.state == "superseded" and successor:
                self._view = self._gateway.proposal(str(successor))
        return self

    def __repr__(self) -> str:
        return f"<change {self.step}: {self.id} {self.state}>".replace("  ", " ")


class Verdict(Quiet):
    """The verdict that the gateway recorded: `verdict`, and the whole judgement."""

    def __init__(self, judgement: Json) -> None:
        self.judgement = judgement
        self.verdict = str(judgement.get("verdict", "INCONCLUSIVE"))

    @property
    def verified(self) -> bool:
        """Whether it is VERIFIED."""
        return self.verdict == "VERIFIED"

    def __repr__(self) -> str:
        return f"<{self.verdict} {self.judgement.get('step', '')}>"
