"""Container images made of one static program, and a read-only registry on loopback that serves them.

An image here is an image of a scenario file: its behaviour there is the program's environment here. Pulls, digests and
"not found" are then real, and nothing is fetched from the internet. Images are OCI images with one layer; the registry
speaks the part of the OCI distribution protocol that a pull needs, from memory.

A registry's host may be private: it answers 401 to who does not bring its user and password; or untrusted: it speaks
TLS, and nobody on the node knows who vouches for it. An image may be foreign, of a machine that this one is not: an
`index` says so, and the runtime finds nothing that fits; or it is `plain`, and then it is pulled and the kernel cannot
run it. An image may have a user of its own; else it is root's.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import ssl
import tarfile
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import parse_qs

import msgspec

from skyflo_runbooks.practice.kubelet.texts import split_image
from skyflo_runbooks.practice.scenario import Image

PAUSE = "pause:3.10"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


# Where an ELF file says its machine, and the numbers of two machines: https://refspecs.linuxfoundation.org/elf
_MACHINE, _NUMBERS = slice(18, 20), {"amd64": 0x3E, "arm64": 0xB7}

Foreign: TypeAlias = Literal["index", "plain"]


@dataclass(frozen=True)
class Stock:
    """What the registries of a node are to hold.

    Args:
        images: each reference once; every other image is "not found".
        private: the hosts that ask who pulls, each with its `user:password`.
        untrusted: the hosts whose certificate nobody on the node trusts.
        foreign: the references whose image is of another machine, and how it is offered.
        users: the references whose image names a user, and that user, as a name or a number.
    """

    images: tuple[Image, ...] = ()
    private: Mapping[str, str] = field(default_factory=dict)
    untrusted: frozenset[str] = frozenset()
    foreign: Mapping[str, Foreign] = field(default_factory=dict)
    users: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Blob:
    """Bytes that are found by their digest."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.content).hexdigest()

    def descriptor(self) -> dict[str, str | int]:
        """How a manifest refers to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


@dataclass(frozen=True)
class Shelf:
    """The content of registries: blobs by digest, the digest of each manifest by repository and tag, and who may pull.

    `private` holds the header that a private host wants, by its name.
    """

    blobs: dict[str, Blob]
    tags: dict[str, str]
    hosts: frozenset[str]
    private: Mapping[str, str]

    def manifest(self, repository: str, reference: str) -> Blob | None:
        """The manifest of a tag or a digest."""
        return self.blobs.get(self.tags.get(f"{repository}:{reference}", reference))


def shelve(program: Path, stock: Stock) -> Shelf:
    """An image of this program for each image of a stock; and the pods' sandbox."""
    here = _Layer.of(program.read_bytes(), _architecture())
    away = here.foreign()
    blobs, tags, hosts = (
        {here.blob.digest: here.blob, away.blob.digest: away.blob},
        {},
        {*stock.private, *stock.untrusted},
    )
    wanted = {each.image: (["/service"], [f"BEHAVIOUR={_behaviour(each)}"]) for each in stock.images}
    for reference, (command, environment) in {**wanted, PAUSE: (["/service", "pause"], [])}.items():
        offered = stock.foreign.get(reference)
        layer = away if offered else here
        config = _config(command, environment, layer, stock.users.get(reference, ""))
        manifest = _manifest(config, layer.blob)
        blobs |= {config.digest: config, manifest.digest: manifest}
        if offered == "index":
            manifest = _index(manifest, layer.architecture)
            blobs[manifest.digest] = manifest
        host, repository, tag = split_image(reference)
        tags[f"{repository}:{tag}"] = manifest.digest
        hosts.add(host)
    private = {host: f"Basic {b64encode(known.encode()).decode()}" for host, known in stock.private.items()}
    return Shelf(blobs, tags, frozenset(hosts), private)


