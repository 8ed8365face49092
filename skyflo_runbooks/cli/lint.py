"""`lint`: is a runbook well-formed, and is it what its digest says? Works without a gateway.

The reads of the operator's own MCP servers are known as far as `skyflo.toml` of this home names them.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from skyflo_runbooks.cli import shelf
from skyflo_runbooks.cli.files import read_notebook
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import ExitCode

_STYLES = {"error": "red", "warning": "yellow"}


def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Runbooks (.ipynb), or names of curated ones.")],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Check runbooks: grammar, names, parameters, verify steps, digest. 2 where there are errors."""
    from skyflo_mcp.kubernetes import TOOLS

    from skyflo_runbooks.cli import config
    from skyflo_runbooks.cli.environment import current
    from skyflo_runbooks.gateway.foreign.config import offered_as
    from skyflo_runbooks.notebook.lint import lint as problems_of

    screen = Screen(as_json)
    effects = {name: tool.effect for name, tool in TOOLS.items()}
    servers = config.load(current().home).servers
    effects |= {offered_as(one.name, tool): "read" for one in servers for tool in one.reads}
    found = {str(file): problems_of(read_notebook(shelf.find(file)), effects) for file in files}
    for file, problems in found.items():
        for problem in problems:
            place = f"{file}: {problem.cell or 'notebook'}:{problem.line}"
            screen.line(f"{place}: {problem.severity}: {problem.message} [{problem.rule}]", _STYLES[problem.severity])
            if problem.next_step:
                screen.line(f"    {problem.next_step}", "dim")
        if not problems:
            screen.line(f"{file}: well-formed and unchanged", "green")
    screen.json([{"file": file, "problems": msgspec.to_builtins(problems)} for file, problems in found.items()])
    wrong = any(p.severity == "error" or strict for problems in found.values() for p in problems)
    return ExitCode.BAD_INPUT if wrong else ExitCode.DONE
