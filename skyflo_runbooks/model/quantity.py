"""Kubernetes quantities and durations.

Source of the suffixes: k8s.io/apimachinery/pkg/api/resource/quantity.go.
"""

import functools
import re
from decimal import Decimal, InvalidOperation

from skyflo_runbooks.model.errors import BadInput

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


def parse_quantity(text: str | int | float) -> Decimal:
    """Return a quantity in its base unit: bytes for memory, cores for CPU."""
    return _parsed(str(text).strip())


# A cluster of thousands of pods writes a few dozen quantities, over and over.
@functools.lru_cache(maxsize=4096)
def _parsed(text: str) -> Decimal:
    match = _QUANTITY.fullmatch(text)
    if match:
        number, suffix = match.groups()
        factor = _BINARY.get(suffix) or _DECIMAL.get(suffix)
        if factor is not None:
            try:
                return Decimal(number) * factor
            except InvalidOperation:
                pass
    raise BadInput(f"{text[:40]!r} is not a quantity.", next_step="Write it like 512Mi, 2Gi, 250m or 1.")


def format_memory(size: Decimal | int) -> str:
    """Return bytes in the largest binary unit that leaves a whole number, else rounded up to Mi."""
    value = int(size)
    for suffix, factor in reversed(_BINARY.items()):
        if value >= factor and value % factor == 0:
            return f"{value // factor}{suffix}"
    return f"{-(-value // 2**20)}Mi" if value >= 2**20 else str(value)


def format_cpu(cores: Decimal) -> str:
    """Return cores as Kubernetes writes them: `2` or `250m`."""
    milli = int((cores * 1000).to_integral_value(rounding="ROUND_CEILING"))
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def parse_duration(text: str) -> float:
    """Return seconds of a duration such as `90s`, `5m` or `1h30m`."""
    match = _DURATION.fullmatch(text.strip())
    if not match or not any(match.groups()):
        raise BadInput(f"{text[:40]!r} is not a duration.", next_step="Write it like 30s, 5m or 1h30m.")
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)


def format_duration(seconds: float) -> str:
    """Return seconds as `parse_duration` reads them."""
    total = round(seconds)
    hours, rest = divmod(total, 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{value}{unit}" for value, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if value]
    return "".join(parts) or "0s"


def same_form(default: str, value: str) -> bool:
    """Return whether `value` is of a form that `default` is of: a duration, a quantity with a unit, or neither.

    `250m` is both, so a value of either form will do there.
    """
    duration, quantity = _is_duration(default), _unit(default) not in (None, "")
    if not duration and not quantity:
        return True
    return (duration and _is_duration(value)) or (quantity and _unit(value) is not None)


def _is_duration(text: str) -> bool:
    match = _DURATION.fullmatch(text)
    return bool(match and any(match.groups()))


def _unit(text: str) -> str | None:
    """Return the unit of a quantity (empty for a bare number), or None where it is no quantity."""
    match = _QUANTITY.fullmatch(text)
    return match[2] if match and (match[2] in _BINARY or match[2] in _DECIMAL) else None
