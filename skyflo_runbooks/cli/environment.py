"""What the command line takes from its environment, read once and handed down.

Rules:
  1. `SKYFLO_HOME` is where data lies; without it the system's own place for application data.
  2. `SKYFLO_GATEWAY_URL` and `SKYFLO_KERNEL_TOKEN` name a gateway. A URL without a token takes the token of
     `home/run/gateway.json` where both name the same address, and no other token.
  3. `SKYFLO_EXPIRES` is how long a proposal waits for its decision (`30m`), where no flag says it.
  4. `SKYFLO_DEBUG` shows tracebacks. Nothing in the environment can approve anything.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from skyflo_runbooks.cli import config


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The environment's part of the configuration; empty strings where nothing is said."""

    home: Path
    gateway_url: str = ""
    kernel_token: str = ""
    model: str = ""
    kubeconfig: str = ""
    expires: str = ""
    debug: bool = False

    @property
    def gateway_file(self) -> Path:
        """Where a running gateway says how to reach it."""
        return self.home / "run" / "gateway.json"

    @property
    def operator_file(self) -> Path:
        """Where this terminal's operator credential lies."""
        return self.home / "operator.json"

    @property
    def runs(self) -> Path:
        """Where the notebooks of runs are written."""
        return self.home / "runs"


def read(variables: Mapping[str, str]) -> Environment:
    """Return the environment that `variables` describe."""
    return Environment(
        home=home(variables),
        gateway_url=variables.get("SKYFLO_GATEWAY_URL", "").rstrip("/"),
        kernel_token=variables.get("SKYFLO_KERNEL_TOKEN", ""),
        model=variables.get("SKYFLO_MODEL", ""),
        kubeconfig=variables.get("KUBECONFIG", ""),
        expires=variables.get("SKYFLO_EXPIRES", ""),
        debug=bool(variables.get("SKYFLO_DEBUG")),
    )


def home(variables: Mapping[str, str]) -> Path:
    """Return `$SKYFLO_HOME`, else the system's place for application data."""
    said = variables.get("SKYFLO_HOME", "")
    if said:
        return Path(said).expanduser().absolute()
    import platformdirs

    return platformdirs.user_data_path("skyflo-runbooks", appauthor=False)


def current() -> Environment:
    """Return the environment of this process; what it leaves open, `skyflo.toml` may say."""
    said = read(os.environ)
    file = config.load(said.home)
    return msgspec.structs.replace(
        said, gateway_url=said.gateway_url or file.gateway_url.rstrip("/"), model=said.model or file.model
    )
