"""`skyflo-runbooks run`: one execution of a saved runbook, headless, into a new file.

Rules:
  1. Everything that can be known before is checked before: the file, the parameters' names and types, the gateway, and
     that its cluster is the one that the runbook was made for.
  2. The source is never written. The record grows in a temporary file beside the output, and takes the output's name
     when the run has ended, however it ended.
  3. The result is what the record says; the exit code follows from it (`status.conclude`).
"""

import contextlib
import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from skyflo_kernel.door import home
from skyflo_kernel.gateway import Gateway

from skyflo_runbooks.model.errors import BadInput, ExitCode, Refused
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import Parameter, missing
from skyflo_runbooks.model.quantity import same_form
from skyflo_runbooks.notebook.parse import Runbook, parse, read_notebook
from skyflo_runbooks.replay.course import Course, Options
from skyflo_runbooks.replay.engine import new_run
from skyflo_runbooks.replay.status import RunStatus

Value = str | int | float | bool
_TRUTH = {"true": True, "false": False}


class RunResult(msgspec.Struct, frozen=True):
    """What a run came to. `output`, `status`, `verdicts` and `proposals` are `run --json` (design, section 8)."""

    output: str
    status: RunStatus
    verdicts: tuple[Json, ...]
    proposals: tuple[Json, ...]
    exit_code: ExitCode = ExitCode.DONE
    message: str = ""
    run: str = ""

    def to_json(self) -> Json:
        """Return the JSON that `run --json` prints."""
        return {
            "output": self.output,
            "status": self.status,
            "verdicts": list(self.verdicts),
            "proposals": list(self.proposals),
        }


def run(
    file: Path,
    *,
    parameters: Mapping[str, str] | None = None,
    output: Path | None = None,
    wait: float = 0.0,
    replay: bool = False,
    cell_timeout: int | None = None,
    say: Callable[[str], None] = lambda _: None,
    gateway: Gateway | None = None,
) -> RunResult:
    """Execute `file` with `parameters` (texts, typed by the runbook) and return what came of it.

    `wait` is how many seconds to wait at each change for its decision. `output` defaults to a new file under
    `$SKYFLO_HOME/runs`. `say` takes lines of progress. Raises `BadInput`, `Refused` or `Unreachable` before it begins.
    """
    notebook = read_notebook(file)
    runbook = parse(notebook)
    _check_form(runbook, file)
    values = typed(runbook.plan.parameters, parameters or {})
    _check_given(runbook.plan.parameters, values)
    asked = gateway or Gateway()
    if any(cell.step for cell in runbook.cells):
        _check_target(runbook, asked.status())
    to = _output_path(file, output)
    course = Course(Options(new_run(), wait, replay), asked, say)
    part = to.with_name(f".{to.stem}-{secrets.token_hex(3)}.part.ipynb")
    try:
        _execute(file, part, values, course, cell_timeout)
    finally:
        _finish(part, file, to)
    return _result(to, course)


def typed(parameters: tuple[Parameter, ...], given: Mapping[str, str]) -> dict[str, Value]:
    """Return values of the parameters' types for texts of the command line, or raise `BadInput`."""
    by_name = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Value] = {}
    for name, text in given.items():
        if name not in by_name:
            raise BadInput(f"This runbook has no parameter {name!r}.", next_step=_hint(name, by_name))
        values[name] = _typed(by_name[name], text)
    return values


def _check_given(parameters: tuple[Parameter, ...], values: Mapping[str, Value]) -> None:
    """Raise `BadInput` that names what a person has to choose and did not."""
    left = missing(parameters, values)
    if left:
        told = "; ".join(f"{item.name} ({item.help})" if item.help else item.name for item in left)
        raise BadInput(
            f"This runbook has no value for: {told}.",
            next_step="Nothing was run. Give " + " ".join(f"-p {item.name}=…" for item in left),
        )


def _hint(name: str, known: Mapping[str, Parameter]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(known) or 'none'}."


