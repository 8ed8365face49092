"""The clients: each takes proposals through their fates, one after the other, on objects of its own."""

import asyncio
import time
from collections import Counter

import msgspec

from skyflo_runbooks.model.json import Json
from tests.reliability.cluster import NAMESPACE
from tests.reliability.fates import Fate, Moment
from tests.reliability.house import House

DONE = {"executed", "failed", "void", "expired", "rejected", "superseded", "rolled_back", "in_place"}


class Lived(msgspec.Struct):
    """What one run was answered: each proposal with its fate, and what the gateway had acknowledged about it."""

    fates: dict[str, Fate] = {}
    approved: set[str] = set()
    rejected: set[str] = set()
    begun: int = 0
    killed: int = 0
    refusals: Counter[str] = msgspec.field(default_factory=Counter)


class Load:
    """Everybody who works on one gateway."""

    def __init__(self, house: House, fates: list[Fate], workers: int, seconds: float = float("inf")) -> None:
        self._house = house
        self._until = time.monotonic() + seconds
        self._todo = list(enumerate(fates))[::-1]
        self._workers = workers
        self._begun = asyncio.Condition()
        self.lived = Lived()

    async def run(self, kills: list[tuple[int, float, Moment]]) -> None:
        """Work everything off, while the gateway is killed."""
        killing = asyncio.create_task(self._kill(kills))
        try:
            await asyncio.gather(*(self._work(number) for number in range(self._workers)))
        finally:
            killing.cancel()
            await asyncio.gather(killing, return_exceptions=True)
            await self._house.up.wait() if self._house.up.is_set() else await self._house.start()

    async def _kill(self, kills: list[tuple[int, float, Moment]]) -> None:
        for place, delay, moment in kills:
            async with self._begun:
                while self.lived.begun < place:
                    await self._begun.wait()
            await asyncio.sleep(delay)
            await self._house.kill(moment)
            self.lived.killed += 1

    async def _work(self, worker: int) -> None:
        while self._todo and time.monotonic() < self._until:
            number, fate = self._todo.pop()
            async with self._begun:
                self.lived.begun += 1
                self._begun.notify_all()
            await self._live(f"settings-{worker}", number, fate)

    async def _live(self, name: str, number: int, fate: Fate) -> None:
        arguments: Json = {
            "kind": "ConfigMap",
            "namespace": NAMESPACE,
            "name": name,
            "patch_type": "merge",
            "patch": {"data": {"value": f"v{number}"}},
        }
        body: Json = {"tool": "k8s_patch", "arguments": arguments, "runbook": "rb-load", "step": f"s{number}"}
        view = await self._house.call("POST", "/api/v1/proposals", body)
        if "error" in view:
            self.lived.refusals[f"propose: {view['error']['message'][:80]}"] += 1
            return
        id_ = str(view["id"])
        self.lived.fates[id_] = fate
        if fate == "expire":
            return
        if fate == "drift":
            self._house.change_by_hand(name, f"v{number}")
        if fate == "reject":
            await self._decide(id_, "reject")
            return
        state = await self._decide(id_, "approve")
        if fate == "roll_back" and state == "executed":
            back = await self._house.call("POST", f"/api/v1/proposals/{id_}/rollback", {}, operator=True)
            if "error" in back:
                self.lived.refusals[f"roll back: {back['error']['message'][:80]}"] += 1
                return
            self.lived.fates[str(back["id"])] = "apply"
            await self._decide(str(back["id"]), "approve")

    async def _decide(self, id_: str, decision: str) -> str:
        """Decide until the gateway has it, and return the state when nothing is under way."""
        path = f"/api/v1/proposals/{id_}"
        while (view := await self._house.call("GET", path)).get("state") == "proposed":
            asked = await self._house.call("GET", f"{path}/nonce?decision={decision}&reason=load", operator=True)
            if "error" in asked:
                continue
            signature = self._house.key.sign(asked["message"].encode())
            ballot = {"decision": decision, "reason": "load", "digest": asked["digest"], "nonce": asked["nonce"]}
            said = await self._house.call("POST", f"{path}/decision", {**ballot, "signature": signature}, operator=True)
            if "error" not in said:
                (self.lived.approved if decision == "approve" else self.lived.rejected).add(id_)
                continue
            self.lived.refusals[f"decide: {said['error']['message'][:80]}"] += 1
        while (view := await self._house.call("GET", f"{path}?wait=20")).get("state") not in DONE:
            pass
        return str(view["state"])
