"""The practice cluster as a process of its own, with an audit log that the gateway has no hand in, and a trap.

`python -m tests.reliability.cluster FOLDER OBJECTS` prints its kubeconfig. The log is `FOLDER/audit.jsonl`, one
audit.k8s.io event a line, of each write that is no dry run. A trap (`POST /trap {"pid", "when"}`) kills a process by
SIGKILL at the next write of an attempt: `before` it arrives (it never does), or `after` it was applied, unanswered.
"""

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qs

from skyflo_runbooks.practice.cluster import PracticeCluster
from skyflo_runbooks.practice.server import Server, write_private

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
NAMESPACE = "checkout"
BY_HAND = "by-hand"


class Journal:
    """Notes what the API server answered to each write, and springs the trap."""

    def __init__(self, app: Any, file: IO[str]) -> None:
        self._app = app
        self._file = file
        self._trap: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, as ASGI."""
        if scope["type"] == "http" and scope["path"] == "/trap":
            self._trap = json.loads((await receive())["body"] or b"{}")
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        query = parse_qs(scope.get("query_string", b"").decode())
        if scope["type"] != "http" or scope["method"] not in VERBS or "dryRun" in query:
            await self._app(scope, receive, send)
            return
        await self._write(scope, receive, send, query.get("fieldManager", [""])[0])

    async def _write(self, scope: Any, receive: Any, send: Any, manager: str) -> None:
        trap = self._trap if manager.startswith("skyflo-at-") else {}
        if trap:
            self._trap = {}
        if trap.get("when") == "before":
            os.kill(trap["pid"], signal.SIGKILL)
            raise ConnectionAbortedError("the client was killed before this arrived")
        answer = {"status": 0}

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                self._note(scope, manager, message["status"])
                if trap:
                    os.kill(trap["pid"], signal.SIGKILL)
            await send(message)

        await self._app(scope, receive, noted)

    def _note(self, scope: Any, manager: str, status: int) -> None:
        _, _, _, _, _, plural, name = [*scope["path"].split("/"), "", "", ""][:7]
        user = BY_HAND if manager == BY_HAND else "practice-admin"
        event = {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "stage": "ResponseComplete",
            "verb": VERBS[scope["method"]],
            "requestURI": scope["path"] + "?" + scope.get("query_string", b"").decode(),
            "user": {"username": user},
            "objectRef": {"resource": plural, "namespace": NAMESPACE, "name": name},
            "responseStatus": {"code": status},
            "stageTimestamp": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()


async def serve(folder: Path, objects: int) -> None:
    """Serve until told to end."""
    cluster = PracticeCluster("healthy", token_required=True)
    for number in range(objects):
        cluster._create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": f"settings-{number}", "namespace": NAMESPACE},
                "data": {"value": "none"},
            },
            _author(),
        )
    with (folder / "audit.jsonl").open("a") as file:
        cluster.app = Journal(cluster.app, file)
        server = Server(cluster)
        write_private(folder / "kubeconfig", server.kubeconfig("admin"))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.stop)
        serving = asyncio.create_task(server.serve())
        print(folder / "kubeconfig", flush=True)
        await serving


def _author() -> Any:
    from skyflo_runbooks.practice.store import Author

    return Author("staged")


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
