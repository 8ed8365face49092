"""Makes proposals: render, prepare, assess, bind, store.

Rules:
  1. Asked again while an equal proposal of the same runbook and step is open, the open one is returned. If its object
     moved meanwhile it is void, and a new one is made; if it would be verified otherwise, it is superseded.
  2. An empty diff is `in_place`: there is nothing to decide.
  3. What is stored for showing is redacted; the real requests lie sealed beside the pre-images.
  4. A proposal names what it replaces (`modify`) or undoes (`rollback`); neither carries an approval over.
  5. The way back of a list is that of what was applied, last first. What has no way back, is back already, or would
     delete what may be somebody else's, is left out, and the proposal says so.
"""

import asyncio
import hmac
import secrets
import shlex
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Literal

import msgspec
from skyflo_mcp.kubernetes.client import Cluster
from skyflo_mcp.kubernetes.errors import Conflict, Invalid, NotFound

from skyflo_runbooks.gateway import risk
from skyflo_runbooks.gateway.hidden import Hiding, learn, shown_body, values_of
from skyflo_runbooks.gateway.impact import Scene, together
from skyflo_runbooks.gateway.impact.change import some
from skyflo_runbooks.gateway.impact.reads import ClusterLister
from skyflo_runbooks.gateway.keys import key_file
from skyflo_runbooks.gateway.preimages import PreImages
from skyflo_runbooks.gateway.prepare import Path, Prepared, live, prepare
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.gateway.store import Row, Store, rfc3339
from skyflo_runbooks.gateway.traces import last_writer
from skyflo_runbooks.gateway.ways import Way, deletion_of, moved
from skyflo_runbooks.model.digest import Binding, binding_digest
from skyflo_runbooks.model.entry import filled, open_entries
from skyflo_runbooks.model.entry import key as entry_key
from skyflo_runbooks.model.errors import BadInput, Refused, SkyfloError
from skyflo_runbooks.model.json import Json, canonical
from skyflo_runbooks.model.lifecycle import OPEN
from skyflo_runbooks.model.proposal import (
    ID_ALPHABET,
    Assessment,
    Impact,
    Origin,
    Proposal,
    ProposalId,
    Verification,
)
from skyflo_runbooks.model.request import Rendered, Request

ROLLBACK = "rollback"
LONGEST_LIFE = timedelta(hours=24)
Render = Callable[[str, Json], Awaitable[Rendered]]
Admit = Callable[[tuple[Request, ...]], None]


class Wish(msgspec.Struct, frozen=True):
    """What is asked for: a change tool with its arguments, why, and from where.

    `parameters` are the values of the runbook's parameters in this run.
    """

    tool: str
    arguments: Json
    origin: Origin
    why: str = ""
    verification: Verification | None = None
    parameters: dict[str, str | int | float | bool] = {}


class Rehearsal(msgspec.Struct, frozen=True):
    """What a wish would do, proposed to nobody."""

    would: Literal["change", "in_place", "not_applicable"]
    diff: str
    message: str


class Sealed(msgspec.Struct, frozen=True):
    """What lies sealed of one request: the real request, its way back, and which paths its digest leaves out."""

    request: Request
    way: Way
    ignored: tuple[Path, ...]
    unstable: tuple[Path, ...]


