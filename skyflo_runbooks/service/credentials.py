"""Routes about links, tokens, keys and passkeys. What makes or ends one is signed by a paired key."""

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from skyflo_runbooks.gateway import credentials, identity, passkeys
from skyflo_runbooks.gateway.identity import Identity, Rank
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service import bodies
from skyflo_runbooks.service.answers import answer, body
from skyflo_runbooks.service.api import OPERATOR, route
from skyflo_runbooks.service.auth import COOKIE, PAGE_HEADER
from skyflo_runbooks.service.desk import Desk
from skyflo_runbooks.service.openapi import Described

_WISHES = {"link": credentials.LINK, "token": credentials.PROGRAM, "revoke": credentials.REVOKE}


async def wish_nonce(desk: Desk, request: Request, who: Identity) -> Response:
    """A nonce for a signed wish: `for` is link, token or revoke."""
    wish = request.query_params.get("for", "")
    if wish not in _WISHES:
        raise BadInput(f"A nonce is for link, token or revoke, got {wish[:40]!r}.")
    return answer({"nonce": _nonce(desk, _WISHES[wish], who), "schema": _WISHES[wish]})


async def link_nonce(desk: Desk, request: Request, who: Identity) -> Response:
    """What has to be signed for a new one-time link; `role` and `operator` narrow it."""
    made = _nonce(desk, credentials.LINK, who)
    members = {name: request.query_params.get(name, "") for name in ("role", "operator")}
    return answer({"nonce": made, "message": credentials.message(credentials.LINK, made, members).decode()})


async def link(desk: Desk, request: Request, who: Identity) -> Response:
    """Make a one-time link for another browser or terminal, by signature: a link makes an operator."""
    asked = await body(request, bodies.NewLink)
    made = credentials.new_link(
        desk.gateway.store,
        desk.gateway.rules.roles,
        nonce=asked.nonce,
        signature=asked.signature,
        rank=asked.role,
        operator=asked.operator,
        who=who,
    )
    return answer({"login": f"{desk.origin}/login/{made}"})


async def listed(desk: Desk, request: Request, who: Identity) -> Response:
    """Every credential that still serves; nothing of it can be used."""
    return answer(credentials.listed(desk.gateway.store, desk.gateway.rules.roles))


async def token(desk: Desk, request: Request, who: Identity) -> Response:
    """Make a token for a program, by signature. It is told once."""
    asked = await body(request, bodies.NewToken)
    made = credentials.new_token(desk.gateway.store, desk.gateway.rules.roles, who=who, **_members(asked))
    return answer({"token": made, "id": credentials.short(made)})


async def revoke(desk: Desk, request: Request, who: Identity) -> Response:
    """End a token, a link, a key or a passkey, by signature."""
    asked = await body(request, bodies.Revocation)
    ended = credentials.revoke(
        desk.gateway.store,
        desk.gateway.rules.roles,
        nonce=asked.nonce,
        signature=asked.signature,
        id_=asked.id,
        who=who,
    )
    return answer({"revoked": ended})


async def passkey_options(desk: Desk, request: Request, who: Identity) -> Response:
    """What the browser makes a passkey with: `{"nonce", "options"}`."""
    return answer(passkeys.options(desk.gateway.store, desk.gateway.approvals.site, who))


async def passkey(desk: Desk, request: Request, who: Identity) -> Response:
    """Register a passkey, signed for by a paired key."""
    asked = await body(request, bodies.NewPasskey)
    made = passkeys.register(desk.gateway.store, desk.gateway.approvals.site, who=who, **_members(asked))
    return answer({"id": made.id, "label": made.label, "added": made.added})


async def pair(desk: Desk, request: Request) -> Response:
    """Use up a one-time link. A browser gets its session as a cookie, a terminal as a token."""
    desk.door.check_host(request)
    desk.door.check_origin(request)
    asked = await body(request, bodies.Pairing)
    key = identity.read_key(asked.key)
    store = desk.gateway.store
    session = identity.pair(store, link=asked.token, name=asked.name, key=key, named=desk.gateway.rules.named)
    name = identity.operator_name(asked.name)
    told: Json = {"operator": name, "rank": _rank(desk, session), "key": identity.key_id(key)}
    if PAGE_HEADER not in request.headers:
        return answer({"session": session, **told})
    response = answer(told)
    response.set_cookie(
        COOKIE,
        session,
        max_age=int(identity.SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=desk.origin.startswith("https://"),
    )
    return response


def _rank(desk: Desk, session: str) -> Rank:
    return desk.gateway.rules.roles.anywhere(identity.identify(desk.gateway.store, session))


def _nonce(desk: Desk, schema: str, who: Identity) -> str:
    return identity.new_nonce(desk.gateway.store, proposal=schema, operator=who.name)


def _members(asked: msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in asked.__struct_fields__}


ROUTES = (
    route("GET", "/credentials", listed, OPERATOR),
    route("GET", "/credentials/nonce", wish_nonce, OPERATOR, queries=("for",)),
    route("POST", "/credentials/tokens", token, OPERATOR, bodies.NewToken),
    route("POST", "/credentials/revoke", revoke, OPERATOR, bodies.Revocation),
    route("GET", "/links/nonce", link_nonce, OPERATOR, queries=("role", "operator")),
    route("POST", "/links", link, OPERATOR, bodies.NewLink),
    route("POST", "/passkeys/options", passkey_options, OPERATOR),
    route("POST", "/passkeys", passkey, OPERATOR, bodies.NewPasskey),
)
PAIR = Described("POST", "/api/v1/pair", (), (pair.__doc__ or "").strip(), bodies.Pairing)
