"""The configuration file `$SKYFLO_HOME/skyflo.toml`: what a flag and the environment leave open.

Rules:
  1. Flag > environment > file > default.
  2. A member that is not one of these is refused, by name. So a file that tries to switch the approval off does not
     start a gateway: there is no such member.
"""

from pathlib import Path

import msgspec

from skyflo_runbooks.model.errors import BadInput

NAME = "skyflo.toml"


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The members of the file; paths may begin with `~`."""

    gateway_url: str = ""
    model: str = ""
    host: str = ""
    port: int | None = None
    data_dir: str = ""
    kubeconfig: str = ""
    read_kubeconfig: str = ""
    context: str = ""
    jupyter_origin: str = ""


def load(home: Path) -> File:
    """Return what the file says; an empty one where there is none, `BadInput` where it says something else."""
    path = home / NAME
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return File()
    import tomllib

    try:
        return msgspec.convert(tomllib.loads(raw.decode()), File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        known = ", ".join(File.__struct_fields__)
        raise BadInput(f"{path} cannot be used: {error}.", next_step=f"It may say: {known}.") from None


def path_of(flag: Path | None, said: str) -> Path | None:
    """Return the flag's path, else the file's."""
    if flag is not None or not said:
        return flag
    return Path(said).expanduser()
