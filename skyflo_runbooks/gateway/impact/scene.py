"""What is read around the changes of one proposal: each list once, side by side, whatever the number of requests.

Rules:
  1. A question says beforehand which lists it needs (`Need`); nothing else is read, and no object alone.
  2. A read that fails, is refused, takes too long or finds more than `MOST` objects is a problem, said in words.
     Nothing is guessed from its absence.
  3. A kind that the cluster does not serve has no objects. That is known.
"""

import asyncio
from collections.abc import Iterable
from typing import Protocol

import msgspec

from skyflo_runbooks.diagnosis.pods import name_of, namespace_of
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.request import Request

MOST = 3000
EVERYTHING = "*"


class Need(msgspec.Struct, frozen=True, order=True):
    """A list: the objects of `kind` in `namespace`, of the whole cluster where that is empty.

    With `count` only their number is wanted; then `kind` may be `*`: everything that lives in the namespace.
    """

    kind: str
    namespace: str = ""
    count: bool = False

    def __str__(self) -> str:
        what = "The contents" if self.kind == EVERYTHING else self.kind
        return f"{what} of {self.namespace}" if self.namespace else what


class Lister(Protocol):
    """What is read here."""

    async def items(self, kind: str, namespace: str) -> list[Json]:
        """Return the raw objects; none where the cluster serves no such kind."""

    async def counts(self, kind: str, namespace: str) -> tuple[dict[str, int], dict[str, str]]:
        """Return how many objects there are of each kind that `kind` means, and why others could not be counted."""


class Scene:
    """The lists that were read around the requests of one proposal, and what could not be read."""

    def __init__(self, lister: Lister, requests: tuple[Request, ...] = ()) -> None:
        self.requests = requests
        self._lister = lister
        self._reads: dict[Need, asyncio.Task[None]] = {}
        self._items: dict[Need, list[Json]] = {}
        self._counts: dict[Need, dict[str, int]] = {}
        self._problems: dict[Need, list[str]] = {}

    async def read(self, needs: Iterable[Need]) -> None:
        """Read what is needed and was not read yet, side by side."""
        wanted = sorted(set(needs))
        for need in wanted:
            if need not in self._reads:
                self._reads[need] = asyncio.create_task(self._read(need))
        if wanted:
            await asyncio.wait([self._reads[need] for need in wanted])
            for need in wanted:
                self._reads[need].result()

    async def _read(self, need: Need) -> None:
        try:
            if need.count:
                self._counts[need], failed = await self._lister.counts(need.kind, need.namespace)
                self._problems[need] = [f"{kind}: {why}" for kind, why in failed.items()]
            else:
                found = await self._lister.items(need.kind, need.namespace)
                self._items[need] = [item for item in found if isinstance(item, dict)]
        except SkyfloError as error:
            self._problems[need] = [error.message]

    def of(self, kind: str, namespace: str = "") -> list[Json]:
        """Return the objects of a kind in a namespace (in all, where it is empty); none where they were not read."""
        found = self._items.get(Need(kind, namespace))
        if found is None and namespace:
            found = [item for item in self._items.get(Need(kind), ()) if namespace_of(item) == namespace]
        return found or []

    def one(self, kind: str, name: str, namespace: str = "") -> Json | None:
        """Return the object of that name, if it was read."""
        return next((item for item in self.of(kind, namespace) if name_of(item) == name), None)

    def knows(self, kind: str, namespace: str = "") -> bool:
        """Return whether the objects of a kind were read."""
        return Need(kind, namespace) in self._items or Need(kind) in self._items

    def has(self, needs: Iterable[Need]) -> bool:
        """Return whether all of these were read or counted."""
        return all(
            need in self._counts and not self._problems.get(need)
            if need.count
            else self.knows(need.kind, need.namespace)
            for need in needs
        )

    def counts(self, kind: str, namespace: str = "") -> dict[str, int]:
        """Return how many objects there are of each kind, the largest number first."""
        found = self._counts.get(Need(kind, namespace, count=True), {})
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def problems(self, needs: Iterable[Need]) -> tuple[str, ...]:
        """Return in words which of these could not be read."""
        return tuple(
            f"{need} could not be {'counted' if need.count else 'read'}: {problem}"
            for need in sorted(set(needs))
            for problem in self._problems.get(need, ())
        )
