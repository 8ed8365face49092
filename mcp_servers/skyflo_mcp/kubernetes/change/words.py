"""Texts that go to a container: an image, argv, resource amounts. Checked, and never a shell's. Pure."""

import re
from typing import Annotated

from msgspec import Meta

from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.quantity import parse_quantity

Argv = Annotated[list[str], Meta(description='Words, as in ["nslookup", "db"]; no shell reads them.')]
Amounts = Annotated[
    dict[str, str | int | float], Meta(description='By resource, as in {"memory": "512Mi", "cpu": "250m"}.')
]
# cpu, memory, ephemeral-storage, hugepages-2Mi, and extended resources such as nvidia.com/gpu.
_RESOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}(/[A-Za-z0-9][A-Za-z0-9._-]{0,62})?")
_LONGEST = 32 * 1024
_MOST = 200


def argv(words: list[str], what: str) -> list[str]:
    """Return the words of a command if they are text that shows as it is, else raise `BadInput`."""
    if len(words) > _MOST:
        raise BadInput(f"{what} has more than {_MOST} words.")
    if sum(len(word) for word in words) > _LONGEST:
        raise BadInput(f"{what} is longer than {_LONGEST // 1024} KiB.")
    for word in words:
        if any(not (char.isprintable() or char in "\n\t") for char in word):
            raise BadInput(
                f"{what}: {word[:80]!r} holds characters that do not show.",
                next_step="Write what it means; control characters and directional marks are not passed on.",
            )
    return words


def command(words: list[str]) -> list[str]:
    """Return the words of a command that names a program, else raise `BadInput`."""
    if not words or not words[0].strip():
        raise BadInput("The command is empty.", next_step='Write it as a list, as in ["cat", "/etc/hosts"].')
    return argv(words, "The command")


def amounts(given: dict[str, str | int | float]) -> dict[str, str]:
    """Return resource amounts as text, else raise `BadInput`."""
    for resource, amount in given.items():
        if not _RESOURCE.fullmatch(resource):
            raise BadInput(f"{resource[:80]!r} is no resource.", next_step="Known: cpu, memory, ephemeral-storage.")
        if parse_quantity(amount) < 0:
            raise BadInput(f"{resource}: an amount of 0 or more was expected, got {amount!r}.")
    return {resource: str(amount).strip() for resource, amount in given.items()}
