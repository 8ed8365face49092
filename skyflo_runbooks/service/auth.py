"""Who is calling, and whether the call could have been made by another site.

Rules:
  1. The Host header names this gateway, or the call is refused (DNS rebinding).
  2. A bearer token stands for its owner. A session cookie lets its owner look.
  3. A cookie arrives by itself, also from another port of the same host. So an unsafe method with a cookie counts only
     from the gateway's own page: its exact Origin, and the header `X-Skyflo-Page`, which no form and no simple
     cross-origin request can send.
  4. An Origin that is sent and is not the gateway's own is refused for every unsafe method, whatever the credential.
  5. Deciding takes a signature besides (gateway.decisions); nothing here can replace it.
"""

from starlette.requests import Request

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.identity import Identity, Role
from skyflo_runbooks.gateway.store import Store
from skyflo_runbooks.model.errors import NotAllowed

COOKIE = "skyflo_session"
PAGE_HEADER = "x-skyflo-page"
_SAFE = {"GET", "HEAD", "OPTIONS"}


class Doorkeeper:
    """Decides who may call what. `origins` are the gateway's own, as a browser writes them."""

    def __init__(self, store: Store, origins: frozenset[str]) -> None:
        self._store = store
        self._origins = origins
        self._hosts = frozenset(origin.partition("://")[2] for origin in origins)

    def check_host(self, request: Request) -> None:
        """Raise `NotAllowed` where the Host is not this gateway's."""
        host = request.headers.get("host", "").lower()
        if host not in self._hosts:
            raise NotAllowed(
                f"This gateway does not answer to the host {host[:80]!r}.",
                next_step=f"Open it as {sorted(self._origins)[0]}.",
            )

    def check_origin(self, request: Request) -> None:
        """Raise `NotAllowed` where another site's page made an unsafe call."""
        origin = request.headers.get("origin")
        if request.method not in _SAFE and origin is not None and origin not in self._origins:
            raise NotAllowed(f"Calls from {origin[:80]!r} are refused.", next_step="Use the gateway's own page.")

    def who(self, request: Request, roles: frozenset[Role]) -> Identity:
        """Return who calls, if one of `roles`; else raise `NotAllowed`."""
        self.check_host(request)
        self.check_origin(request)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token:
            found = identity.identify(self._store, token.strip())
        else:
            found = self._by_cookie(request)
        if found.role not in roles:
            raise NotAllowed(f"This is for {', '.join(sorted(roles))}; this credential is {found}.")
        return found

    def operator(self, request: Request) -> Identity | None:
        """Return the operator whose session cookie a page request carries, or None."""
        token = request.cookies.get(COOKIE, "")
        try:
            found = identity.identify(self._store, token) if token else None
        except NotAllowed:
            return None
        return found if found and found.role == "operator" else None

    def _by_cookie(self, request: Request) -> Identity:
        token = request.cookies.get(COOKIE, "")
        if not token:
            raise NotAllowed(
                "A credential is needed.", next_step="Log in with a one-time link: 'skyflo-runbooks login LINK'."
            )
        if request.method not in _SAFE:
            own = request.headers.get("origin") in self._origins and PAGE_HEADER in request.headers
            if not own:
                raise NotAllowed(
                    "A session cookie acts only from the gateway's own page.",
                    next_step="Send a bearer token instead, or use the page.",
                )
        return identity.identify(self._store, token)
