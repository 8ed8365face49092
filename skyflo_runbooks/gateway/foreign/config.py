"""`[mcp_servers.<name>]` of the configuration file: where a server is, what it is given, and which of its tools read.

Rules:
  1. A server is reached by `url` or by `command`, a list of arguments; there is no shell.
  2. A secret is not written into the file: a value names a variable of the gateway's environment, `${NAME}`, or a file,
     `${file:/path}`. It is looked up when the server is reached. A header or variable whose name says that it is
     secret has to be given so. Over plain http nothing is handed to another machine.
  3. `reads` are the tools that the operator says are read-only, by their names there; `name@digest` says also how such
     a tool has to be described, over every start of the gateway. There is no member that allows a change.
  4. A tool is offered as `<name>_<tool>`. A server's name has no underscore, so no two of them offer the same; it does
     not begin as our own tools do, nor look so.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from skyflo_mcp.foreign.way import Way

from skyflo_runbooks.gateway.foreign.file import ServerFile
from skyflo_runbooks.gateway.redaction import says_secret
from skyflo_runbooks.model.errors import BadInput

RESERVED = ("k8s", "kubernetes", "kubectl", "wait", "helm", "argo", "jenkins", "observability", "skyflo", "runbook")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_TOOL = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,63})(?:@([0-9a-f]{12,64}))?")
_REFERENCE = re.compile(r"\$\{([^{}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_FILE = "file:"
_LARGEST_SECRET = 64 * 2**10
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")
# Variables that every process of a user has and that are no secrets: hiding them would hide every path.
_PLAIN = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"})
_LOOK = str.maketrans({"0": "o", "1": "l", "3": "e", "5": "s", "8": "b", "-": None, "_": None, ".": None})


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server as configured. `reads` has the tools that read, with the beginning of a digest or nothing."""

    name: str
    url: str = ""
    command: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    env: dict[str, str] = {}
    reads: dict[str, str] = {}


def checked(servers: Mapping[str, ServerFile]) -> tuple[Server, ...]:
    """Return the servers that the file names, or raise `BadInput` by the rules above."""
    return tuple(_server(name, said) for name, said in servers.items())


def offered_as(server: str, tool: str) -> str:
    """Return the name under which a server's tool is offered."""
    return f"{server}_{tool}"


def _server(name: str, said: ServerFile) -> Server:
    _check_name(name)
    where = f"[mcp_servers.{name}]"
    if bool(said.url) == bool(said.command):
        raise BadInput(f"{where} says where it is by url or by command, one of them.")
    if said.url:
        _check_url(where, said)
    elif said.headers or not all(said.command) or any("\0" in part for part in said.command):
        raise BadInput(
            f"{where}: command is a list of arguments, none of them empty, and a command has no headers.",
            next_step='As in command = ["npx", "-y", "some-server"], with env for what it is given.',
        )
    if said.url and said.env:
        raise BadInput(f"{where}: env is for a command; give a server at a url its headers.")
    for member, values in (("headers", said.headers), ("env", said.env)):
        for key, value in values.items():
            _check_value(f"{where} {member}.{key[:60]}", member, key, value)
    return Server(
        name=name,
        url=said.url,
        command=said.command,
        headers=said.headers,
        env=said.env,
        reads=_reads(where, said.reads),
    )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"An MCP server cannot be named {name[:60]!r}.",
            next_step="Use small letters, digits and '-', beginning with a letter; at most 31 of them.",
        )
    if any(looks(name).startswith(looks(ours)) for ours in RESERVED):
        raise BadInput(
            f"An MCP server cannot be named {name!r}: its tools would look like our own.",
            next_step=f"Give it a name that does not begin like {', '.join(RESERVED)}.",
        )


def looks(name: str) -> str:
    """Return what a name looks like at a glance: digits as the letters that they resemble, without dots and dashes."""
    return name.lower().translate(_LOOK)


