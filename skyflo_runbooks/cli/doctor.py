"""`doctor`: what is configured, reachable and allowed; each line with its fix. Works without a gateway.

Rules:
  1. Each look answers `ok`, `note` (works without it) or `broken`. The exit code is that of the first broken line.
  2. Nothing is started, written or repaired, and no secret is shown.
"""

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from skyflo_runbooks.cli import client, guests, operator
from skyflo_runbooks.cli.environment import Environment, current
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import ExitCode, SkyfloError
from skyflo_runbooks.model.json import Json

T = TypeVar("T")
_SIGNS = {"ok": ("✓", "green"), "note": ("–", "yellow"), "broken": ("✗", "red")}


class Look(msgspec.Struct, frozen=True):
    """One line: what was looked at, how it is, and what to do where it is not well."""

    what: str
    state: Literal["ok", "note", "broken"]
    said: str
    fix: str = ""
    code: int = 0


def doctor(as_json: AsJson = False) -> ExitCode:
    """Look at everything that this needs, and say how to get what is missing."""
    environment, screen = current(), Screen(as_json)
    looks = list(examine(environment))
    for look in looks:
        sign, style = _SIGNS[look.state]
        screen.line(f"{sign} {look.what:<14} {look.said}", style)
        if look.fix:
            screen.line(f"  {'':<14} → {look.fix}")
    screen.json([{"what": one.what, "state": one.state, "said": one.said, "fix": one.fix} for one in looks])
    return ExitCode(next((look.code for look in looks if look.state == "broken"), ExitCode.DONE))


def examine(environment: Environment) -> Iterator[Look]:
    """Yield every look."""
    yield Look("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")
    yield _home(environment)
    yield from _gateway(environment)
    yield from _servers(environment)
    yield _operator(environment)
    yield _kubeconfig(environment)
    yield _practice(environment)
    yield _jupyterlab()
    yield _wall()
    yield _model(environment)


def _home(environment: Environment) -> Look:
    home = environment.home
    known = home if home.exists() else next(parent for parent in home.parents if parent.exists())
    if not os.access(known, os.W_OK | os.X_OK):
        fix = "Give this user access, or set SKYFLO_HOME to another folder."
        return Look("data", "broken", f"{home} cannot be written", fix, ExitCode.BAD_INPUT)
    return Look("data", "ok", f"{home}" + ("" if home.exists() else " (made when it is needed)"))


def _gateway(environment: Environment) -> Iterator[Look]:
    if not environment.gateway_url and not environment.gateway_file.exists():
        yield Look("gateway", "note", "none is running here", "skyflo-runbooks serve, or: skyflo-runbooks lab")
        return
    said = _tried("gateway", lambda: client.find(environment).get("/api/v1/status", timeout=10.0))
    if isinstance(said, Look):
        yield said
        return
    yield Look("gateway", "ok", f"{said['origin']}, version {said['version']}, isolation: {said['isolation']}")
    yield from _alarms(said)
    cluster = said["cluster"]
    name = f"{cluster['context'] or cluster['server']}{' (practice)' if cluster['practice'] else ''}"
    if cluster["reachable"]:
        yield Look("cluster", "ok", f"{name} answers")
    else:
        fix = "Check the kubeconfig that the gateway was started with, and the network."
        yield Look("cluster", "broken", f"{name} does not answer", fix, ExitCode.UNREACHABLE)


def _servers(environment: Environment) -> Iterator[Look]:
    """One line for each of the operator's own MCP servers: what it offers, what is refused, what is not offered."""
    for one in guests.standing(environment):
        what = f"mcp {one.name}"
        others = f"; not in reads: {', '.join(one.others)}" if one.others else ""
        refused = [tool for tool in one.tools if tool.problem]
        if one.problem.startswith("not asked"):
            yield Look(what, "note", one.problem, "skyflo-runbooks serve")
        elif one.problem:
            yield Look(
                what, "broken", one.problem, f"See [mcp_servers.{one.name}] in skyflo.toml.", ExitCode.UNREACHABLE
            )
        elif refused:
            said = "; ".join(f"{tool.name}: {tool.problem}" for tool in refused)
            fix = "Look at what changed there; who starts the gateway again takes it as it is then."
            yield Look(what, "broken", f"{said}{others}", fix, ExitCode.UNKNOWN)
        else:
            fence = "; not fenced: this system has no Landlock" if one.fenced is False else ""
            yield Look(what, "ok", f"reads: {', '.join(tool.name for tool in one.tools) or 'none'}{others}{fence}")


