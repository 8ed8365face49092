"""The terminal's operator credential, and the signature by which it decides.

Rules:
  1. A credential exists only after `login` with a one-time link. It lies in `home/operator.json`, mode 0600; a file
     that others can read is refused.
  2. The private key (ECDSA P-256) is made here and never leaves the file; the gateway gets the public half.
  3. What is signed is built here, from the digest that was shown; a gateway that names another digest is refused.
"""

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlsplit

import msgspec

from skyflo_runbooks.cli.client import Gateway, same_address
from skyflo_runbooks.cli.environment import Environment
from skyflo_runbooks.cli.files import replace
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused, Unreachable
from skyflo_runbooks.model.json import Json, canonical

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

SCHEMA = "skyflo.dev/decision/v1"
DecisionKind = Literal["approve", "reject"]
LOG_IN = "Run 'skyflo-runbooks login LINK' with the one-time link that 'serve' or 'lab' printed."


class Operator(msgspec.Struct, frozen=True):
    """Who decides from this terminal: name, gateway, session token and private key (PEM)."""

    name: str
    origin: str
    session: str
    key: str

    def __repr__(self) -> str:
        return f"Operator(name={self.name!r}, origin={self.origin!r}, session=***, key=***)"


class Link(msgspec.Struct, frozen=True):
    """A one-time link, taken apart."""

    origin: str
    token: str

    def __repr__(self) -> str:
        return f"Link(origin={self.origin!r}, token=***)"


def read_link(text: str) -> Link:
    """Return the parts of `http://HOST:PORT/login/TOKEN`, or raise `BadInput`."""
    parts = urlsplit(text.strip())
    head, _, token = parts.path.rpartition("/")
    if parts.scheme not in ("http", "https") or not parts.netloc or not head.endswith("/login") or not token:
        raise BadInput(
            "That is not a one-time link.",
            next_step="Expected http://HOST:PORT/login/TOKEN, as 'serve' prints it; an operator makes more with "
            "'skyflo-runbooks login --new-link'.",
        )
    return Link(f"{parts.scheme}://{parts.netloc}{head[: -len('/login')]}", token)


def pair(link: Link, name: str) -> Operator:
    """Make a key, pair it with the gateway by the link, and return the credential."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    body = {"token": link.token, "name": name, "key": public_jwk(key)}
    answer = Gateway(link.origin).post("/api/v1/pair", body)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return Operator(str(answer.get("operator") or name), link.origin, str(answer["session"]), pem)


def public_jwk(key: "EllipticCurvePrivateKey") -> Json:
    """Return the public half as RFC 7517 says it."""
    numbers = key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": _b64(numbers.x.to_bytes(32)), "y": _b64(numbers.y.to_bytes(32))}


def save(operator: Operator, path: Path) -> None:
    """Write the credential, readable by this user only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace(path, msgspec.json.encode(operator).decode(), mode=0o600)


def load(path: Path) -> Operator:
    """Return this terminal's credential, or raise `NotAllowed`."""
    try:
        if path.stat().st_mode & 0o077:
            raise NotAllowed(f"{path} can be read by others.", next_step=f"chmod 600 {path}, then log in again.")
        return msgspec.json.decode(path.read_bytes(), type=Operator)
    except FileNotFoundError:
        raise NotAllowed("This terminal is not logged in as an operator.", next_step=LOG_IN) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotAllowed(f"{path} holds no operator credential.", next_step=LOG_IN) from None


def for_gateway(environment: Environment, gateway: Gateway) -> Operator:
    """Return the credential for this gateway; one that was made for another is `NotAllowed`."""
    operator = load(environment.operator_file)
    if not same_address(operator.origin, gateway.url):
        raise NotAllowed(
            f"This terminal is logged in at {operator.origin}, the gateway is {gateway.url}.", next_step=LOG_IN
        )
    return operator


def decide(
    gateway: Gateway,
    operator: Operator,
    *,
    view: Json,
    decision: DecisionKind,
    reason: str = "",
    typed: str = "",
    waits: bool = False,
) -> Json:
    """Sign the decision on what `view` showed, send it, and return the proposal's view after it.

    `typed` is the name that approves a deletion. `waits` says that one before it waits for another approver.
    """
    body = ballot(gateway, operator, view=view, decision=decision, reason=reason, typed=typed, waits=waits)
    try:
        answer: Json = gateway.using(operator.session).post(f"{_path(view)}/decision", body, timeout=120.0)
    except Unreachable as error:
        raise Unreachable(
            f"{error.message} Whether the decision on {view['id']} arrived is not known.",
            next_step=f"Nothing is sent twice. When it answers again: skyflo-runbooks show {view['id']}",
        ) from None
    return answer


