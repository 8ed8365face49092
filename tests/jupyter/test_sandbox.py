"""Hostile code where a kernel's code runs: what it looks for, and that it does not get it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from skyflo_kernel.sandbox import available_modes, landlock
from skyflo_kernel.sandbox.landlock import without
from skyflo_kernel.sandbox.modes import Plan, check_denied, clear
from skyflo_kernel.sandbox.mounts import outermost

from skyflo_runbooks.model.errors import NotAllowed
from tests import needs
from tests.jupyter import ordinary
from tests.jupyter.ground import Ground, Wall, answer, inside


@pytest.fixture
def bystander(wall: Wall) -> Iterator[int]:
    """A process outside of the wall, of the user who started it."""
    if wall != "ordinary":
        yield os.getpid()
        return
    code = "print('here', flush=True); input()"
    with subprocess.Popen(
        ordinary.command(sys.executable, "-c", code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        yield process.pid
        process.communicate("\n", timeout=30)


def test_the_gateways_data_cannot_be_read(wall: Wall, ground: Ground) -> None:
    """A denied path that every user may read is closed all the same."""
    found = inside(
        wall,
        ground,
        f"""
        import json, pathlib
        def tries(path):
            try:
                return path.read_text()
            except OSError as error:
                return type(error).__name__
        print(json.dumps(tries(pathlib.Path({str(ground.data)!r}) / "operator.json")))
        """,
    )
    assert answer(found) in ("PermissionError", "FileNotFoundError")


def test_kubeconfigs_and_the_rest_of_the_home_cannot_be_read(wall: Wall, ground: Ground) -> None:
    """The home of the one who started it is closed: nothing is found where credentials lie."""
    home = ground.person if wall == "ordinary" else Path("~").expanduser()
    found = inside(
        wall,
        ground,
        f"""
        import json, os, pathlib
        names = [".kube/config", ".bashrc", ".profile", ".cache", ".config", ".aws", ".ssh"]
        def opens(path):
            try:
                return bool(path.read_bytes() if path.is_file() else os.listdir(path))
            except OSError:
                return False
        print(json.dumps([name for name in names if opens(pathlib.Path({str(home)!r}) / name)]))
        """,
    )
    assert answer(found) == []


def test_another_process_cannot_be_looked_into(wall: Wall, ground: Ground, bystander: int) -> None:
    """The environment, memory and files of the process that started it, which holds credentials, are closed."""
    found = inside(
        wall,
        ground,
        f"""
        import json, os
        opened = []
        for name in ("environ", "mem", "maps", "fd/0", "cwd", "root"):
            path = "/proc/{bystander}/" + name
            try:
                os.readlink(path) if name in ("fd/0", "cwd", "root") else open(path, "rb").read(1)
                opened.append(name)
            except OSError:
                pass
        print(json.dumps(opened))
        """,
    )
    assert answer(found) == []


def test_another_process_cannot_be_signalled(wall: Wall, ground: Ground, bystander: int) -> None:
    """Jupyter cannot end or stop the gateway."""
    if wall != "user" and landlock.version() < 6:
        needs.missing("Landlock ABI 6", "Linux 6.12 or newer")
    found = inside(
        wall,
        ground,
        f"""
        import json, os
        try:
            os.kill({bystander}, 0)
            print(json.dumps("reached"))
        except PermissionError:
            print(json.dumps("refused"))
        """,
    )
    assert answer(found) == "refused"


def test_a_service_behind_a_local_socket_cannot_be_asked(wall: Wall, ground: Ground) -> None:
    """A session bus would start a process outside; a pair of sockets, which Python needs, still works."""
    with socket.socket(socket.AF_UNIX) as bus:
        address = ground.work / "bus"
        bus.bind(str(address))
        address.chmod(0o777)
        bus.listen()
        found = inside(
            wall,
            ground,
            f"""
            import json, socket
            socket.socketpair()
            try:
                socket.socket(socket.AF_UNIX).connect({str(address)!r})
                print(json.dumps("reached"))
            except PermissionError:
                print(json.dumps("refused"))
            """,
        )
    assert answer(found) == "refused"


def test_the_environment_holds_no_credential_but_the_kernel_token(wall: Wall, ground: Ground) -> None:
    """What is not on the list of kept names does not get in."""
    found = inside(
        wall,
        ground,
        "import json, os; print(json.dumps(dict(os.environ)))",
        KUBECONFIG="/etc/kubernetes/admin.conf",
        AWS_SECRET_ACCESS_KEY="aws",
        SSH_AUTH_SOCK="/run/agent",
        SKYFLO_KERNEL_TOKEN="kernel",
    )
    names = answer(found)
    assert isinstance(names, dict)
    assert names["SKYFLO_KERNEL_TOKEN"] == "kernel"
    assert not {"KUBECONFIG", "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK"} & set(names)
    assert names["HOME"] != str(Path("~").expanduser())


def test_work_can_be_done(wall: Wall, ground: Ground) -> None:
    """Packages import, the gateway answers, temporary files and the working folder can be written."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = inside(
            wall,
            ground,
            f"""
            import asyncio, json, multiprocessing, pathlib, socket, sqlite3, ssl, tempfile, zmq, skyflo_kernel
            socket.create_connection(("127.0.0.1", {server.getsockname()[1]})).close()
            asyncio.run(asyncio.sleep(0))
            multiprocessing.Lock()
            with tempfile.NamedTemporaryFile() as file:
                file.write(b"x")
            path = pathlib.Path({str(ground.work)!r}) / "made.txt"
            path.write_text("made")
            print(json.dumps(path.read_text()))
            """,
            "--ask",
            str(server.getsockname()[1]),
        )
    assert answer(found) == "made"
    assert (ground.work / "made.txt").read_text() == "made"