class Proposer:
    """Turns wishes into stored proposals. `render` calls a change tool; `life` is how long one may be decided."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        store: Store,
        render: Render,
        redactor: Redactor,
        policy: str,
        life: timedelta = timedelta(minutes=30),
    ) -> None:
        if not timedelta(0) < life <= LONGEST_LIFE:
            raise BadInput(f"A proposal lives between a moment and 24 h, not {life}.")
        self._cluster = cluster
        self._store = store
        self._render = render
        self._redactor = redactor
        self._policy = policy
        self._life = life
        self._images = PreImages(store)
        self._making = asyncio.Lock()
        self.secret_key = key_file(store.directory, "digest.key")

    async def propose(self, wish: Wish, *, supersedes: str = "", admit: Admit | None = None) -> Row:
        """Return the stored proposal for a wish, by rule 1 and 2. `admit` raises where it is not the asker's to ask."""
        rendered = await self._render(wish.tool, wish.arguments)
        if admit is not None:
            admit(rendered.requests)
        return await self._propose(wish, rendered, supersedes=supersedes)

    async def roll_back(self, id_: str, *, requester: str) -> Row:
        """Return the proposal that leads back from an executed one; its diff is against the object as it is now."""
        row = self._store.get(id_)
        if row.state not in ("executed", "failed"):
            raise Refused(
                f"{id_} is {row.state}; only what was executed has a way back.",
                next_step="Look at it with 'skyflo-runbooks show'."
                if row.state != "proposed"
                else "Reject it instead.",
            )
        requests, left_out = await self._ways_back(row)
        if not requests:
            why = "; ".join(left_out) or "nothing of it was applied"
            raise Refused(
                f"{id_} has no way back: {why}.", next_step="Look at what is there, and write your own change."
            )
        names = ", ".join(str(request.target) for request in requests)
        rendered = Rendered(
            requests=tuple(requests),
            title=f"Roll back {id_}, which was: {row.proposal.title}",
            equivalent="\n".join(kubectl(request, self._redactor) for request in requests),
            notes=tuple(f"Left out: {said}" for said in left_out),
        )
        origin = msgspec.structs.replace(
            row.proposal.origin, requester=requester, step=row.proposal.origin.step + "!back"
        )
        wish = Wish(ROLLBACK, {"of": id_}, origin, why=f"The way back of {id_} for {names}.")
        return await self._propose(wish, rendered, rollback_of=id_)

    async def _ways_back(self, row: Row) -> tuple[list[Request], list[str]]:
        """Return the requests that undo what was applied, by rule 5, and in words what is left out."""
        applied = row.attempt.applied if row.attempt else []
        requests: list[Request] = []
        left_out: list[str] = []
        for sealed, answer in reversed(list(zip(self.sealed(row.proposal.id), applied, strict=False))):
            way = sealed.way.request
            if way is None:
                left_out.append(sealed.way.none)
                continue
            if way.verb == "delete" and answer.get("shared"):
                left_out.append(f"{way.target} came into being at the same moment and may be somebody else's")
                continue
            now = await live(self._cluster, way)
            if now is not None and (place := moved(way, now)):
                left_out.append(f"{way.target} was changed since{last_writer(now)}, at {place}")
                continue
            there = now is not None
            if way.verb in ("create", "delete") and there == (way.verb == "create"):
                left_out.append(f"{way.target} is {'there again' if there else 'gone'} already")
                continue
            requests.append(deletion_of(way, str(answer.get("uid", ""))) if way.verb == "delete" else way)
        return requests, left_out

    def modified(self, id_: str, changes: Json, *, requester: str) -> Wish:
        """Return the wish that an open proposal becomes with other argument values; names are dotted."""
        row = self._store.get(id_)
        if row.state not in ("proposed", "approved"):
            raise Refused(f"{id_} is {row.state}; only an open proposal is modified.")
        return self.wish_with(row, changes, requester=requester)

    def wish_with(self, row: Row, changes: Json, *, requester: str) -> Wish:
        """Return the wish of a proposal again, with other argument values."""
        proposal = row.proposal
        if proposal.tool == ROLLBACK:
            raise BadInput("The way back is not modified.", next_step="Reject it, or write your own change.")
        arguments = proposal.arguments
        for name, value in changes.items():
            arguments = replaced(arguments, name.split("."), value)
        return wish_of(proposal, arguments, requester=requester)

    def entered(self, id_: str, values: Mapping[str, str], *, requester: str) -> Wish:
        """Return the wish that an open proposal becomes when each of its open entries is typed.

        Of `values` (by pointer) the wish carries references only; nothing but the gateway knows what they stand for.
        """
        row = self._store.get(id_)
        if row.state != "proposed":
            raise Refused(f"{id_} is {row.state}; values are typed while it waits for a decision.")
        wanted = open_entries(row.proposal.arguments)
        if not wanted or set(values) != set(wanted) or not all(values.values()):
            raise BadInput(
                f"{id_} asks for {', '.join(map(entry_key, wanted)) or 'no value'}.",
                next_step="Give each of them a value, and nothing else.",
            )
        references = {pointer: self._redactor.reference(value) for pointer, value in values.items()}
        return wish_of(row.proposal, filled(row.proposal.arguments, references), requester=requester)

    async def rehearse(self, wish: Wish, *, admit: Admit | None = None) -> Rehearsal:
        """Dry-run a wish and say what it would do, without proposing it (a replay, a plan being made)."""
        try:
            rendered = await self._render(wish.tool, wish.arguments)
            if admit is not None:
                admit(rendered.requests)
            prepared = await self._prepare(rendered)
        except (BadInput, NotFound, Invalid, Conflict) as error:
            return Rehearsal("not_applicable", "", self._redactor.error(str(error)))
        shown = self._hiding(prepared).text("\n".join(item.diff for item in prepared))
        if all(item.in_place for item in prepared):
            return Rehearsal("in_place", "", f"Already in place: {rendered.title}")
        return Rehearsal("change", shown, f"Would change: {rendered.title}")

    def sealed(self, id_: ProposalId) -> list[Sealed]:
        """Return the real requests of a proposal and their way back."""
        return [msgspec.convert(image, Sealed) for image in self._images.read(id_)]

    async def _prepare(self, rendered: Rendered) -> list[Prepared]:
        for request in rendered.requests:
            learn(self._redactor, request)
        known = partial(learn, self._redactor)
        scene = Scene(ClusterLister(self._cluster), rendered.requests)
        try:
            return [
                await prepare(self._cluster, item, scene=scene, secret_key=self.secret_key, learn=known)
                for item in rendered.requests
            ]
        except SkyfloError as error:
            # Admission repeats what it refuses, and that may be a value that the caller saw only masked.
            error.message = self._redactor.error(error.message)
            raise

    def _hiding(self, prepared: list[Prepared]) -> Hiding:
        """Return the redactor for what is shown of these requests."""
        values: set[str] = set()
        for item in prepared:
            values |= values_of(item.request, *item.raw) | self._redactor.secrets_in([*item.raw, item.request.body])
        return Hiding(self._redactor, values, place=", ".join(str(item.request.target) for item in prepared))

    async def _propose(self, wish: Wish, rendered: Rendered, *, supersedes: str = "", rollback_of: str = "") -> Row:
        key = same_key(wish, await self._cluster.uid(), self.secret_key)
        async with self._making:
            # One after another, so that two equal wishes at once make one proposal.
            prepared = await self._prepare(rendered)
            rendered = msgspec.structs.replace(rendered, irreversible=irreversible(rendered, prepared))
            if not supersedes:
                standing, supersedes = self._standing(key, wish, prepared)
                if standing is not None:
                    return standing
            proposal = await self._bind(wish, rendered, prepared, supersedes=supersedes, rollback_of=rollback_of)
            images = [Sealed(p.request, p.way, p.ignored, p.unstable) for p in prepared]
            self._images.keep(proposal.id, [msgspec.to_builtins(image) for image in images])
            in_place = all(item.in_place for item in prepared)
            self._store.add(proposal, same_key=key, state="in_place" if in_place else "proposed")
            return self._store.get(proposal.id)

    def _standing(self, key: str, wish: Wish, prepared: list[Prepared]) -> tuple[Row | None, str]:
        """Return the open proposal that already says all this; or the id of the one that a new one replaces.

        An open one whose object moved meanwhile is void. One with another verify step is replaced.
        """
        for row in self._store.find(same_key=key, states=OPEN):
            before = [(bound.uid, bound.desired_state) for bound in row.proposal.binding.requests]
            moved = before != [(item.bound.uid, item.bound.desired_state) for item in prepared]
            same = row.proposal.verification == wish.verification and row.proposal.binding.policy == self._policy
            if row.state != "proposed" or (not moved and same):
                return row, ""
            if not moved:
                return None, row.proposal.id
            self._store.move(row.proposal.id, "drift", {"message": "the object moved before anybody decided"})
        return None, ""

    async def _bind(
        self, wish: Wish, rendered: Rendered, prepared: list[Prepared], *, supersedes: str, rollback_of: str
    ) -> Proposal:
        now = self._store.now()
        binding = Binding(
            cluster=await self._cluster.uid(),
            requests=tuple(item.bound for item in prepared),
            runbook=wish.origin.runbook_digest,
            step=wish.origin.step,
            requester=wish.origin.requester,
            policy=self._policy,
            nonce=secrets.token_urlsafe(18),
            not_before=rfc3339(now),
            expires=rfc3339(now + self._life),
        )
        level, reasons = risk.assess(
            tuple(item.request for item in prepared),
            before=tuple(item.before for item in prepared),
            after=tuple(item.after for item in prepared),
            impacts=tuple(item.impact for item in prepared),
            irreversible=rendered.irreversible,
        )
        mask = self._hiding(prepared)
        assessed = Assessment(level, reasons, way_back(prepared, rendered), rendered.irreversible)
        return Proposal(
            id=new_id(self._store),
            tool=wish.tool,
            arguments=mask.mask(wish.arguments),
            title=mask.text(rendered.title),
            why=mask.text(wish.why),
            origin=wish.origin,
            requests=tuple(msgspec.structs.replace(p.request, body=shown_body(p.request, mask)) for p in prepared),
            binding=binding,
            digest=binding_digest(binding),
            diff=mask.text("\n".join(item.diff for item in prepared)),
            impact=mask_impact(mask, together((item.request, item.impact) for item in prepared), self._redactor),
            assessment=said(assessed, self._redactor),
            equivalent=mask.text(rendered.equivalent),
            created=rfc3339(now),
            warnings=tuple(self._redactor.error(one) for item in prepared for one in item.warnings) + rendered.notes,
            unstable=tuple(".".join(path) for item in prepared for path in item.unstable),
            verification=wish.verification,
            parameters=mask.mask(wish.parameters),
            rollback_of=rollback_of,
            supersedes=supersedes,
            diffs=tuple(mask.text(item.diff) for item in prepared),
        )