def _typed(parameter: Parameter, text: str) -> Value:
    try:
        if parameter.type == "int":
            return int(text)
        if parameter.type == "float":
            return float(text)
        if parameter.type == "bool":
            return _TRUTH[text.lower()]
    except (ValueError, KeyError):
        raise BadInput(
            f"The parameter {parameter.name!r} must be {parameter.type}, got {text[:80]!r}.",
            next_step=_written_like(parameter),
        ) from None
    if parameter.required and not text:
        return text  # which is as if it were not given
    if not same_form(str(parameter.form), text):
        raise BadInput(
            f"The parameter {parameter.name!r} cannot be {text[:80]!r}.",
            next_step=_written_like(parameter),
        )
    return text


def _written_like(parameter: Parameter) -> str:
    if parameter.required:
        return f"It is {parameter.help}." if parameter.help else f"It is of type {parameter.type}."
    return f"Write it as its default is written: {parameter.default!r}."


def _check_form(runbook: Runbook, file: Path) -> None:
    """Raise `BadInput` where a cell that the runbook was written with holds free code by now: it is not executed."""
    for cell in runbook.cells:
        written = {"parameters", *(tag for tag in cell.tagged if tag.startswith("skyflo-"))} & set(cell.tagged)
        if cell.outside is not None and (written or cell.id == "imports") and not cell.injected:
            raise BadInput(
                f"Cell {cell.id!r} is not of its form any more: {cell.outside.message}",
                next_step=f"'skyflo-runbooks lint {file.name}' says more; code of your own goes into its own cell.",
            )


def _check_target(runbook: Runbook, status: Json) -> None:
    wanted, here = runbook.plan.target, str(at(status, "cluster", "uid", default=""))
    if wanted.cluster and here and wanted.cluster != here:
        raise Refused(
            f"The runbook was made for cluster {wanted.context or wanted.cluster}; the gateway serves "
            f"{at(status, 'cluster', 'context', default=here)}.",
            next_step="Make it anew for this cluster with 'skyflo-runbooks new', or serve the other one.",
        )


def _output_path(file: Path, output: Path | None) -> Path:
    if output is None:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        output = home(os.environ) / "runs" / f"{stem}-{stamp}-{secrets.token_hex(3)}.ipynb"
    if output.exists() and output.samefile(file):
        raise BadInput("A run never overwrites its runbook.", next_step="Give -o another name, or leave it out.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{output.parent} cannot be made: {error.strerror or error}.") from None
    if not os.access(output.parent, os.W_OK):
        raise BadInput(f"{output.parent} cannot be written.", next_step="Give -o a place that can be written.")
    return output


def _execute(file: Path, part: Path, values: dict[str, Value], course: Course, cell_timeout: int | None) -> None:
    """Run it; how it ended stands in the course's record, so errors of the notebook end here."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill import execute_notebook
    from papermill.exceptions import PapermillExecutionError

    # papermill passes paths through str.format.
    names = [str(path.absolute()).replace("{", "{{").replace("}", "}}") for path in (file, part)]
    try:
        execute_notebook(
            *names,
            parameters=values or None,
            engine_name="skyflo",
            progress_bar=False,
            skyflo=course,
            execution_timeout=cell_timeout,
        )
    except (PapermillExecutionError, CellTimeoutError, DeadKernelError):
        return
    except OSError as error:
        raise BadInput(
            f"The record of the run cannot be written: {error.strerror or error}.",
            next_step="Make room, or give -o another place.",
        ) from None


def _finish(part: Path, file: Path, to: Path) -> None:
    """Give the record its name, with the paths that it was asked for; where those cannot be written, without them."""
    if not part.exists():
        return
    with contextlib.suppress(OSError, ValueError):
        notebook = json.loads(part.read_bytes())
        notebook["metadata"].setdefault("papermill", {}).update(input_path=str(file), output_path=str(to))
        other = part.with_suffix(".tmp")
        with other.open("w", encoding="utf-8") as written:
            json.dump(notebook, written, indent=1, ensure_ascii=False)
            written.flush()
            os.fsync(written.fileno())
        other.replace(part)
    part.replace(to)


def _result(to: Path, course: Course) -> RunResult:
    record = course.record()
    return RunResult(
        output=str(to),
        status=record["status"],
        verdicts=tuple(record["verdicts"]),
        proposals=tuple(record["proposals"]),
        exit_code=ExitCode(record["exit_code"]),
        message=record["message"],
        run=record["id"],
    )
