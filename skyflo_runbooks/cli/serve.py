"""`serve`: the gateway alone, in this process.

The first line on standard output holds the address and a one-time link, also where output is a file: it is how other
programs, and `lab`, learn them. There is no option here that weakens the approval, because the service has none.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from skyflo_runbooks.cli.environment import Environment, current
from skyflo_runbooks.model.errors import BadInput, ExitCode
from skyflo_runbooks.service.settings import Settings


def serve(
    host: Annotated[str, typer.Option("--host", help="Where to listen; localhost is 127.0.0.1 and ::1.")] = "localhost",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 7717,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Where the record lies; default $SKYFLO_HOME/data.")
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", help="Default: KUBECONFIG, ~/.kube/config, the pod's.")
    ] = None,
    context: Annotated[str, typer.Option("--context", help="A context of the kubeconfig.")] = "",
    read_kubeconfig: Annotated[
        Path | None, typer.Option("--read-kubeconfig", help="Another credential, for reads.")
    ] = None,
    jupyter_origin: Annotated[
        str, typer.Option("--jupyter-origin", help="The one origin that may frame the card.")
    ] = "",
    isolation: Annotated[str, typer.Option("--isolation", hidden=True)] = "not started here",
    as_json: Annotated[bool, typer.Option("--json", help='First line as {"url", "login"}.')] = False,
) -> ExitCode:
    """Start the gateway: it holds the credentials, shows the cards, and applies what a person approved."""
    settings = settings_of(
        current(),
        host=host,
        port=port,
        data_dir=data_dir,
        kubeconfig=kubeconfig,
        read_kubeconfig=read_kubeconfig,
        context=context,
        jupyter_origin=jupyter_origin,
        isolation=isolation,
    )
    from skyflo_runbooks.service import server

    def announce(url: str, login: str) -> None:
        said = json.dumps({"url": url, "login": login}) if as_json else f"{url}   one-time link: {login}"
        print(said, flush=True)

    server.run(settings, announce=announce)
    return ExitCode.DONE


def settings_of(
    environment: Environment,
    *,
    host: str,
    port: int,
    data_dir: Path | None,
    kubeconfig: Path | None,
    read_kubeconfig: Path | None,
    context: str,
    jupyter_origin: str,
    isolation: str,
) -> Settings:
    """Return the frozen settings: flag > environment > default."""
    for path in (kubeconfig, read_kubeconfig):
        if path is not None and not path.is_file():
            raise BadInput(f"There is no kubeconfig at {path}.", next_step="Name the file that kubectl uses.")
    chosen = kubeconfig
    return Settings(
        home=environment.home,
        data_dir=(data_dir or environment.home / "data").absolute(),
        host=host,
        port=port,
        kubeconfig=chosen.absolute() if chosen else None,
        context=context,
        jupyter_origin=jupyter_origin.rstrip("/"),
        isolation=isolation,
        practice=is_practice(environment, chosen),
    )


def is_practice(environment: Environment, kubeconfig: Path | None) -> bool:
    """Tell whether the kubeconfig is that of this home's practice cluster."""
    folder = (environment.home / "practice").resolve()
    return kubeconfig is not None and folder in kubeconfig.resolve().parents
