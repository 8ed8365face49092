"""From the `[policy]` part of the configuration to the conditions in force. Pure.

Rules:
  1. `PairedOperator` and `TypedName` are always there, first.
  2. What cannot be kept is refused here, before anything starts: more approvers than are bound, a zone that nobody
     knows, a freeze that ends before it begins, impersonation of people whom Kubernetes does not know.
"""

from collections.abc import Mapping
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from skyflo_runbooks.gateway.identity import RANKS
from skyflo_runbooks.gateway.policy.base import AllOf, Asked, Case, Policy
from skyflo_runbooks.gateway.policy.calendar import Freezes, Windows
from skyflo_runbooks.gateway.policy.conditions import (
    KubernetesAccess,
    NotTheRequester,
    PairedOperator,
    PasskeyFrom,
    PerHour,
    Pinned,
    Quorum,
    TypedName,
)
from skyflo_runbooks.gateway.policy.file import LEVELS, Person, PolicyFile
from skyflo_runbooks.gateway.policy.roles import Roles
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.proposal import Proposal


class Rules(msgspec.Struct, frozen=True):
    """What is in force: the conditions as one policy, the roles, who people are, and in whose name is written."""

    policy: Policy
    roles: Roles
    people: Mapping[str, Person]
    impersonate: bool = False

    def named(self, operator: str) -> bool:
        """Return whether the configuration speaks of this operator."""
        bound = {name for binding in self.roles.bindings or () for name in binding.operators}
        return operator in bound or operator in self.people


class IfIrreversible(msgspec.Struct, frozen=True):
    """A condition for changes that have no way back."""

    condition: Policy

    @property
    def name(self) -> str:
        """See `Policy`."""
        return f"irreversible:{self.condition.name}"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        return self.condition.asks(proposal) if proposal.assessment.irreversible else Asked()

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if case.proposal.assessment.irreversible:
            self.condition.admit(case)


def compose(file: PolicyFile) -> Rules:
    """Return the rules of a configuration, or raise `BadInput` that says what in it cannot be kept."""
    _check(file)
    roles = Roles(file.bindings)
    found: list[Policy] = [PairedOperator(), TypedName(), roles]
    needed = _needed(file)
    if needed != (1, 1, 1):
        found.append(Quorum(needed))
    if file.not_the_requester:
        found.append(NotTheRequester(roles))
    if file.passkey_from is not None:
        found.append(PasskeyFrom(file.passkey_from))
    if file.approvals_per_hour is not None:
        found.append(PerHour(file.approvals_per_hour))
    if file.windows:
        found.append(Windows(file.windows))
    if file.freezes:
        found.append(Freezes(file.freezes))
    found += _without_a_way_back(file, roles)
    found += _kubernetes(file)
    pinned = sorted((name, person.keys) for name, person in file.operators.items() if person.keys)
    if pinned:
        found.append(Pinned(tuple(pinned)))
    return Rules(AllOf(found), roles, file.operators, file.impersonate)


def _needed(file: PolicyFile) -> tuple[int, int, int]:
    said = file.approvals
    if isinstance(said, int):
        return (said, said, said)
    counts: list[int] = []
    for level in LEVELS:
        counts.append(max([said.get(level, 1), *counts]))
    return (counts[0], counts[1], counts[2])


def _without_a_way_back(file: PolicyFile, roles: Roles) -> list[Policy]:
    said = file.irreversible
    found: list[Policy] = []
    if said.approvals > 1:
        found.append(Quorum((said.approvals,) * 3))
    if said.passkey or file.passkey_from is not None:
        found.append(PasskeyFrom("low"))
    if said.not_the_requester:
        found.append(NotTheRequester(roles))
    return [IfIrreversible(one) for one in found]


def _kubernetes(file: PolicyFile) -> list[Policy]:
    users = tuple(
        sorted((name, one.kubernetes_user, one.groups) for name, one in file.operators.items() if one.kubernetes_user)
    )
    if file.impersonate and not users:
        raise BadInput(
            "impersonate = true writes in the approver's name, and no operator has one at the cluster.",
            next_step="Say kubernetes_user under [policy.operators.NAME].",
        )
    return [KubernetesAccess(users, everybody=file.impersonate)] if users else []


def _check(file: PolicyFile) -> None:
    most = max(*_needed(file), file.irreversible.approvals)
    approvers = {
        name
        for binding in file.bindings or ()
        if RANKS.index(binding.role) >= RANKS.index("approver")
        for name in binding.operators
    }
    if most > 1 and len(approvers) < most:
        raise BadInput(
            f"{most} different approvers are asked for, and {len(approvers)} are bound by name.",
            next_step="Name them under [[policy.bindings]]: otherwise the second is whoever the first invites.",
        )
    for window in file.windows:
        try:
            ZoneInfo(window.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BadInput(
                f"{window.timezone[:80]!r} is no time zone of this machine.", next_step="Say one like Europe/Berlin."
            ) from None
    for freeze in file.freezes:
        if freeze.to <= freeze.from_:
            raise BadInput(f"The freeze {freeze.reason!r} ends before it begins.")
    for name, one in file.operators.items():
        if one.groups and not one.kubernetes_user:
            raise BadInput(f"Operator {name!r} has groups and no kubernetes_user.")
