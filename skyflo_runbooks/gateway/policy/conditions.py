"""The conditions, one small value each. Pure. What they mean to an operator stands in `file`."""

from datetime import UTC

import msgspec

from skyflo_runbooks.gateway.identity import person
from skyflo_runbooks.gateway.policy.base import HOUR, Asked, Case, weight
from skyflo_runbooks.gateway.policy.file import LEVELS
from skyflo_runbooks.gateway.policy.roles import Roles
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.proposal import Proposal, Risk

_ANEW = (
    "Ask for it again with a token of your own: 'skyflo-runbooks tokens new notebook --role kernel', "
    "in SKYFLO_KERNEL_TOKEN; then another operator approves."
)
# Kinds whose deletion takes everything in them.
_WHOLE = ("Namespace", "CustomResourceDefinition")
_BIND = "Bind another approver under [[policy.bindings]] in skyflo.toml"


class PairedOperator(msgspec.Struct, frozen=True):
    """Only an operator decides: no kernel, no agent, no other client."""

    @property
    def name(self) -> str:
        """See `Policy`."""
        return "paired-operator/v1"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        return Asked()

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if case.who.role != "operator":
            raise NotAllowed(
                f"Only an operator decides {case.proposal.id}; this credential is {case.who}.",
                next_step="Decide on the gateway's own page, or in a terminal after 'skyflo-runbooks login LINK'.",
            )


class TypedName(msgspec.Struct, frozen=True):
    """Whoever approves a deletion types the name of what is deleted. Always in force."""

    @property
    def name(self) -> str:
        """See `Policy`."""
        return "typed-deletions"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        wanted = name_to_type(proposal)
        return Asked((f"Whoever approves types the name {wanted}.",) if wanted else (), typed=wanted)

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        wanted = name_to_type(case.proposal)
        if case.kind == "approve" and case.typed != wanted:
            raise NotAllowed(
                f"Expected the name {wanted!r} to be typed, got {case.typed[:80]!r}.",
                next_step="It deletes something: look at the name and type it.",
            )


class NotTheRequester(msgspec.Struct, frozen=True):
    """Who asked does not approve. Where it is not known which person asked, nobody approves.

    `roles` say who is left then; they are a condition of their own.
    """

    roles: Roles = Roles()

    @property
    def name(self) -> str:
        """See `Policy`."""
        return "not-the-requester"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        requester = proposal.binding.requester
        asked = person(requester)
        if not asked:
            return Asked((f"Nobody can approve it: who asks must not, and {requester} names no person. {_ANEW}",))
        left = self._left(proposal, asked)
        if left is None:
            return Asked((f"Not by who asked for it: {requester}.",))
        return Asked((f"Not by who asked for it: {requester}; that leaves {', '.join(left) or f'nobody. {_BIND}'}.",))

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if case.kind != "approve":
            return
        asked = person(case.proposal.binding.requester)
        if not asked:
            raise NotAllowed(
                f"Who asks may not approve, and {case.proposal.binding.requester} names no person.",
                next_step=_ANEW,
            )
        if asked == case.who.name:
            raise NotAllowed(
                f"{asked} asked for {case.proposal.id}, and who asks may not approve.",
                next_step=self._others(case.proposal, asked),
            )

    def _left(self, proposal: Proposal, asked: str) -> list[str] | None:
        """Return who may decide it besides who asked; None where that is every other operator."""
        bound = self.roles.deciders(proposal)
        return None if bound is None else [name for name in bound if name != asked]

    def _others(self, proposal: Proposal, asked: str) -> str:
        left = self._left(proposal, asked)
        if left is None:
            return "Another operator has to approve it; 'skyflo-runbooks login --new-link' makes the link for one."
        return f"It may be approved by {', '.join(left)}." if left else f"Nobody else may approve it. {_BIND}."


class Quorum(msgspec.Struct, frozen=True):
    """So many different approvers, by level (low, medium, high)."""

    needed: tuple[int, int, int]

    @property
    def name(self) -> str:
        """See `Policy`."""
        return f"approvals({','.join(map(str, self.needed))})"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        needed = self.needed[LEVELS.index(weight(proposal))]
        return Asked((f"{needed} different approvers are needed.",) if needed > 1 else (), approvals=needed)

    def admit(self, case: Case) -> None:
        """See `Policy`: one approval alone is never refused for being the first."""