def ballot(
    gateway: Gateway,
    operator: Operator,
    *,
    view: Json,
    decision: DecisionKind,
    reason: str = "",
    typed: str = "",
    waits: bool = False,
) -> Json:
    """Return the signed decision that `decide` sends."""
    id_, digest = str(view["id"]), str(view["digest"])
    query = {"decision": decision, "reason": reason, "typed": typed}
    challenge = gateway.using(operator.session).get(f"{_path(view)}/nonce", query=query)
    if challenge["digest"] != digest:
        raise Refused(
            f"{id_} is no longer what was shown: its digest was {digest[:23]}…, now it is {challenge['digest'][:23]}….",
            next_step=f"Look again: skyflo-runbooks show {id_}",
        )
    requires = (challenge.get("requires") or {}) if decision == "approve" else {}
    _admit(requires, view, typed=typed, waits=waits)
    nonce = str(challenge["nonce"])
    # A name is signed where the policy asks for one.
    typed = typed if requires.get("typed") else ""
    signed = message(id_, digest=digest, decision=decision, nonce=nonce, reason=reason, typed=typed)
    said = {"decision": decision, "reason": reason, "digest": digest, "nonce": nonce, "typed": typed}
    return {**said, "signature": sign(operator.key, signed)}


def _path(view: Json) -> str:
    return f"/api/v1/proposals/{quote(str(view['id']), safe='')}"


def _admit(requires: Json, view: Json, *, typed: str, waits: bool) -> None:
    """Raise where the policy asks for what this terminal did not bring, before anything is signed."""
    id_ = str(view["id"])
    if requires.get("refused"):
        step = str(requires.get("next_step") or f"Look at it: skyflo-runbooks show {id_}")
        raise NotAllowed(f"{requires['refused']} Nothing was approved.", next_step=step)
    if requires.get("passkey"):
        raise NotAllowed(
            f"{id_} is approved with a passkey, and a terminal has none.", next_step=f"Decide at {view.get('url')}"
        )
    if requires.get("typed") and requires["typed"] != typed:
        raise BadInput(f"{id_} is approved by typing {requires['typed']}.", next_step="Nothing was approved.")
    approvals = requires.get("approvals") or {}
    if waits and int(approvals.get("have", 0)) + 1 >= int(approvals.get("needed", 1)):
        raise Refused(
            f"One before {id_} waits for another approver, so {id_} was not approved.",
            next_step="Approve it when those before it are applied.",
        )


def wish(gateway: Gateway, operator: Operator, kind: str, path: str, members: Json) -> Json:
    """Sign for what makes or ends a credential (`kind`: link, token or revoke) and return the gateway's answer.

    What is signed is everything that is asked for; what is left empty is not in it (docs/architecture.md).
    """
    as_operator = gateway.using(operator.session)
    said = {name: value for name, value in members.items() if value}
    nonce = str(as_operator.get("/api/v1/credentials/nonce", query={"for": kind})["nonce"])
    signed = canonical({"schema": f"skyflo.dev/{kind}/v1", "nonce": nonce, **said})
    made: Json = as_operator.post(path, {"nonce": nonce, "signature": sign(operator.key, signed), **said})
    return made


def new_link(gateway: Gateway, operator: Operator, *, role: str = "", name: str = "") -> Json:
    """Sign for a one-time link and return the gateway's answer, `{"login": …}`."""
    return wish(gateway, operator, "link", "/api/v1/links", {"role": role, "operator": name})


def message(proposal: str, *, digest: str, decision: DecisionKind, nonce: str, reason: str, typed: str = "") -> bytes:
    """Return the bytes that a decision signs (docs/architecture.md); `typed` only where a name was typed."""
    said = {"proposal": proposal, "digest": digest, "decision": decision, "nonce": nonce, "reason": reason}
    return canonical({"schema": SCHEMA, **said, **({"typed": typed} if typed else {})})


def sign(pem: str, signed: bytes) -> str:
    """Return the ECDSA P-256 signature with SHA-256 in WebCrypto's form: r‖s, base64url without padding."""
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise NotAllowed("The operator's key is not of the kind that login makes.", next_step=LOG_IN)
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return _b64(r.to_bytes(32) + s.to_bytes(32))


def system_user() -> str:
    """Return the name of the system's user, as `login` uses it without `--operator`."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
