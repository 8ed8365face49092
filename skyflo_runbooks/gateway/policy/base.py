"""A condition, the case it looks at, and how several become one. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.proposal import Proposal, Risk

HOUR = timedelta(hours=1)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One decision, with the evidence that was gathered for it.

    `typed` is the name that was typed. `key` is the thumbprint of the key whose signature over this very decision was
    verified, `passkey` the id of the passkey whose assertion was. `recent` are the times of the approvals of the last
    hour, oldest first, this one not among them; `access` says what Kubernetes refuses the approver, one sentence each.
    Both are None where they were not gathered.
    """

    proposal: Proposal
    who: Identity
    now: datetime
    kind: Literal["approve", "reject"] = "approve"
    typed: str = ""
    key: str = ""
    passkey: str = ""
    recent: tuple[datetime, ...] | None = None
    access: tuple[str, ...] | None = None


class Asked(msgspec.Struct, frozen=True):
    """What a condition asks of an approval: sentences for the card, a name to type, a passkey, how many approvers."""

    says: tuple[str, ...] = ()
    typed: str = ""
    passkey: bool = False
    approvals: int = 1


class Policy(Protocol):
    """One condition, or several as one; `name` says it with its values, and enters the digest."""

    @property
    def name(self) -> str:
        """What this is, with its values."""

    def asks(self, proposal: Proposal) -> Asked:
        """Return what an approval of `proposal` takes."""

    def admit(self, case: Case) -> None:
        """Raise `NotAllowed` where the decision does not meet the condition."""


class AllOf:
    """Every one of several conditions. Without any it refuses everything."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = tuple(policies)
        self.name = "+".join(policy.name for policy in self._policies) or "none"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`: the strictest of each."""
        asked = [policy.asks(proposal) for policy in self._policies]
        return Asked(
            says=tuple(sentence for one in asked for sentence in one.says),
            typed=next((one.typed for one in asked if one.typed), ""),
            passkey=any(one.passkey for one in asked),
            approvals=max((one.approvals for one in asked), default=1),
        )

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if not self._policies:
            raise NotAllowed("No policy is configured, so nobody may decide.", next_step="This is a bug: report it.")
        for policy in self._policies:
            policy.admit(case)


def weight(proposal: Proposal) -> Risk:
    """Return the level by which conditions go: the risk, and the highest where there is no way back."""
    return "high" if proposal.assessment.irreversible else proposal.assessment.risk
