"""What is read of Secrets: names, times of change, public certificates; never a value, whatever a server answers."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from skyflo_mcp.kubernetes import guarded, throttling
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import Forbidden

from skyflo_runbooks.model.json import Json
from tests.tools.apiserver import Asked, Reply, Scripted, status, with_discovery

VALUE = "aHVudGVyMg=="
ENDS = datetime(2026, 5, 3, 10, tzinfo=UTC)


def issued(*names: str, ends: datetime = ENDS) -> tuple[str, str]:
    """Return a certificate for these names and its key, as a Secret holds them."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example CA")]))
        .public_key(key.public_key())
        .serial_number(10)
        .not_valid_before(ends - timedelta(days=90))
        .not_valid_after(ends)
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    return base64.b64encode(pem).decode(), base64.b64encode(private).decode()


def secret(name: str = "shop-tls", **data: str) -> Json:
    """Return a Secret as the API has it, with all that must not be handed on."""
    fields: Json = {"f:data": {".": {}, **{f"f:{key}": {} for key in data}}, "f:type": {}}
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {"owner": "helm"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": data})},
            "managedFields": [{"manager": "kubectl", "time": "2026-05-01T00:00:00Z", "fieldsV1": fields}],
        },
        "type": "kubernetes.io/tls",
        "data": data,
    }


def listing(*items: Json, token: str = "") -> Reply:
    """Return a list, as a server answers that knows nothing of metadata alone."""
    return Reply(body={"kind": "SecretList", "items": list(items), "metadata": {"continue": token}})


async def test_names_are_asked_for_as_metadata_and_nothing_else_is_handed_on() -> None:
    """Even where the server answers with whole Secrets, their values and annotations are dropped."""
    server = with_discovery(lambda _: listing(secret(password=VALUE)))

    found = await server.cluster().metadata("Secret", "shop", field_selector="type=kubernetes.io/tls")

    assert VALUE not in json.dumps(found.items)
    assert found.items[0]["metadata"]["labels"] == {"owner": "helm"}
    (change,) = found.items[0]["metadata"]["managedFields"]
    assert change == {
        "manager": "kubectl",
        "time": "2026-05-01T00:00:00Z",
        "fieldsV1": {"f:data": {".": {}, "f:password": {}}},
    }
    asked = server.asked[-1]
    assert "as=PartialObjectMetadataList" in asked.headers["accept"]
    assert asked.query["fieldSelector"] == "type=kubernetes.io/tls"


async def test_names_are_read_page_by_page() -> None:
    """A namespace may hold thousands of Secrets."""

    def answer(asked: Asked) -> Reply:
        return listing(secret("b")) if asked.query.get("continue") else listing(secret("a"), token="next")

    found = await with_discovery(answer).cluster().metadata("Secret", "shop")

    assert [item["metadata"]["name"] for item in found.items] == ["a", "b"]


async def test_a_refusal_is_an_error_and_no_empty_list() -> None:
    """Who may not list Secrets does not know that there are none."""
    with pytest.raises(Forbidden, match="secrets is forbidden"):
        await with_discovery(lambda _: status(403, "secrets is forbidden")).cluster().metadata("Secret", "shop")


async def test_of_a_certificate_its_dates_and_names_are_told() -> None:
    """Never the key, and not the certificate's own text either."""
    public, private = issued("shop.example.com", "*.shop.example.com")
    held = secret(**{"tls.crt": public, "tls.key": private})

    found = await with_discovery(lambda _: Reply(body=held)).cluster().certificate("shop", "shop-tls")

    assert found["certificate"] == {
        "notBefore": "2026-02-02T10:00:00Z",
        "notAfter": "2026-05-03T10:00:00Z",
        "serial": "a",
        "subject": "CN=shop",
        "issuer": "CN=Example CA",
        "names": ["shop.example.com", "*.shop.example.com"],
    }
    assert found["type"] == "kubernetes.io/tls"
    assert private not in json.dumps(found)
    assert public not in json.dumps(found)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: "bm8gY2VydGlmaWNhdGU=",
        lambda text: "%%%",
        lambda text: text[: len(text) // 2],
        lambda text: 7,
    ],
    ids=["none", "other-text", "no-base64", "cut", "number"],
)
def test_what_is_no_certificate_is_told_as_none(spoil: Callable[[str], object]) -> None:
    """Whatever stands in its place is neither handed on nor in an error."""
    held = secret(**{"tls.key": VALUE})
    held["data"]["tls.crt"] = spoil(issued("x")[0])

    found = guarded.certificate(held)

    assert found["certificate"] is None
    assert VALUE not in json.dumps(found)


def test_a_certificate_without_names_has_none() -> None:
    """Old ones carry only a common name, which no client reads any more."""
    assert guarded.certificate(secret(**{"tls.crt": issued()[0]}))["certificate"]["names"] == []


# Throttling -----------------------------------------------------------------------------------------------------------

PAGE = """# HELP container_cpu_cfs_periods_total Number of elapsed enforcement period intervals.
container_cpu_cfs_periods_total{container="web",namespace="shop",pod="web-1"} 1000 1746345720000
container_cpu_cfs_throttled_periods_total{container="web",namespace="shop",pod="web-1"} 900 1746345720000
container_cpu_cfs_periods_total{container="",namespace="shop",pod="web-1"} 1000 1746345720000
container_cpu_cfs_throttled_periods_total{container="",namespace="shop",pod="web-1"} 900 1746345720000
container_cpu_cfs_periods_total{container="half",namespace="shop",pod="web-1"} 5 1746345720000
container_cpu_cfs_periods_total{container="web",namespace="other",pod="web-1"} 7 1746345720000
container_cpu_cfs_throttled_periods_total{container="web",namespace="other",pod="web-1"} 7 1746345720000
"""
NODE: Json = {
    "metadata": {"name": "node-a"},
    "status": {
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
    },
}
POD: Json = {"kind": "Pod", "metadata": {"namespace": "shop", "name": "web-1"}, "spec": {"nodeName": "node-a"}}
WAITED = throttling.Throttle("shop", "web-1", "web", periods=1000, throttled=900)


def test_both_counters_of_the_wanted_containers_are_read() -> None:
    """A pod's own group, another pod, and a container with one counter of two count for nothing."""
    assert throttling.from_kubelet(PAGE, {("shop", "web-1")}) == (WAITED,)


async def test_the_kubelet_of_the_pods_node_is_asked() -> None:
    """And of that alone."""
    kubelet = Scripted(lambda _: Reply(body=PAGE.encode()))
    transport = httpx.AsyncClient(transport=httpx.ASGITransport(kubelet))
    cluster = Cluster(with_discovery(lambda _: Reply(body=NODE)).client(), kubelets=transport)

    assert await cluster.throttling([POD]) == ((WAITED,), ())
    assert [asked.path for asked in kubelet.asked] == ["/metrics/cadvisor"]


async def test_a_kubelet_that_is_not_asked_is_a_gap() -> None:
    """By its reason; another's figures are not lost."""
    refusing = Scripted(lambda _: status(403, "no metrics for you"))
    transport = httpx.AsyncClient(transport=httpx.ASGITransport(refusing))
    server = with_discovery(lambda _: Reply(body=NODE))

    found, gaps = await Cluster(server.client(), kubelets=transport).throttling([POD])
    assert found == ()
    assert "no metrics for you" in gaps[0]
    assert "were not asked" in (await server.cluster().throttling([POD]))[1][0]
