"""The `[policy]` part of `skyflo.toml`: what a team may add to the conditions of an approval.

Rules:
  1. Members only ever add conditions, or say who somebody is. There is none that removes one: what holds without this
     part (only a paired operator decides, by signature; a deletion takes the typed name) holds with any of it.
  2. A member that is not one of these, and a value that cannot be kept, is refused by name: the gateway does not start.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from skyflo_runbooks.model.proposal import Risk

Rank = Literal["viewer", "requester", "approver", "admin"]
RANKS: tuple[Rank, ...] = ("viewer", "requester", "approver", "admin")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LEVELS: tuple[Risk, ...] = ("low", "medium", "high")
Clock = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description='a time of day like "08:00"')]
Moment = Annotated[datetime, msgspec.Meta(tz=True, description="a time with its zone, like 2026-12-20T00:00:00Z")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
Patterns = Annotated[tuple[Pattern, ...], msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Thumbprint = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$", description="a key's thumbprint in quotes, 64 hex digits")
]


class Binding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[policy.bindings]]`: a role for operators, in namespaces, up to a risk."""

    role: Rank
    operators: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    namespaces: Patterns = ("*",)
    up_to: Risk = "high"


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[policy.operators.NAME]`: who an operator is to Kubernetes, and the only keys that sign for them.

    `keys` are thumbprints (RFC 7638, hex), as `skyflo-runbooks login` prints them. With them here, no key that is
    written into the gateway's database counts for this operator.
    """

    kubernetes_user: str = ""
    groups: tuple[Name, ...] = ()
    keys: tuple[Thumbprint, ...] = ()


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """`[[policy.windows]]`: a time of the week in which changes are made."""

    days: Annotated[tuple[Day, ...], msgspec.Meta(min_length=1)]
    from_: Clock
    to: Clock
    timezone: str
    namespaces: Patterns = ("*",)


class Freeze(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """`[[policy.freezes]]`: a time in which nothing is changed, and why."""

    from_: Moment
    to: Moment
    reason: Name
    namespaces: Patterns = ("*",)


class Irreversible(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[policy.irreversible]`: what a change without a way back takes, besides all that the highest risk does."""

    approvals: Count = 1
    passkey: bool = False
    not_the_requester: bool = False


class PolicyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[policy]`. `approvals` is one number, or a number for each risk; a higher risk never takes fewer."""

    bindings: tuple[Binding, ...] | None = None
    operators: dict[Name, Person] = {}
    not_the_requester: bool = False
    approvals: Count | dict[Risk, Count] = 1
    passkey_from: Risk | None = None
    approvals_per_hour: Count | None = None
    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    irreversible: Irreversible = Irreversible()
    impersonate: bool = False
