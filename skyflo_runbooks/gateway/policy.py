"""Who may decide what. Policies add conditions and never remove one; with no policy nothing may be decided.

The name of the policy in force is bound by every digest, so that a change of policy voids what waits for a decision.
"""

from collections.abc import Sequence
from typing import Protocol

from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.proposal import Proposal


class Policy(Protocol):
    """One condition; `name` enters the digest."""

    name: str

    def admit(self, proposal: Proposal, who: Identity) -> None:
        """Raise `NotAllowed` where `who` may not decide `proposal`."""


class PairedOperator:
    """Only an operator decides: no kernel, no agent, no other client."""

    name = "paired-operator/v1"

    def admit(self, proposal: Proposal, who: Identity) -> None:
        """See `Policy`."""
        if who.role != "operator":
            raise NotAllowed(
                f"Only an operator decides {proposal.id}; this credential is {who}.",
                next_step="Decide on the gateway's own page, or in a terminal after 'skyflo-runbooks login LINK'.",
            )


class AllOf:
    """Every one of several conditions. Without any it refuses everything."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = tuple(policies)
        self.name = "+".join(policy.name for policy in self._policies) or "none"

    def admit(self, proposal: Proposal, who: Identity) -> None:
        """See `Policy`."""
        if not self._policies:
            raise NotAllowed("No policy is configured, so nobody may decide.", next_step="This is a bug: report it.")
        for policy in self._policies:
            policy.admit(proposal, who)
