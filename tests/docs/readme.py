"""The README's commands: fenced blocks that say `sh` and a name, line by line, with the exit code they promise.

A comment `# exit code 10` promises that code; without one it is 0. Words in capitals stand for what an earlier command
printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
_FENCE = re.compile(r"^```(?P<word>\w*)[ \t]*(?P<name>[\w-]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One line of a block, without its comment, and its exit code."""

    line: str
    code: int

    @classmethod
    def read(cls, text: str) -> Command:
        """A line as it stands in the README."""
        line, _, comment = text.partition("  #")
        promised = re.search(r"exit code (\d+)", comment)
        return cls(line.strip(), int(promised[1]) if promised else 0)


def blocks(text: str) -> list[tuple[str, tuple[Command, ...]]]:
    """Every shell block with its name, in order; several may share one."""
    found = []
    for fence in _FENCE.finditer(text):
        if fence["word"] in ("sh", "bash", "shell", "console"):
            lines = [line for line in fence["body"].splitlines() if line.strip()]
            found.append((fence["name"], tuple(map(Command.read, lines))))
    return found


def commands(name: str) -> tuple[Command, ...]:
    """The commands of every block of this name."""
    found = [command for named, lines in blocks(README.read_text()) if named == name for command in lines]
    assert found, f"the README has no block named {name}"
    return tuple(found)