def wish_of(proposal: Proposal, arguments: Json, *, requester: str) -> Wish:
    """Return the wish of a proposal again, with these arguments."""
    origin = msgspec.structs.replace(proposal.origin, requester=requester)
    return Wish(proposal.tool, arguments, origin, proposal.why, proposal.verification, proposal.parameters)


def same_key(wish: Wish, cluster: str, secret_key: bytes) -> str:
    """Return what makes two wishes the same: cluster, runbook, step, tool and arguments.

    Not the rendered requests: a restart carries the time at which it was rendered. The arguments may hold values that
    are secret, so it is an HMAC.
    """
    said = [cluster, wish.origin.runbook, wish.origin.step, wish.tool, wish.arguments]
    return hmac.new(secret_key, canonical(said), "sha256").hexdigest()


def new_id(store: Store) -> ProposalId:
    """Return an id that no proposal has."""
    while True:
        made = ProposalId("ap-" + "".join(secrets.choice(ID_ALPHABET) for _ in range(6)))
        if store.one("SELECT 1 FROM proposals WHERE id = ?", (made,)) is None:
            return made


def mask_impact(mask: Hiding, impact: Impact, redactor: Redactor) -> Impact:
    """Return an impact with secrets in it masked; what is not known is said in the cluster's own words."""
    return Impact(
        while_it_runs=tuple(map(mask.text, impact.while_it_runs)),
        also_touched=tuple(map(mask.text, impact.also_touched)),
        ownership=tuple(map(mask.text, impact.ownership)),
        unknown=tuple(map(redactor.error, impact.unknown)),
        risks=tuple((level, mask.text(reason)) for level, reason in impact.risks),
        irreversible=tuple(map(mask.text, impact.irreversible)),
    )


