"""What a line of a log says, whichever library wrote it: the words that several parts look for."""

import re

# A host's name was not found: getaddrinfo in C, Go, Node and Java, and resolvers' own words.
_NO_HOST = re.compile(
    r"(?i)no such host|could not resolve|name or service not known|getaddrinfo|ENOTFOUND|EAI_AGAIN|name resolution"
    r"|NXDOMAIN|server misbehaving|UnknownHostException|lookup \S+ on \S+:53"
)
# A credential was refused: HTTP, PostgreSQL, MySQL, MongoDB, Redis, AMQP.
_REFUSED = re.compile(
    r"(?i)\b401\b|unauthori[sz]ed|authentication (?:failed|failure|error)|auth(?:entication)? failed|access denied for"
    r"|access_refused|invalid (?:password|credentials|token|api key)|password (?:authentication failed|is incorrect)"
    r"|WRONGPASS|NOAUTH|token (?:is )?expired|login failed"
)
# What a kubelet writes in the place of a log that it has no more: pkg/kubelet/kuberuntime/logs/logs.go.
_NO_LOG = re.compile(
    r"(?:unable to retrieve container logs for \w+://\S*|failed to try resolving symlinks in path [^\n]*)\s*"
)


def no_log(text: str) -> bool:
    """Return whether a text is no log at all, but a kubelet's word that it has none."""
    return _NO_LOG.fullmatch(text) is not None


def finds_no_host(text: str) -> bool:
    """Return whether a text says that a host's name was not found."""
    return _NO_HOST.search(text) is not None


def refuses_credential(text: str) -> bool:
    """Return whether a text says that a password, token or key was refused."""
    return _REFUSED.search(text) is not None
