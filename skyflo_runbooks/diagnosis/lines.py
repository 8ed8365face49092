"""What a line of a log says, whichever library wrote it: the words that several parts look for."""

import re
from collections.abc import Sequence

# A host's name was not found: getaddrinfo in C, Go, Node and Java, nginx, and resolvers' own words.
NO_HOST = re.compile(
    r"(?i)no such host|could not resolve(?! placeholder)|name or service not known|getaddrinfo|ENOTFOUND|EAI_AGAIN"
    r"|name resolution|could not translate host name|host not found in upstream|NXDOMAIN|server misbehaving"
    r"|UnknownHostException|lookup \S+ on \S+:53"
)
# A credential was refused: HTTP, PostgreSQL, MySQL, MongoDB, Redis, AMQP.
_REFUSED = re.compile(
    r"(?i)\b401\b|unauthori[sz]ed|authentication (?:failed|failure|error)|auth(?:entication)? failed|access denied for"
    r"|access_refused|invalid (?:password|credentials|token|api key)|password (?:authentication failed|is incorrect)"
    r"|WRONGPASS|NOAUTH|token (?:is )?expired|login failed"
)
# A registry does not let somebody pull, in the words of registries and runtimes.
_NO_PULL = re.compile(
    r"(?i)\b401\b|\b403\b|unauthorized|denied|no basic auth|authorization failed|authentication required"
)
# What a kubelet writes in the place of a log that it has no more: pkg/kubelet/kuberuntime/logs/logs.go.
_NO_LOG = re.compile(
    r"(?:unable to retrieve container logs for \w+://\S*|failed to try resolving symlinks in path [^\n]*)\s*"
)


# A line says that something went wrong: levels of loggers and syslog, names of errors as languages write them
# (`KeyError`, `java.lang.OutOfMemoryError`, `TypeError [ERR_…]`), and what runtimes say of a process that ends.
_ERROR = re.compile(
    r"(?i)\b(?:fatal|panic|panicked|emerg|crit|critical|severe|error|exception|traceback|unhandled|uncaught|abort(?:ed|ing)?"
    r"|assertion|segmentation fault|core dumped|stack overflow)\b|(?-i:\b\w*[a-z](?:Error|Exception|Fault)\b)"
)
_KIND = re.compile(r"(?:^|[\s.\[(\"'])(?:[\w.]*[a-z])?(?:Error|Exception)\b[^:=]{0,40}:\s*\S|\bpanic: |\bpanicked at ")
_OF_A_STACK = re.compile(r"\s+at \S|\s+File \"|\s*\^+\s*$|\tat ")
# A line says what was not possible.
_NOT_DONE = re.compile(
    r"(?i)\b(?:cannot|can't|couldn't|could not|failed|unable|refused|denied|invalid|not found|no such|not permitted"
    r"|does not exist)\b"
)


def tells_error(text: str) -> bool:
    """Return whether a text says of itself that something went wrong."""
    return _ERROR.search(text) is not None


def tells_failure(text: str) -> bool:
    """Return whether a text says that something went wrong, or that something was not possible."""
    return tells_error(text) or _NOT_DONE.search(text) is not None


def last_error(lines: Sequence[str]) -> str:
    """Return the line that tells best what went wrong, or nothing where none does.

    The last that names an error by its kind (`KeyError: …`); else the last that says of itself that it is one, or that
    something was not possible. Lines of a stack (`at …`, `File "…"`) tell where and not what.
    """
    said = [line for line in lines if not _OF_A_STACK.match(line)]
    for words in (_KIND.search, tells_failure):
        found = next((line for line in reversed(said) if words(line)), "")
        if found:
            return found
    return ""


def refuses_pull(text: str) -> bool:
    """Return whether a text says that a registry refused a pull."""
    return _NO_PULL.search(text) is not None


# The name itself, as those libraries write it: after the word that says what failed, or before `: no such host`.
_LOST = re.compile(
    r"""(?i)(?:\blookup|\bENOTFOUND|\bEAI_AGAIN|\bnot\s+found\s+in\s+upstream|UnknownHostException:?|resolve(?:\s+host(?:\s?name)?)?:?|host\s?name)\s*
    (?:failed\s+for\s+)?["']?(?!(?:addresses|address|because|dns|due|error|failed|failure|for|host|hostname|is|it
    |names?|not|of|on|the|this|timed|to|was)\b(?![.-]))
    (?P<host>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\.?)(?=$|["':,;)\s])""",
    re.VERBOSE,
)


def lost_host(text: str) -> str:
    """Return the name of the host that a text says was not found; empty where it does not say which."""
    found = _LOST.search(text)
    return found["host"].lower().rstrip(".") if found else ""


def no_log(text: str) -> bool:
    """Return whether a text is no log at all, but a kubelet's word that it has none."""
    return _NO_LOG.fullmatch(text) is not None


def finds_no_host(text: str) -> bool:
    """Return whether a text says that a host's name was not found."""
    return NO_HOST.search(text) is not None


def refuses_credential(text: str) -> bool:
    """Return whether a text says that a password, token or key was refused."""
    return _REFUSED.search(text) is not None
