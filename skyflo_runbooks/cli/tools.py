"""`tools`: the catalogue of typed tools with their effects, and the reads of the operator's own MCP servers.

Works without a gateway; then nothing is known of those but what `skyflo.toml` names.
"""

import asyncio
from typing import Annotated

import typer

from skyflo_runbooks.cli import guests
from skyflo_runbooks.cli.environment import current
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.cli.text import columns
from skyflo_runbooks.model.errors import ExitCode

AsPage = Annotated[bool, typer.Option("--page", hidden=True, help="Write docs/tools.md.")]


def tools(as_json: AsJson = False, as_page: AsPage = False) -> ExitCode:
    """List the tools: what reads runs by itself, what changes something waits for an approval."""
    from skyflo_mcp.kubernetes import TOOLS

    screen = Screen(as_json)
    if as_page:
        from skyflo_runbooks.cli.tools_page import offered, page

        typer.echo(page(asyncio.run(offered())), nl=False)
        return ExitCode.DONE
    known = sorted(TOOLS.values(), key=lambda tool: (tool.domain, tool.effect != "read", tool.name))
    standing = guests.standing(current())
    theirs = [tool for server in standing for tool in server.tools]
    screen.json(
        [
            *({"name": t.name, "domain": t.domain, "effect": t.effect, "replaces": t.replaces} for t in known),
            *(
                {"name": t.name, "domain": t.domain, "effect": "read", "replaces": ""}
                | {"problem": t.problem, "digest": t.digest}
                for t in theirs
            ),
        ]
    )
    rows = [[tool.name, tool.domain, tool.effect, tool.description.splitlines()[0]] for tool in known]
    rows += [[tool.name, tool.domain, "read", tool.description or tool.problem] for tool in theirs]
    for line in columns(rows, ("name", "domain", "effect", "does")):
        screen.line(line)
    for server in standing:
        if server.others:
            screen.line(f"{server.name} also has {', '.join(server.others)}: not named in reads, and so not offered.")
    return ExitCode.DONE
