"""Options that several commands have."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Namespaces: TypeAlias = Annotated[
    list[str] | None, typer.Option("-n", "--namespace", help="Where; without it the words decide.")
]
Parameters: TypeAlias = Annotated[
    list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="A parameter, for example settle=30s.")
]
NewFile: TypeAlias = Annotated[
    Path | None, typer.Option("-o", "--output", help="The runbook's file; it must not exist yet.")
]
