"""The images of a scenario are real images: found by tag and digest, and "not found" otherwise."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import ssl
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from skyflo_runbooks.practice.scenario import Bytes, Image, Memory, Seconds
from tests.control_plane.pki import Authority
from tests.real_node import images

_CART = Image(image="cart:v1", memory=Memory(start=Bytes(2**20), peak=Bytes(2**21), peak_after=Seconds(1.5)), port=80)
_FAR = Image(image="registry.example.com/shop/far:v2", memory=Memory(start=Bytes(1), peak=Bytes(1)))
_AWAY = Image(image="registry.example.com/shop/away:v3", memory=Memory(start=Bytes(1), peak=Bytes(1)))
_ODD = Image(image="odd:v1", memory=Memory(start=Bytes(1), peak=Bytes(1)))
_STOCK = images.Stock(
    (_CART, _FAR, _AWAY, _ODD),
    {"registry.example.com": "puller:open"},
    foreign={_AWAY.image: "index", _ODD.image: "plain"},
    users={_CART.image: "keeper"},
)
_PROGRAM = bytes(range(24))


@pytest.fixture
def shelf(tmp_path: Path) -> images.Shelf:
    """Images of a program of a few bytes."""
    program = tmp_path / "program"
    program.write_bytes(_PROGRAM)
    return images.shelve(program, _STOCK)


@pytest.fixture
def registry(shelf: images.Shelf) -> Iterator[httpx.Client]:
    """A client of the registry that serves them."""
    with images.registry(shelf) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


def test_a_pull_gets_the_program_and_the_behaviour(registry: httpx.Client) -> None:
    """Manifest by tag, config and layer by digest; the behaviour is in the environment, in the scenario's words."""
    manifest = registry.get("/v2/library/cart/manifests/v1").raise_for_status().json()
    config = _blob(registry, manifest["config"]["digest"])
    name, _, behaviour = json.loads(config)["config"]["Env"][0].partition("=")
    assert name == "BEHAVIOUR"
    assert json.loads(behaviour)["memory"] == {"start": 2**20, "peak": 2**21, "peak_after": 1.5}
    layer = gzip.decompress(_blob(registry, manifest["layers"][0]["digest"]))
    assert json.loads(config)["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        program = archive.extractfile("service")
        assert program is not None
        assert program.read() == _PROGRAM


def test_every_answer_says_its_digest(registry: httpx.Client) -> None:
    """HEAD and GET agree, and the manifest is found by that digest too."""
    head = registry.head("/v2/library/cart/manifests/v1")
    digest = head.headers["Docker-Content-Digest"]
    again = registry.get(f"/v2/library/cart/manifests/{digest}")
    assert digest == "sha256:" + hashlib.sha256(again.content).hexdigest()
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(again.content)))


@pytest.mark.parametrize(
    "path", ["library/cart/manifests/v2", "library/other/manifests/v1", "library/cart/blobs/sha256:0"]
)
def test_what_no_scenario_has_is_not_found(registry: httpx.Client, path: str) -> None:
    """A wrong tag, a wrong name and a wrong digest get the protocol's own error."""
    answer = registry.get(f"/v2/{path}")
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] in {"MANIFEST_UNKNOWN", "BLOB_UNKNOWN"}


def test_each_registry_host_is_known(shelf: images.Shelf) -> None:
    """Short names belong to docker.io; the node's runtime is told of every host."""
    assert shelf.hosts == {"docker.io", "registry.example.com"}
    assert shelf.manifest("shop/far", "v2") is not None


def test_a_private_registry_asks_who_pulls(registry: httpx.Client) -> None:
    """401 with a challenge to a stranger and to a wrong password; the one who is known gets the image."""
    path = "/v2/shop/far/manifests/v2?ns=registry.example.com"
    for credentials in (None, ("puller", "wrong")):
        refused = registry.get(path, auth=credentials)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="registry"')
        assert refused.json()["errors"][0]["code"] == "UNAUTHORIZED"
    assert registry.get(path, auth=("puller", "open")).json()["schemaVersion"] == 2


def test_an_index_lists_another_machine(registry: httpx.Client) -> None:
    """The one image of its list is for a machine that this one is not."""
    listed = registry.get("/v2/shop/away/manifests/v3").json()["manifests"]
    config = registry.get(f"/v2/shop/away/manifests/{listed[0]['digest']}").json()["config"]

    assert len(listed) == 1
    architecture = listed[0]["platform"]["architecture"]
    assert json.loads(_blob(registry, config["digest"]))["architecture"] == architecture
    assert architecture != json.loads(_blob(registry, _cart(registry)))["architecture"]


def test_a_plain_foreign_image_holds_a_program_of_another_machine(registry: httpx.Client) -> None:
    """It says so in its header and nowhere else; everything beside the two bytes is as it was."""
    manifest = registry.get("/v2/library/odd/manifests/v1").json()
    layer = gzip.decompress(_blob(registry, manifest["layers"][0]["digest"]))
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        program = archive.extractfile("service")
        assert program is not None
        held = program.read()
    assert [place for place in range(len(_PROGRAM)) if held[place] != _PROGRAM[place]] == [18, 19]


def test_an_image_may_have_a_user_of_its_own(registry: httpx.Client) -> None:
    """In its configuration, where a kubelet looks; others are root's."""
    other = registry.get("/v2/shop/far/manifests/v2", auth=("puller", "open")).json()["config"]["digest"]
    users = [json.loads(_blob(registry, digest))["config"]["User"] for digest in (_cart(registry), other)]

    assert users == ["keeper", ""]


def test_a_registry_over_tls_serves_who_trusts_it(shelf: images.Shelf, tmp_path: Path) -> None:
    """And nobody else: whoever does not know its authority has no connection."""
    authority = Authority(tmp_path)
    pair = authority.serving("registry", ["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)
    with images.registry(shelf, tls) as address:
        known = ssl.create_default_context(cafile=str(authority.certificate))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(f"{address}/v2/", trust_env=False)
        assert httpx.get(f"{address}/v2/", verify=known, trust_env=False).status_code == 200


def _cart(client: httpx.Client) -> str:
    return str(client.get("/v2/library/cart/manifests/v1").json()["config"]["digest"])


def _blob(client: httpx.Client, digest: str) -> bytes:
    return client.get(f"/v2/library/cart/blobs/{digest}").raise_for_status().content
