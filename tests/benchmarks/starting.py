"""What it costs to start: the kernel's module in a kernel, and the command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.benchmarks.figures import Figure, Scale, Target, seconds
from tests.benchmarks.stack import PROGRAM

_BARE_APP = """
import typer

app = typer.Typer()


@app.command()
def hello(name: str = "you") -> None:
    print(f"hello {name}")


app()
"""


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield the figures of fresh interpreters."""
    bare_app = folder / "bare_app.py"
    bare_app.write_text(_BARE_APP)
    python = sys.executable
    bare, module = _best(scale.starts, [python, "-c", "pass"], [python, "-c", "import skyflo_kernel"])
    yield Figure(
        "import_skyflo_kernel",
        (module - bare) * 1000,
        "ms",
        f"best of {scale.starts} of 'import skyflo_kernel' in a fresh interpreter, less the best of 'python -c pass'",
        Target("<", 150),
        {"ratio": module / bare, "import_ms": module * 1000, "pass_ms": bare * 1000},
    )
    plain_app = folder / "plain_app.py"
    plain_app.write_text(_BARE_APP.replace("Typer()", "Typer(rich_markup_mode=None)"))
    helps = ([python, str(bare_app)], [python, str(plain_app)], [str(PROGRAM)])
    app, plain, ours = _best(scale.starts, *([*command, "--help"] for command in helps))
    yield Figure(
        "help",
        ours / app,
        "ratio",
        f"best of {scale.starts} of 'skyflo-runbooks --help' over the best of a bare typer app's --help",
        Target("<", 1.5),
        {"ours_ms": ours * 1000, "bare_app_ms": app * 1000, "bare_app_without_rich_ms": plain * 1000},
    )


def _best(turns: int, *commands: Sequence[str]) -> list[float]:
    """Return the fastest time of each command; turn by turn, after one that warms the disk's cache."""
    times = [[_start(command) for command in commands] for _ in range(turns + 1)]
    return [min(column) for column in zip(*times[1:], strict=True)]


def _start(command: Sequence[str]) -> float:
    return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60))
