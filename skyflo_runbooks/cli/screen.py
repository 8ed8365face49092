"""Where a command writes: colours and progress on a terminal, plain lines elsewhere, one JSON document with `--json`.

With `--json` the lines for people are left out, so that standard output holds the document and nothing else.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from skyflo_runbooks.cli.text import safe

if TYPE_CHECKING:
    from rich.console import Console

    from skyflo_runbooks.cli.card import Line


class Screen:
    """Standard output, as one command uses it."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json
        self.terminal = sys.stdout.isatty() and not as_json

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(highlight=False, soft_wrap=True)

    def line(self, text: object = "", style: str = "") -> None:
        """Write one line for a person; `style` is rich's and shows on a terminal only."""
        if self.as_json:
            return
        if self.terminal:
            from rich.text import Text

            self._console.print(Text(safe(text), style=style))
        else:
            print(safe(text), flush=True)

    def lines(self, lines: "Iterable[Line]") -> None:
        """Write lines, each in its style."""
        for text, style in lines:
            self.line(text, style)

    def heading(self, text: str) -> None:
        """Write a line that begins something, after an empty one."""
        self.line()
        self.line(text, "bold")

    def json(self, value: object) -> None:
        """Write the document of `--json`; without `--json`, nothing."""
        if self.as_json:
            import json

            print(json.dumps(value, indent=2, ensure_ascii=False), flush=True)

    def note(self, text: object) -> None:
        """Write a line beside the result, to standard error, also with `--json`."""
        print(safe(text), file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, text: str) -> Iterator[None]:
        """Show that something takes a while: a spinner on a terminal, a line elsewhere."""
        if self.terminal:
            with self._console.status(safe(text)):
                yield
        else:
            self.line(text)
            yield

    def ask(self, question: str) -> str | None:
        """Return what a person answers, or None where nobody can (no terminal to ask on, or its end)."""
        if not sys.stdin.isatty():
            return None
        return self.read_line(question)

    def read_line(self, question: str) -> str | None:
        """Return the next line of standard input, also of a pipe; None at its end."""
        stream = sys.stderr if self.as_json else sys.stdout
        stream.write(safe(question))
        stream.flush()
        answer = sys.stdin.readline()
        return answer.strip() if answer else None
