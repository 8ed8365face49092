"""A laptop: an ordinary user starts `lab`, and hostile code runs in a cell of that JupyterLab."""

import json
import os
import re
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from skyflo_kernel.sandbox import landlock
from websockets.sync.client import connect

from skyflo_runbooks.cli import launch
from skyflo_runbooks.cli.launch import Child
from skyflo_runbooks.model.json import Json
from tests import needs
from tests.jupyter import ordinary
from tests.jupyter.ground import SECRET
from tests.jupyter.tool import attack, tool

PLACES = (".ssh/id_ed25519", ".kube/config", "kubeconfig", "home/operator.json", "home/run/gateway.json", "home/data")


class Laptop(msgspec.Struct, frozen=True):
    """A running `lab`: what it said, its user's home, and JupyterLab's address and token."""

    said: str
    person: Path
    url: str
    token: str

    def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """Ask Jupyter's REST API."""
        raw = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, data=raw, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answered:
            said = answered.read()
        found: Json = json.loads(said) if said else {}
        return found

    def kernel(self) -> str:
        """Start a kernel and give its id."""
        return str(self.ask("POST", "/api/kernels", {"name": "python3"})["id"])

    def run(self, kernel: str, code: str) -> str:
        """Run code in a kernel, by the same WebSocket as a notebook's page; gives what it printed."""
        place = f"{self.url.replace('http', 'ws')}/api/kernels/{kernel}/channels"
        mark = uuid.uuid4().hex
        with connect(place, additional_headers={"Authorization": f"token {self.token}"}) as socket:
            socket.send(json.dumps(_request(mark, code)))
            printed = ""
            while True:
                message = json.loads(socket.recv(timeout=60))
                content = message["content"]
                if message["parent_header"].get("msg_id") != mark:
                    continue
                if message["msg_type"] == "stream":
                    printed += content["text"]
                elif message["msg_type"] == "error":
                    printed += f"{content['ename']}: {content['evalue']}"
                elif content.get("execution_state") == "idle":
                    return printed.strip()


def _request(mark: str, code: str) -> Json:
    header = {
        "msg_id": mark,
        "msg_type": "execute_request",
        "username": "",
        "session": mark,
        "version": "5.3",
        "date": "",
    }
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    return {
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": content,
        "channel": "shell",
        "buffers": [],
    }


@pytest.fixture(scope="module")
def laptop() -> Iterator[Laptop]:
    """`lab` beside a practice cluster, with credentials in the user's home as a laptop has them."""
    if landlock.version() == 0:
        needs.missing("Landlock", "a Linux kernel 5.13 or newer with the landlock security module")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skyflo-laptop-")))
        folder.chmod(0o755)
        cluster, practice = launch.practice(
            "oomkilled-payment", folder / "practice", speed=5.0, log=folder / "practice.log"
        )
        stack.enter_context(cluster)
        person = _person(folder / "person", Path(practice.kubeconfig).read_text())
        options = ["--no-browser", "--kubeconfig", str(person / "kubeconfig"), "--work", str(person / "work")]
        line = ordinary.command(sys.executable, "-P", "-m", "skyflo_runbooks.cli", "lab", *options)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SKYFLO_", "KUBE"))}
        environment = {**kept, "HOME": str(person), "SKYFLO_HOME": str(person / "home"), "PYTHONUNBUFFERED": "1"}
        child = stack.enter_context(Child(line, environment=environment, log=folder / "log", folder=person))
        said = _until(child, "Ctrl-C")
        found = re.search(r"(http://localhost:\d+)/lab\S*\?token=(\w+)", said)
        assert found is not None, said + (folder / "log").read_text()
        yield Laptop(said, person, found[1], found[2])


def _person(home: Path, kubeconfig: str) -> Path:
    """An ordinary user's home, with credentials in it, and a folder for notebooks."""
    files = {".ssh/id_ed25519": SECRET, ".kube/config": kubeconfig, "kubeconfig": kubeconfig}
    for name, text in {**files, "home/operator.json": SECRET, "work/notes.txt": "notes"}.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    ordinary.hand_over(home, *home.rglob("*"))
    return home


def _until(child: Child, words: str) -> str:
    said = line = child.first_line(120, what="lab")
    while words not in line and line:
        assert child.process.stdout is not None
        line = child.process.stdout.readline().decode()
        said += f"\n{line}"
    return said


def test_lab_says_which_walls_stand(laptop: Laptop) -> None:
    """A sandbox, and whether ports are closed."""
    ports = "ports closed" if landlock.closes_ports() else "ports open"
    assert f"Isolation   sandbox, {ports}" in laptop.said


def test_kernels_start_side_by_side_and_again(laptop: Laptop) -> None:
    """Several at once, each at ports of its own; a restarted one answers, and reads the cluster by the gateway."""
    kernels = [laptop.kernel() for _ in range(3)]
    assert len({laptop.run(kernel, "import os; print(os.getpid())") for kernel in kernels}) == 3
    laptop.ask("POST", f"/api/kernels/{kernels[0]}/restart")
    code = """
import json, os, urllib.request
asked = urllib.request.Request(os.environ["SKYFLO_GATEWAY_URL"] + "/api/v1/status")
asked.add_header("Authorization", "Bearer " + os.environ["SKYFLO_KERNEL_TOKEN"])
print(json.load(urllib.request.urlopen(asked, timeout=30))["cluster"]["reachable"])
"""
    assert laptop.run(kernels[0], code) == "True"
    assert laptop.run(kernels[0], f"print(open({str(laptop.person / 'work' / 'notes.txt')!r}).read())") == "notes"
    assert laptop.run(kernels[0], "!echo $((6 * 7))") == "42"
    for kernel in kernels:
        laptop.ask("DELETE", f"/api/kernels/{kernel}")


def test_a_cell_finds_no_credential(laptop: Laptop) -> None:
    """Neither in files nor in the environment of a process outside, such as the gateway's and `lab`'s."""
    code = f"""
import json, os, pathlib
def opens(path):
    try:
        return bool(os.listdir(path) if path.is_dir() else path.read_bytes())
    except OSError:
        return False
person = pathlib.Path({str(laptop.person)!r})
found = [name for name in {PLACES!r} if opens(person / name)]
for process in filter(str.isdigit, os.listdir("/proc")):
    try:
        found += [process] if b"SKYFLO_HOME=" in pathlib.Path("/proc", process, "environ").read_bytes() else []
    except OSError:
        pass
print(json.dumps(found))
"""
    kernel = laptop.kernel()
    assert json.loads(laptop.run(kernel, code)) == []
    laptop.ask("DELETE", f"/api/kernels/{kernel}")


def test_a_cell_cannot_ask_another_tool(laptop: Laptop) -> None:
    """Whose server runs code for whoever asks, outside of the wall."""
    if not landlock.closes_ports():
        needs.missing("Landlock ABI 4", "Linux 6.7 or newer with the landlock security module")
    kernel = laptop.kernel()
    with tool() as port:
        code = attack(port, laptop.person / "home" / "operator.json") + "\nprint(json.dumps(reached()))\n"
        assert json.loads(laptop.run(kernel, code)) == {}
    laptop.ask("DELETE", f"/api/kernels/{kernel}")