def said(assessment: Assessment, redactor: Redactor) -> Assessment:
    """Return an assessment with what the cluster says of a way back, or of a risk, masked: it may quote a value."""
    return msgspec.structs.replace(
        assessment,
        reasons=tuple(map(redactor.error, assessment.reasons)),
        way_back=redactor.error(assessment.way_back),
        irreversible=redactor.error(assessment.irreversible),
    )


def irreversible(rendered: Rendered, prepared: list[Prepared]) -> str:
    """Return why there is no way back: as the tool, the request itself or its surroundings say."""
    one_way = (risk.one_way(item.request, item.before, item.after) for item in prepared)
    around = (said for item in prepared for said in item.impact.irreversible)
    return next((said for said in (rendered.irreversible, *one_way, *around) if said), "")


def way_back(prepared: list[Prepared], rendered: Rendered) -> str:
    """Return the way back in words; of a long list the first ones, and how many more."""
    if rendered.irreversible:
        return f"None: {rendered.irreversible}"
    said = [_way_said(item.way.request) for item in reversed(prepared) if item.way.request]
    without = some(_not_led_back(prepared), 3)
    if not said:
        return f"None: {without}"
    problems = [item.way.problem for item in prepared if item.way.problem]
    stored = "Stored, but " + problems[0] if problems else f"{some(said, 6)}, stored; needs its own approval"
    return stored + (f". Not led back: {without}" if without else "")


