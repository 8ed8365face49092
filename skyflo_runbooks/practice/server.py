"""The practice cluster as a server: TLS with a certificate of its own, and kubeconfig files.

kubectl sends a token over TLS only, so the server makes a small certificate authority for itself at each start; its
private key is never written. Kubeconfig files are mode 0600 and are written whole or not at all.
"""

import asyncio
import base64
import contextlib
import ipaddress
import os
import signal
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.practice.access import Role

if TYPE_CHECKING:
    from skyflo_runbooks.practice.cluster import PracticeCluster

LIFE = timedelta(days=365)
CONTEXT = "skyflo-practice"


@dataclass(frozen=True)
class Certificate:
    """A self-made certificate with its key, in PEM; `key` is secret."""

    chain: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Certificate(chain=…, key=…)"


def certificate(hosts: list[str]) -> Certificate:
    """Make a certificate for these hosts that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "skyflo practice cluster")])
    names = [_general_name(host) for host in hosts]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(True, False, False, False, False, True, False, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(made.public_bytes(serialization.Encoding.PEM), pem)


def _general_name(host: str) -> "GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def kubeconfig(url: str, chain: bytes, token: str, namespace: str, user: str) -> str:
    """Return a kubeconfig for one role."""
    import yaml

    authority = base64.b64encode(chain).decode()
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user, "namespace": namespace}}],
        "current-context": CONTEXT,
    }
    return str(yaml.safe_dump(document, sort_keys=False))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


class Server:
    """A practice cluster that listens on one address until it is stopped."""

    def __init__(self, cluster: "PracticeCluster", host: str = "127.0.0.1", port: int = 0) -> None:
        self.cluster = cluster
        self.host, self.port = host, port
        self.certificate = certificate([host, "localhost", "127.0.0.1", "::1"])
        self.url = ""

    def kubeconfig(self, role: Role) -> str:
        """Return a kubeconfig for a role; the server must be up."""
        token = self.cluster.access.tokens[role]
        return kubeconfig(self.url, self.certificate.chain, token, self.cluster.scenario.namespace, f"practice-{role}")

    async def serve(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled or told to end by SIGINT or SIGTERM; `ready` is called when it listens."""
        import uvicorn

        config = uvicorn.Config(
            self.cluster.app,
            host=self.host,
            port=self.port,
            log_level="error",
            access_log=False,
            lifespan="off",
            date_header=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            ssl_context_factory=lambda *_: self._tls(),
        )
        server = _Uvicorn(config)
        ticking = asyncio.create_task(self.cluster.run())
        serving = asyncio.create_task(server.serve())
        started = asyncio.create_task(server.up.wait())
        try:
            await asyncio.wait({serving, started, ticking}, return_when=asyncio.FIRST_COMPLETED)
            if not started.done():
                raise BadInput(f"Port {self.port} on {self.host} cannot be used.", next_step="Give another with --port.")
            self.port = server.servers[0].sockets[0].getsockname()[1]
            shown = f"[{self.host}]" if ":" in self.host else self.host
            self.url = f"https://{shown}:{self.port}"
            ready()
            await asyncio.wait({serving, ticking}, return_when=asyncio.FIRST_COMPLETED)
            if ticking.done():
                ticking.result()
        finally:
            server.should_exit = True
            for task in (ticking, started):
                task.cancel()
            await asyncio.gather(ticking, started, serving, return_exceptions=True)

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module reads keys from files only; this one is gone as soon as it is read.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "server.pem"
            write_private(file, (self.certificate.key + self.certificate.chain).decode())
            context.load_cert_chain(file)
        return context
