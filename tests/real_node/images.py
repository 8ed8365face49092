"""Container images made of one static program, and a read-only registry on loopback that serves them.

An image here is an image of a scenario file: its behaviour there is the program's environment here. Pulls, digests and
"not found" are then real, and nothing is fetched from the internet. Images are OCI images with one layer; the registry
speaks the part of the OCI distribution protocol that a pull needs, from memory.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from skyflo_runbooks.practice.kubelet.texts import split_image
from skyflo_runbooks.practice.scenario import Image

PAUSE = "pause:3.10"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


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
    """The content of registries: blobs by digest, and the digest of each manifest by repository and tag."""

    blobs: dict[str, Blob]
    tags: dict[str, str]
    hosts: frozenset[str]

    def manifest(self, repository: str, reference: str) -> Blob | None:
        """The manifest of a tag or a digest."""
        return self.blobs.get(self.tags.get(f"{repository}:{reference}", reference))


def shelve(program: Path, images: Iterable[Image]) -> Shelf:
    """An image of this program for each image of a scenario; and the pods' sandbox."""
    tar = _tar(program.read_bytes())
    layer = Blob(_LAYER, gzip.compress(tar, compresslevel=1, mtime=0))
    diff_id = "sha256:" + hashlib.sha256(tar).hexdigest()
    wanted = {each.image: _config(["/service"], [f"BEHAVIOUR={_behaviour(each)}"], diff_id) for each in images}
    wanted[PAUSE] = _config(["/service", "pause"], [], diff_id)
    blobs, tags, hosts = {layer.digest: layer}, {}, set()
    for reference, config in wanted.items():
        manifest = _manifest(config, layer)
        blobs |= {config.digest: config, manifest.digest: manifest}
        host, repository, tag = split_image(reference)
        tags[f"{repository}:{tag}"] = manifest.digest
        hosts.add(host)
    return Shelf(blobs, tags, frozenset(hosts))


@contextmanager
def registry(shelf: Shelf) -> Iterator[str]:
    """Serve the images on a free loopback port; the registry's address."""

    class Handler(_Handler):
        content = shelf

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="image-registry", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
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
        path = self.path.partition("?")[0].removeprefix("/v2/")
        if not path:
            return self._send(200, Blob("application/json", b"{}"), with_body)
        name, kind, reference = _parts(path)
        found = self.content.manifest(name, reference) if kind == "manifests" else self.content.blobs.get(reference)
        if found:
            return self._send(200, found, with_body)
        code = "MANIFEST_UNKNOWN" if kind == "manifests" else "BLOB_UNKNOWN"
        return self._send(
            404, _json("application/json", {"errors": [{"code": code, "message": "not known"}]}), with_body
        )

    def _send(self, status: int, blob: Blob, with_body: bool) -> None:
        self.send_response(status)
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


def _config(command: list[str], environment: list[str], diff_id: str) -> Blob:
    return _json(_CONFIG, {
        "architecture": _architecture(), "os": "linux",
        "config": {"Entrypoint": command, "Env": environment, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    })  # fmt: skip


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _json(media_type: str, value: object) -> Blob:
    return Blob(media_type, json.dumps(value).encode())
