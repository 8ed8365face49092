"""The bodies of requests; unknown members are refused."""

from typing import Literal

import msgspec

from skyflo_runbooks.gateway.decisions import Ballot
from skyflo_runbooks.gateway.identity import Rank
from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.json import Json

__all__ = [
    "Ballot",
    "Choice",
    "Entry",
    "Lease",
    "Modification",
    "NewIncident",
    "NewLink",
    "NewPasskey",
    "NewProposal",
    "NewSnapshot",
    "NewToken",
    "NewVerdict",
    "Pairing",
    "RegisteredRunbook",
    "Resolve",
    "Revocation",
    "ToolCall",
]


class NewIncident(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An incident to diagnose. `always` asks for a runbook of reads also where nothing is wrong or known."""

    text: str
    namespaces: tuple[str, ...] = ()
    always: bool = False
    generator: str = "rules"


class NewSnapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an incident's diagnosis would read, to be kept."""

    text: str
    namespaces: tuple[str, ...] = ()


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call of a read tool."""

    arguments: Json = {}
    runbook: str = ""
    step: str = ""
    run: str = ""


class NewProposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change to propose. `cluster` is the uid of the runbook's target, empty for any; `replay` only asks."""

    tool: str
    arguments: Json = {}
    why: str = ""
    runbook: str = ""
    step: str = ""
    run: str = ""
    cluster: str = ""
    replay: bool = False
    parameters: dict[str, str | int | float | bool] = {}


class Modification(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other values for arguments, by dotted name."""

    set: Json


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator typed, by the pointer of its open entry. It says nothing of itself."""

    values: dict[str, str]

    def __repr__(self) -> str:
        return f"Entry(values={dict.fromkeys(self.values, '***')!r})"


class NewVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verify step to judge; `wait` in seconds."""

    step: str
    checks: tuple[Check, ...]
    changes: tuple[str, ...] = ()
    within: str = "10m"
    runbook: str = ""
    run: str = ""
    after: tuple[str, ...] = ()
    wait: float = 0.0


class RegisteredRunbook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A runbook's steps as the plan has them."""

    digest: str
    steps: list[Json] = []
    generator: str = ""


class Lease(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key that one taker gets, for so many seconds."""

    key: str
    seconds: float = 60.0


class NewLink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The wish for one more one-time link: the gateway's nonce, and an operator's signature over it and the rest.

    `role` is the highest that it gives, empty for the maker's own; `operator` the one name that it serves.
    """

    nonce: str
    signature: str
    role: Rank | Literal[""] = ""
    operator: str = ""


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The wish for a token for a program, by signature: whose program it is, where it reaches, for how many days."""

    nonce: str
    signature: str
    role: Literal["kernel", "agent"]
    name: str
    namespaces: tuple[str, ...]
    days: float
    owner: str = ""


class Revocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The wish to end a token, a link, a key or a passkey, by signature."""

    nonce: str
    signature: str
    id: str


class NewPasskey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `navigator.credentials.create` gave (as JSON), signed for by a paired key."""

    nonce: str
    signature: str
    credential: Json
    label: str = ""


class Pairing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A one-time link's token, the operator's name, and the public key (JWK)."""

    token: str
    name: str
    key: Json


class Resolve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An incident to see through; `parameters` are other values for the plan's parameters."""

    text: str
    namespaces: tuple[str, ...] = ()
    parameters: dict[str, str | int | float | bool] = {}


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator chose after a verify step that did not succeed."""

    option: Literal["retry", "rollback", "escalate"]
    set: Json = {}
