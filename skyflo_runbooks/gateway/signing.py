"""Signatures by the keys of operators: ECDSA P-256 with SHA-256, in WebCrypto's form. Pure."""

import base64
import binascii

from skyflo_runbooks.gateway.identity import PublicKey, number


def signed_by(key: PublicKey, signed: bytes, signature: str) -> bool:
    """Return whether `signature` (r and s side by side, base64url) is the key's over `signed`; nonsense is none."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    except (binascii.Error, ValueError):
        return False
    if len(raw) != 64:
        return False
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    numbers = ec.EllipticCurvePublicNumbers(number(key.x), number(key.y), ec.SECP256R1())
    try:
        numbers.public_key().verify(der, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
