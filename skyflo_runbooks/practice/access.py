"""Who may do what: two roles with a token each, as real RBAC would answer them.

`admin` may do everything. `reader` gets, lists and watches everything but Secrets, reads logs, and asks Services and
pods through the proxy; anything else is a 403 in the API server's words. A wrong token is a 401 everywhere; no token
is the administrator where the cluster is used in memory, and a 401 on a server. The administrator may act in the name
of either (impersonation).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from skyflo_runbooks.practice import errors
from skyflo_runbooks.practice.kinds import Kind

Role = Literal["admin", "reader"]
_READS = {"get", "list", "watch"}


@dataclass(frozen=True)
class User:
    """An authenticated user."""

    name: str
    role: Role
    groups: tuple[str, ...]


USERS: dict[Role, User] = {
    "admin": User("practice-admin", "admin", ("system:masters", "system:authenticated")),
    "reader": User("practice-reader", "reader", ("practice:readers", "system:authenticated")),
}


def known(name: str, groups: Sequence[str]) -> list[User]:
    """Return the users of this cluster whose rights somebody has: by name, or by one of their groups; none: a stranger.

    `system:authenticated` gives nobody anything.
    """
    shared = set(groups) - {"system:authenticated"}
    return [user for user in USERS.values() if user.name == name or shared & set(user.groups)]


class Access:
    """The tokens of one cluster."""

    def __init__(self, *, token_required: bool) -> None:
        self.token_required = token_required
        self.tokens: dict[Role, str] = {role: secrets.token_urlsafe(24) for role in USERS}

    def user(self, authorization: str | None) -> User:
        """Return who sends this Authorization header."""
        if authorization is None and not self.token_required:
            return USERS["admin"]
        scheme, _, token = (authorization or "").partition(" ")
        for role, known in self.tokens.items():
            if scheme.lower() == "bearer" and secrets.compare_digest(token.encode(), known.encode()):
                return USERS[role]
        raise errors.unauthorized()

    def acting(self, user: User, name: str, groups: Sequence[str]) -> User:
        """Return who acts in somebody's name (impersonation): only an administrator may, and a stranger may nothing."""
        found = known(name, groups)
        if user.role != "admin" or not found:
            why = f'User "{user.name}" cannot act as "{name}"' if found else f'User "{name}" may nothing'
            raise errors.forbidden(Kind("", "v1", "User", "users"), name, why)
        return found[0]

    @staticmethod
    def allows(user: User, verb: str, group: str, resource: str, subresource: str = "") -> bool:
        """Return whether the user may do this."""
        if user.role == "admin":
            return True
        return (
            verb in _READS
            and (group, resource) != ("", "secrets")
            and subresource in {"", "status", "log", "proxy", "scale"}
        )

    def check(self, user: User, verb: str, kind: Kind, namespace: str, name: str, subresource: str = "") -> None:
        """Raise the 403 that RBAC would answer."""
        if self.allows(user, verb, kind.group, kind.plural, subresource):
            return
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        raise errors.forbidden(
            kind, name, f'User "{user.name}" cannot {verb} resource "{resource}" in API group "{kind.group}" {where}'
        )
