"""`lab`: the gateway and JupyterLab as two processes on localhost, at two ports, with a wall between them.

Rules:
  1. The browser is opened through a file that only its owner can read: an address in a process's arguments, with a
     one-time link in it, could be read by the code that the wall keeps out.
  2. Ctrl-C ends both, and so does either of them ending by itself.
  3. Which walls stand is said, and what they leave open: no wall, no closed ports, a port that was opened.
  4. Where Jupyter runs as another user it works in a folder of its own, in which the named file is a copy.
"""

import json
import os
import shutil
import tempfile
import threading
import webbrowser
from contextlib import ExitStack
from html import escape
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

import typer
from skyflo_kernel.sandbox import Mode, closes_ports

from skyflo_runbooks.cli import config, demo, jupyter, launch, operator, shelf
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.environment import Environment, current
from skyflo_runbooks.cli.files import free_name, read_notebook, write_new
from skyflo_runbooks.cli.files import replace as write_over
from skyflo_runbooks.cli.jupyter import Room
from skyflo_runbooks.cli.launch import Announcement, Child
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import ExitCode, OurBug
from skyflo_runbooks.model.json import Json

_NO_WALL = (
    "Jupyter runs as this user without a sandbox: approvals here stop mistakes, not malware. "
    "A passkey, a sandbox or the in-cluster install does."
)

_NO_PORTS = (
    "This Linux closes no ports (that takes 6.7 or newer, with Landlock): code in a cell can ask every server of this "
    "machine, also another tool's that runs code for whoever asks."
)


def lab(
    file: Annotated[Path | None, typer.Argument(help="A runbook to open, or the name of a curated one.")] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The gateway's; 0 takes a free one.")] = 0,
    jupyter_port: Annotated[
        int, typer.Option("--jupyter-port", min=0, max=65535, help="JupyterLab's; 0 takes a free one.")
    ] = 0,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Where the record lies.")] = None,
    kubeconfig: Annotated[Path | None, typer.Option("--kubeconfig", help="As for 'serve'.")] = None,
    context: Annotated[str, typer.Option("--context", help="A context of the kubeconfig.")] = "",
    jupyter_user: Annotated[
        str, typer.Option("--jupyter-user", help="As root: the user that Jupyter runs as.")
    ] = "nobody",
    isolation: Annotated[
        str, typer.Option("--isolation", help="user, landlock or none; default: the strongest there is.")
    ] = "",
    open_port: Annotated[
        list[int] | None,
        typer.Option("--open-port", min=1, max=65535, help="A TCP port that cells may connect to, on any machine."),
    ] = None,
    work: Annotated[Path | None, typer.Option("--work", help="Jupyter's folder; default: where you stand.")] = None,
    name: Annotated[str, typer.Option("--operator", help="Your name in the record.")] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Say the addresses, and open nothing.")] = False,
) -> ExitCode:
    """Start the gateway and JupyterLab, and open a browser that is already paired with the gateway."""
    environment, screen = current(), Screen()
    if file is not None:
        read_notebook(shelf.find(file))
    mode = jupyter.choose_mode(isolation, jupyter_user)
    if file is not None and (copied := own_copy(file, work)) != file:
        screen.line(f"Copied to {copied}")
        file = copied
    folder, opened = work_folder(work, file, mode, jupyter_user)
    made = jupyter.room(
        port=jupyter_port,
        mode=mode,
        opened=open_port or (),
        user=jupyter_user,
        work=folder,
        home=environment.home,
        secret=_secret(environment, kubeconfig, data_dir),
    )
    options = ["--port", str(port), *(["--context", context] if context else [])]
    options += [text for flag, path in (("--kubeconfig", kubeconfig), ("--data-dir", data_dir)) if path
                for text in (flag, str(path.absolute()))]  # fmt: skip
    with ExitStack() as stack:
        served, said = _gateway(made, options, environment.home)
        stack.enter_context(served)
        return _open(screen, stack, served, said, made, opened, environment.home, name, browser=not no_browser)


def _secret(environment: Environment, *flags: Path | None) -> list[Path]:
    """Return what flags, environment and file name as kubeconfig or record: none of it is Jupyter's."""
    file = config.load(environment.home)
    named = [*environment.kubeconfig.split(os.pathsep), file.kubeconfig, file.read_kubeconfig, file.data_dir]
    return [path.absolute() for path in (*flags, *map(config.path_of, named)) if path is not None]


def demonstrate(screen: Screen, *, name: str, browser: bool, jupyter_user: str) -> ExitCode:
    """The demo with JupyterLab: practice cluster, gateway, and a generated runbook in Jupyter's folder."""
    mode = jupyter.choose_mode("", jupyter_user)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skyflo-demo-")))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skyflo-demo-work-")))
        jupyter.hand_over(work, jupyter_user, mode)
        screen.line("The practice cluster is a simulation: what you learn here is real, the pods are not.")
        child, practice = launch.practice(demo.SCENARIO, home / "practice", speed=demo.SPEED, log=home / "practice.log")
        stack.enter_context(child)
        made = jupyter.room(port=0, mode=mode, user=jupyter_user, work=work, home=home)
        served, said = _gateway(made, ["--port", "0", "--kubeconfig", practice.kubeconfig], home)
        stack.enter_context(served)
        gateway = Gateway(said.url, launch.kernel_token(home))
        opened = _generate(gateway, made)
        screen.line(f"In another terminal: export SKYFLO_HOME={home}", "dim")
        return _open(screen, stack, served, said, made, opened, home, name, browser=browser)


