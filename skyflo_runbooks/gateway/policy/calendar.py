"""When changes may be made: weekly windows and freezes. Pure; times are instants, windows are local wall time.

Rules:
  1. Where windows are given for a namespace, a change there is admitted within one of them and at no other time.
  2. A window that ends at or before its begin ends on the next day.
  3. In a freeze nothing is admitted, whatever the windows say.
  4. Each applies to the namespaces that its patterns fit, as bindings do; a change in several must be admitted in each.
     A change of a namespace itself, its deletion above all, is one in it as well as one of the cluster.
"""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from skyflo_runbooks.gateway.policy.base import Asked, Case
from skyflo_runbooks.gateway.policy.file import DAYS, Freeze, Window
from skyflo_runbooks.gateway.policy.roles import covers
from skyflo_runbooks.model.errors import NotAllowed
from skyflo_runbooks.model.proposal import Proposal


class Windows(msgspec.Struct, frozen=True):
    """Changes only within a window."""

    windows: tuple[Window, ...]

    @property
    def name(self) -> str:
        """See `Policy`."""
        return f"windows({';'.join(' '.join((said(one), *one.namespaces)) for one in self.windows)})"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        fitting = [said(one) for one in self.windows if _concerns(one.namespaces, proposal)]
        return Asked((f"Only in the change window: {' or '.join(fitting)}.",) if fitting else ())

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        if case.kind != "approve":
            return
        for place in sorted(_places(case.proposal)):
            fitting = [one for one in self.windows if any(covers(pattern, place) for pattern in one.namespaces)]
            if fitting and not any(within(one, case.now) for one in fitting):
                raise NotAllowed(
                    f"Changes in {place or 'the cluster'} are made {' or '.join(map(said, fitting))}; "
                    f"now it is {case.now.isoformat(timespec='minutes')}.",
                    next_step="Propose it again when the window is open.",
                )


class Freezes(msgspec.Struct, frozen=True):
    """No change in a freeze."""

    freezes: tuple[Freeze, ...]

    @property
    def name(self) -> str:
        """See `Policy`."""
        return f"freezes({';'.join(' '.join((_span(one), *one.namespaces)) for one in self.freezes)})"

    def asks(self, proposal: Proposal) -> Asked:
        """See `Policy`."""
        fitting = [one for one in self.freezes if _concerns(one.namespaces, proposal)]
        return Asked(tuple(f"Not during the freeze {_span(one)}: {one.reason}." for one in fitting))

    def admit(self, case: Case) -> None:
        """See `Policy`."""
        for one in self.freezes:
            if case.kind == "approve" and one.from_ <= case.now < one.to and _concerns(one.namespaces, case.proposal):
                raise NotAllowed(
                    f"Changes are frozen {_span(one)}: {one.reason}.", next_step="Propose it again when it is over."
                )


def within(window: Window, now: datetime) -> bool:
    """Return whether `now` lies in the window, by its own wall clock."""
    local = now.astimezone(ZoneInfo(window.timezone))
    begin, end = time.fromisoformat(window.from_), time.fromisoformat(window.to)
    today, yesterday = (DAYS[day.weekday()] in window.days for day in (local, local - timedelta(days=1)))
    clock = local.time()
    if begin < end:
        return today and begin <= clock < end
    return (today and clock >= begin) or (yesterday and clock < end)


def said(window: Window) -> str:
    """Return the window in words."""
    return f"{','.join(window.days)} {window.from_}-{window.to} {window.timezone}"


def _span(freeze: Freeze) -> str:
    return f"{freeze.from_.isoformat(timespec='minutes')} to {freeze.to.isoformat(timespec='minutes')}"


def _places(proposal: Proposal) -> set[str]:
    """Return where a proposal changes something, by rule 4; what lies in no namespace is an empty name."""
    targets = [request.target for request in proposal.requests]
    return {one.namespace for one in targets} | {one.name for one in targets if one.kind == "Namespace"}


def _concerns(patterns: tuple[str, ...], proposal: Proposal) -> bool:
    return any(covers(pattern, place) for place in _places(proposal) for pattern in patterns)
