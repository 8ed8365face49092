"""Links, tokens, keys and passkeys: who makes them, who ends them, and what there is.

Rules:
  1. A link makes an operator and a token makes a program, so each takes a signature by a paired key over everything
     that is asked for: a session that was stolen makes none. So does the end of one.
  2. A link gives at most the rank of its maker, who is at least an approver. A link for a name is an admin's to make.
  3. A program's token is its maker's own, or, from an admin, somebody else's.
  4. Everybody may end what is their own; an admin may end everything. What has ended is told in the ledger, and a key
     that has ended signs nothing from then on.
"""

from datetime import timedelta
from typing import Literal

import msgspec

from skyflo_runbooks.gateway import identity
from skyflo_runbooks.gateway.decisions import signing_key
from skyflo_runbooks.gateway.identity import RANKS, Identity, Rank
from skyflo_runbooks.gateway.policy.roles import Roles
from skyflo_runbooks.gateway.store import Store, rfc3339
from skyflo_runbooks.model.errors import BadInput, NotAllowed
from skyflo_runbooks.model.json import Json, canonical

LINK = "skyflo.dev/link/v1"
PROGRAM = "skyflo.dev/token/v1"
REVOKE = "skyflo.dev/revoke/v1"
LONGEST_DAYS = 365.0
# A token or a key is named by the beginning of its hash.
_ENDINGS = {
    "token": "DELETE FROM tokens WHERE substr(hash, 1, 16) = ? RETURNING hash",
    "key": "DELETE FROM operators WHERE substr(key, 1, 16) = ? RETURNING key",
    "passkey": "DELETE FROM passkeys WHERE id = ? RETURNING id",
}


class Credential(msgspec.Struct, frozen=True):
    """One credential as it is listed: nothing of it can be used.

    `rank` is what its link carried at most, `may` what the policy leaves of that.
    """

    id: str
    kind: Literal["session", "link", "kernel", "agent", "key", "passkey"]
    name: str
    rank: str = ""
    may: str = ""
    namespaces: tuple[str, ...] = ()
    owner: str = ""
    maker: str = ""
    made: str = ""
    expires: str = ""


def message(schema: str, nonce: str, members: Json) -> bytes:
    """Return the bytes that such a wish signs: what it leaves empty is not in them."""
    return canonical({"schema": schema, "nonce": nonce, **{name: value for name, value in members.items() if value}})


def new_link(
    store: Store, roles: Roles, *, nonce: str, signature: str, rank: Rank | Literal[""], operator: str, who: Identity
) -> str:
    """Return a fresh one-time link's token, by rules 1 and 2."""
    maker = _signed(store, roles, LINK, nonce, signature, {"role": rank, "operator": operator}, who)
    given: Rank = rank or maker
    if RANKS.index(maker) < RANKS.index("approver") or RANKS.index(given) > RANKS.index(maker):
        raise NotAllowed(f"{who.name} is {maker} here and makes no link for {given}.", next_step="Ask an admin for it.")
    if operator and maker != "admin":
        raise NotAllowed("A link for a name is an admin's to make.", next_step="Leave the name out, or ask an admin.")
    meant = identity.operator_name(operator) if operator else ""
    token = identity.issue(store, "link", who.name, identity.LINK_LIFE, rank=given, owner=meant)
    store.record("link", {"token": short(token), "rank": given, "for": meant, "by": who.name})
    return token


def new_token(
    store: Store,
    roles: Roles,
    *,
    nonce: str,
    signature: str,
    role: Literal["kernel", "agent"],
    name: str,
    owner: str,
    namespaces: tuple[str, ...],
    days: float,
    who: Identity,
) -> str:
    """Return a fresh token for a program, by rules 1 and 3."""
    members = {"role": role, "name": name, "owner": owner, "namespaces": list(namespaces), "days": days}
    maker = _signed(store, roles, PROGRAM, nonce, signature, members, who)
    if RANKS.index(maker) < RANKS.index("requester"):
        raise NotAllowed(f"{who.name} is {maker} here and makes no token.", next_step="Ask an admin for it.")
    owner = identity.operator_name(owner or who.name)
    if owner != who.name and maker != "admin":
        raise NotAllowed(f"A token of {owner}'s is made by {owner}, or by an admin.")
    if not 0 < days <= LONGEST_DAYS or not namespaces or not all(0 < len(one) <= 63 for one in namespaces):
        raise BadInput(f"A token lives for at most {LONGEST_DAYS:.0f} days and reaches at least one namespace.")
    token = identity.issue(
        store,
        role,
        identity.program_name(name),
        timedelta(days=days),
        rank="viewer",
        namespaces=namespaces,
        owner=owner,
        maker=who.name,
    )
    told = {"token": short(token), "role": role, "name": name, "owner": owner, "namespaces": list(namespaces)}
    store.record("token", {**told, "days": days, "by": who.name})
    return token


