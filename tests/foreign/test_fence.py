"""A server's process runs beside the gateway as the same user, and without the gateway's files."""

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest
import skyflo_kernel
import skyflo_mcp
from skyflo_kernel.sandbox import landlock
from skyflo_kernel.sandbox.fence import fenced, own_code

import skyflo_runbooks
from skyflo_runbooks.cli import config
from skyflo_runbooks.cli.environment import Environment
from skyflo_runbooks.cli.serve import settings_of
from skyflo_runbooks.gateway.foreign.catalogue import Foreign
from skyflo_runbooks.gateway.foreign.file import ServerFile
from tests import needs
from tests.foreign.reaching import KERNEL, SHOP, VARIABLES, configured

LOOK = """
import json, os, sys

def seen(path):
    try:
        with open(path, "rb") as file:
            return bool(file.read(1))
    except OSError:
        return False

def written(path):
    try:
        open(path, "w").close()
        return True
    except OSError:
        return False

print(json.dumps({"read": [seen(path) for path in sys.argv[1:-1]], "written": written(sys.argv[-1])}))
"""


@pytest.fixture(autouse=True)
def _landlock() -> None:
    if landlock.version() == 0:
        needs.missing("Landlock", "a Linux kernel 5.13 or newer with the landlock security module")


def looked(denied: list[Path], *paths: Path, kept: Sequence[Path] = ()) -> dict[str, object]:
    """Return which paths a fenced program could read, and whether it could write the last."""
    launched = fenced(denied)
    more = [part for path in kept for part in ("--keep", str(path))]
    command = [*launched[:-1], *more, launched[-1], sys.executable, "-S", "-c", LOOK, *map(str, paths)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(ran.stdout)
    return found


def test_what_is_denied_is_closed_and_the_rest_is_open(tmp_path: Path) -> None:
    """Also through a link, in another folder's name, and in the environment of who started it."""
    secret, plain = tmp_path / "home" / "secret", tmp_path / "plain" / "file"
    for path in (secret, plain):
        path.parent.mkdir()
        path.write_text("x")
    link = tmp_path / "plain" / "link"
    link.symlink_to(secret)
    around = tmp_path / "plain" / ".." / "home" / "secret"
    outside = Path(f"/proc/{os.getpid()}/environ")
    found = looked([secret.parent], secret, link, around, outside, plain, plain)
    assert found == {"read": [False, False, False, False, True], "written": True}
    assert looked([secret.parent], plain, secret)["written"] is False
    assert looked([], secret, plain) == {"read": [True], "written": True}


def test_a_denied_file_that_comes_later_is_closed(tmp_path: Path) -> None:
    """And nothing can be made in its place."""
    later = tmp_path / "later"
    assert looked([later], later, later)["written"] is False
    assert not later.exists()


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    """Said in a line."""
    ran = subprocess.run([*fenced([tmp_path]), "/nowhere"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (2, "It could not be started: No such file or directory.\n")


def test_what_serve_denies(tmp_path: Path) -> None:
    """The home with its record and credentials, and every kubeconfig that it uses or could."""
    for name in ("write", "read"):
        (tmp_path / name).write_text("")
    servers = {"shop": ServerFile(command=("shop-mcp",))}
    said = config.File(
        kubeconfig=str(tmp_path / "write"),
        read_kubeconfig=str(tmp_path / "read"),
        data_dir="/var/d",
        mcp_servers=servers,
    )
    environment = Environment(home=tmp_path / "home", kubeconfig=f"/one{os.pathsep}/two")
    settings = settings_of(environment, said, "none")
    denied = {settings.mcp_fence[place + 1] for place, part in enumerate(settings.mcp_fence) if part == "--deny"}
    assert denied == {
        *(str(tmp_path / name) for name in ("home", "write", "read")),
        *("/var/d", "/one", "/two", str(Path("~/.kube").expanduser())),
    }
    at_a_url = config.File(mcp_servers={"shop": ServerFile(url="https://shop.example/mcp")})
    assert settings_of(environment, at_a_url, "none").mcp_fence == ()


async def test_a_server_behind_it_serves(tmp_path: Path) -> None:
    """Over its standard streams, as ever, and it says that it is fenced."""
    foreign = Foreign([configured("honest")], VARIABLES, fence=fenced([tmp_path]))
    try:
        assert (await foreign.read("shop_status", SHOP, KERNEL))["answer"]["shop"] == "open"
        assert (await foreign.standing())[0].fenced
    finally:
        await foreign.aclose()


def test_the_gateways_own_code_cannot_be_changed(tmp_path: Path) -> None:
    """What is put among the installed packages, or into a module, would run outside at the next start."""
    packages = Path(sysconfig.get_path("purelib"))
    copied = tmp_path / "site-packages"
    copied.mkdir()
    module = copied / "module.py"
    module.write_text("x")
    for tried in (packages / "skyflo-fence-test.pth", Path(landlock.__file__).parent / "skyflo_fence_test.py"):
        assert looked([], module, tried) == {"read": [True], "written": False}
        assert not tried.exists()
    assert looked([], module, copied / "new.pth", kept=[copied]) == {"read": [True], "written": False}
    assert looked([], module, module, kept=[copied])["written"] is False
    assert looked([], module, copied / "new.pth") == {"read": [True], "written": True}
    assert looked([], module, module)["written"] is True


def test_what_is_its_own_code() -> None:
    """Python, what is installed in it, the sources of an editable install, and wherever else it looks for modules."""
    kept = own_code()
    for module in (skyflo_runbooks, skyflo_mcp, skyflo_kernel, os, pytest):
        assert any(folder in Path(str(module.__file__)).resolve().parents for folder in kept), module
    assert {Path(sys.prefix).resolve(), Path(sys.base_prefix).resolve()} <= set(kept)
    assert Path.cwd() not in kept


SOCKETS = """
import json, socket

def made(family, kind):
    try:
        socket.socket(family, kind).close()
        return True
    except OSError:
        return False

a, b = socket.socketpair()
print(json.dumps([made(socket.AF_UNIX, socket.SOCK_STREAM), made(socket.AF_INET, socket.SOCK_STREAM),
                  made(socket.AF_INET6, socket.SOCK_DGRAM)]))
"""


def test_no_local_socket_is_made() -> None:
    """A container engine listens at one. The network stays, and so does a pair of sockets within the process."""
    command = [sys.executable, "-S", "-c", SOCKETS]
    outside = subprocess.run(command, capture_output=True, text=True, check=True)
    inside = subprocess.run([*fenced([]), *command], capture_output=True, text=True, check=True)
    assert json.loads(outside.stdout) == [True, True, True]
    assert json.loads(inside.stdout) == [False, True, True]