def _not_led_back(prepared: list[Prepared]) -> list[str]:
    """Return what has no way back; the pods of a drain, which the card names already, in one sentence."""
    lost = [item for item in prepared if not item.way.request]
    pods = [item for item in lost if item.request.verb == "evict"]
    if len(pods) < 2:
        return [item.way.none for item in lost]
    others = [item.way.none for item in lost if item.request.verb != "evict"]
    return [*others, f"the {len(pods)} evicted pods are made again by their controllers, if at all"]


def _way_said(way: Request) -> str:
    verbs = {"create": "Create {} again", "delete": "Delete {}, if it is still the one that is made here"}
    return verbs.get(way.verb, "Restore the former values of {}").format(way.target)


def replaced(arguments: Json, path: list[str], value: object) -> Json:
    """Return `arguments` with the member at `path` replaced; an unknown name is `BadInput`."""
    head, *rest = path
    if head not in arguments:
        raise BadInput(f"There is no argument {head!r}.", next_step=f"Arguments: {', '.join(sorted(arguments))}.")
    if not rest:
        return {**arguments, head: value}
    inner = arguments[head]
    if not isinstance(inner, dict):
        raise BadInput(f"{head!r} has no member {rest[0]!r}.")
    return {**arguments, head: replaced(inner, rest, value)}


def kubectl(request: Request, redactor: Redactor) -> str:
    """Return the kubectl line of a way back, secrets masked, quoted for a shell: its values are anybody's."""
    ref = request.target
    name = (ref.kind.lower(), ref.name)
    body = msgspec.json.encode(shown_body(request, Hiding(redactor))).decode()
    part = (f"--subresource={request.subresource}",) if request.subresource else ()
    words = {"create": ("create", "-f", f"{ref.kind.lower()}-{ref.name}.yaml"), "delete": ("delete", *name)}
    said = words.get(request.verb, ("patch", *name, *part, "--type=json", "-p", body))
    return shlex.join(("kubectl", *(("-n", ref.namespace) if ref.namespace else ()), *said))
