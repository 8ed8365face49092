"""A gateway in miniature for tests of the kernel and of runs: real sockets, the documented contract.

It keeps what a test sets and what it was asked. It has one proposal per step; `decide` is what an operator would do.
`facts` are the values that checks find: a check passes where its name is set to True.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
TOKEN = "kernel-token"
OPEN = ("proposed", "approved", "executing")


class FakeGateway:
    """The state, and the answers by route."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.asked: list[tuple[str, str, Json]] = []
        self.answers: dict[str, object] = {"k8s_get": {"columns": ["name", "ready"], "rows": [["pod-a", "1/1"]]}}
        self.refusals: dict[str, Json] = {}
        self.together = threading.Barrier(1)
        self.proposals: dict[str, Json] = {}
        self.would = "change"
        self.in_place = False
        self.facts: dict[str, bool] = {}
        self.ledger: list[Json] = []
        self.unfinal = 0
        self.cluster = "uid-1"
        self.url = ""

    def decide(self, id_: str, state: str, **facts: object) -> None:
        """Move a proposal, as a decision and its attempt would."""
        with self.changed:
            self.proposals[id_].update(state=state, receipt=self._receipt(id_, state), **facts)
            self.changed.notify_all()

    def decide_when_there(self, state: str, **facts: object) -> threading.Thread:
        """Decide the first proposal as soon as it was made, from a thread of its own."""

        def wait() -> None:
            with self.changed:
                if not self.changed.wait_for(lambda: self.proposals, timeout=60):
                    return
            self.decide(next(iter(self.proposals)), state, **facts)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        return thread

    def bodies(self, path: str) -> list[Json]:
        """Return the bodies that were sent to a path."""
        return [body for _, asked, body in self.asked if asked == path]

    def add(self, kind: str, body: Json) -> Json:
        """Append to the ledger."""
        entry = {"seq": len(self.ledger) + 1, "at": "2026-01-01T00:00:00Z", "kind": kind, "body": body}
        entry["hash"] = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
        self.ledger.append(entry)
        return entry

    def answer(self, method: str, path: str, query: dict[str, str], body: Json) -> tuple[int, object]:
        """Return status and JSON for a request."""
        with self.changed:
            self.asked.append((method, path, body))
            self.changed.notify_all()
        part = path.removeprefix("/api/v1/").split("/")
        match (method, *part):
            case ("GET", "status"):
                return 200, {"cluster": {"uid": self.cluster, "context": "practice"}}
            case ("POST", "tools", name):
                return self._tool(name)
            case ("POST", "proposals"):
                return self._propose(body)
            case ("GET", "proposals", id_):
                return self._view(id_, float(query.get("wait", "0")))
            case ("POST", "verdicts"):
                return 200, self._judge(body)
            case ("PUT", "runbooks", _):
                return 200, {}
            case ("GET", "ledger"):
                since, run = int(query.get("since", "0")), query.get("run")
                return 200, [one for one in self.ledger[since:] if not run or one["body"].get("run") == run]
        return 404, {"error": {"code": 2, "message": f"There is no {path}.", "next_step": ""}}

    def _tool(self, name: str) -> tuple[int, object]:
        if self.together.parties > 1:
            self.together.wait(timeout=10)
        if name in self.refusals:
            return 502, {"error": self.refusals[name]}
        return 200, {"result": self.answers.get(name), "at": "2026-01-01T00:00:00Z", "elapsed_ms": 1}

    def _propose(self, body: Json) -> tuple[int, object]:
        if "proposal" in self.refusals:
            return 409, {"error": self.refusals["proposal"]}
        if body.get("replay"):
            return 200, {"would": self.would, "diff": "-    memory: 256Mi\n+    memory: 512Mi", "message": "as said"}
        with self.changed:
            for view in self.proposals.values():
                if view["step"] == body["step"] and view["state"] in OPEN:
                    return 200, view
            id_ = f"ap-{len(self.proposals):06d}"
            self.proposals[id_] = {
                "id": id_,
                "state": "in_place" if self.in_place else "proposed",
                "tool": body["tool"],
                "title": "Raise memory limit of <payment-service>",
                "why": body["why"],
                "step": body["step"],
                "diff": "" if self.in_place else "-    memory: 256Mi\n+    memory: 512Mi",
                "digest": "sha256:5b1e",
                "risk": "medium",
                "url": f"{self.url}/proposals/{id_}",
                "assessment": {"way_back": "Restore the template of revision 41"},
                "impact": {"while_it_runs": ["3 pods restart one after another."]},
                "receipt": None,
            }
            self.add("proposal", {"run": body["run"], "proposal": id_})
            self.changed.notify_all()
            return 200, self.proposals[id_]

    def _view(self, id_: str, wait: float) -> tuple[int, object]:
        with self.changed:
            if id_ not in self.proposals:
                return 404, {"error": {"code": 2, "message": f"There is no proposal {id_}.", "next_step": ""}}
            self.changed.wait_for(lambda: self.proposals[id_]["state"] not in OPEN, timeout=wait)
            return 200, self.proposals[id_]

    def _judge(self, body: Json) -> Json:
        states = {id_: self.proposals[id_]["state"] for id_ in body["changes"]}
        undone = [f"{id_} is {state}" for id_, state in states.items() if state not in ("executed", "in_place")]
        judgement: Json = {"step": body["step"], "changes": body["changes"], "window": "5s", "started": "a"}
        if undone:
            return {**judgement, "verdict": "INCONCLUSIVE", "checks": [], "reasons": undone, "final": False}
        checks = [
            {
                "check": check["name"],
                "result": "PASS" if self.facts.get(check["name"], True) else "FAIL",
                "expected": "as said",
                "observed": "seen",
                "at": "b",
            }
            for check in body["checks"]
        ]
        if self.unfinal:
            self.unfinal -= 1
            return {**judgement, "verdict": "INCONCLUSIVE", "checks": checks, "reasons": ["too early"], "final": False}
        verdict = "VERIFIED" if all(check["result"] == "PASS" for check in checks) else "FAILED"
        said = {"run": body["run"], "step": body["step"], "changes": body["changes"], "verdict": verdict}
        entry = self.add("verdict", said)
        place = {"seq": entry["seq"], "hash": entry["hash"]}
        return {**judgement, "verdict": verdict, "checks": checks, "reasons": [], "ledger": place, "final": True}

    def _receipt(self, id_: str, state: str) -> Json:
        return {
            "proposal": id_,
            "state": state,
            "operator": "k.ops",
            "decided_at": "2026-01-01T00:00:01Z",
            "applied_at": "2026-01-01T00:00:02Z" if state == "executed" else "",
            "applied": [{"object": "Deployment/checkout/payment-service", "status": 200, "generation": 42}],
            "way_back": "Restore the template of revision 41",
        }


@contextmanager
def serve(gateway: FakeGateway) -> Iterator[str]:
    """Serve on a free port of this machine, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, said = 401, {"error": {"code": 5, "message": "Not logged in.", "next_step": "Log in."}}
            else:
                status, found = gateway.answer(self.command, parts.path, query, body)
                said = found  # type: ignore[assignment]  # any JSON
            raw = json.dumps(said).encode()
            with contextlib.suppress(ConnectionError):  # a kernel that ended no longer listens
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        do_GET = do_POST = do_PUT = _respond  # noqa: N815  # the names that the standard library calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    gateway.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield gateway.url
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
