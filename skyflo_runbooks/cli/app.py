"""The command line: which commands there are, and the one place where an error becomes a message and an exit code.

Rules:
  1. `--help` imports no command: names and help lines stand in `COMMANDS`, and a command's module is imported when
     that command is called.
  2. A command returns its `ExitCode`. A `SkyfloError` is printed as its message and next step, to stderr, and its
     `exit_code` is returned.
  3. No traceback is ever shown, unless `SKYFLO_DEBUG` is set. Ctrl-C is 130, a closed pipe is silent.
"""

import errno
import importlib
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from skyflo_runbooks.model.errors import BadInput, ExitCode, SkyfloError

NAME = "skyflo-runbooks"
INTERRUPTED = "Nothing more was decided by that; what was approved goes on: see 'approvals' and 'history'."

# name: (module below skyflo_runbooks.cli, what it is called there, help line)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "demo": ("demo", "demo", "The flagship incident on the practice cluster, in JupyterLab or as text."),
    "lab": ("lab", "lab", "Start the gateway and JupyterLab."),
    "serve": ("serve", "serve", "Start the gateway alone."),
    "login": ("login", "login", "Make this terminal an operator, by a one-time link."),
    "tokens": ("tokens", "tokens", "Tokens, links, keys and passkeys: list, new, revoke."),
    "new": ("new", "new", "Say what is wrong: diagnose and write a runbook."),
    "snapshot": ("snapshot", "snapshot", "Keep what 'new' would read, to diagnose it later or elsewhere."),
    "resolve": ("resolve", "resolve", "The whole story in this terminal: finding, plan, cards, verdict."),
    "run": ("run", "run", "Execute a runbook headless."),
    "runbooks": ("runbooks", "runbooks", "The curated runbooks: list, what is in one, a copy of it."),
    "approvals": ("decide", "approvals", "List the proposals that wait for a decision."),
    "show": ("decide", "show", "Show one proposal: its card, or its receipt."),
    "approve": ("decide", "approve", "Approve proposals, after showing each diff."),
    "enter": ("decide", "enter", "Type a value that a proposal waits for, unseen."),
    "reject": ("decide", "reject", "Reject a proposal, with a reason."),
    "modify": ("decide", "modify", "Propose the same change with other values."),
    "rollback": ("decide", "rollback", "Propose the way back of an executed change."),
    "history": ("record", "history", "What was proposed, decided and measured."),
    "ledger": ("record", "ledger", "Show, verify or export the append-only record."),
    "lint": ("lint", "lint", "Is a runbook well-formed and unchanged?"),
    "tools": ("tools", "tools", "The tool catalogue with effects."),
    "practice": ("practice", "practice", "The practice cluster: start, stop, status, list, break, kubeconfig."),
    "explain": ("explain", "explain", "What a fault is, how it is recognised, and what repairs it."),
    "doctor": ("doctor", "doctor", "What is configured, reachable and allowed; each line with its fix."),
    "verify-promises": ("promises", "verify_promises", "Prove the six promises on the practice cluster."),
}


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return load(cmd_name)

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"See '{NAME} --help'."
            raise BadInput(f"There is no command {args[0]!r}.", next_step=hint)
        return super().resolve_command(ctx, args)


def load(name: str) -> Any:
    """Return the command `name` of the table as typer runs it."""
    module, attribute, line = COMMANDS[name]
    found = getattr(importlib.import_module(f"skyflo_runbooks.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        found.info.name = name
        return typer.main.get_command(found)
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.command(name, short_help=line)(found)
    return typer.main.get_command(holder)


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        typer.echo(f"{NAME} {version(NAME)}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Say what is wrong with a Kubernetes system; get an executable runbook.

    Reads run by themselves, changes wait for an approval that cannot be forged, results are measured.
    """


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code: the boundary of rule 2 and 3."""
    try:
        return guarded(lambda: typer.main.get_command(app).main(arguments, prog_name=NAME, standalone_mode=False))
    except BrokenPipeError:
        # Whoever read our output went away; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OUR_ERROR


def guarded(call: Callable[[], object]) -> int:
    """Return the exit code of a call, with every error told."""
    try:
        code = _spoken(call)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _tell(
            "Interrupted.",
            INTERRUPTED,
            130,
        )
    except SkyfloError as error:
        _trace()
        return _tell(error.message, error.next_step, error.exit_code)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise BrokenPipeError(errno.EPIPE, "closed") from error
        _trace()
        return _tell(*of_system(error))
    except Exception as error:  # noqa: BLE001  # the named boundary: a person never sees a traceback
        _trace()
        from skyflo_runbooks.gateway.redaction import Redactor

        return _tell(
            f"An error of our own: {type(error).__name__}: {Redactor().text(str(error))}",
            f"Please report it, with the output of: SKYFLO_DEBUG=1 {NAME} …",
            ExitCode.OUR_ERROR,
        )


def _spoken(call: Callable[[], object]) -> int:
    """Return the exit code of a command, where typer's own words (usage, abort) are said as typer says them."""
    from typer._click.exceptions import ClickException

    try:
        code = call()
    except ClickException as error:
        error.show()
        return error.exit_code
    except typer.Abort:
        raise KeyboardInterrupt from None
    if code == ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    return code if isinstance(code, int) else ExitCode.DONE


def of_system(error: OSError) -> tuple[str, str, int]:
    """Return message, next step and exit code of an error of the operating system."""
    where = f" ({error.filename})" if error.filename else ""
    said = f"{error.strerror or error}{where}."
    hints = {
        errno.ENOSPC: "The disk is full: make room and run the command again; nothing was half written.",
        errno.EACCES: "Give this user access, or name another place.",
        errno.EROFS: "That file system is read-only: name another place.",
        errno.ENOENT: "Check the path.",
        errno.EISDIR: "Name a file, not a folder.",
        errno.ENOTDIR: "Part of that path is a file.",
        errno.EEXIST: "Part of that path is a file already: name another place.",
    }
    if error.errno in hints:
        return said, hints[error.errno], ExitCode.BAD_INPUT
    return said, f"SKYFLO_DEBUG=1 {NAME} … shows where.", ExitCode.OUR_ERROR


def _tell(message: str, next_step: str, code: int) -> int:
    from skyflo_runbooks.cli.text import safe

    print(safe(message), file=sys.stderr)
    if next_step:
        print(safe(next_step), file=sys.stderr)
    return int(code)


def _trace() -> None:
    if os.environ.get("SKYFLO_DEBUG"):
        import traceback

        traceback.print_exc()
