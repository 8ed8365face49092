"""The practice cluster as a server: TLS with a certificate of its own, and kubeconfig files.

kubectl sends a token over TLS only, so the server makes a small certificate authority for itself at each start; its
private key is never written. Kubeconfig files are mode 0600 and are written whole or not at all.
"""

import asyncio
import base64
import ipaddress
import os
import socket
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.practice.access import Role

if TYPE_CHECKING:
    import httpx
    import uvicorn
    from cryptography.x509 import GeneralName

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
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
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
    finally:
        # Gone already where the replacement worked.
        Path(temporary).unlink(missing_ok=True)


class Server:
    """A practice cluster that listens on one address until it is stopped.

    The address is taken when the object is made, so that a port in use is known at once and connections queue from
    then on.
    """

    def __init__(self, cluster: "PracticeCluster", host: str = "127.0.0.1", port: int = 0) -> None:
        self.cluster = cluster
        self.socket = _listen(host, port)
        self.certificate = certificate([*{host, "localhost", "127.0.0.1", "::1"}])
        shown = f"[{host}]" if ":" in host else host
        self.url = f"https://{shown}:{self.socket.getsockname()[1]}"
        self._server: uvicorn.Server | None = None

    def kubeconfig(self, role: Role) -> str:
        """Return a kubeconfig for a role."""
        token = self.cluster.access.tokens[role]
        return kubeconfig(self.url, self.certificate.chain, token, self.cluster.scenario.namespace, f"practice-{role}")

    def stop(self) -> None:
        """Ask `serve` to end; safe to call from a signal handler or another thread."""
        if self._server is not None:
            self._server.should_exit = True

    async def serve(self) -> None:
        """Serve until `stop`."""
        import uvicorn

        config = uvicorn.Config(
            self.cluster.app,
            log_level="error",
            access_log=False,
            lifespan="off",
            date_header=False,
            server_header=False,
            timeout_graceful_shutdown=1,
            ssl_context_factory=lambda *_: self._tls(),
        )
        self._server = uvicorn.Server(config)
        ticking = asyncio.create_task(self.cluster.run())
        serving = asyncio.create_task(self._server.serve(sockets=[self.socket]))
        try:
            await asyncio.wait({serving, ticking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stop()
            ticking.cancel()
            results = await asyncio.gather(ticking, serving, return_exceptions=True)
            self.socket.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module reads keys from files only; this one is gone as soon as it is read.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "server.pem"
            write_private(file, (self.certificate.key + self.certificate.chain).decode())
            context.load_cert_chain(file)
        return context


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket, or say that the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits 40 ms for the client's
    # delayed acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as taken:
        listening.close()
        raise BadInput(
            f"Port {port} on {host} cannot be used: {taken.strerror}.", next_step="Choose another port, or 0 for any."
        ) from taken
    listening.listen(128)
    return listening


def client_of(kubeconfig_file: Path, within: float) -> "httpx.Client":
    """Return a client for a kubeconfig that `kubeconfig` wrote; every request has `within` seconds."""
    import httpx
    import yaml

    document = yaml.safe_load(kubeconfig_file.read_text())
    cluster = document["clusters"][0]["cluster"]
    trusted = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    headers = {"authorization": f"Bearer {document['users'][0]['user']['token']}"}
    return httpx.Client(base_url=cluster["server"], verify=trusted, headers=headers, timeout=within, trust_env=False)
