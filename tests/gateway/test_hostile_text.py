"""Whoever writes a log, an annotation or an answer chooses the text that is masked: it must not stop the gateway."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway.foreign import words
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.notebook.text import clean

LENGTH = 400_000
BEGINNINGS = (
    *("a.", "a+", "a-", "token", "token ", "password=", "secret-", "x:", "://", "://a:", "http://a:"),
    *("sk-aaaaaa-", "-eyJaaaaaaaa", "eyJaaaaaaaa.", "-xoxb-aa", "ghp_aaaa-", "AKIA00", "Authorization:", '"', "'"),
    *("-----BEGIN ", "-----BEGIN PRIVATE KEY", "-----END PRIVATE KEY-----\n", "abcd\n", "\x1b[", "\x1b]", "«masked:"),
    *(
        "--password ",
        '"--token",',
        "-",
        "--",
        "-key ",
        "-key=",
        "-key,",
        "token\n- ",
        "password: |\n",
        "password: |\n ",
        " ",
    ),
    *('password="', "password='", 'password="\\', "password=\\", 'token\\":\\"', "password: |\\n", "password\n", "\n "),
    *(
        "\\",
        '\\"',
        "://u:@",
        "://u:p@",
        "://:/",
        "@",
        "npm_a",
        "AIza-",
        "glpat-a",
        'auth":"a',
        "auth\\",
        "token=,",
        "token=,a",
    ),
    *(
        'password="' + "\\" * 4096 + "\n",
        "password: a" + "," * 500,
        "pwd",
        "_pwd=",
        "token={}",
        "hooks.slack.com/services/",
    ),
)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_text_in_which_every_place_could_begin_a_secret(beginning: str) -> None:
    """It is looked through once, not from each of its places to its end: that would take hours."""
    text = beginning * (LENGTH // len(beginning)) + "!"
    assert Redactor().text(text)
    assert "\x1b" not in words.plain(text)
    assert "\x1b" not in clean(text)


@given(
    st.lists(st.sampled_from(["a", "x.y", "-", "_", " ", "\n", '"', "1", "DB_", "(", "/"]), max_size=8).map("".join),
    st.sampled_from(["password", "token", "api_key", "SECRET", "credentials"]),
    st.sampled_from(["=", ": ", '": "', " = "]),
)
def test_what_stands_before_a_secrets_name_does_not_matter(before: str, name: str, sets: str) -> None:
    """However the name begins; what stands before it stays as it is."""
    closed = '"' if sets.endswith('"') else ""
    shown = Redactor().text(f"{before}{name}{sets}hunter2hunter2{closed} after")
    assert "hunter2" not in shown
    assert shown.startswith(f"{before}{name}{sets}«masked:")
    assert shown.endswith(" after")


@pytest.mark.parametrize("scheme", ["postgres", "redis+tls", "HTTPS", ""])
def test_a_password_in_a_url_of_whatever_scheme(scheme: str) -> None:
    """Also where a cut took the scheme's beginning."""
    shown = Redactor().text(f"{scheme}://user:hunter2hunter2@db/shop")
    assert "hunter2" not in shown
    assert shown.endswith("@db/shop")


@pytest.mark.parametrize("token", ["sk-abcdefgh", "AKIA1234567", "ghp_abcdefghij", "xoxb-1234"])
def test_the_beginning_of_a_token_at_a_texts_end(token: str) -> None:
    """A cut left half of it."""
    for text in (f"key {token}", f"key {token}…"):
        assert token not in Redactor().text(text)
    assert token in Redactor().text(f"key {token} and more")
