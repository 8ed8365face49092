"""Quantities in the canonical form that the API server stores: `1024Mi` becomes `1Gi`, `0.5` becomes `500m`.

Source: k8s.io/apimachinery/pkg/api/resource/quantity.go, CanonicalizeBytes.
"""

from decimal import Decimal

from skyflo_runbooks.model.quantity import parse_quantity

_BINARY = ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = ((3, "k"), (6, "M"), (9, "G"), (12, "T"), (15, "P"), (18, "E"))
_FRACTIONS = ((3, "m"), (6, "u"), (9, "n"))


def canonical(text: str) -> str:
    """Return the canonical form; the family of suffixes (binary or decimal) is kept."""
    value = parse_quantity(text)
    if text.endswith("i"):
        return _binary(value) if value == value.to_integral_value() else _decimal(value)
    return _decimal(value)


def _binary(value: Decimal) -> str:
    number, suffix = int(value), ""
    for unit in _BINARY:
        if number == 0 or number % 1024:
            break
        number, suffix = number // 1024, unit
    return f"{number}{suffix}"


def _decimal(value: Decimal) -> str:
    for power, suffix in _FRACTIONS:
        if value == value.to_integral_value():
            break
        scaled = value.scaleb(power)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    number = int(value.to_integral_value(rounding="ROUND_CEILING"))
    best = (number, "")
    for power, suffix in _DECIMAL:
        if number and number % 10**power == 0:
            best = (number // 10**power, suffix)
    return f"{best[0]}{best[1]}"


def total(texts: list[str]) -> Decimal:
    """Return the sum in base units."""
    return sum((parse_quantity(text) for text in texts), Decimal(0))


def like(value: Decimal, sample: str) -> str:
    """Return `value` written in the family of `sample`, as the quota controller writes `used`."""
    return _binary(value) if sample.endswith("i") and value == value.to_integral_value() else _decimal(value)
