"""What a browser test looks at: a practice cluster, the gateway and JupyterLab, as a person would have them.

The practice cluster is served from a thread of this process, so that a test can look into it. Gateway and JupyterLab
are processes of their own, Jupyter behind the strongest sandbox that this machine has. Token and XSRF checks are on.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
from skyflo_kernel.sandbox import Block, available_modes

from skyflo_runbooks.cli.launch import Announcement, Child, free_block, free_port, gateway
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.kinds import DEPLOYMENT
from skyflo_runbooks.practice.server import Server

TEXT = "payment-service pods are crash-looping in the checkout namespace. Customers are getting 500 errors on checkout."
NOTEBOOK = "runbook.ipynb"
ISOLATION = {"user": "other user, ports closed", "landlock": "sandbox, ports closed", "none": "none"}


class Stack(msgspec.Struct, frozen=True):
    """Everything that runs, and where. `calls` grows by the name of each tool that the gateway calls."""

    practice: PracticeCluster
    gateway: str
    login: str
    home: Path
    jupyter: str
    jupyter_token: str
    work: Path
    mode: str
    calls: list[str]
    kernels: Block

    @property
    def kernel_token(self) -> str:
        """The token that a kernel has."""
        return str(json.loads((self.home / "run" / "gateway.json").read_text())["token"])

    def lab(self, path: str = NOTEBOOK, workspace: str = "default") -> str:
        """The address of a notebook in JupyterLab; each browser tab takes its own workspace."""
        return f"{self.jupyter}/lab/workspaces/{workspace}/tree/{path}?token={self.jupyter_token}"

    def call(self, method: str, path: str, body: Json | None = None) -> object:
        """Ask the gateway something, as a kernel does."""
        headers = {"Authorization": f"Bearer {self.kernel_token}"}
        answer = httpx.request(method, f"{self.gateway}/api/v1{path}", json=body, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def proposals(self) -> list[Json]:
        """All proposals, the newest first."""
        found = self.call("GET", "/proposals")
        assert isinstance(found, list)
        return found

    def ledger(self, kind: str) -> list[Json]:
        """The record's entries of one kind."""
        found = self.call("GET", "/ledger")
        entries = found["entries"] if isinstance(found, dict) else found
        assert isinstance(entries, list)
        return [entry for entry in entries if entry["kind"] == kind]

    def limit(self) -> str:
        """The memory limit in the cluster."""
        found = self.practice.store.find(DEPLOYMENT, "checkout", "payment-service")
        return str(at(found, "spec", "template", "spec", "containers", 0, "resources", "limits", "memory"))

    def writes(self) -> int:
        """How many of our attempts wrote to the Deployment, by its managed fields."""
        found = self.practice.store.find(DEPLOYMENT, "checkout", "payment-service")
        managers = {entry["manager"] for entry in at(found, "metadata", "managedFields", default=[])}
        return sum(name.startswith("skyflo-") for name in managers)

    def write_notebook(self, notebook: Json, name: str = NOTEBOOK) -> Path:
        """Put a notebook where Jupyter works, as its user's own."""
        path = self.work / name
        path.write_text(json.dumps(notebook))
        shutil.chown(path, self.work.stat().st_uid, self.work.stat().st_gid)
        return path


@contextmanager
def practice_cluster(folder: Path, *, speed: float) -> Iterator[tuple[PracticeCluster, Path]]:
    """Serve a practice cluster from a thread; gives it, and the kubeconfig of its operator."""
    cluster = PracticeCluster("oomkilled-payment", speed=speed, leap=speed / 10, token_required=True)
    server = Server(cluster)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="practice cluster")
    thread.start()
    try:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig("admin"))
        kubeconfig.chmod(0o600)
        yield cluster, kubeconfig
    finally:
        server.stop()
        thread.join(30)


