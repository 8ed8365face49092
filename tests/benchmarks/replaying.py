"""The engine `skyflo` beside papermill's own on the same notebook and the same gateway."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.notebook.grammar import classify_cells
from tests.benchmarks.figures import Figure, Scale, Target, median
from tests.benchmarks.stack import staged

_LATER = frozenset({"change", "verify", "rollback", "record"})
# Both engines in one interpreter, turn by turn, after one turn that warms.
_TURNS = """
import json, sys, time, warnings

warnings.simplefilter("ignore")
import papermill

source, turns = sys.argv[1], int(sys.argv[2])
runs = {"papermill": [], "skyflo": []}
for turn in range(turns + 1):
    for engine in sorted(runs, reverse=bool(turn % 2)):  # neither is always the second
        output = f"{source}.{engine}.{turn}.ipynb"
        begun = time.perf_counter()
        papermill.execute_notebook(
            source, output, engine_name=None if engine == "papermill" else engine, progress_bar=False
        )
        if turn:
            runs[engine].append([time.perf_counter() - begun, output])
print(json.dumps(runs))
"""


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Yield the figure: a runbook of reads, so that both engines run every cell."""
    with staged(folder, pods=5) as stack:
        source = stack.home / "reads.ipynb"
        source.write_text(json.dumps(_only_reads(stack.diagnose()["notebook"])))
        said = stack.run(sys.executable, "-c", _TURNS, source, str(scale.replays))
    runs: dict[str, list[tuple[float, str]]] = json.loads(said)
    whole = {engine: min(took for took, _ in turns) for engine, turns in runs.items()}
    without = {engine: [took - _cells(engine, Path(out)) for took, out in turns] for engine, turns in runs.items()}
    bare = {engine: min(times) for engine, times in without.items()}
    parts = {f"{engine}_s": took for engine, took in whole.items()}
    parts |= {f"{engine}_without_cells_s": took for engine, took in bare.items()}
    parts["ratio_of_medians"] = median(without["skyflo"]) / median(without["papermill"])
    yield Figure(
        "papermill_overhead",
        bare["skyflo"] / bare["papermill"],
        "ratio",
        f"papermill with the engine skyflo over papermill's own engine: best of {scale.replays} runs of the "
        "flagship's reads through the gateway, each without the time that its cells took",
        Target("<=", 1.05),
        parts | {"whole_ratio": whole["skyflo"] / whole["papermill"]},
    )


def _only_reads(notebook: Json) -> Json:
    """Return the notebook without what comes after its reads: a change ends one engine's run, and not the other's."""
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    kinds = classify_cells(["".join(cell["source"]) for cell in code])
    later = {cell["id"] for cell, found in zip(code, kinds, strict=True) if found.kind in _LATER}
    return {**notebook, "cells": [cell for cell in notebook["cells"] if cell["id"] not in later]}


def _cells(engine: str, output: Path) -> float:
    """Return the seconds that the cells of a run took; a run that did not run every cell has no time."""
    notebook: Json = json.loads(output.read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    took = [at(cell, "metadata", "papermill", "duration") for cell in code]
    ended = {cell["status"] for cell in at(notebook, "metadata", "skyflo", "run", "cells", default={}).values()}
    if None in took or (engine == "skyflo" and ended != {"passed"}):
        raise RuntimeError(f"the engine {engine} did not run every cell: {sorted(ended)}")
    return float(sum(took))