@contextmanager
def registry(shelf: Shelf, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve the images on a free loopback port, over TLS where it is given; the registry's address."""

    class Handler(_Handler):
        content = shelf

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, name="image-registry", daemon=True)
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of /v2/, manifests and blobs."""

    protocol_version = "HTTP/1.1"
    content: Shelf

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class names it)
        """Say nothing: the node's own log tells of its pulls."""

    def _answer(self, *, with_body: bool) -> None:
        path, _, query = self.path.partition("?")
        path = path.removeprefix("/v2/")
        # The runtime says which registry it means, because it asks a mirror.
        wanted = self.content.private.get(parse_qs(query).get("ns", [""])[0])
        if wanted and self.headers["Authorization"] != wanted:
            return self._send(401, _error("UNAUTHORIZED", "authentication required"), with_body)
        if not path:
            return self._send(200, Blob("application/json", b"{}"), with_body)
        name, kind, reference = _parts(path)
        found = self.content.manifest(name, reference) if kind == "manifests" else self.content.blobs.get(reference)
        if found:
            return self._send(200, found, with_body)
        code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
        return self._send(404, _error(code, "not known"), with_body)

    def _send(self, status: int, blob: Blob, with_body: bool) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Type", blob.media_type)
        self.send_header("Content-Length", str(len(blob.content)))
        self.send_header("Docker-Content-Digest", blob.digest)
        self.end_headers()
        if with_body:
            self.wfile.write(blob.content)


def _parts(path: str) -> tuple[str, str, str]:
    name, _, rest = path.rpartition("/manifests/")
    if name:
        return name, "manifests", rest
    name, _, rest = path.rpartition("/blobs/")
    return name, "blobs", rest


def _error(code: str, message: str) -> Blob:
    return _json("application/json", {"errors": [{"code": code, "message": message}]})


@dataclass(frozen=True)
class _Layer:
    """The one layer of an image, before and after compression, and the machine that its program is for."""

    program: bytes
    blob: Blob
    diff_id: str
    architecture: str

    @classmethod
    def of(cls, program: bytes, architecture: str) -> _Layer:
        tar = _tar(program)
        blob = Blob(_LAYER, gzip.compress(tar, compresslevel=1, mtime=0))
        return cls(program, blob, "sha256:" + hashlib.sha256(tar).hexdigest(), architecture)

    def foreign(self) -> _Layer:
        """The same program, which says that it is for another machine."""
        other = "amd64" if self.architecture == "arm64" else "arm64"
        program = bytearray(self.program)
        program[_MACHINE] = _NUMBERS[other].to_bytes(2, "little")
        return _Layer.of(bytes(program), other)


def _tar(program: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for folder in ("bin", "etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            archive.addfile(entry)
        entry = tarfile.TarInfo("service")
        entry.size, entry.mode = len(program), 0o755
        archive.addfile(entry, io.BytesIO(program))
        # What `k8s_cp` runs; the program does as its name says.
        link = tarfile.TarInfo("bin/head")
        link.type, link.linkname, link.mode = tarfile.LNKTYPE, "service", 0o755
        archive.addfile(link)
    return packed.getvalue()


def _behaviour(image: Image) -> str:
    return msgspec.json.encode(image, enc_hook=_plain).decode()


def _plain(value: object) -> int | float:
    """Sizes and durations of a scenario file as the numbers that they are."""
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    raise TypeError(f"expected a size or a duration, got {type(value).__name__}")


def _manifest(config: Blob, layer: Blob) -> Blob:
    return _json(_MANIFEST, {
        "schemaVersion": 2, "mediaType": _MANIFEST, "config": config.descriptor(), "layers": [layer.descriptor()],
    })  # fmt: skip


def _index(manifest: Blob, architecture: str) -> Blob:
    """A list of one image, and of the machine that it is for."""
    platform_ = {"architecture": architecture, "os": "linux"}
    listed = [{**manifest.descriptor(), "platform": platform_}]
    return _json(_INDEX, {"schemaVersion": 2, "mediaType": _INDEX, "manifests": listed})


def _config(command: list[str], environment: list[str], layer: _Layer, user: str) -> Blob:
    return _json(_CONFIG, {
        "architecture": layer.architecture, "os": "linux",
        "config": {"Entrypoint": command, "Env": environment, "WorkingDir": "/", "User": user},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
    })  # fmt: skip


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _json(media_type: str, value: object) -> Blob:
    return Blob(media_type, json.dumps(value).encode())
