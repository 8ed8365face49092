"""An API server that takes its time: what is asked of one namespace is passed on a second later.

It stands between a gateway and a cluster, in a thread of its own for each request, so that requests that arrive side by
side wait side by side.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from skyflo_runbooks.practice.server import client_of

DELAY = 1.0
_NEVER = threading.Event()  # never set: waiting on it is a pause of known length


@contextmanager
def before(kubeconfig: Path, slow: str) -> Iterator[Path]:
    """Stand before the cluster of a kubeconfig; `slow` is the part of a path that is answered late.

    Yields a kubeconfig that leads here, with the same credential.
    """
    with client_of(kubeconfig, 30.0) as cluster:

        class Handler(BaseHTTPRequestHandler):
            """Passes each GET on; the credential comes from the caller."""

            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if slow in self.path:
                    _NEVER.wait(DELAY)
                _pass_on(self, cluster)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server's name)
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            written = kubeconfig.with_name("kubeconfig-slow")
            here = f"http://127.0.0.1:{server.server_address[1]}"
            written.touch(mode=0o600)
            written.write_text(kubeconfig.read_text().replace(str(cluster.base_url).rstrip("/"), here))
            yield written
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)


def _pass_on(request: BaseHTTPRequestHandler, cluster: httpx.Client) -> None:
    answer = cluster.get(request.path, headers={"Accept": request.headers.get("Accept", "*/*")})
    request.send_response_only(answer.status_code)
    for name in ("content-type", "date"):
        if name in answer.headers:
            request.send_header(name, answer.headers[name])
    request.send_header("content-length", str(len(answer.content)))
    request.end_headers()
    request.wfile.write(answer.content)
