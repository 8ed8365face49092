"""A practice cluster with a gateway of its own, to try attacks on: what `verify-promises` runs against.

Everything is real but the cluster: the gateway is a process that can be killed, the operator has a key and signs, and a
foreign hand writes to the cluster past the gateway.
"""

import json
import os
import shutil
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import quote

import msgspec

from skyflo_runbooks.cli import launch, operator
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.launch import Child
from skyflo_runbooks.cli.operator import DecisionKind, Operator
from skyflo_runbooks.model.errors import OurBug
from skyflo_runbooks.model.json import Json, at

SCENARIO, NAMESPACE, NAME = "oomkilled-payment", "checkout", "payment-service"
SPEED = 5.0
# A write whose answer was lost is settled within half a minute.
_SETTLED_SECONDS = 40.0
_DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"


class Standing(msgspec.Struct, frozen=True):
    """What the cluster has: the Deployment's memory limit, and its generation, which each write raises by one."""

    limit: str
    writes: int


class Bench:
    """A staged scenario (the flagship) and its gateway; use it as a context."""

    def __init__(self, home: Path, scenario: str = SCENARIO) -> None:
        self.home = home
        self.scenario = scenario
        self.data = home / "data"
        self._stack = ExitStack()
        self._port = launch.free_port()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            log = self.home / "practice.log"
            child, self.practice = launch.practice(self.scenario, self.home / "practice", speed=SPEED, log=log)
            self.cluster = starting.enter_context(child)
            login = self._serve()
            starting.callback(lambda: self._child.stop())
            self.operator: Operator = operator.pair(operator.read_link(login), "promises")
            self._stack = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _serve(self) -> str:
        options = ["--port", str(self._port), "--kubeconfig", self.practice.kubeconfig, "--data-dir", str(self.data)]
        self._child: Child
        self._child, said = launch.gateway(options, environment=launch.bare(self.home), log=self.home / "gateway.log")
        self.kernel = Gateway(said.url, launch.kernel_token(self.home))
        return said.login

    @property
    def as_operator(self) -> Gateway:
        """The gateway, called with the operator's session."""
        return self.kernel.using(self.operator.session)

    def kill_and_restart(self) -> None:
        """End the gateway by SIGKILL, and start it again on the same record."""
        self._kill()
        self._serve()

    def copy_record(self, folder: Path) -> None:
        """Copy the record's database as it is now into an empty folder, as a backup does."""
        for file in self.data.glob("gateway.db*"):
            shutil.copy(file, folder)

    def restore_record(self, folder: Path) -> None:
        """End the gateway, put a copy of the record in place of its own, start it again, and log in anew."""
        self._kill()
        for file in self.data.glob("gateway.db*"):
            file.unlink()
        for file in folder.iterdir():
            shutil.copy(file, self.data)
        self.operator = operator.pair(operator.read_link(self._serve()), self.operator.name)

    def forge_approval(self, view: Json) -> None:
        """Write into the record's file that this operator approved, as whoever can write there might."""
        from skyflo_runbooks.gateway.database import SqliteDatabase

        said = {"kind": "approve", "operator": self.operator.name, "digest": view["digest"], "at": view["created"]}
        said |= {"reason": "", "key": "", "signature": "AAAA", "nonce": "made-up", "typed": ""}
        database = SqliteDatabase(self.data / "gateway.db")
        try:
            with database.transaction() as db:
                values = (view["id"], self.operator.name, json.dumps(said).encode())
                db.execute("INSERT INTO decisions VALUES (?, ?, 1, ?)", values)
                db.execute("UPDATE proposals SET state = 'approved' WHERE id = ?", (view["id"],))
        finally:
            database.close()

    def _kill(self) -> None:
        os.kill(self._child.process.pid, signal.SIGKILL)
        self._child.process.wait(10)
        self._child.stop()

    def propose(self, memory: str, step: str, *, run: str = "") -> Json:
        """Propose another memory limit, as a kernel does, in a run."""
        arguments = {"kind": "Deployment", "namespace": NAMESPACE, "name": NAME, "container": NAME}
        body = {"tool": "k8s_set_resources", "arguments": {**arguments, "limits": {"memory": memory}}}
        view: Json = self.kernel.post(
            "/api/v1/proposals", {**body, "why": "a promise is tried", "step": step, "run": run}
        )
        return view

    def decide(self, view: Json, decision: DecisionKind = "approve") -> Json:
        """Decide as the operator, and return the proposal's view once nothing is under way."""
        operator.decide(self.as_operator, self.operator, view=view, decision=decision)
        return self.as_operator.proposal(str(view["id"]), wait=20)

    def settled(self, view: Json) -> Json:
        """Return a proposal's view once its outcome is known: what may be on its way yet is looked for again."""
        until = time.monotonic() + _SETTLED_SECONDS
        after = self.kernel.proposal(str(view["id"]), wait=20)
        while after["state"] == "unknown" and time.monotonic() < until:
            time.sleep(0.5)
            after = self.kernel.proposal(str(view["id"]))
        return after

    def judge(self, view: Json, *, wait: float) -> Json:
        """Ask for the verdict over a change."""
        place = {"kind": "Deployment", "name": NAME, "namespace": NAMESPACE}
        checks = [
            {"name": "rollout_complete", "arguments": place},
            {"name": "no_oom_kills", "arguments": {**place, "window": "20s"}},
        ]
        body = {"step": f"check-{view['id']}", "changes": [view["id"]], "checks": checks, "within": "2m"}
        judged: Json = self.kernel.post("/api/v1/verdicts", {**body, "wait": wait}, timeout=wait + 30)
        return judged

    def limit(self) -> str:
        """Return the memory limit that the cluster itself has."""
        found = self._cluster("GET", _DEPLOYMENT)
        return str(at(found, "spec", "template", "spec", "containers", 0, "resources", "limits", "memory"))

    def writes(self) -> int:
        """Return the Deployment's generation: each change of its spec raises it by one."""
        return int(at(self._cluster("GET", _DEPLOYMENT), "metadata", "generation"))

    def standing(self) -> Standing:
        """Return the memory limit and the generation, read one after the other."""
        return Standing(self.limit(), self.writes())

    def foreign_hand(self, value: str = "by-somebody-else") -> None:
        """Change a label of the object past the gateway, as somebody with kubectl does."""
        self._cluster("PATCH", _DEPLOYMENT, {"metadata": {"labels": {"touched": value}}})

    def secrets(self) -> dict[str, str]:
        """Return the Secrets' values as the cluster has them, by namespace/name."""
        import base64

        items = self._cluster("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets")["items"]
        return {
            f"{item['metadata']['name']}": base64.b64decode(value).decode()
            for item in items
            for value in (item.get("data") or {}).values()
        }

    def _cluster(self, method: str, path: str, body: Json | None = None) -> Json:
        from skyflo_runbooks.practice.server import client_of

        with client_of(Path(self.practice.kubeconfig), 20.0) as client:
            headers = {"content-type": "application/merge-patch+json"} if body else {}
            answer = client.request(method, quote(path), json=body, headers=headers)
        if answer.is_error:
            raise OurBug(f"The practice cluster answered {answer.status_code}: {answer.text[:200]}")
        found: Json = answer.json()
        return found
