"""The keys of one test cluster: a certificate authority that lives as long as the cluster, and what it signs.

One authority signs the API server's certificate and each kubelet's, and is the `certificate-authority` of every
kubeconfig, as in most clusters that people run. So whoever trusts the cluster can verify a kubelet too.
"""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = datetime.timedelta(days=2)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, as files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority with its files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-cluster-ca")])
        certificate = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = _write_certificate(folder / "ca.crt", certificate)

    def serving(self, name: str, addresses: list[str]) -> Pair:
        """A server's certificate, valid for these DNS names and IP addresses."""
        return self._sign(name, _subject(name), ExtendedKeyUsageOID.SERVER_AUTH, addresses)

    def client(self, name: str, group: str) -> Pair:
        """A client's certificate for a Kubernetes user in a group."""
        return self._sign(name, _subject(name, group), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def _sign(self, name: str, subject: x509.Name, use: x509.ObjectIdentifier, addresses: list[str]) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self._name, key).add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if addresses:
            names = x509.SubjectAlternativeName([_general_name(address) for address in addresses])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        path = _write_certificate(self._folder / f"{name}.crt", certificate)
        return Pair(path, write_key(self._folder / f"{name}.key", key))


def signing_key(path: Path) -> Path:
    """A key that signs service account tokens."""
    return write_key(path, ec.generate_private_key(ec.SECP256R1()))


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """The key in a file that only its owner reads."""
    path.touch(mode=0o600)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return path


def _subject(name: str, group: str | None = None) -> x509.Name:
    organisation = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)] if group else []
    return x509.Name([*organisation, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _LIFE)
    )


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _write_certificate(path: Path, certificate: x509.Certificate) -> Path:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
