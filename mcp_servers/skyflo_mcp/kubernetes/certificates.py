"""What certificates say: whose they are, from when until when. The private key is never looked at.

RFC 5280: a certificate is valid from `notBefore` through `notAfter`, both included. A file holds the server's own
certificate first and then those of its issuers (RFC 5246, section 7.4.2); one that has expired breaks the chain.
"""

import base64
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from skyflo_runbooks.model.errors import Unknown
from skyflo_runbooks.model.json import Json, at

if TYPE_CHECKING:
    from cryptography import x509

MEMBER = "tls.crt"
_DAY = 86400.0


class Certificate(msgspec.Struct, frozen=True):
    """One certificate: its subject and issuer (RFC 4514), the names that it is for, and its time."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    serial: str
    begins: datetime
    ends: datetime

    def days_left(self, now: datetime) -> float:
        """Return for how many days it is still valid; negative where it is over."""
        return (self.ends - now).total_seconds() / _DAY

    def valid(self, now: datetime, days: float = 0.0) -> bool:
        """Return whether it is valid now, and still will be in so many days."""
        return self.begins <= now and self.days_left(now) >= days


def certificates(secret: Json) -> tuple[Certificate, ...]:
    """Return the certificates of a TLS Secret in their order; `Unknown` where it holds none that can be read."""
    name = at(secret, "metadata", "name", default="?")
    held = at(secret, "data", MEMBER)
    if not isinstance(held, str) or not held:
        raise Unknown(f"Secret {name} has no {MEMBER}.")
    from cryptography import x509  # takes its time to load, and few answers need it

    unreadable = (ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType)
    try:
        found = x509.load_pem_x509_certificates(base64.b64decode(held, validate=True))
        return tuple(_read(one) for one in found)
    except unreadable:
        raise Unknown(f"{MEMBER} of Secret {name} holds no certificate that can be read.") from None


def _read(found: "x509.Certificate") -> Certificate:
    return Certificate(
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        names=_names(found),
        serial=f"{found.serial_number:x}",
        begins=found.not_valid_before_utc,
        ends=found.not_valid_after_utc,
    )


def _names(found: "x509.Certificate") -> tuple[str, ...]:
    from cryptography import x509

    try:
        said = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    hosts = said.get_values_for_type(x509.DNSName)
    return (*hosts, *(str(address) for address in said.get_values_for_type(x509.IPAddress)))


__all__ = ["MEMBER", "Certificate", "certificates"]
