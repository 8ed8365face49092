"""The operator's credential: made by a link, private, and its signature verifies."""

import base64
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from skyflo_runbooks.cli import operator
from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.cli.client import Gateway
from skyflo_runbooks.cli.environment import Environment
from skyflo_runbooks.cli.operator import Link, Operator
from skyflo_runbooks.model.errors import BadInput, NotAllowed, Refused
from tests.cli.answering import answering
from tests.cli.conftest import Terminal

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
WHO = Operator("k.ops", "http://localhost:1", "session-token", PEM)


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200))
def test_a_signature_verifies_and_covers_every_byte(signed: bytes) -> None:
    """r‖s in base64url without padding, 64 bytes, as WebCrypto has it; another message does not verify."""
    text = operator.sign(PEM, signed)
    assert "=" not in text
    raw = _raw(text)
    assert len(raw) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    KEY.public_key().verify(der, signed, ec.ECDSA(hashes.SHA256()))
    with pytest.raises(InvalidSignature):
        KEY.public_key().verify(der, signed + b"x", ec.ECDSA(hashes.SHA256()))


def test_the_signed_message_is_the_documented_one() -> None:
    """Canonical JSON: sorted members, no spaces, the schema in it."""
    said = operator.message("ap-abc123", digest="sha256:1", decision="approve", nonce="n", reason="ü")
    assert said.decode() == (
        '{"decision":"approve","digest":"sha256:1","nonce":"n","proposal":"ap-abc123","reason":"ü",'
        '"schema":"skyflo.dev/decision/v1"}'
    )


def test_the_public_half_is_a_jwk() -> None:
    """Its coordinates are those of the key."""
    jwk = operator.public_jwk(KEY)
    assert (jwk["kty"], jwk["crv"], set(jwk)) == ("EC", "P-256", {"kty", "crv", "x", "y"})
    assert int.from_bytes(_raw(jwk["x"])) == KEY.public_key().public_numbers().x


@pytest.mark.parametrize("text", ["http://localhost:1/login/abc", " http://localhost:1/login/abc?next=/x \n"])
def test_a_link_is_taken_apart(text: str) -> None:
    """The origin is where the key is paired, the token what is used up."""
    assert operator.read_link(text) == Link("http://localhost:1", "abc")


@pytest.mark.parametrize("text", ["", "abc", "http://localhost:1/", "http://localhost:1/login/", "ftp://x/login/abc"])
def test_what_is_no_link_is_refused(text: str) -> None:
    """The expected form is said."""
    with pytest.raises(BadInput) as error:
        operator.read_link(text)
    assert "/login/TOKEN" in error.value.next_step


def test_the_credential_is_private(tmp_path: Path) -> None:
    """Mode 0600, and it reads back."""
    path = tmp_path / "home" / "operator.json"
    operator.save(WHO, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert operator.load(path) == WHO


def test_a_credential_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """As ssh does with its keys."""
    path = tmp_path / "operator.json"
    operator.save(WHO, path)
    path.chmod(0o640)
    with pytest.raises(NotAllowed, match="read by others"):
        operator.load(path)


def test_half_a_credential_is_no_credential(tmp_path: Path) -> None:
    """It says to log in again."""
    path = tmp_path / "operator.json"
    path.touch(mode=0o600)
    with pytest.raises(NotAllowed) as error:
        operator.load(path)
    assert "login LINK" in error.value.next_step


def test_a_credential_is_for_its_own_gateway(tmp_path: Path) -> None:
    """Session and signature never go to another address."""
    environment = Environment(home=tmp_path)
    operator.save(WHO, environment.operator_file)
    with pytest.raises(NotAllowed, match=r"logged in at http://localhost:1, .*:2"):
        operator.for_gateway(environment, Gateway("http://localhost:2"))
    assert operator.for_gateway(environment, Gateway("http://localhost:1")) == WHO


def test_what_is_secret_has_no_representation() -> None:
    """Neither key nor session nor a link's token appears in a log."""
    shown = f"{WHO!r} {Link('http://x', 'one-time')!r}"
    assert "session-token" not in shown
    assert "PRIVATE" not in shown
    assert "one-time" not in shown


def test_a_gateway_that_names_another_digest_gets_no_signature() -> None:
    """What was shown is what is signed: a changed digest is refused before anything is signed."""
    with answering(200, {"nonce": "n", "digest": "sha256:other", "message": "x"}) as server:
        view = {"id": "ap-abc123", "digest": "sha256:shown"}
        with pytest.raises(Refused, match="no longer what was shown"):
            operator.decide(Gateway(server.url), WHO, view=view, decision="approve")
    assert [method for method, *_ in server.asked] == ["GET"]


def test_login_makes_an_operator_once(terminal: Terminal, flagship: Bench) -> None:
    """A link serves one terminal; the second use is refused, and an operator makes another link."""
    terminal.at(flagship, log_in=True)
    link = terminal("login", "--new-link", "--json").json["login"]
    said = terminal("login", link, "--operator", "second", "--json")
    assert said.code == 0
    assert said.json == {"operator": "second", "origin": flagship.kernel.url}
    assert operator.load(terminal.home / "operator.json").name == "second"
    again = terminal("login", link, "--operator", "third")
    assert again.code in (5, 13)
    assert link.rpartition("/")[2] not in again.err


def test_login_wants_a_link_or_the_flag(terminal: Terminal) -> None:
    """Neither and both are bad input."""
    assert terminal("login").code == 2
    assert terminal("login", "http://localhost:1/login/x", "--new-link").code == 2


def test_a_new_link_takes_an_operator(terminal: Terminal, flagship: Bench) -> None:
    """A kernel's token cannot make operators."""
    said = terminal.at(flagship)("login", "--new-link")
    assert said.code == 5
