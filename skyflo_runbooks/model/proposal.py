"""A proposal: one change, dry-run and rendered, waiting for a decision."""

from typing import Literal, NewType

import msgspec

from skyflo_runbooks.model.check import Check
from skyflo_runbooks.model.digest import Binding
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.lifecycle import State
from skyflo_runbooks.model.request import Request

ProposalId = NewType("ProposalId", str)
Risk = Literal["low", "medium", "high"]
ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
ID_PATTERN = r"ap-[0-9a-z]{6}"


class Origin(msgspec.Struct, frozen=True):
    """Where a proposal comes from: who asked (role and name), which generator, and the runbook's step.

    `run` is one execution of a runbook (a kernel, a headless run); empty where the change was asked for directly.
    """

    requester: str
    generator: str = ""
    runbook: str = ""
    runbook_digest: str = ""
    step: str = ""
    run: str = ""


class Impact(msgspec.Struct, frozen=True):
    """What a person should know before deciding; each line is a sentence, taken from reads of the cluster.

    `risks` are the reasons that this gives for a risk above low, `irreversible` those why there is no way back.
    """

    while_it_runs: tuple[str, ...] = ()
    also_touched: tuple[str, ...] = ()
    ownership: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    risks: tuple[tuple[Risk, str], ...] = ()
    irreversible: tuple[str, ...] = ()


class Assessment(msgspec.Struct, frozen=True):
    """The risk with its reasons, and the way back in words. `irreversible` says why there is none."""

    risk: Risk
    reasons: tuple[str, ...]
    way_back: str
    irreversible: str = ""


class Verification(msgspec.Struct, frozen=True):
    """The verify step that will judge a change; `after` names all change steps that it judges."""

    step: str
    checks: tuple[Check, ...]
    within: str = "10m"
    after: tuple[str, ...] = ()


class Proposal(msgspec.Struct, frozen=True):
    """Everything about a proposal but its state, which moves. `diff` and `title` are shown; `binding` is approved.

    `diffs` has the diff of each request, in their order; `diff` is all of them.
    """

    id: ProposalId
    tool: str
    arguments: Json
    title: str
    why: str
    origin: Origin
    requests: tuple[Request, ...]
    binding: Binding
    digest: str
    diff: str
    impact: Impact
    assessment: Assessment
    equivalent: str
    created: str
    warnings: tuple[str, ...] = ()
    unstable: tuple[str, ...] = ()
    verification: Verification | None = None
    parameters: dict[str, str | int | float | bool] = {}
    rollback_of: str = ""
    supersedes: str = ""
    diffs: tuple[str, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    """A person's decision on one digest, at a time (RFC 3339), with everything that its signatures can be checked by.

    `key` is the thumbprint of the key that signed; `passkey` the assertion of one, where the policy wanted it. `typed`
    is the name that was typed. `reason` stands as it was signed.
    """

    kind: Literal["approve", "reject"]
    operator: str
    digest: str
    at: str
    reason: str = ""
    key: str = ""
    signature: str = ""
    nonce: str = ""
    typed: str = ""
    passkey: Json | None = None


class Applied(msgspec.Struct, frozen=True):
    """What the API server answered to one request of an attempt; `at` is the cluster's time (RFC 3339).

    A status of 0 says that nothing was sent, because the object was in place already; `uid` is that of the object.
    `output` is what was printed by what ran in a container, secrets masked; `failed` says that it did not end well.
    `shared` says that an apply which was to make the object may have been merged into somebody else's.
    """

    object: str
    status: int
    uid: str = ""
    resource_version: str = ""
    generation: int | None = None
    message: str = ""
    at: str = ""
    output: str = ""
    failed: bool = False
    shared: bool = False


class Receipt(msgspec.Struct, frozen=True):
    """Who, when, what, and the way back (design, section 6.7).

    Who asked, who approved (`operator` is the last of them), who executed at the cluster, and what generated it.
    """

    proposal: str
    title: str
    state: State
    digest: str
    requester: str
    tool: str
    diff: str
    way_back: str
    operator: str = ""
    decided_at: str = ""
    reason: str = ""
    applied_at: str = ""
    applied: tuple[Applied, ...] = ()
    attempt: str = ""
    message: str = ""
    ledger: tuple[int, int] | None = None
    approvers: tuple[str, ...] = ()
    executor: str = ""
    generator: str = ""
