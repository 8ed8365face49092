"""The configuration file `$SKYFLO_HOME/skyflo.toml`: what a flag and the environment leave open.

Rules:
  1. Flag > environment > file > default.
  2. A member that is not one of these is refused, by name. So a file that tries to switch the approval off does not
     start a gateway: there is no such member.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from skyflo_runbooks.gateway.foreign.file import ServerFile
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.model.errors import BadInput

if TYPE_CHECKING:
    from skyflo_runbooks.gateway.foreign.config import Server

NAME = "skyflo.toml"


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members of the file; paths may begin with `~`."""

    gateway_url: str = ""
    model: str = ""
    host: str = ""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    data_dir: str = ""
    kubeconfig: str = ""
    read_kubeconfig: str = ""
    context: str = ""
    jupyter_origin: str = ""
    expires: str = ""
    policy: PolicyFile | None = None
    mcp_servers: dict[str, ServerFile] | None = None

    @property
    def servers(self) -> "tuple[Server, ...]":
        """The operator's own MCP servers; `BadInput` where one of them cannot be."""
        if not self.mcp_servers:
            return ()
        from skyflo_runbooks.gateway.foreign.config import checked

        return checked(self.mcp_servers)


def load(home: Path) -> File:
    """Return what the file says; an empty one where there is none, `BadInput` where it says something else."""
    path = home / NAME
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return File()
    import tomllib

    try:
        file = msgspec.convert(tomllib.loads(raw.decode()), File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        from skyflo_runbooks.cli.config_help import next_step

        raise BadInput(f"{path} cannot be used: {error}.", next_step=next_step(str(error), File)) from None
    _ = file.servers  # a file that is wrong is refused by whatever reads it
    return file


def over(flags: File, file: File) -> File:
    """Return what the flags say, and where they are silent what the file says."""
    said = {name: getattr(flags, name) for name in File.__struct_fields__}
    return msgspec.structs.replace(file, **{name: value for name, value in said.items() if value not in ("", None)})


def path_of(said: str) -> Path | None:
    """Return a path that was said, absolute; None where nothing was."""
    return Path(said).expanduser().absolute() if said else None
