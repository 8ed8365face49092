"""k8s_certificate: names and times of what is in a TLS Secret, and never its key."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from skyflo_mcp.kubernetes.certificates import certificates

from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json
from tests.curated.certificates import HOST, pem, secret
from tests.tools.apiserver import status, with_discovery
from tests.tools.test_more_reads import objects
from tests.tools.test_reads import ask, column

NOW = datetime.now(UTC).replace(microsecond=0)


async def test_it_says_whose_and_until_when() -> None:
    """The server's certificate first, then the chain; the days by the cluster's clock."""
    now = await with_discovery(objects()).cluster().now()
    chain, _ = pem(ends=now + timedelta(days=3), host="issuer.example.com")
    held = secret("shop-tls", "shop", chain, ends=now + timedelta(days=40))
    held["metadata"]["annotations"] = {"cert-manager.io/issuer-name": "letsencrypt", "other": "not shown"}
    answer = await ask(with_discovery(objects(held)).cluster(), "k8s_certificate", namespace="shop", name="shop-tls")
    assert column(answer, "FOR") == [HOST, "issuer.example.com"]
    assert [round(float(str(days))) for days in column(answer, "DAYS LEFT")] == [40, 3]
    assert column(answer, "VALID") == [True, True]
    assert answer["type"] == "kubernetes.io/tls"
    assert answer["issued_by"] == {"cert-manager.io/issuer-name": "letsencrypt"}
    key = base64.b64decode(held["data"]["tls.key"]).decode().splitlines()[1]
    assert key not in str(answer)
    assert "not shown" not in str(answer)


@pytest.mark.parametrize(
    ("begins", "ends", "valid"),
    [(-10, 10, True), (-10, -1, False), (1, 10, False)],
    ids=["now", "expired", "not-yet"],
)
def test_valid_from_and_until(begins: int, ends: int, valid: bool) -> None:
    """Both ends count."""
    made, _ = pem(begins=NOW + timedelta(days=begins), ends=NOW + timedelta(days=ends))
    (found,) = certificates(holding(made))
    assert found.valid(NOW) is valid
    assert found.valid(found.begins)
    assert found.valid(found.ends)
    assert not found.valid(NOW, days=11)


def holding(value: bytes | str) -> Json:
    """A Secret with this in its tls.crt."""
    text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    return {"metadata": {"name": "s"}, "data": {"tls.crt": text}}


@pytest.mark.parametrize(
    "held",
    [
        {},
        {"data": None},
        {"data": {"tls.key": "x"}},
        holding(""),
        holding("not base64!"),
        holding(b"not a certificate"),
        holding(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        holding(pem(ends=NOW)[1]),
    ],
)
def test_what_holds_no_certificate_is_unknown(held: Json) -> None:
    """Neither valid nor expired; and nothing of the value is in the error."""
    with pytest.raises(Unknown) as caught:
        certificates(held)
    assert "AAAA" not in caught.value.message
    assert "PRIVATE" not in caught.value.message


async def test_a_refused_read_is_unknown() -> None:
    """403 is no statement about the certificate."""
    server = with_discovery(lambda asked: status(403, "forbidden", "Forbidden"))
    with pytest.raises(Unknown):
        await ask(server.cluster(), "k8s_certificate", namespace="shop", name="shop-tls")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"password": "aHVudGVyMg=="}, "it has no tls.crt. Its type is Opaque, its keys: password."),
        ({"tls.crt": "", "tls.key": ""}, "tls.crt of it is empty. Its type is Opaque, its keys: tls.crt, tls.key."),
        (None, "it has no tls.crt. Its type is Opaque, its keys: none."),
    ],
)
async def test_a_secret_without_a_certificate_says_what_it_is(data: Json | None, said: str) -> None:
    """That it has none is known; its values are not shown."""
    held: Json = {"kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}, "type": "Opaque", "data": data}
    answer = await ask(with_discovery(objects(held)).cluster(), "k8s_certificate", namespace="shop", name="db")
    assert (answer["count"], answer["note"]) == (0, f"There is no certificate in it: {said}")
    assert "hunter2" not in str(answer)
    assert "aHVudGVyMg==" not in str(answer)
