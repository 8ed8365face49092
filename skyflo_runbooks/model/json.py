"""JSON as it comes from outside, and its canonical form.

`Json` is the type of raw Kubernetes objects at the parser's edge. `canonical` is RFC 8785 (JCS): one
byte string for one value, whatever the order of its members, so that a digest means something.
"""

from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


def canonical(value: object) -> bytes:
    """Return the RFC 8785 form of `value`.

    Integers beyond 2**53 have no canonical form in RFC 8785; they are carried as strings, because a
    custom resource may hold them and a digest must not fail on it.
    """
    import rfc8785

    return rfc8785.dumps(_within_bounds(value))


def _within_bounds(value: object) -> Any:
    if isinstance(value, dict):
        return {str(key): _within_bounds(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_within_bounds(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53 - 1:
        return f"int:{value}"
    return value


def at(value: object, *path: str | int, default: Any = None) -> Any:
    """Return what lies at `path` in nested objects and lists, or `default` where any part is missing or null."""
    for part in path:
        # Asked hundreds of thousands of times for a big cluster. No member of a JSON object is called by a number.
        if type(value) is dict or isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
            value = value[part]
        else:
            return default
    return default if value is None else value