def test_nothing_outside_the_working_folder_can_be_written(wall: Wall, ground: Ground) -> None:
    """The package itself, which the next start would run, stays as it is."""
    found = inside(
        wall,
        ground,
        """
        import json, os, pathlib, skyflo_kernel
        def writes(path):
            try:
                path.write_text("")
                return True
            except OSError:
                return False
        here = pathlib.Path(skyflo_kernel.__file__).parent
        print(json.dumps([writes(here / "planted.py"), writes(pathlib.Path("/etc/planted"))]))
        """,
    )
    assert answer(found) == [False, False]


def test_a_module_planted_in_the_working_folder_does_not_run_outside(wall: Wall, ground: Ground) -> None:
    """The next start from that folder imports the real modules, before the sandbox is entered and as root."""
    for name in ("msgspec", "argparse", "skyflo_kernel"):
        (ground.work / f"{name}.py").write_text("raise SystemExit('planted code ran')")
    found = inside(wall, ground, "import json; print(json.dumps('started'))", cwd=ground.work)
    assert answer(found) == "started"


def test_a_denied_path_that_stays_open_is_a_refusal_to_start(ground: Ground) -> None:
    """Without a wall Jupyter does not start as if there were one: a mode that hides nothing cannot deny."""
    plan = Plan(mode="none", denied=(ground.data, ground.data / "gone"))
    with pytest.raises(NotAllowed, match="Jupyter was not started"):
        check_denied(plan)
    (ground.data / "operator.json").unlink()
    check_denied(plan)


def test_a_folder_that_the_user_cannot_write_is_said_in_words(ground: Ground) -> None:
    """One line and exit code 5, instead of a traceback of Jupyter."""
    needs.root()
    ground.work.chmod(0o700)
    found = inside("user", ground, "print('started')")
    assert found.returncode == 5
    assert "may not write to" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("user", ["root", "no-such-user"])
def test_a_user_that_is_no_wall_is_refused(ground: Ground, user: str) -> None:
    """Root, or nobody that exists, is bad input."""
    found = inside("user", ground, "print('started')", "--jupyter-user", user)
    assert found.returncode == 2
    assert "started" not in found.stdout


def test_without_a_sandbox_the_environment_is_cleared_all_the_same(ground: Ground) -> None:
    """Mode none hides nothing, and hands over no kubeconfig either."""
    found = inside("none", ground, "import json, os; print(json.dumps('KUBECONFIG' in os.environ))", KUBECONFIG="/x")
    assert answer(found) is False


def test_the_strongest_mode_comes_first() -> None:
    """Root gets another user; the last resort is always there and always last."""
    modes = available_modes()
    assert modes[-1] == "none"
    assert ("user" in modes) == (os.geteuid() == 0)
    assert "user" not in available_modes("no-such-user")


def test_a_tree_without_a_path_is_all_of_it_but_that(tmp_path: Path) -> None:
    """The neighbours on the way to the denied path are allowed one by one, links are not."""
    (tmp_path / "a" / "b" / "secret").mkdir(parents=True)
    (tmp_path / "a" / "c").mkdir()
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b" / "secret")
    denied = tmp_path / "a" / "b" / "secret"
    assert set(without(tmp_path, [denied])) == {tmp_path / "a" / "c", tmp_path / "d"}
    assert list(without(tmp_path / "d", [denied])) == [tmp_path / "d"]
    assert list(without(denied / "deeper", [denied])) == []


def test_a_folder_inside_another_is_shown_once(tmp_path: Path) -> None:
    """What lies in a shown folder needs no mount of its own, and what is not there needs none either."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert outermost([tmp_path / "a" / "b", tmp_path / "a", tmp_path / "gone"]) == [tmp_path / "a"]


def test_clearing_keeps_the_language_and_gives_a_home(tmp_path: Path) -> None:
    """The cleared environment is the same whatever else was set."""
    kept = clear({"LC_ALL": "C.UTF-8", "PATH": "/bin", "PYTHONPATH": "/evil", "LD_PRELOAD": "/evil.so"}, tmp_path)
    assert set(kept) == {"LC_ALL", "PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR"}
