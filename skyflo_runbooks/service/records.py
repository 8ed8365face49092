"""The record over HTTP: its entries a page at a time, whether it holds, its public key, and an export."""

from starlette.requests import Request
from starlette.responses import Response

from skyflo_runbooks.gateway import checkpoints, whole
from skyflo_runbooks.gateway.identity import Identity, Role
from skyflo_runbooks.gateway.ledger import PAGE, Wanted, page, runs
from skyflo_runbooks.gateway.store import rfc3339
from skyflo_runbooks.model.errors import NotThere
from skyflo_runbooks.service.answers import answer, number
from skyflo_runbooks.service.api import ANYONE, Handle, Routed
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.openapi import Described

LATEST = 8


async def entries(desk: Desk, request: Request, who: Identity) -> Response:
    """The ledger's entries after `since`, at most `limit` (1000): all, of one run, or of one kind; or the newest."""
    return answer(page(desk.gateway.store.database, wanted(request)))


async def verify(desk: Desk, request: Request, who: Identity) -> Response:
    """Whether the chain and its signed checkpoints hold."""
    store = desk.gateway.store
    return answer(await whole.verified(store.database, {store.book.signer.public}))


async def key(desk: Desk, request: Request, who: Identity) -> Response:
    """The public half of the key that signs checkpoints and exports."""
    public = desk.gateway.store.book.signer.public
    return answer({"key": public, "id": checkpoints.key_id(public)})


async def export(desk: Desk, request: Request, who: Identity) -> Response:
    """The ledger as a signed envelope (DSSE), whole or of one run."""
    store = desk.gateway.store
    asked = wanted(request)
    _admit_run(desk, asked.run)
    return answer(await whole.exported(store.database, store.book.signer, at=rfc3339(store.now()), wanted=asked))


def _admit_run(desk: Desk, run: str) -> None:
    """Raise `NotThere` where an export is asked for of a run that the record does not know: it would hold nothing."""
    database = desk.gateway.store.database
    if not run or page(database, Wanted(run=run, limit=1)):
        return
    latest = runs(database, LATEST)
    known = f"The latest are {', '.join(latest)}." if latest else "The record tells of no run yet."
    raise NotThere(f"The record has no entry of a run {run[:80]!r}.", next_step=known)


def wanted(request: Request) -> Wanted:
    """Return which entries a query asks for."""
    said = request.query_params
    return Wanted(
        since=number(request, "since", 0),
        limit=min(number(request, "limit", PAGE), PAGE),
        before=number(request, "before", 0),
        run=said.get("run", ""),
        kind=said.get("kind", ""),
        newest=said.get("newest", "") not in ("", "0", "false"),
    )


WANTED = ("since", "limit", "before", "run", "kind", "newest")


def _route(path: str, handle: Handle, roles: tuple[Role, ...], queries: tuple[str, ...] = ()) -> Routed:
    says = (handle.__doc__ or "").strip()
    return Routed(Described("GET", f"/api/v1/ledger{path}", roles, says, queries=queries), handle)


ROUTES = (
    _route("", entries, ANYONE, WANTED),
    _route("/verify", verify, ANYONE),
    _route("/key", key, ANYONE),
    _route("/export", export, ANYONE, WANTED),
)