def revoke(store: Store, roles: Roles, *, nonce: str, signature: str, id_: str, who: Identity) -> Credential:
    """End a credential that is listed, by rules 1 and 4; return it as it was."""
    maker = _signed(store, roles, REVOKE, nonce, signature, {"id": id_}, who)
    found = next((one for one in _serving(store) if one.id == id_), None)
    if found is None:
        raise BadInput(f"There is no credential {id_[:80]!r}.", next_step="'skyflo-runbooks tokens list' lists them.")
    if who.name not in _owners(found) and maker != "admin":
        raise NotAllowed(f"{id_} is not {who.name}'s.", next_step="An admin may end it.")
    kind, _, value = id_.partition(":")
    with store.transaction() as db:
        ended = [str(row[0]) for row in db.execute(_ENDINGS[kind], (value,)).fetchall()]
        for whole in ended:
            said = {"token": short_of(whole)} if kind == "token" else {kind: whole}
            store.append(db, "revoked", {**said, "operator": found.name, "by": who.name})
    return found


def listed(store: Store, roles: Roles) -> list[Credential]:
    """Return every credential that still serves, and what each may do under the roles in force."""
    return [msgspec.structs.replace(one, may=_may(one, roles)) for one in _serving(store)]


def _may(one: Credential, roles: Roles) -> str:
    if one.kind in ("kernel", "agent"):
        return "reads and asks, decides nothing"
    if one.kind == "passkey":
        return "signs besides a key"
    name = one.owner if one.kind == "link" else one.name
    if not name:
        return f"whoever logs in by it: at most {one.rank}"
    return roles.says(Identity("operator", name, msgspec.convert(one.rank, Rank)))


def _serving(store: Store) -> list[Credential]:
    tokens = store.all(
        "SELECT hash, role, name, rank, namespaces, owner, maker, made, expires FROM tokens WHERE expires >= ? "
        "ORDER BY made",
        (rfc3339(store.now()),),
    )
    keys = store.all("SELECT key, name, rank, paired FROM operators ORDER BY paired")
    passkeys = store.all("SELECT id, operator, label, added FROM passkeys ORDER BY added")
    return [
        *(_token(*map(str, row)) for row in tokens),
        *(
            Credential(f"key:{str(key)[:16]}", "key", str(name), rank=str(rank), made=str(paired))
            for key, name, rank, paired in keys
        ),
        *(
            Credential(f"passkey:{id_}", "passkey", str(operator), made=str(added), owner=str(label))
            for id_, operator, label, added in passkeys
        ),
    ]


def short(token: str) -> str:
    """Return what names a token in lists and in the ledger: the beginning of its hash."""
    return short_of(identity.hash_of(token))


def short_of(hash_: str) -> str:
    """Return the name of the token that has this hash."""
    return f"token:{hash_[:16]}"


def _signed(store: Store, roles: Roles, schema: str, nonce: str, signature: str, members: Json, who: Identity) -> Rank:
    """Burn the nonce of a signed wish and return the rank that its maker has; else raise (rule 1)."""
    key = signing_key(identity.keys_of(store, who.name), message(schema, nonce, members), signature)
    if not identity.burn_nonce(store, nonce=nonce, purpose=schema, operator=who.name):
        raise NotAllowed("The nonce is not this operator's for this, or it was used.", next_step="Sign again.")
    rank = min(who.rank, key.rank, key=RANKS.index)
    return roles.anywhere(msgspec.structs.replace(who, rank=rank))


def _owners(found: Credential) -> tuple[str, ...]:
    if found.kind == "passkey":
        return (found.name,)
    return (found.owner or found.name,) if found.kind in ("kernel", "agent") else (found.name,)


def _token(
    hash_: str, role: str, name: str, rank: str, namespaces: str, owner: str, maker: str, made: str, expires: str
) -> Credential:
    kind = "session" if role == "operator" else role
    return msgspec.convert(
        {
            "id": short_of(hash_),
            "kind": kind,
            "name": name,
            "rank": rank if role in ("operator", "link") else "",
            "namespaces": msgspec.json.decode(namespaces),
            "owner": owner,
            "maker": maker,
            "made": made,
            "expires": expires,
        },
        Credential,
    )