@contextmanager
def stack(*, speed: float = 5.0, settle: str = "10s", mode: str | None = None) -> Iterator[Stack]:
    """Start everything on the flagship, with its generated notebook in Jupyter's folder."""
    with ExitStack() as exits:
        # Not pytest's folder: another user must be able to walk to Jupyter's.
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="skyflo-browser-")))
        folder.chmod(0o755)
        secret, work = folder / "home", folder / "work"
        secret.mkdir(mode=0o700)
        work.mkdir()
        practice, kubeconfig = exits.enter_context(practice_cluster(secret, speed=speed))
        chosen = mode or available_modes()[0]
        port = free_port()
        origin = f"http://localhost:{port}"
        listening = threading.Event()
        listener = threading.Thread(target=lambda: _listen(made, listening), name="events")
        exits.callback(lambda: listener.join(30) if listener.ident else None)
        child, said = _gateway(secret, kubeconfig, origin, ISOLATION[chosen])
        exits.enter_context(child)
        jupyter_token = os.urandom(16).hex()
        made = Stack(practice, said.url, said.login, secret, origin, jupyter_token, work, chosen, [], free_block())
        exits.enter_context(_jupyter(made, port))
        made.write_notebook(generated(made, settle))
        # From here on: the generator reads too.
        listener.start()
        assert listening.wait(30), "the gateway streams no events"
        yield made


def generated(made: Stack, settle: str) -> Json:
    """The flagship's notebook as the gateway generates it, with a short window."""
    answer = made.call("POST", "/incidents", {"text": TEXT, "namespaces": []})
    assert isinstance(answer, dict)
    notebook = answer["notebook"]
    assert isinstance(notebook, dict), answer
    for cell in notebook["cells"]:
        source = cell["source"]
        text = source if isinstance(source, str) else "".join(source)
        if "parameters" in at(cell, "metadata", "tags", default=[]):
            assert 'settle: str = "5m"' in text, text
            cell["source"] = text.replace('settle: str = "5m"', f'settle: str = "{settle}"')
    return notebook


def _gateway(home: Path, kubeconfig: Path, jupyter: str, isolation: str) -> tuple[Child, Announcement]:
    environment = {**os.environ, "SKYFLO_HOME": str(home)}
    options = ["--port", "0", "--kubeconfig", str(kubeconfig), "--jupyter-origin", jupyter, "--isolation", isolation]
    return gateway(options, environment=environment, log=home / "gateway.log")


def _listen(made: Stack, listening: threading.Event) -> None:
    """Note each tool call that the gateway tells of, until it ends."""
    headers = {"Authorization": f"Bearer {made.kernel_token}"}
    try:
        with httpx.stream("GET", f"{made.gateway}/api/v1/events", headers=headers, timeout=60) as stream:
            listening.set()
            kind = ""
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data" and kind == "tool":
                    made.calls.append(str(json.loads(value)["tool"]))
    except httpx.TransportError:
        # The gateway was ended in the middle of the stream, as every test does.
        return


def _jupyter(made: Stack, port: int) -> Child:
    """Start JupyterLab in its sandbox and wait until it answers."""
    bin_ = Path(sys.executable).parent
    if made.mode == "user":
        shutil.chown(made.work, "nobody")
    sandbox = [sys.executable, "-P", "-m", "skyflo_kernel.sandbox", "--mode", made.mode, "--work", str(made.work)]
    sandbox += ["--home", str(made.work.parent / "jupyter-home"), "--serve", str(port), "--kernels", str(made.kernels)]
    sandbox += ["--ask", str(urlsplit(made.gateway).port)]
    lab = [str(bin_ / "jupyter"), "lab", "--no-browser", "--ServerApp.ip=localhost", f"--ServerApp.port={port}"]
    rooted = ["--allow-root"] if made.mode != "user" and os.geteuid() == 0 else []
    arguments = [*sandbox, "--deny", str(made.home), "--", *lab, f"--ServerApp.root_dir={made.work}", *rooted]
    environment = {
        **os.environ,
        "PATH": f"{bin_}:{os.environ['PATH']}",
        "JUPYTER_TOKEN": made.jupyter_token,
        "SKYFLO_GATEWAY_URL": made.gateway,
        "SKYFLO_KERNEL_TOKEN": made.kernel_token,
    }
    child = Child(arguments, environment=environment, log=made.home / "jupyter.log")
    if not _answers(f"{made.jupyter}/api", child):
        words = (made.home / "jupyter.log").read_text()[-2000:]
        child.stop()
        raise AssertionError(f"JupyterLab did not start:\n{words}")
    return child


def _answers(url: str, child: Child) -> bool:
    """Wait until a server answers at `url`, at most a minute, or its process ends."""
    ends = time.monotonic() + 60
    with httpx.Client(transport=httpx.HTTPTransport(retries=0)) as client:
        while child.alive() and time.monotonic() < ends:
            try:
                return client.get(url).status_code == 200
            except httpx.TransportError:
                # Nothing tells when a port opens; a short wait on the process does no harm and ends with it.
                child.process.poll()
                threading.Event().wait(0.1)
    return False
