"""The kernel client of the engine: one loop over the cells, and what each way to end means.

It is the one module of a run that knows papermill and nbclient. Ways to end, and what is recorded:
  the cell raised            error          later cells not_reached, the notebook is finished
  the cell took too long     timeout        later cells not_reached, the error goes on to the caller
  the kernel died            kernel_died    later cells not_reached, the error goes on to the caller
  interrupted                error          later cells not_reached, the error goes on to the caller
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from jupyter_core.paths import jupyter_runtime_dir
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode, from_dict
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NotebookExecutionManager
from papermill.log import logger
from skyflo_kernel.show import HEADLESS
from skyflo_kernel.steps import REPLAY, RUN

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook import render
from skyflo_runbooks.notebook.cell import Classified
from skyflo_runbooks.notebook.digest import runbook_digest, source
from skyflo_runbooks.notebook.grammar import classify_cells
from skyflo_runbooks.replay.course import Course
from skyflo_runbooks.replay.status import CellStatus

# A socket's path has at most 107 bytes (unix(7)); the kernel's name and a number come behind the folder.
LONGEST_RUNTIME_DIR = 50
LONGEST_GOODBYE = 5.0  # seconds for cancelled tasks, and for a kernel that was asked to, to end
SKIP_TAG = "skip-execution"
NOT_REACHED = {"execution": "not_reached"}


class Manager(NotebookExecutionManager):  # type: ignore[misc]  # papermill has no types
    """papermill's record of a run, without its claim that what is pending was completed, and with ours beside it."""

    def begin(self, course: Course) -> None:
        """Clear old outputs, note every code cell as not reached, and save that before anything runs."""
        self.course = course
        self.began = datetime.now(UTC).isoformat(timespec="seconds")
        self.digest = runbook_digest(self.nb)
        code = [cell for cell in self.nb.cells if cell.cell_type == "code"]
        self.kinds: dict[str, Classified] = {}
        for cell, found in zip(code, classify_cells([source(cell) for cell in code]), strict=True):
            self.kinds[cell.id] = found
            course.expect(cell.id, found)
        self._record()
        self.notebook_start()

    def save(self, **kwargs: Any) -> None:
        """Save the notebook with the run's record as it stands; a local file is replaced, never cut short."""
        self._record()
        if not self.output_path or "://" in self.output_path:
            super().save(**kwargs)
            return
        replace(Path(self.output_path), nbformat.writes(self.nb))  # type: ignore[no-untyped-call]
        self.last_save_time = self.now()

    def notebook_complete(self, **_: Any) -> None:
        """Finish papermill's times, and leave the statuses as they are."""
        self.end_time = self.now()
        papermill = self.nb.metadata.papermill
        papermill["end_time"] = self.end_time.isoformat()
        papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        self.cleanup_pbar()
        self.save()

    def _record(self) -> None:
        skyflo = self.nb.metadata.setdefault("skyflo", _node({}))
        now = datetime.now(UTC).isoformat(timespec="seconds")
        skyflo["run"] = _node(self.course.record(started=self.began, finished=now, digest=self.digest))


class Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """papermill's client with our loop over the cells."""

    def create_kernel_manager(self) -> Any:
        """Speak to the kernel over sockets of this user instead of TCP, where their paths are short enough.

        The connection file is named beforehand: without one every kernel's sockets would be called `kernel-ipc` in the
        present folder, and two runs that start there at once would speak to each other's kernel.
        """
        manager = super().create_kernel_manager()
        folder = Path(jupyter_runtime_dir())
        if os.name == "posix" and len(str(folder)) < LONGEST_RUNTIME_DIR:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            manager.transport = "ipc"
            manager.connection_file = str(folder / f"kernel-{secrets.token_hex(8)}.json")
        return manager

    def papermill_execute_cells(self) -> None:
        """Run the cells that the course reaches; say of each what happened to it."""
        try:
            self._cells()
        except KeyboardInterrupt:
            self._abandon()
            raise

    @contextlib.contextmanager
    def setup_kernel(self, **settings: Any) -> Iterator[None]:
        """Start the kernel; at the end have it end by itself.

        nbclient would interrupt it first. Where that meets the end of a message (papermill's last one asks what the
        kernel is) the kernel says "KeyboardInterrupt caught in kernel" on the terminal.
        """
        with super().setup_kernel(**settings):
            yield
            ensure_event_loop().run_until_complete(self._part())

    async def _part(self) -> None:
        """Ask the kernel to end, and wait for it a bounded time; one that stays is left to nbclient."""
        self.kc.shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.km.provisioner.wait(), LONGEST_GOODBYE)

    def _abandon(self) -> None:
        """Leave quietly: what listens to the kernel, and a kernel asked to stop, would each write a traceback."""
        self.shutdown_kernel = "immediate"
        loop = ensure_event_loop()
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        loop.run_until_complete(_ended(pending))

    def _cells(self) -> None:
        course: Course = self.nb_man.course
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type != "code":
                cell.metadata.papermill["status"] = self.nb_man.COMPLETED
                continue
            kind: Classified = self.nb_man.kinds[cell.id]
            if SKIP_TAG in cell.metadata.get("tags", []):
                course.note(cell.id, "skipped", f"tagged {SKIP_TAG}")
            elif course.reaches(kind):
                self._run(course, cell, index, kind)
            elif kind.kind not in ("free", "empty", "import", "parameters"):
                cell.outputs = [_output(render.note_bundle(f"Not reached: {course.stopped}."))]

    def _run(self, course: Course, cell: NotebookNode, index: int, kind: Classified) -> None:
        course.note(cell.id, "running")
        self.nb_man.cell_start(cell, index)
        try:
            self.execute_cell(cell, index)
            course.finish(cell.id, kind, cell.outputs)
        except CellExecutionError as error:
            self._broken(course, cell, index, "error", f"{error.ename}: {error.evalue}", error.ename)
        except CellTimeoutError:
            self._broken(course, cell, index, "timeout", "the cell took too long")
            raise
        except DeadKernelError:
            self._broken(course, cell, index, "kernel_died", "the kernel died")
            raise
        except BaseException as error:  # also an interrupt: the cell must not stay "running"; goes on to the caller
            self._broken(course, cell, index, "error", type(error).__name__)
            raise
        finally:
            self.nb_man.cell_complete(cell, cell_index=index)

    def _broken(
        self, course: Course, cell: NotebookNode, index: int, status: CellStatus, reason: str, error: str = ""
    ) -> None:
        course.note(cell.id, status, reason, error)
        course.stop(f"the run stopped before: {reason}")
        self.nb_man.cell_exception(cell, cell_index=index)


async def _ended(tasks: set["asyncio.Task[Any]"]) -> None:
    """Wait until the tasks have ended, and take their errors: asyncio logs those that nobody took."""
    done, _ = await asyncio.wait(tasks, timeout=LONGEST_GOODBYE) if tasks else (set(), set())
    for task in done:
        if not task.cancelled():
            task.exception()


def execute(manager: Manager, course: Course, kernel_name: str, **settings: Any) -> None:
    """Run the manager's notebook in a new kernel, whose environment says which run it is."""
    options = course.options
    variables = {**os.environ, RUN: options.run, HEADLESS: "1", **({REPLAY: "1"} if options.replay else {})}
    passed = {name: value for name, value in settings.items() if name not in ("input_path", "start_timeout")}
    timeout = passed.pop("execution_timeout", None)
    client = Client(
        manager,
        kernel_name=kernel_name,
        timeout=timeout,
        startup_timeout=settings.get("start_timeout", 60),
        log=logger,
        **passed,
    )
    client.execute(env=variables)


def replace(path: Path, text: str) -> None:
    """Give `path` a new content, all or nothing."""
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _output(bundle: render.Bundle) -> NotebookNode:
    return _node({"output_type": "display_data", "data": bundle, "metadata": {"skyflo": NOT_REACHED}})


def _node(value: Json) -> NotebookNode:
    node: NotebookNode = from_dict(value)  # type: ignore[no-untyped-call]  # nbformat declares no types
    return node
