"""What the operator said."""

import msgspec

from skyflo_runbooks.model.errors import BadInput

MAX_TEXT = 4000


class Incident(msgspec.Struct, frozen=True):
    """`text` as it was said; `namespaces` it concerns (empty: to be found); `at` the time, RFC 3339 in UTC."""

    text: str
    namespaces: tuple[str, ...] = ()
    at: str = ""


def read_text(text: str) -> str:
    """Return the operator's words without surrounding and control characters, or raise `BadInput`."""
    clean = "".join(char for char in text if char.isprintable() or char in "\n\t").strip()
    if not any(char.isalpha() for char in clean):
        raise BadInput(
            "The incident text says nothing to look for.",
            next_step="Say what is wrong in plain words, for example: 'payment-service pods are crash-looping'.",
        )
    if len(clean) > MAX_TEXT:
        raise BadInput(f"The incident text has {len(clean)} characters; at most {MAX_TEXT} are read.")
    return clean
