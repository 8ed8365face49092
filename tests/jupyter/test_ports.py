"""Ports around a kernel: no other tool's server can be asked, and none can be squatted."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from skyflo_kernel.sandbox import Block, Ports, landlock, ports

from skyflo_runbooks.cli import launch
from skyflo_runbooks.model.errors import BadInput
from tests import needs
from tests.jupyter.ground import SECRET, Ground, Wall, answer, inside
from tests.jupyter.tool import attack, tool, ways_of_this_machine

TELL = "\nprint(json.dumps(reached()))\n"


@pytest.fixture(autouse=True)
def closable() -> None:
    """Needs a kernel that closes ports at all."""
    if not landlock.closes_ports():
        needs.missing("Landlock ABI 4", "Linux 6.7 or newer with the landlock security module")


@pytest.fixture
def another_tool() -> Iterator[int]:
    """A server without a token that runs what it is sent, outside of every wall."""
    with tool() as port:
        yield port


def test_another_tools_server_cannot_be_asked(wall: Wall, ground: Ground, another_tool: int) -> None:
    """Not by any address, thread, process or session, nor by what Landlock alone lets pass."""
    found = inside(wall, ground, attack(another_tool, ground.data / "operator.json") + TELL)
    assert answer(found) == {}


def test_without_a_wall_it_tells_what_is_denied(ground: Ground, another_tool: int) -> None:
    """The same code bites where there is none, on each way that this machine has."""
    found = inside("none", ground, attack(another_tool, ground.data / "operator.json") + TELL)
    assert answer(found) == dict.fromkeys(ways_of_this_machine(), SECRET)


@pytest.mark.parametrize(
    ("weaker", "ways"),
    [
        ("seccomp._FAST_OPEN = 0", {"fast open", "fast open, sendmsg", "fast open, sendmmsg"}),
        ("seccomp._STREAMS = (0, 6, 262)", {"multipath"}),
    ],
)
def test_a_filter_without_one_of_its_rules_does_not_start(weaker: str, ways: set[str], ground: Ground) -> None:
    """Landlock alone is passed by; the listener that is tried before the start notices."""
    if not ways <= ways_of_this_machine():
        needs.missing(f"TCP by {', '.join(ways)}", "sysctl net.ipv4.tcp_fastopen=1 net.mptcp.enabled=1")
    done = weakened(f"from skyflo_kernel.sandbox import seccomp; {weaker}", ground)
    assert done.returncode == 5
    assert "A port that is closed answers all the same" in done.stderr
    assert "started" not in done.stdout


def test_a_kernel_that_closes_no_ports_starts_with_all_open(ground: Ground, another_tool: int) -> None:
    """As Linux before 6.7: the other walls stand, kernels take ports as they always do, and `lab` warns."""
    code = f"import os, socket; socket.create_connection(('127.0.0.1', {another_tool})); print(sorted(os.environ))"
    older = "from skyflo_kernel.sandbox import landlock; landlock._NET_ABI = 1000"
    done = weakened(older, ground, code)
    assert done.returncode == 0, done.stderr
    assert ports.VARIABLE not in done.stdout


def weakened(change: str, ground: Ground, code: str = "print('started')") -> subprocess.CompletedProcess[str]:
    """Run the launcher after a change of its code."""
    options = ["--mode", "landlock", "--work", str(ground.work), "--kernels", "61000-61004"]
    arguments = [*options, "--", sys.executable, "-P", "-c", code]
    start = f"import sys; {change}; from skyflo_kernel.sandbox.__main__ import main; sys.exit(main({arguments!r}))"
    return subprocess.run([sys.executable, "-P", "-c", start], capture_output=True, text=True, timeout=60, check=False)


def test_only_its_own_ports_are_served(wall: Wall, ground: Ground) -> None:
    """Jupyter's own and a kernel's can be bound; a free one, the gateway's on another address, and any one cannot."""
    with socket.create_server(("127.0.0.1", 0)) as gateway:
        asked = gateway.getsockname()[1]
        own, block = launch.free_port(), launch.free_block(5)
        code = f"""
            import json, socket
            def binds(port, host="127.0.0.1"):
                try:
                    with socket.socket() as one:
                        one.bind((host, port))
                        one.listen()
                    return True
                except PermissionError:
                    return False
            print(json.dumps([binds({own}), binds({block.first}), binds({block.last}),
                              binds({block.last + 1}), binds({asked}, "127.0.0.2"), binds(0)]))
            """
        options = ["--ask", str(asked), "--serve", str(own), "--kernels", str(block)]
        assert answer(inside(wall, ground, code, *options)) == [True, True, True, False, False, False]