class PasskeyFrom(msgspec.Struct, frozen=True):
    """A passkey signs besides, from a level of risk on; the authenticator has checked who holds it."""

    level: Risk

    @property
    def name(self) -> str:
        """See `Policy`."""
        return f"passkey({self.level})"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        wanted = _reaches(proposal, self.level)
        return Asked(("Approved with a passkey.",) if wanted else (), passkey=wanted)

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if case.kind == "approve" and _reaches(case.proposal, self.level) and not case.passkey:
            raise NotAllowed(
                f"From {self.level} risk on a passkey is needed, and none signed this.",
                next_step="Decide on the gateway's own page in a browser that has your passkey.",
            )


class PerHour(msgspec.Struct, frozen=True):
    """At most so many approvals in an hour, of the whole gateway."""

    most: int

    @property
    def name(self) -> str:
        """See `Policy`."""
        return f"per-hour({self.most})"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        return Asked((f"At most {self.most} approvals in an hour.",))

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if case.kind != "approve":
            return
        if case.recent is None:
            raise NotAllowed("How many approvals the last hour had is not known.", next_step="Look at the record.")
        if len(case.recent) >= self.most:
            free = case.recent[-self.most] + HOUR
            raise NotAllowed(
                f"{len(case.recent)} approvals were given in the last hour; at most {self.most} are allowed.",
                next_step=f"The next one can be given at {free.astimezone(UTC):%H:%M:%S} UTC. "
                "Look again then whether all of it is still wanted.",
            )


class KubernetesAccess(msgspec.Struct, frozen=True):
    """What Kubernetes would not let an approver do, the approver cannot approve. `users` maps operators, sorted.

    With `everybody` an operator whom Kubernetes does not know approves nothing.
    """

    users: tuple[tuple[str, str, tuple[str, ...]], ...]
    everybody: bool = False

    @property
    def name(self) -> str:
        """See `Policy`."""
        said = ";".join(f"{name}={user}[{','.join(groups)}]" for name, user, groups in self.users)
        return f"kubernetes-access({said}{';*' if self.everybody else ''})"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        return Asked(("Kubernetes must allow the approver the same change.",))

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if case.kind != "approve":
            return
        if case.who.name not in {name for name, _, _ in self.users}:
            if self.everybody:
                raise NotAllowed(
                    f"Changes are made in the approver's name, and {case.who.name} has none at the cluster.",
                    next_step="Say kubernetes_user for this operator in the configuration.",
                )
            return
        if case.access is None:
            raise NotAllowed("Whether Kubernetes allows the approver this change was not asked.")
        if case.access:
            raise NotAllowed(
                f"Kubernetes does not let {case.who.name} do this: {'; '.join(case.access)}.",
                next_step="Somebody whom the cluster allows it has to approve.",
            )


class Pinned(msgspec.Struct, frozen=True):
    """Which keys sign for an operator is said outside the record, by thumbprint."""

    keys: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def name(self) -> str:
        """See `Policy`."""
        return f"pinned({';'.join('='.join((name, *keys)) for name, keys in self.keys)})"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        return Asked()

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        known = dict(self.keys).get(case.who.name)
        if known is not None and case.key not in known:
            raise NotAllowed(
                f"The configuration names the keys of {case.who.name}, and {case.key[:16] or 'none'} is none of them.",
                next_step="Sign with one of those, or have the new key's thumbprint put into the configuration.",
            )


def name_to_type(proposal: Proposal) -> str:
    """Return what whoever approves types: the name of what is deleted, with how many more go; empty where none is.

    Of several the one that takes others with it stands for all.
    """
    gone = [request.target for request in proposal.requests if request.verb == "delete"]
    names = [one.name for one in sorted(gone, key=lambda one: one.kind not in _WHOLE)]
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else "".join(names)


def _reaches(proposal: Proposal, level: Risk) -> bool:
    return LEVELS.index(weight(proposal)) >= LEVELS.index(level)
