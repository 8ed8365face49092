"""How the operator's own MCP servers stand, as the gateway tells it."""

import msgspec

from skyflo_runbooks.model.json import Json


class Offered(msgspec.Struct, frozen=True):
    """One tool of a server: what it does in the server's words, or in `problem` why it is refused."""

    name: str
    domain: str
    description: str = ""
    schema: Json = {}
    digest: str = ""
    problem: str = ""


class Standing(msgspec.Struct, frozen=True):
    """How a server stands: in `problem` why it does not answer, its tools that `reads` names, the names of others.

    `fenced` says of a command whether the gateway's own files are kept from it; of a url it is None.
    """

    name: str
    problem: str
    tools: tuple[Offered, ...]
    others: tuple[str, ...] = ()
    fenced: bool | None = None