def test_sockets_without_ports_cannot_be_made(wall: Wall, ground: Ground) -> None:
    """No datagrams (a resolver, QUIC), raw packets, machines' hosts, or streams that become TCP below."""
    kinds = {
        "udp": (socket.AF_INET, socket.SOCK_DGRAM, 0),
        "udp6": (socket.AF_INET6, socket.SOCK_DGRAM, 0),
        "ping": (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
        "raw": (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP),
        "sctp": (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP),
        "packet": (socket.AF_PACKET, socket.SOCK_RAW, 0),
        "vsock": (socket.AF_VSOCK, socket.SOCK_STREAM, 0),
        "smc": (43, socket.SOCK_STREAM, 0),
        "tipc": (socket.AF_TIPC, socket.SOCK_STREAM, 0),
        "audit": (socket.AF_NETLINK, socket.SOCK_RAW, 9),
        "tcp": (socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP),
    }
    code = f"""
        import json, socket
        made = []
        for name, kind in { ({name: tuple(map(int, kind)) for name, kind in kinds.items()})!r}.items():
            try:
                socket.socket(*kind).close()
                made.append(name)
            except PermissionError:
                pass
        print(json.dumps(made))
        """
    assert answer(inside(wall, ground, code)) == ["tcp"]


def test_a_port_that_was_opened_is_open_and_no_other(wall: Wall, ground: Ground, another_tool: int) -> None:
    """By TCP's own ways, and names can be asked for; what is no TCP stays out."""
    code = attack(another_tool, ground.data / "operator.json")
    code += "\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()\nprint(json.dumps(sorted(reached())))\n"
    found = answer(inside(wall, ground, code, "--open-port", str(another_tool)))
    passed_by = {"fast open", "fast open, sendmsg", "fast open, sendmmsg", "multipath"}
    assert found == sorted(ways_of_this_machine() - passed_by)
    code = attack(another_tool, ground.data / "operator.json") + TELL
    assert answer(inside(wall, ground, code, "--open-port", "443")) == {}


def test_jupyter_is_told_the_ports_of_its_kernels(wall: Wall, ground: Ground) -> None:
    """And with them whom to ask for one."""
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    found = answer(inside(wall, ground, code, "--kernels", "61000-61004"))
    assert isinstance(found, dict)
    assert (found[ports.VARIABLE], found["JUPYTER_DEFAULT_PROVISIONER_NAME"]) == ("61000-61004", ports.PROVISIONER)


def test_kernels_share_their_block_with_whom_they_ask() -> None:
    """Jupyter's own port is served and not asked; the gateway's is asked and not served."""
    tcp = Ports(serve=(1,), ask=(2,), kernels=Block(5, 6), opened=(443,)).tcp
    assert (sorted(tcp.bind), sorted(tcp.connect)) == ([1, 5, 6], [2, 5, 6, 443])
    assert not any(Ports().tcp)


@pytest.mark.parametrize("said", ["", "61000", "61004-61000", "0-5", "65000-65536", "a-b", "1-2-3"])
def test_what_is_no_block_is_bad_input(said: str) -> None:
    """In words, before anything is started."""
    with pytest.raises(BadInput, match="no block of ports"):
        ports.block(said)


def test_a_block_is_read_as_it_is_written() -> None:
    """From first to last, both among them."""
    assert ports.block(str(Block(61000, 61002))).ports == range(61000, 61003)


def test_a_free_block_is_none_that_the_system_gives_out() -> None:
    """A server that asks for any port never comes to lie in it; what is taken is left out."""
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    first = launch.free_block()
    assert len(first.ports) == 100
    assert first.last < low or first.first > high
    with socket.create_server(("127.0.0.1", first.first + 50)):
        assert set(launch.free_block().ports).isdisjoint(first.ports)


def test_a_block_that_somebody_holds_is_given_to_nobody_else() -> None:
    """Two Jupyters that start at once share no port, also before either has a kernel; a block let go is free again."""
    first = launch.free_block()
    second = launch.free_block()
    assert set(first.ports).isdisjoint(second.ports)
    again = str(first)
    del first
    assert str(launch.free_block()) == again


def test_the_listener_that_is_tried_is_never_at_an_open_port() -> None:
    """What is tried from inside has to be closed."""
    with ports.Decoy(frozenset(range(0, 65536, 2))) as decoy:
        assert decoy.port % 2 == 1
