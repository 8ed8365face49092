"""Played nodes that are ill: a kubelet that says nothing any more, or one that cannot start new pods.

What ails which node is in a file, so that whoever stages a fault can make a node ill while it is played:
`{"node-a": {"silent": true}, "node-b": {"reason": "FailedCreatePodSandBox", "message": "…"}}`.

Rules:
  1. A silent node renews no lease, writes no status, reports nothing and removes no pod. Its pods go on in themselves.
  2. A node with a `reason` leaves every pod that is new to it in ContainerCreating, and says why in an event. It still
     lets pods go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import httpx

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.kubelet import Action, Remove, Report, SetStatus
from skyflo_runbooks.practice.remote import Change, Endpoint, Player
from skyflo_runbooks.practice.scenario import NodeSpec, Scenario


class TroubledPlayer(Player):
    """Plays nodes of which some are ill."""

    def __init__(
        self, api: httpx.AsyncClient, scenario: Scenario, endpoints: Mapping[str, Endpoint], network: str, file: Path
    ) -> None:
        super().__init__(api, scenario, endpoints, network)
        self._file = file

    def troubles(self) -> dict[str, Json]:
        """Return what ails which node now."""
        return dict(json.loads(self._file.read_text())) if self._file.exists() else {}

    def silent(self, node: str) -> bool:
        """Return whether a node's kubelet says nothing."""
        return bool(at(self.troubles(), node, "silent", default=False))

    def answering(self) -> Iterable[NodeSpec]:
        """Return the nodes whose kubelets speak."""
        return [node for node in self.scenario.nodes if not self.silent(node.name)]

    async def _act(self, action: Action, now: datetime) -> None:
        if not self.silent(str(at(action.pod, "spec", "nodeName", default=""))):
            await super()._act(action, now)

    def _observe(self, change: Change) -> None:
        verb, pod = change
        trouble = self.troubles().get(str(at(pod, "spec", "nodeName", default="")), {})
        if verb == "DELETED" or "reason" not in trouble or pod["metadata"]["uid"] in self.kubelet.pods:
            super()._observe(change)
            return
        self._early += kept_waiting(pod, trouble)
        self.changed.set()


def kept_waiting(pod: Json, trouble: Json) -> Iterable[Action]:
    """Yield what a kubelet does that cannot start this pod."""
    if pod["metadata"].get("deletionTimestamp"):
        yield Remove(pod)
    elif not at(pod, "status", "containerStatuses", default=[]):
        waiting = [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "started": False,
                "state": {"waiting": {"reason": "ContainerCreating"}},
            }
            for container in pod["spec"]["containers"]
        ]
        yield SetStatus(pod, {"phase": "Pending", "containerStatuses": waiting})
        yield Report(pod, "Warning", trouble["reason"], trouble["message"])
