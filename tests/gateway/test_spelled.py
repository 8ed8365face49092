"""All of a secret that stands in a text is masked, whatever characters are in it, and nothing that is none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyflo_runbooks.gateway.redaction import Redactor, says_secret

SECRETS = {
    "separators in quotes": '{"password":"hun,ter2;hunter2"}',
    "spaces in quotes": 'password="hunter2 and hunter2"',
    "single quotes": "password: 'a hunter2 c d hunter2'",
    "single quotes in single quotes": "password: 'it''s hunter2'",
    "an escaped quote": r'{"password": "hun\"hunter2\\", "user": "bob"}',
    "JSON in JSON": r'{"msg": "{\"password\":\"hun,ter2 \\\"hunter2\", \"user\":\"bob\"}"}',
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps({"password": 'hu"n hunter2', "user": "bob"}))),
    "over two lines": 'PASSWORD="first\nhunter2"\nafter',
    "cut off": 'the answer was {"password":"hunter2 hunter2',
    "no quotes": "password=hun,ter2;hunter2&x}hunter2 after",
    "a quote within": "password: hun'hunter2",
    "a scheme before it": "token: Bearer hunter2hunter2",
    "another arrow": "'password' => 'x hunter2'",
    "a block": "password: |\n  a hunter2\n\n    hunter2\nafter: x",
    "a folded block in a list": "- password: >-\n    hunter2\n    hunter2\n  after: x",
    "a block in JSON": r'{"file": "password: |\n  x hunter2\nuser: x"}',
    "the next line": "password:\n  hunter2hunter2",
    "a URL with an @": "postgres://u:hun@ter2hunter2@h/x",
    "a URL with a slash": "postgres://u:hun/ter2hunter2@h/x",
    "a URL with a quote": "postgres://u:hun'hunter2@h/x",
    "a URL without a user": "redis://:hunter2hunter2@h:6379",
    "two URLs": "a://u:hun@hunter2@h,b://u:hun/hunter2@h2",
    "a URL whose user is a token": "https://ghp_aaaaaaaaaabbbbbbbbbbccccccccccdddd:hunter2@h",
    "a variable": {"name": "DB_PWD", "value": "hunter2"},
    "a key": [{"name": "ENCRYPTION_KEY", "value": "hunter2"}, {"masterKey": "hunter2"}, {"client-key-data": "hunter2"}],
    "a ConfigMap": {"kind": "ConfigMap", "data": {"SIGNING_KEY": "hunter2"}},
    "a text of pwd": "Server=db;Uid=u;Pwd=hunter2; DB_PWD=hunter2 pwd: hunter2",
    "a flag": "start --user bob --db-password hunter2 --key hunter2 --token='x hunter2' --api-key=hunter2",
    "a list": {"command": ["x", "--password", "hunter2"], "args": ["--auth-token", "hunter2", "--tls-key", "hunter2"]},
    "a list in a text": 'exec: ["x", "--password", "hun hunter2"] ["--token","hunter2"]',
    "a list in YAML": "args:\n- --password\n- hunter2\n- --verbose",
    "dockerconfigjson": {"data": {".dockerconfigjson": '{"auths":{"r":{"auth":"hunter2hunter2"}}}'}},
    "a registry's login": '{"auths":{"r":{"auth":"hunter2hunter2"}}}',
    "basic login": '{"Authorization": "Basic hunter2hunter2"}',
    "a hook": "https://hooks.slack.com/services/T000/B000/hunter2",
}
SHAPES = ["glpat-abcdefghij1234567890", "npm_" + "abcdefghijkl" * 3, "AIzaSyA1234567890abcdefghijklmnopqrstuv"]
PLAIN: tuple[Any, ...] = (
    "monkey: value",
    "key: value, tokenizer: bpe, max_tokens=5, secretName: db-tls",
    "the password is wrong; a token was expected, and the secret key of it",
    "wrong password for user bob",
    "image: registry.example:5000/shop/web@sha256:0123456789abcdef",
    "docker-pullable://registry.example:5000/web@sha256:0123456789abcdef",
    "docker://nginx:1.25@sha256:0123456789abcdef",
    "GET http://web.shop:8080/users/me@example.com and http://[::1]:80/a@b, see https://x/y?z=a:b@c",
    "PWD=/root OLDPWD=/ HOME=/root",
    "--client-key=/etc/kubernetes/pki/client.key --kubelet-client-key /etc/kubernetes/pki/x.key --sort-key name",
    "token: /var/run/secrets/kubernetes.io/serviceaccount/token",
    "automountServiceAccountToken: false\npassword: null",
    "env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\nsecret:\n  secretName: tls\n",
    'kubectl get secret --namespace shop --token-ttl 5m - key x, partition-key: shop, "key": "settings.yaml"',
    '{"msg": "wrong password: ", "next": {"a": "token="}, "x": [1]}',
    'a key "public-key": "x", npm_config_cache, a glpat is a token',
    {"args": ["--password", "--verbose", "--tls-key", "/etc/tls/tls.key", "key", "value", "--sort-key", "name"]},
    {"topologyKey": "kubernetes.io/hostname", "key": "value", "PWD": "/root", "keyRef": {"key": "settings"}},
)


@pytest.mark.parametrize("what", SECRETS)
def test_all_of_it_is_masked(what: str) -> None:
    """And comes back as it was, and masked again it stays."""
    redactor = Redactor()
    shown = redactor.mask(SECRETS[what])
    assert "hunter2" not in str(shown)
    assert redactor.mask(shown) == shown
    assert redactor.resolve(shown) == SECRETS[what]


@pytest.mark.parametrize("token", SHAPES)
def test_tokens_of_these_shapes(token: str) -> None:
    """Without a name; also the first half of one at the end of a text."""
    assert token not in Redactor().text(f"with {token} it went")
    half = token[: len(token) * 3 // 4]
    assert half not in Redactor().text(f"with {half}…")


@pytest.mark.parametrize("plain", PLAIN, ids=range(len(PLAIN)))
def test_what_is_no_secret_stays(plain: Any) -> None:
    """Names of keys, images, places, settings, words about secrets."""
    assert Redactor().mask(plain) == plain


def test_what_stands_around_a_secret_stays() -> None:
    """The next name, what comes after a bracket, the host, the rest of a file."""
    shown = [
        ("password=hunter2,user=bob", "password=*,user=bob"),
        ('{"password":"a,b;c","user":"bob"}', '{"password":"*","user":"bob"}'),
        (r'"{\"token\":\"a \\\" b\",\"user\":\"bob\"}"', r'"{\"token\":\"*\",\"user\":\"bob\"}"'),
        ("a: 1\nb:\n  password: |\n    one\n    two\n  c: 2\n", "a: 1\nb:\n  password: |\n    *\n  c: 2\n"),
        ("- password: |\n    one\n  c: 2", "- password: |\n    *\n  c: 2"),
        ("x://u:p@@p/q@db:5432/shop and a@b", "x://u:*@db:5432/shop and a@b"),
        ("a --password one two --user b", "a --password * two --user b"),
        ("password='one\nnext: line", "password='*\nnext: line"),
    ]
    for text, expected in shown:
        redactor = Redactor()
        masked = redactor.text(text)
        for mark in redactor._known:
            masked = masked.replace(f"«masked:{mark}»", "*")
        assert masked == expected


def test_names() -> None:
    """Of keys that encrypt and sign, and of passwords in short; the shell's folder is none."""
    said = ("DB_PWD", "dbPwd", "pwd", "ENCRYPTION_KEY", "signing-key", "masterKey", "CLIENT_KEY", ".dockerconfigjson")
    assert all(says_secret(name) for name in said)
    assert not any(says_secret(name) for name in ("PWD", "OLDPWD", "key", "monkey", "topologyKey", "tokenizer"))


PARTS = (
    *("password", "token", "--password", "pwd", "-key", "=", ": ", '"', "'", "\\", "\n", "  ", " ", ",", ";", "}"),
    *("|\n", "://", "u:", "@", "/", "hunter", "x", "sk-abcdefghijklmnopqrst", "Bearer ", "[", "eyJabcdefgh."),
)


@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
def test_masking_twice_is_masking_once(text: str) -> None:
    """Whatever stands beside whatever, and each mark is resolved to what stood there."""
    redactor = Redactor()
    shown = redactor.text(text)
    assert redactor.resolve(shown) == text
    assert Redactor().text(shown) == shown


@given(st.text(min_size=3, max_size=30).filter(lambda text: any(map(str.isalnum, text))), st.integers(0, 3))
def test_a_value_in_json_however_deep(secret: str, depth: int) -> None:
    """Whatever it is made of, nothing of it is shown, and what stands beside it is."""
    text = json.dumps({"password": f"Q{secret}Q", "user": "bob"})
    for _ in range(depth):
        text = json.dumps(text)
    shown = Redactor().text(text)
    assert "Q" not in shown
    assert "bob" in shown
