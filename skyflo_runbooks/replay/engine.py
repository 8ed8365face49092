"""The papermill engine `skyflo`: `papermill --engine skyflo in.ipynb out.ipynb`, and what `skyflo-runbooks run` uses.

papermill marks cells `completed` that never ran when a kernel dies, a cell times out, or the run stops. This engine
records what really happened to each cell, in words of its own (`status.CellStatus`), and leaves papermill's own status
`pending` where a cell was not reached.

papermill loads this module while it is itself being imported, so nothing of papermill is imported here at the top.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import msgspec
from skyflo_kernel.gateway import Gateway

from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.replay.course import Course, Options

if TYPE_CHECKING:
    from nbformat import NotebookNode

Settings = Any  # papermill hands an engine whatever its caller gave; each is passed on by its name


class SkyfloEngine:
    """Runs a notebook cell by cell. papermill knows an engine by these three class methods."""

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        *,
        skyflo: Course | None = None,
        **settings: Settings,
    ) -> NotebookNode:
        """Execute `nb` in a new kernel and return it; `skyflo` carries the options of our own command."""
        from skyflo_runbooks.replay.client import Manager, execute

        course = skyflo or Course(Options(new_run()), Gateway(), lambda _: None)
        manager = Manager(
            nb,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
        )
        manager.begin(course)
        register(nb, Gateway())
        try:
            execute(manager, course, kernel_name, log_output=log_output, **settings)
        finally:
            manager.cleanup_pbar()
            manager.notebook_complete()
        done: NotebookNode = manager.nb
        return done

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """Return the kernel that a notebook asks for."""
        from papermill.utils import nb_kernel_name

        return str(nb_kernel_name(nb, name))

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        """Return the language of a notebook."""
        from papermill.utils import nb_language

        return str(nb_language(nb, language))


def new_run() -> str:
    """Return the id of a new run."""
    return f"run-{secrets.token_hex(6)}"


def register(nb: Json, gateway: Gateway) -> None:
    """Tell the gateway the runbook's steps, so that a card can show what will be verified; no gateway, no harm."""
    from skyflo_runbooks.notebook.parse import parse

    runbook = parse(nb)
    if not runbook.id:
        return
    steps = [msgspec.to_builtins(step) for step in runbook.plan.steps]
    try:
        gateway.register(runbook.id, {"digest": runbook.digest, "steps": steps, "generator": runbook.plan.generator})
    except SkyfloError:
        return
