"""What diagnosis asks of whoever reads the cluster.

The gateway hands it the one warm client (`skyflo_mcp.kubernetes`); a test can hand it anything of this shape. Every
method raises a `SkyfloError` where it has no answer; none returns an empty answer for a refused one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from skyflo_runbooks.model.json import Json


class Listing(Protocol):
    """A list: raw objects with `kind` and `apiVersion`, and whether more were left unread."""

    @property
    def items(self) -> Sequence[Json]:
        """The objects."""

    @property
    def more(self) -> bool:
        """Whether the list was cut at the limit."""


class Text(Protocol):
    """A container's log."""

    @property
    def text(self) -> str:
        """Its lines."""


class Sample(Protocol):
    """What one container was measured to use; None is unknown."""

    @property
    def namespace(self) -> str:
        """The pod's namespace."""

    @property
    def pod(self) -> str:
        """The pod's name."""

    @property
    def container(self) -> str:
        """The container's name."""

    @property
    def memory(self) -> int | None:
        """Working set in bytes."""

    @property
    def cpu(self) -> float | None:
        """Cores."""

    @property
    def at(self) -> str:
        """When it was measured (RFC 3339)."""

    @property
    def source(self) -> str:
        """Who measured it."""


class Samples(Protocol):
    """The samples that could be had, and why the others could not."""

    @property
    def samples(self) -> Sequence[Sample]:
        """One for each container that was measured."""

    @property
    def gaps(self) -> Sequence[str]:
        """A sentence for each reading that failed."""


class Waited(Protocol):
    """How often a container had to wait for CPU because its limit was used up."""

    @property
    def namespace(self) -> str:
        """The pod's namespace."""

    @property
    def pod(self) -> str:
        """The pod's name."""

    @property
    def container(self) -> str:
        """The container's name."""

    @property
    def periods(self) -> int:
        """The periods in which it wanted to run."""

    @property
    def throttled(self) -> int:
        """Those of them in which it waited."""


class Reader(Protocol):
    """A cluster, read only."""

    async def serves(self, kind: str) -> bool:
        """Return whether the cluster serves a kind that not every cluster has."""

    async def list(
        self, kind: str, namespace: str | None = None, *, limit: int | None = None, changes: bool = False
    ) -> Listing:
        """Return the objects of a kind: of one namespace, or of all where it is None.

        With `changes` they say who changed which of their fields when (`metadata.managedFields`, in little).
        """

    async def logs(
        self,
        namespace: str,
        pod: str,
        *,
        container: str = "",
        previous: bool = False,
        tail: int | None = None,
        since_seconds: int | None = None,
    ) -> Text:
        """Return the last `tail` lines of a container's log, of so many seconds if they are given."""

    async def usage(self, pods: Sequence[Json]) -> Samples:
        """Return what the containers of these pods use."""

    async def metadata(self, kind: str, namespace: str | None = None, *, field_selector: str = "") -> Listing:
        """Return of the objects of a kind only what names them, and who changed which of their keys when."""

    async def certificate(self, namespace: str, name: str) -> Json:
        """Return a Secret's metadata and type, and what its public certificate says; no value of it."""

    async def throttling(self, pods: Sequence[Json]) -> tuple[Sequence[Waited], Sequence[str]]:
        """Return how often containers of these pods waited for CPU, and why that of others is not known."""

    async def now(self) -> datetime:
        """Return the cluster's time (UTC)."""
