"""Where the gateway is: for the kernel, and for the Jupyter server.

Rules:
  1. `SKYFLO_GATEWAY_URL` and `SKYFLO_KERNEL_TOKEN` say it.
  2. Where one of them is missing, `$SKYFLO_HOME/run/gateway.json` does. A URL in the environment without a token takes
     the file's token only where both name the same address, so that a token never goes to another place.
  3. Without either there is no gateway: none is started here, and no kubeconfig takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from skyflo_runbooks.model.errors import Unreachable

START = "Start one with 'skyflo-runbooks serve', or JupyterLab with one by 'skyflo-runbooks lab'."


class Door(msgspec.Struct, frozen=True):
    """Where the gateway listens, and the kernel token. The token shows in no representation."""

    url: str
    token: str

    def __repr__(self) -> str:
        return f"Door(url={self.url!r})"


def home(variables: Mapping[str, str]) -> Path:
    """`$SKYFLO_HOME`, else the system's place for application data."""
    said = variables.get("SKYFLO_HOME", "")
    if said:
        return Path(said).expanduser()
    import platformdirs

    return platformdirs.user_data_path("skyflo-runbooks", appauthor=False)


def find_door(variables: Mapping[str, str] | None = None) -> Door:
    """The gateway that the environment or `gateway.json` names; `Unreachable` where there is none."""
    if variables is None:
        import os

        variables = os.environ
    url, token = variables.get("SKYFLO_GATEWAY_URL", ""), variables.get("SKYFLO_KERNEL_TOKEN", "")
    if url and token:
        return Door(url.rstrip("/"), token)
    file = home(variables) / "run" / "gateway.json"
    written = _read(file)
    if url and not _same(url, written.url):
        raise Unreachable(
            f"SKYFLO_GATEWAY_URL is {url}, without a SKYFLO_KERNEL_TOKEN, and {file} is about {written.url}.",
            next_step="Set both variables, or neither.",
        )
    return Door(written.url.rstrip("/"), token or written.token)


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _read(file: Path) -> Door:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Door)
    except FileNotFoundError:
        raise Unreachable(f"There is no gateway: {file} does not exist.", next_step=START) from None
    except PermissionError:
        raise Unreachable(
            f"{file} may not be read by this user.",
            next_step="Set SKYFLO_GATEWAY_URL and SKYFLO_KERNEL_TOKEN, or start Jupyter by 'skyflo-runbooks lab'.",
        ) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise Unreachable(f"{file} cannot be used ({type(error).__name__}).", next_step=START) from None
