"""`serve`: the gateway alone, in this process.

The first line on standard output holds the address and a one-time link, also where output is a file: it is how other
programs, and `lab`, learn them. There is no option here that weakens the approval, because the service has none.
"""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from skyflo_runbooks.cli import config
from skyflo_runbooks.cli.config import File
from skyflo_runbooks.cli.environment import Environment, current
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.model.errors import BadInput, ExitCode
from skyflo_runbooks.service.settings import USUAL_LIFE, Settings, life

PORT = 7717


def serve(
    host: Annotated[str, typer.Option("--host", help="Default: localhost, which is 127.0.0.1 and ::1.")] = "",
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help=f"Default: {PORT}; 0 takes a free one.")
    ] = None,
    data_dir: Annotated[str, typer.Option("--data-dir", help="The record's; default $SKYFLO_HOME/data.")] = "",
    kubeconfig: Annotated[
        str, typer.Option("--kubeconfig", help="Default: KUBECONFIG, ~/.kube/config, the pod's.")
    ] = "",
    context: Annotated[str, typer.Option("--context", help="A context of the kubeconfig.")] = "",
    read_kubeconfig: Annotated[str, typer.Option("--read-kubeconfig", help="Another credential, for reads.")] = "",
    jupyter_origin: Annotated[
        str, typer.Option("--jupyter-origin", help="The one origin that may frame the card.")
    ] = "",
    expires: Annotated[
        str, typer.Option("--expires", metavar="DURATION", help="How long a change waits; 1m to 24h, default 30m.")
    ] = "",
    isolation: Annotated[str, typer.Option("--isolation", hidden=True)] = "not started here",
    as_json: Annotated[bool, typer.Option("--json", help='First line as {"url", "login"}.')] = False,
) -> ExitCode:
    """Start the gateway: it holds the credentials, shows the cards, and applies what a person approved."""
    environment = current()
    flags = File(
        host=host,
        port=port,
        data_dir=data_dir,
        kubeconfig=kubeconfig,
        read_kubeconfig=read_kubeconfig,
        context=context,
        jupyter_origin=jupyter_origin,
        expires=expires or environment.expires,
    )
    settings = settings_of(environment, config.over(flags, config.load(environment.home)), isolation)
    from skyflo_runbooks.service import server

    def announce(url: str, login: str) -> None:
        said = json.dumps({"url": url, "login": login}) if as_json else f"{url}   one-time link: {login}"
        print(said, flush=True)

    server.run(settings, announce=announce)
    return ExitCode.DONE


def settings_of(environment: Environment, said: File, isolation: str) -> Settings:
    """Return the frozen settings of the service."""
    kubeconfig, read_kubeconfig = config.path_of(said.kubeconfig), config.path_of(said.read_kubeconfig)
    for path in (kubeconfig, read_kubeconfig):
        if path is not None and not path.is_file():
            raise BadInput(f"There is no kubeconfig at {path}.", next_step="Name the file that kubectl uses.")
    return Settings(
        home=environment.home,
        data_dir=config.path_of(said.data_dir) or environment.home / "data",
        host=said.host or "localhost",
        port=PORT if said.port is None else said.port,
        kubeconfig=kubeconfig,
        read_kubeconfig=read_kubeconfig,
        context=said.context,
        jupyter_origin=said.jupyter_origin.rstrip("/"),
        isolation=isolation,
        expires=life(said.expires) if said.expires else USUAL_LIFE,
        practice=is_practice(environment, kubeconfig),
        policy=said.policy or PolicyFile(),
        mcp_servers=said.servers,
        mcp_fence=fence(environment, said),
    )


def fence(environment: Environment, said: File) -> tuple[str, ...]:
    """Return what the commands of the operator's own MCP servers are started with: without the gateway's files."""
    if not any(one.command for one in said.servers):
        return ()
    from skyflo_kernel.sandbox.fence import fenced

    named = [*environment.kubeconfig.split(os.pathsep), said.kubeconfig, said.read_kubeconfig, said.data_dir, "~/.kube"]
    return fenced([environment.home, *(path for path in map(config.path_of, named) if path is not None)])


def is_practice(environment: Environment, kubeconfig: Path | None) -> bool:
    """Tell whether the kubeconfig is that of this home's practice cluster."""
    folder = (environment.home / "practice").resolve()
    return kubeconfig is not None and folder in kubeconfig.resolve().parents