def _check_url(where: str, said: ServerFile) -> None:
    try:
        parts = urlsplit(said.url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise BadInput(f"{where}: its url is none.", next_step="As in https://host/mcp.") from None
    if parts.scheme not in ("http", "https") or not host or not said.url.isprintable() or " " in said.url:
        raise BadInput(f"{where}: its url is none.", next_step="As in https://host/mcp.")
    if parts.username is not None or parts.fragment:
        raise BadInput(f"{where}: a password does not stand in a url.", next_step="Give it as a header.")
    if parts.scheme == "http" and said.headers and host not in _LOOPBACK:
        raise BadInput(f"{where}: over plain http the headers could be read on the way.", next_step="Use https.")


def _check_value(where: str, member: str, key: str, value: str) -> None:
    if not (_HEADER if member == "headers" else _VARIABLE).fullmatch(key):
        raise BadInput(f"{where}: this cannot be a name there.")
    if not value.isprintable():
        raise BadInput(f"{where}: a value is one line of printable text.")
    references = _REFERENCE.findall(value)
    if "${" in _REFERENCE.sub("", value) or not all(_is_reference(one) for one in references):
        raise BadInput(f"{where}: a reference is ${{NAME}} or ${{file:/path}}.")
    if not references and (says_secret(key) or key.lower() in _SECRET_HEADERS):
        raise BadInput(
            f"{where}: this is a secret, and it is written down here.",
            next_step="Name the gateway's variable, as in ${NAME}, or a file, as in ${file:/path}.",
        )


def _is_reference(text: str) -> bool:
    return text.startswith((f"{_FILE}/", f"{_FILE}~/")) or bool(_VARIABLE.fullmatch(text))


def _reads(where: str, said: tuple[str, ...]) -> dict[str, str]:
    reads: dict[str, str] = {}
    for one in said:
        found = _TOOL.fullmatch(one)
        if found is None:
            raise BadInput(
                f"{where}: {one[:60]!r} in reads is no tool's name.",
                next_step="A name has letters, digits, '_', '-' and '.'; name@digest pins how it is described.",
            )
        twin = next((known for known in reads if looks(known) == looks(found[1])), "")
        if twin:
            raise BadInput(f"{where}: {found[1]} in reads is, or looks like, {twin}.")
        reads[found[1]] = found[2] or ""
    return reads


def resolved(server: Server, variables: Mapping[str, str]) -> tuple[Way, frozenset[str]]:
    """Return how a server is reached now, with what its references stand for, and the secrets among it.

    A process gets PATH and LANG besides what `env` names: without them hardly any starts.
    """
    secrets: set[str] = set()

    def value(text: str) -> str:
        return _REFERENCE.sub(lambda found: _looked_up(server.name, found[1], variables, secrets), text)

    if server.url:
        headers = {key: value(text) for key, text in server.headers.items()}
        return Way(url=server.url, headers=headers), frozenset(secrets)
    base = {"PATH": variables.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8"}
    environment = base | {key: value(text) for key, text in server.env.items()}
    return Way(command=server.command, environment=environment), frozenset(secrets)


def _looked_up(server: str, reference: str, variables: Mapping[str, str], secrets: set[str]) -> str:
    """Return what a reference stands for. Its name may be told, its value never."""
    if not reference.startswith(_FILE):
        value = variables.get(reference, "")
    else:
        try:
            path = Path(reference.removeprefix(_FILE)).expanduser()
            value = path.read_bytes()[:_LARGEST_SECRET].decode().strip()
        except (OSError, UnicodeDecodeError, RuntimeError):
            value = ""
    if not value or not value.isprintable():
        raise BadInput(
            f"[mcp_servers.{server}]: ${{{reference}}} is not there, is empty, or is not one line of text.",
            next_step="Give it to the gateway, and try again.",
        )
    if reference not in _PLAIN:
        secrets.add(value)
    return value
