"""A small gateway in memory that serves the pages and speaks their part of the contract; signatures are verified."""

import asyncio
import base64
import json
import secrets
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from skyflo_runbooks.model.json import Json, canonical
from skyflo_runbooks.service import pages
from tests.pages.views import receipt, view

_COOKIE = "skyflo_session"


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public_key(jwk: Json) -> ec.EllipticCurvePublicKey:
    """The key that a browser sent."""
    x, y = (int.from_bytes(_decode(str(jwk[part])), "big") for part in "xy")
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def verified(key: ec.EllipticCurvePublicKey, signature: str, message: bytes) -> bool:
    """Whether the signature (r and s, base64url) is the key's over the message."""
    raw = _decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        key.verify(der, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return len(raw) == 64


def _refusal(code: int, status: int, message: str, next_step: str = "") -> Response:
    return JSONResponse(
        {"error": {"code": code, "kind": "Refused", "message": message, "next_step": next_step}}, status
    )


class Gateway:
    """Its state, and the routes over it. `lie` makes it ask for a signature over something else than is shown."""

    def __init__(self) -> None:
        self.views: dict[str, Json] = {}
        self.links = {"link-1", "link-2"}
        self.sessions: dict[str, str] = {}
        self.keys: dict[str, ec.EllipticCurvePublicKey] = {}
        self.paired: list[Json] = []
        self.nonces: dict[str, bytes] = {}
        self.decisions: list[Json] = []
        self.asked: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.parent = ""
        self.lie: Json = {}
        self.requires: dict[str, Json] = {}
        self.apply = asyncio.Event()
        self.apply.set()
        self.add(view())

    def add(self, proposal: Json) -> Json:
        """Keep a proposal."""
        self.views[str(proposal["id"])] = proposal
        return proposal

    def app(self) -> Starlette:
        """The application."""
        api = "/api/v1/proposals"
        return Starlette(
            routes=[
                Route("/", self.front),
                Route("/login/{token}", self.login),
                Route("/proposals/{id}", self.card),
                Route("/together", self.together),
                Route(api, self.all),
                Route(api + "/{id}", self.one),
                Route(api + "/{id}/nonce", self.nonce),
                Route(api + "/{id}/decision", self.decide, methods=["POST"]),
                Route(api + "/{id}/modify", self.modify, methods=["POST"]),
                Route(api + "/{id}/rollback", self.rollback, methods=["POST"]),
                Route("/api/v1/pair", self.pair, methods=["POST"]),
                Mount("/static", StaticFiles(directory=pages.STATIC)),
            ]
        )

    def operator(self, request: Request) -> str | None:
        """Who is signed in."""
        return self.sessions.get(request.cookies.get(_COOKIE, ""))

    def html(self, said: str) -> Response:
        """A page under the headers that the package gives."""
        return HTMLResponse(said, headers=pages.security(self.parent))

    async def front(self, request: Request) -> Response:
        return self.html(
            pages.listing(
                list(self.views.values()), operator=self.operator(request), practice=True, isolation="sandbox"
            )
        )

    async def login(self, request: Request) -> Response:
        token = request.path_params["token"]
        return self.html(pages.login(token, valid=token in self.links))

    async def card(self, request: Request) -> Response:
        return self.html(
            pages.card(
                self.views[request.path_params["id"]],
                operator=self.operator(request),
                framed=request.headers.get("sec-fetch-dest") == "iframe",
                practice=False,
                isolation="none",
                parent=self.parent,
                cluster="prod-eu",
                requires=self.requires.get(request.path_params["id"]),
            )
        )

    async def together(self, request: Request) -> Response:
        return self.html(
            pages.together(
                [self.views[id_] for id_ in request.query_params.getlist("id")],
                operator=self.operator(request),
                requires=self.requires,
                practice=False,
                isolation="sandbox",
                cluster="prod-eu",
            )
        )

    async def all(self, request: Request) -> Response:
        return JSONResponse(list(self.views.values()))

    async def one(self, request: Request) -> Response:
        proposal = self.views[request.path_params["id"]]
        if "wait" in request.query_params and proposal["state"] in ("approved", "executing"):
            await asyncio.wait_for(self.apply.wait(), 30)
            self._applied(proposal)
        return JSONResponse(proposal)

    def _applied(self, proposal: Json) -> None:
        proposal.update(state="executed", receipt=receipt(operator=proposal["receipt"]["operator"]))

    async def pair(self, request: Request) -> Response:
        body = await request.json()
        self.paired.append(body)
        if body["token"] not in self.links:
            return _refusal(5, 403, "This link was used already.", "Ask for another one.")
        self.links.discard(body["token"])
        self.keys[body["name"]] = public_key(body["key"])
        session = secrets.token_urlsafe(16)
        self.sessions[session] = body["name"]
        answer = JSONResponse({"operator": body["name"]})
        answer.set_cookie(_COOKIE, session, httponly=True, samesite="strict")
        return answer

    async def nonce(self, request: Request) -> Response:
        proposal = self.views[request.path_params["id"]]
        nonce = secrets.token_urlsafe(12)
        requires = self.requires.get(request.path_params["id"], {})
        typed = request.query_params.get("typed", "")
        message = canonical(
            {
                "schema": "skyflo.dev/decision/v1",
                "proposal": proposal["id"],
                "digest": proposal["digest"],
                "decision": request.query_params["decision"],
                "nonce": nonce,
                "reason": request.query_params["reason"],
                **({"typed": typed} if typed and requires.get("typed") else {}),
                **self.lie,
            }
        )
        self.nonces[nonce] = message
        said = {"nonce": nonce, "digest": proposal["digest"], "message": message.decode()}
        return JSONResponse({**said, "requires": requires})

    async def decide(self, request: Request) -> Response:
        body = await request.json()
        self.headers.append(dict(request.headers))
        operator = self.operator(request) or ""
        message = self.nonces.pop(body["nonce"], b"")
        if not message or not verified(self.keys[operator], body["signature"], message):
            return _refusal(5, 403, "The signature does not fit.")
        proposal = self.views[request.path_params["id"]]
        if datetime.fromisoformat(str(proposal["expires"])) <= datetime.now(UTC):
            return _refusal(13, 409, "It expired at 02:43.", "Run the change step again for a new proposal.")
        self.decisions.append(body)
        approved = body["decision"] == "approve"
        decided = receipt(operator=operator, applied=[], applied_at="", ledger=[118, 118], reason=body["reason"])
        proposal.update(state="approved" if approved else "rejected", receipt=decided)
        assert json.loads(message)["digest"] == body["digest"]
        return JSONResponse(proposal)

    async def modify(self, request: Request) -> Response:
        old = self.views[request.path_params["id"]]
        body = await request.json()
        self.asked.append(body)
        if body["set"].get("limits.memory") == "lots":
            return _refusal(2, 422, "'lots' is not a quantity.", "Write it like 300Mi.")
        return JSONResponse(self._successor(old, limits={"memory": body["set"]["limits.memory"]}))

    def _successor(self, old: Json, **arguments: object) -> Json:
        new = self.add(
            view(id="ap-new123", supersedes=old["id"], arguments={**old["arguments"], **arguments}, title="Modified")
        )
        old.update(state="superseded", superseded_by=new["id"], receipt=receipt(operator=""))
        return new

    async def rollback(self, request: Request) -> Response:
        return JSONResponse(self.add(view(id="ap-back12", rollback_of=request.path_params["id"], title="Way back")))
