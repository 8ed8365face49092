"""What the command line says of the operator's own MCP servers.

A running gateway is asked, because it alone reaches them. Without one, what `skyflo.toml` names is said, and that it
was not looked at.
"""

import msgspec

from skyflo_runbooks.cli import client, config
from skyflo_runbooks.cli.environment import Environment
from skyflo_runbooks.gateway.foreign.standing import Offered, Standing
from skyflo_runbooks.model.errors import SkyfloError

NOT_ASKED = "not asked: no gateway is running here"


def standing(environment: Environment) -> list[Standing]:
    """Return how the servers stand; empty where there are none."""
    if environment.gateway_url or environment.gateway_file.exists():
        try:
            said = client.find(environment).get("/api/v1/servers")
            return msgspec.convert(said, list[Standing])
        except SkyfloError as error:
            return configured(environment, f"not asked: {error.message}")
    return configured(environment, NOT_ASKED)


def configured(environment: Environment, problem: str) -> list[Standing]:
    """Return the servers that the file names, with `problem` for each."""
    return [
        Standing(
            one.name, problem, tuple(Offered(f"{one.name}_{tool}", one.name, problem=problem) for tool in one.reads)
        )
        for one in config.load(environment.home).servers
    ]
