"""The Jupyter Server extension: what the page may ask, under Jupyter's own login.

| route | answers |
| --- | --- |
| `POST /skyflo/classify` | what each cell is, by the grammar; and why nothing may run by itself, if so |
| `POST /skyflo/lease` | whether this page is the one that runs the reads, or judges a change |
| `GET /skyflo/proposals/{id}` | how a proposal stands, as soon as it is settled; with the receipt to show |

Rules:
  1. What a cell is, is decided by the grammar over its source. Tags, metadata and trust of the notebook decide nothing.
  2. Nothing runs by itself when the notebook was made for another cluster than the gateway's, or no gateway answers.
  3. There is no route that decides a proposal, and the server holds nothing that could.
  4. Before anything runs by itself the kernel forgets the notebook's folder as a place of modules (`PREPARE`): a file
     `skyflo_kernel.py` beside the notebook would otherwise be what a read imports.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import msgspec
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.web import authenticated

from skyflo_kernel.door import find_door
from skyflo_kernel.relay import UNSETTLED, Relay
from skyflo_runbooks.model.errors import BadInput, ExitCode, SkyfloError

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

_log = logging.getLogger("skyflo_kernel")
_STATUS = {
    ExitCode.BAD_INPUT: HTTPStatus.BAD_REQUEST,
    ExitCode.NOT_ALLOWED: HTTPStatus.FORBIDDEN,
    ExitCode.REFUSED: HTTPStatus.CONFLICT,
    ExitCode.UNREACHABLE: HTTPStatus.BAD_GATEWAY,
}
# Runs in the kernel, silently. Every interpreter has loaded these two before it looks into any folder.
PREPARE = """
import os as _os, sys as _sys
_sys.path[:] = [_path for _path in _sys.path if _os.path.abspath(_path) != _os.getcwd()]
del _os, _sys
"""
Body = TypeVar("Body")


class Target(msgspec.Struct, frozen=True):
    """The cluster that a runbook was made for."""

    cluster: str = ""
    context: str = ""


class Metadata(msgspec.Struct, frozen=True):
    """The part of a notebook's `metadata.skyflo` that matters here."""

    id: str
    target: Target = Target()


class Cell(msgspec.Struct, frozen=True):
    """A code cell of the open notebook."""

    id: str
    source: str


class ClassifyBody(msgspec.Struct, frozen=True):
    """The code cells of a notebook, in their order."""

    metadata: Metadata
    cells: tuple[Cell, ...]


class LeaseBody(msgspec.Struct, frozen=True):
    """Who asks to do what on which kernel: run its reads, or judge a change."""

    runbook: str
    kernel: str
    what: str


class SkyfloHandler(APIHandler):
    """A route of ours: JSON in, JSON out, errors as words."""

    relay: Relay

    def initialize(self, relay: Relay) -> None:
        """Take the way to the gateway."""
        self.relay = relay

    def body(self, expected: type[Body]) -> Body:
        """The request's body as a value, or `BadInput`."""
        try:
            return msgspec.json.decode(self.request.body, type=expected)
        except msgspec.MsgspecError as error:
            raise BadInput(f"The request's body is not what this route takes: {error}.") from error

    def answer(self, value: object, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Finish with JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(value))

    def refuse(self, error: SkyfloError) -> None:
        """Finish with an error's own words."""
        status = _STATUS.get(error.exit_code, HTTPStatus.INTERNAL_SERVER_ERROR)
        self.answer({"message": str(error), "code": int(error.exit_code)}, status)


class ClassifyHandler(SkyfloHandler):
    """What each cell is."""

    @authenticated
    async def post(self) -> None:
        """Classify the cells of one notebook."""
        from skyflo_runbooks.notebook.grammar import classify_cells

        try:
            body = self.body(ClassifyBody)
        except BadInput as error:
            self.refuse(error)
            return
        found = classify_cells([cell.source for cell in body.cells])
        cells = [
            {"id": cell.id, "kind": it.kind, "step": it.step, "after": it.after, "auto": it.auto_run}
            for cell, it in zip(body.cells, found, strict=True)
        ]
        self.answer({"cells": cells, "refusal": await self._refusal(body.metadata), "prepare": PREPARE})

    async def _refusal(self, metadata: Metadata) -> str | None:
        """Why nothing runs by itself, in words for the person who opened the notebook."""
        try:
            serves = (await self.relay.status()).cluster
        except SkyfloError as error:
            return f"{error} Nothing runs by itself until then."
        wanted = metadata.target.cluster
        if not wanted or wanted == serves.uid:
            return None
        return (
            f"This runbook was made for the cluster {metadata.target.context or wanted}; the gateway serves "
            f"{serves.context or serves.uid}. Nothing runs by itself, and changes are refused until it is retargeted."
        )


class LeaseHandler(SkyfloHandler):
    """Who runs what runs by itself."""

    @authenticated
    async def post(self) -> None:
        """Ask the gateway for the lease."""
        try:
            body = self.body(LeaseBody)
            granted = not await self._elsewhere(body)
            granted = granted and await self.relay.lease(f"{body.runbook}/{body.kernel}/{body.what}")
        except SkyfloError as error:
            self.refuse(error)
            return
        self.answer({"granted": granted})

    async def _elsewhere(self, body: LeaseBody) -> bool:
        """Whether another kernel of the same notebook, alive still, is the one whose reads run by themselves.

        Two tabs that open at the same moment may hold two kernels for an instant; the first to ask here is the one.
        """
        if body.what != "reads":
            return False
        sessions = await self.session_manager.list_sessions()  # type: ignore[no-untyped-call]  # jupyter leaves it untyped
        paths = {session["kernel"]["id"]: session["path"] for session in sessions if session.get("kernel")}
        path = paths.get(body.kernel)
        first = self.settings.setdefault("skyflo_reads", {}).setdefault(path, body.kernel)
        if first != body.kernel and paths.get(first) != path:
            # That kernel is gone, or has moved to another notebook.
            self.settings["skyflo_reads"][path] = first = body.kernel
        return bool(path is not None and first != body.kernel)


class ProposalHandler(SkyfloHandler):
    """How a proposal stands."""

    @authenticated
    async def get(self, proposal: str) -> None:
        """Wait for the decision and its outcome, a bounded time; the page asks again."""
        from skyflo_runbooks.notebook import render

        try:
            view, whole = await self.relay.view(proposal)
        except SkyfloError as error:
            self.refuse(error)
            return
        settled = view.state not in UNSETTLED
        moved = view.superseded_by if view.state == "superseded" else None
        bundle = render.receipt_bundle(whole) if settled and moved is None else None
        self.answer({"id": view.id, "state": view.state, "settled": settled, "next": moved, "bundle": bundle})


def load(server: ServerApp) -> None:
    """Add the routes to a Jupyter server."""
    relay = Relay(find_door)
    base = server.web_app.settings["base_url"]
    routes = [
        (url_path_join(base, "skyflo", "classify"), ClassifyHandler, {"relay": relay}),
        (url_path_join(base, "skyflo", "lease"), LeaseHandler, {"relay": relay}),
        (url_path_join(base, "skyflo", "proposals", "(ap-[0-9a-z]{6})"), ProposalHandler, {"relay": relay}),
    ]
    server.web_app.add_handlers(".*$", routes)  # type: ignore[no-untyped-call]  # tornado leaves it untyped
    _log.info("Skyflo Runbooks: routes at %s", url_path_join(base, "skyflo"))
