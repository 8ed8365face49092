"""A small HTTP server that gives one answer, to see what a client makes of it, and keeps what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass
class Answering:
    """One answer for every request, and the requests that came."""

    status: int = 200
    body: bytes = b"{}"
    asked: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def answering(status: int, body: object, *, lost: frozenset[str] = frozenset()) -> Iterator[Answering]:
    """Serve `body` (JSON, or bytes as they are) with `status` on a free port; the methods in `lost` get no answer."""
    made = Answering(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            token = self.headers.get("authorization", "")
            made.asked.append((self.command, self.path, token, self.rfile.read(length)))
            if self.command in lost:
                self.close_connection = True
                return
            self.send_response(made.status)
            self.send_header("content-length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

        do_POST = do_GET  # noqa: N815  # the base class's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Nothing on stderr."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