def _alarms(said: Json) -> Iterator[Look]:
    for alarm in said.get("alarms", []):
        fix = "Look at it with 'skyflo-runbooks show', and at the gateway's log."
        if alarm["kind"] == "restored":
            fix = "Compare the cluster with its audit log: skyflo-runbooks ledger reconcile --audit-log FILE"
        yield Look("alarm", "broken", str(alarm["message"]), fix, ExitCode.UNKNOWN)


def _operator(environment: Environment) -> Look:
    if not environment.operator_file.exists():
        return Look("operator", "note", "this terminal cannot decide", operator.LOG_IN)
    said = _tried("operator", lambda: operator.load(environment.operator_file))
    if isinstance(said, Look):
        return said
    return Look("operator", "ok", f"{said.name} at {said.origin}")


def _kubeconfig(environment: Environment) -> Look:
    named = [Path(part) for part in environment.kubeconfig.split(os.pathsep) if part] or [Path("~/.kube/config")]
    there = [path.expanduser() for path in named if path.expanduser().is_file()]
    if there:
        return Look("kubeconfig", "ok", ", ".join(map(str, there)))
    fix = "Give 'serve' one with --kubeconfig, or practise: skyflo-runbooks practice start"
    return Look("kubeconfig", "note", f"none at {', '.join(map(str, named))}", fix)


def _practice(environment: Environment) -> Look:
    from skyflo_runbooks.practice import fleet

    running = fleet.status(environment.home)
    if running is None:
        return Look("practice", "note", "no practice cluster runs", "skyflo-runbooks practice start")
    return Look("practice", "ok", f"{running.scenario} at {running.url}")


def _jupyterlab() -> Look:
    import skyflo_kernel

    if importlib.util.find_spec("jupyterlab") is None:
        return Look("jupyterlab", "note", "not installed", "pip install 'skyflo-runbooks[lab]'")
    kernel = Path(skyflo_kernel.__file__).parent
    if not (kernel / "labextension" / "package.json").exists():
        return Look("jupyterlab", "note", "installed, without our extension", without_extension(kernel))
    return Look("jupyterlab", "ok", "installed, with our extension")


def without_extension(kernel: Path) -> str:
    """Return how to get the extension: a checkout, with its sources beside `kernel`, builds it; a wheel brings it."""
    if (kernel.parent / "labextension" / "package.json").is_file():
        return "make labextension"
    return (
        "This package was built without it. Runbooks work all the same (run their read cells by hand); to have it, "
        "install a wheel that was built after 'make labextension'."
    )


def _wall() -> Look:
    from skyflo_kernel.sandbox import available_modes, closes_ports

    mode = available_modes()[0]
    if mode == "none":
        fix = "Start it as root, use a kernel with Landlock, or install it in the cluster."
        return Look("isolation", "note", "'lab' would run Jupyter as this user, without a wall", fix)
    how = {"user": "as another user (nobody)", "landlock": "in a Landlock sandbox"}[mode]
    if not closes_ports(mode):
        said = f"'lab' would run Jupyter {how}, with this machine's ports open to cells"
        return Look("isolation", "note", said, "Linux 6.7 or newer closes them.")
    return Look("isolation", "ok", f"'lab' would run Jupyter {how}, all ports but its own closed; it tries them first")


def _model(environment: Environment) -> Look:
    said = environment.model or "none: the rules diagnose"
    return Look("model", "ok", said)


def _tried(what: str, look: Callable[[], T]) -> T | Look:
    try:
        return look()
    except SkyfloError as error:
        return Look(what, "broken", error.message, error.next_step, error.exit_code)