def _generate(gateway: Gateway, made: Room) -> str:
    """Write the flagship's runbook, with the demo's short window, into Jupyter's folder; return its name."""
    answer = gateway.post("/api/v1/incidents", {"text": demo.TEXT, "namespaces": [demo.NAMESPACE]}, timeout=120.0)
    notebook = answer["notebook"]
    if notebook is None:
        raise OurBug("The practice cluster's incident gave no runbook.")
    _shorten(notebook)
    path = made.work / "payment-service.ipynb"
    path.write_text(json.dumps(notebook, indent=1), encoding="utf-8")
    jupyter.hand_over(path, made.user, made.mode)
    return path.name


def _shorten(notebook: Json) -> None:
    """Set the demo's window as the runbook's default, and the digest of that."""
    from skyflo_runbooks.notebook.digest import runbook_digest, source, tags

    for cell in notebook["cells"]:
        if "parameters" in tags(cell):
            cell["source"] = source(cell).replace('settle: str = "5m"', f'settle: str = "{demo.SETTLE}"')
    notebook["metadata"]["skyflo"]["digest"] = runbook_digest(notebook)


def _gateway(made: Room, options: list[str], home: Path) -> tuple[Child, Announcement]:
    framed = ["--jupyter-origin", made.origin, "--isolation", made.isolation]
    return launch.gateway([*options, *framed], environment=launch.for_home(home), log=home / "run" / "gateway.log")


def _open(
    screen: Screen,
    stack: ExitStack,
    served: Child,
    said: Announcement,
    made: Room,
    opened: str,
    home: Path,
    name: str,
    *,
    browser: bool,
) -> ExitCode:
    """Start Jupyter beside the gateway, show the way in, and stay until one of them ends."""
    with screen.progress("Starting JupyterLab…"):
        child = jupyter.start(
            made, gateway=said.url, kernel_token=launch.kernel_token(home), log=home / "run" / "jupyter.log"
        )
    stack.enter_context(child)
    query = urlencode({"name": name or operator.system_user(), "auto": "1"})
    pairing, notebook = f"{said.login}?{query}", made.address(opened)
    screen.line(f"Gateway     {said.url}   (cards, history)")
    screen.line(f"JupyterLab  {made.origin}   in {made.work}")
    screen.line(f"Isolation   {made.isolation}")
    for line in warnings(made):
        screen.line(line, "yellow")
    if browser:
        _show(home, pairing, notebook)
    else:
        screen.line(f"1. Pair the browser, once:  {pairing}")
        screen.line(f"2. Open the runbook:        {notebook}")
    screen.line("Ctrl-C ends both.")
    return _stay({"The gateway": served, "JupyterLab": child})


def warnings(made: Room) -> list[str]:
    """Return what the walls leave open, by rule 3."""
    if made.mode == "none":
        return [_NO_WALL]
    if not closes_ports(made.mode):
        return [_NO_PORTS]
    ports = ", ".join(map(str, made.opened))
    return [f"Opened to cells, on this machine, too, and UDP with it: TCP {ports}."] if ports else []


def _show(home: Path, *addresses: str) -> None:
    for page in pages(home, *addresses):
        webbrowser.open(page.as_uri())


def pages(home: Path, *addresses: str) -> list[Path]:
    """Write a private page for each address that leads there, by rule 1."""
    made = []
    for number, address in enumerate(addresses):
        page = home / "run" / f"open-{number}.html"
        meta = f'<meta http-equiv="refresh" content="0;url={escape(address, quote=True)}">'
        write_over(page, f"<!doctype html><title>Skyflo Runbooks</title>{meta}\n", mode=0o600)
        made.append(page)
    return made


def _stay(children: dict[str, Child]) -> ExitCode:
    pause = threading.Event()
    while True:
        for name, child in children.items():
            if not child.alive():
                raise OurBug(f"{name} ended by itself (exit {child.process.returncode}).", next_step=_log(child))
        pause.wait(0.5)


def _log(child: Child) -> str:
    return f"See {child.log}." if child.log else ""


def own_copy(file: Path, work: Path | None) -> Path:
    """Return the file itself, or of a curated runbook a new copy in Jupyter's folder: that one is nobody's to edit."""
    found = shelf.find(file)
    if found == file:
        return file
    copy = free_name(work or Path.cwd(), found.stem, shelf.SUFFIX)
    write_new(copy, found.read_text(encoding="utf-8"))
    return copy


def work_folder(work: Path | None, file: Path | None, mode: Mode, user: str) -> tuple[Path, str]:
    """Return Jupyter's folder and the name of the opened file in it, by rule 4."""
    if mode != "user":
        folder = (work or (file.parent if file else Path.cwd())).resolve()
        name = str(file.resolve().relative_to(folder)) if file and folder in file.resolve().parents else ""
        return folder, name
    folder = work.resolve() if work else Path(tempfile.mkdtemp(prefix="skyflo-lab-"))
    if work is None:
        jupyter.hand_over(folder, user, mode)
    if file is None:
        return folder, ""
    copy = folder / file.name
    if copy != file.resolve():
        shutil.copyfile(file, copy)
        jupyter.hand_over(copy, user, mode)
    return folder, copy.name
