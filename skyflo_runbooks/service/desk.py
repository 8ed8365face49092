"""What the service serves: the gateway, its tools, and how to tell where it is."""

import asyncio
import time

from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.gateway.gate import Gate
from skyflo_runbooks.gateway.gateway import Gateway
from skyflo_runbooks.gateway.store import Row
from skyflo_runbooks.model.errors import SkyfloError, Unreachable
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service.auth import Doorkeeper
from skyflo_runbooks.service.settings import Settings

REACHABLE_SECONDS = 5.0


class Desk:
    """Everything a handler needs, handed down. `reader` is the cluster through the credential for reads."""

    def __init__(
        self, *, settings: Settings, gateway: Gateway, gate: Gate, reader: Cluster, door: Doorkeeper, origin: str
    ) -> None:
        self.settings = settings
        self.gateway = gateway
        self.gate = gate
        self.reader = reader
        self.door = door
        self.origin = origin
        self._reached: tuple[float, bool, str] = (0.0, False, "")

    def url(self, id_: str) -> str:
        """Return the address of a proposal's page."""
        return f"{self.origin}/proposals/{id_}"

    def view(self, id_: str) -> Json:
        """Return a proposal as clients see it, with its address."""
        return self.seen(self.gateway.store.get(id_))

    def seen(self, row: Row) -> Json:
        """Return the same of a proposal that was read already."""
        return {**self.gateway.view(row), "url": self.url(row.proposal.id)}

    async def status(self) -> Json:
        """Return which cluster this is and whether it answers."""
        reachable, uid = await self._reach()
        return {
            "cluster": {
                "uid": uid,
                "context": self.reader.context,
                "server": self.reader.server,
                "reachable": reachable,
                "practice": self.settings.practice,
            },
            "origin": self.origin,
            "isolation": self.settings.isolation,
            "jupyter_origin": self.settings.jupyter_origin,
            "policy": self.gateway.policy.name,
            "alarms": self.gateway.alarm.now(),
        }

    async def admit_approval(self) -> None:
        """Raise `Unreachable` where the cluster does not answer now: an approval would be used up for nothing."""
        if not (await self._reach(anew=True))[0]:
            raise Unreachable(
                f"The cluster at {self.reader.server} does not answer: nothing is approved, and the change waits on.",
                next_step="Approve it when the cluster answers again; 'skyflo-runbooks doctor' looks.",
            )

    async def _reach(self, *, anew: bool = False) -> tuple[bool, str]:
        at, reachable, uid = self._reached
        if anew or time.monotonic() - at > REACHABLE_SECONDS or not reachable:
            try:
                async with asyncio.timeout(REACHABLE_SECONDS):
                    uid = await self.reader.uid()
                    await self.reader.now()
                reachable = True
            except (SkyfloError, TimeoutError):
                reachable = False
            self._reached = (time.monotonic(), reachable, uid)
        return reachable, uid
