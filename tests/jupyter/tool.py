"""Another tool on this machine: a server without a token that runs what it is sent, and code that asks it to."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# Each way to reach a server at TCP port PORT, as code in a cell would go; `asked` gives what the server answered to
# REQUEST, and everything a refusal by the system. Ways that go by another process say so by its exit code.
ATTACK = """
import ctypes, json, os, socket, subprocess, sys, threading

V4, V6, MAPPED = ("127.0.0.1", PORT), ("::1", PORT), ("::ffff:127.0.0.1", PORT)
FAST, MULTIPATH = 0x20000000, 262


def tells(one):
    one.settimeout(10)
    one.sendall(REQUEST)
    return one.makefile("rb").readline().decode().strip()


def connect(address, family=socket.AF_INET, protocol=0):
    with socket.socket(family, socket.SOCK_STREAM, protocol) as one:
        one.settimeout(10)
        one.connect(address)
        return tells(one)


def at_once(send):
    with socket.socket() as one:
        # Without a time-out: with one it would be a socket that does not wait, and a send that only begins.
        send(one)
        one.settimeout(10)
        return one.makefile("rb").readline().decode().strip()


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("vectors", ctypes.c_void_p),
                ("count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]


def many(one):
    libc = ctypes.CDLL(None, use_errno=True)
    address = socket.AF_INET.to_bytes(2, sys.byteorder) + PORT.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    name, vector = ctypes.create_string_buffer(address), Vector(REQUEST, len(REQUEST))
    message = Message(ctypes.addressof(name), 16, ctypes.addressof(vector), 1, None, 0, 0, 0)
    if libc.sendmmsg(one.fileno(), ctypes.byref(message), 1, FAST) < 0:
        raise OSError(ctypes.get_errno(), "sendmmsg")


def by_thread():
    found = []
    def go():
        try:
            found.append(connect(V4))
        except OSError as error:
            found.append(error)
    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def by_program():
    code = f"import socket; s = socket.create_connection({V4!r}, 10); s.sendall({REQUEST!r}); "
    code += "print(s.makefile().readline())"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.stderr)
    return done.stdout.strip()


def by_new_session():
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            try:
                os.write(writer, connect(V4).encode())
            except OSError:
                pass
        os._exit(0)
    os.close(writer)
    os.wait()
    with os.fdopen(reader) as told:
        said = told.read()
    if not said:
        raise OSError("the new session was refused")
    return said


WAYS = {
    "connect": lambda: connect(V4),
    "by any address": lambda: connect(("0.0.0.0", PORT)),
    "IPv6": lambda: connect(V6, socket.AF_INET6),
    "IPv4 in IPv6": lambda: connect(MAPPED, socket.AF_INET6),
    "fast open": lambda: at_once(lambda one: one.sendto(REQUEST, FAST, V4)),
    "fast open, sendmsg": lambda: at_once(lambda one: one.sendmsg([REQUEST], [], FAST, V4)),
    "fast open, sendmmsg": lambda: at_once(many),
    "multipath": lambda: connect(V4, protocol=MULTIPATH),
    "thread": by_thread,
    "program": by_program,
    "new session": by_new_session,
}


def reached():
    found = {}
    for name, way in WAYS.items():
        try:
            found[name] = way()
        except OSError:
            pass
    return found
"""


@contextlib.contextmanager
def tool() -> Iterator[int]:
    """Serve at a free port of every address: a line of Python runs as the one who started this; gives the port."""
    six = socket.has_dualstack_ipv6()
    family, host = (socket.AF_INET6, "::") if six else (socket.AF_INET, "")
    with socket.create_server((host, 0), family=family, dualstack_ipv6=six) as listener:
        thread = threading.Thread(target=_serve, args=(listener,), name="tool")
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            # Wakes it from `accept`, which closing alone does not.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            asked, _ = listener.accept()
        except OSError:
            return
        with asked:
            line = asked.makefile("rb").readline().decode()
            done = subprocess.run([sys.executable, "-I", "-c", line], capture_output=True, check=False)
            asked.sendall(done.stdout)


def attack(port: int, secret: Path) -> str:
    """The code that asks the tool at `port` to tell what `secret` holds; it defines `reached()`."""
    request = f"print(open({str(secret)!r}).read())\n".encode()
    return f"PORT, REQUEST = {port}, {request!r}\n{ATTACK}"


def ways_of_this_machine() -> set[str]:
    """The ways that Linux has here, without a wall; the twin without one must take each of them."""
    ways = {"connect", "by any address", "thread", "program", "new session"}
    if socket.has_dualstack_ipv6():
        ways |= {"IPv4 in IPv6"} | ({"IPv6"} if _loopback6() else set())
    if int(_setting("ipv4/tcp_fastopen")) & 1:
        ways |= {"fast open", "fast open, sendmsg", "fast open, sendmmsg"}
    if _setting("mptcp/enabled") == "1":
        ways |= {"multipath"}
    return ways


def _setting(name: str) -> str:
    path = Path("/proc/sys/net") / name
    return path.read_text().strip() if path.exists() else "0"


def _loopback6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        return probe.connect_ex(("::1", 1)) != 99  # EADDRNOTAVAIL
