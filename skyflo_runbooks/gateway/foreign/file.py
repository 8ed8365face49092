"""The members of `[mcp_servers.<name>]` in the configuration file. What they have to be is in `config`."""

import msgspec


class ServerFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members of `[mcp_servers.<name>]`."""

    url: str = ""
    command: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    env: dict[str, str] = {}
    reads: tuple[str, ...] = ()
