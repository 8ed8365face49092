"""A private key in a log that begins or ends in the midst of it, and the lines that a cut leaves."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes.logs import whole_lines
from skyflo_mcp.kubernetes.pem import key_lines

RAW = b"".join(hashlib.sha256(bytes([place])).digest() for place in range(19))
TEXT = base64.b64encode(RAW).decode()
BODY = [TEXT[place : place + 64] for place in range(0, len(TEXT), 64)]
BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
LOG = ["starting", BEGIN, *BODY, END, "key loaded", "done"]


def left(lines: list[str]) -> str:
    """Return what is left of a log when the lines of keys are taken out."""
    kept = list(lines)
    for place, start, end in key_lines(lines):
        kept[place] = kept[place][:start] + "*" + kept[place][end:]
    return "\n".join(kept)


@pytest.mark.parametrize("first", range(len(LOG)))
@pytest.mark.parametrize("prefix", ["", "2026-01-01T00:00:00Z ", "INFO | "])
def test_wherever_a_log_begins_no_line_of_the_key_is_left(first: int, prefix: str) -> None:
    """A tail of so many lines begins anywhere; what is no key's stays."""
    lines = [prefix + line for line in LOG[first:]]
    shown = left(lines)
    assert not any(line in shown for line in BODY[:-1])
    # Of a short last line alone, with an END after it, that tells.
    assert BODY[-1] not in shown
    assert all(line in shown for line in lines if line.removeprefix(prefix) not in BODY)


@pytest.mark.parametrize("last", range(1, len(LOG)))
def test_wherever_it_ends_neither(last: int) -> None:
    """An output that is cut has no END."""
    shown = left(LOG[:last])
    assert not any(line in shown for line in BODY)
    assert "starting" in shown


def test_what_is_public_stays() -> None:
    """A certificate, a digest in hex, words."""
    certificate = ["-----BEGIN CERTIFICATE-----", *BODY, "-----END CERTIFICATE-----", "ready"]
    assert left(certificate) == "\n".join(certificate)
    digests = [hashlib.sha256(b"a").hexdigest(), "=" * 64, "a" * 64, "uploaded"]
    assert left(digests) == "\n".join(digests)


def test_headers_of_an_encrypted_key_do_not_end_it() -> None:
    """They stand between BEGIN and the base64."""
    lines = [BEGIN, "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0A", "", *BODY, END]
    assert not any(line in left(lines) for line in BODY)


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=8), st.integers(1, 120))
def test_what_is_kept_of_a_log_is_whole_lines(lines: list[bytes], limit: int) -> None:
    """The last ones, within the limit, and none of them begun or ended elsewhere."""
    content = b"".join(line + b"\n" for line in lines)
    kept = whole_lines(content, limit, ended=True)
    assert len(kept) <= limit
    assert content.endswith(kept)
    assert kept == content or content[: len(content) - len(kept)].endswith(b"\n")
    broken = whole_lines(content + b"half a li", limit + 9, ended=False)
    assert b"half" not in broken
    assert content.endswith(broken)


def test_a_last_line_without_its_end_is_whole_where_the_log_ended() -> None:
    """A program that was killed left it so."""
    assert whole_lines(b"a\nlast words", 100, ended=True) == b"a\nlast words"
    assert whole_lines(b"a\nlast words", 11, ended=True) == b"last words"
    assert whole_lines(b"a\nlast words", 9, ended=True) == b""
