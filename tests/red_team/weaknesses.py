"""Every attack of the red team, with the guards that stop it, and what the gate looks like without each of them.

Adding an attack: its line in `ATTACKS`, a test under `against(ATTACKS[…])`, and its row in docs/security.md. A guard is
named by the function that keeps it. Its absence is the plainest thing that a gate without the thought of it would do:
let through, say yes, forget, believe.
"""

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from starlette.responses import Response

from skyflo_runbooks.gateway.identity import Identity, PairedKey, PublicKey, identify
from skyflo_runbooks.gateway.looking import Found
from skyflo_runbooks.model.json import canonical
from skyflo_runbooks.service.server import _listen as listen
from tests.red_team.weakening import Absence, Attack, Guard

GATEWAY = "skyflo_runbooks.gateway"
SERVICE = "skyflo_runbooks.service"


def says(value: object) -> Absence:
    """Something that always answers so, whatever it is asked."""
    return lambda guard: lambda *given, **named: value


def says_later(value: object) -> Absence:
    """The same for a coroutine."""

    def absent(guard: Any) -> Any:
        async def answer(*given: object, **named: object) -> object:
            return value

        return answer

    return absent


def given(place: int) -> Absence:
    """Something that hands back what it was given at `place`, as it is."""
    return lambda guard: lambda *handed, **named: handed[place]


def but(**changed: object) -> Absence:
    """The same function, blind for some of its arguments: it takes these for what they are."""
    return lambda guard: lambda *given, **named: guard(*given, **{**named, **changed})


def same_as(one: str, other: str) -> Absence:
    """The same function, which takes the argument `one` to be whatever `other` is."""
    return lambda guard: lambda *given, **named: guard(*given, **{**named, one: named[other]})


def without_supersession(move: Any) -> Any:
    """A store in which a revision leaves the old proposal as it was."""

    def moved(store: Any, db: Any, id_: Any, event: str, body: Any) -> object:
        return None if event == "supersede" else move(store, db, id_, event, body)

    return moved


def without_arrows(move: Any) -> Any:
    """A state machine in which an approval is always possible."""
    return lambda state, event: "approved" if event == "approve" else move(state, event)


def forgetting_attempts(start: Any) -> Any:
    """A store in which one proposal may have another attempt after its first."""

    def started(store: Any, id_: Any, attempt: str, *told: object) -> object:
        with store.transaction() as db:
            db.execute("DELETE FROM attempts WHERE proposal = ?", (id_,))
        return start(store, id_, attempt, *told)

    return started


def without_own_page(by_cookie: Any) -> Any:
    """A door that takes every call that a cookie comes with for its owner's wish."""
    return lambda door, request: identify(door._store, request.cookies.get("skyflo_session", ""))


def first_address_only(bind: Any) -> Any:
    """A server that listens on 127.0.0.1 and thinks that this is localhost."""
    return lambda host, port: [listen(socket.AF_INET, "127.0.0.1", port)]


def applying(desk_proposer: Any) -> Any:
    """An MCP server whose change tools do what they are called for."""

    def absent(desk: Any) -> Any:
        propose = desk_proposer(desk)

        async def apply(tool: str, arguments: Any, who: Identity) -> object:
            proposed = await propose(tool, arguments, who)
            desk.gateway.store.move(proposed["proposal"], "approve")
            await desk.gateway._executor.dispatch(proposed["proposal"])
            return proposed

        return apply

    return absent


def believing_the_last(told: Any) -> Any:
    """An executor that takes the ledger's last entry for the approval's, whatever digest that was for."""
    return lambda row, said, entries: entries[-1]


def in_memory(transaction: Any) -> Any:
    """A record that goes on in memory where its file cannot be written."""

    @contextmanager
    def absent(database: Any) -> Iterator[object]:
        try:
            database.connection.execute("BEGIN IMMEDIATE")
            database.connection.execute("CREATE TABLE probe AS SELECT randomblob(65536)")
            database.connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            memory = sqlite3.connect(":memory:", isolation_level=None)
            if database.connection.in_transaction:
                database.connection.execute("ROLLBACK")
            database.connection.backup(memory)
            database.connection = memory
        with transaction(database) as db:
            yield db

    return absent


def counting(verify: Any) -> Any:
    """A verification that counts the entries and looks at none."""
    return lambda chain, **where: sum(1 for _ in chain)


def unlocked(lock: Any) -> Any:
    """A data directory that any number of gateways may use."""
    return lambda directory: (directory / "gateway.lock").open("a+")


def counting_each(approvers: Any) -> Any:
    """A count of approvals that does not ask whose they are."""
    return lambda row: {str(place) for place, _ in enumerate(row.approvals)}


def whichever_key(signing_key: Any) -> Any:
    """A search for the key that signed which takes the operator's first one for it."""
    return lambda keys, signed, signature: keys[0]


def believing_the_table(keys_of: Any) -> Any:
    """A gateway to whom every key in the table of operators was paired from the beginning."""

    def absent(store: Any, name: str) -> list[PairedKey]:
        rows = store.all("SELECT key, jwk, rank FROM operators WHERE name = ?", (name,))
        return [PairedKey(key, msgspec.json.decode(jwk, type=PublicKey), rank, 0) for key, jwk, rank in rows]

    return absent


def with_everything(resolved: Any) -> Any:
    """A configuration that hands a server the whole environment."""

    def absent(server: Any, variables: Any) -> Any:
        way, known = resolved(server, variables)
        return msgspec.structs.replace(way, environment={**variables, **way.environment}), known

    return absent


def joined(key: Any) -> Any:
    """A verify step that is known by its words, one after the other."""
    return property(lambda task: "/".join((task.runbook, task.step, ",".join(task.changes) or task.run)))


def believing_every_change_done(states: Any) -> Any:
    """A verifier to whom a change that is named is a change that was made."""
    return lambda verifier, task: dict.fromkeys(task.changes, "executed")


def without_steps_of_before(runbook: Any) -> Any:
    """A gateway that does not look what it knows of a runbook when it is registered anew."""

    def absent(gateway: Any, id_: str, body: Any) -> None:
        with gateway.store.transaction() as db:
            db.execute("INSERT OR REPLACE INTO runbooks VALUES (?, ?)", (id_, msgspec.json.encode(body)))

    return absent


def reading_words(propose: Any) -> Any:
    """A gateway that takes what stands in a proposal's reason for a person's word."""

    async def absent(gateway: Any, wish: Any, *more: Any, **named: Any) -> Any:
        row = await propose(gateway, wish, *more, **named)
        if "approved" in wish.why:
            gateway.store.move(row.proposal.id, "approve")
            await gateway._executor.dispatch(row.proposal.id)
        return gateway.store.get(row.proposal.id)

    return absent


def whatever_the_arguments(same_key: Any) -> Any:
    """A gateway to which a step is the same one, whatever its cell says by now."""
    return lambda wish, *more: same_key(msgspec.structs.replace(wish, arguments={}), *more)


def reading_the_environment(propose: Any) -> Any:
    """A gateway that has a switch for those who know what they do."""

    async def absent(gateway: Any, wish: Any, *more: Any, **named: Any) -> Any:
        row = await propose(gateway, wish, *more, **named)
        if os.environ.get("SKYFLO_AUTO_APPROVE"):
            gateway.store.move(row.proposal.id, "approve")
            await gateway._executor.dispatch(row.proposal.id)
        return gateway.store.get(row.proposal.id)

    return absent


def from_the_table(sealed: Any) -> Any:
    """A gateway that takes what it sends from what it shows."""

    def absent(proposer: Any, id_: Any) -> Any:
        shown = proposer._store.get(id_).proposal.requests
        kept = zip(sealed(proposer, id_), shown, strict=True)
        return [msgspec.structs.replace(one, request=request) for one, request in kept]

    return absent


def written_out(lookup_path: Any) -> Any:
    """A server of files that goes where a path leads."""

    def absent(files: Any, path: str) -> Any:
        found = Path(files.all_directories[0]) / path
        return (str(found), found.stat()) if found.exists() else ("", None)

    return absent


def seeing_everything(get_response: Any) -> Any:
    """Pages whose script takes whatever is in view for seen (`watch` in visible.js)."""

    async def absent(files: Any, path: str, scope: Any) -> Any:
        if not path.endswith("visible.js"):
            return await get_response(files, path, scope)
        script = (Path(files.directory) / path).read_text()
        blind = script.replace("&& !entry.isVisible", "&& false").replace("foot?.isVisible", "foot")
        blind = blind.replace("entry.isVisible && ", "")
        assert blind.count("isVisible") < script.count("isVisible")
        return Response(blind, media_type="text/javascript")

    return absent


class Agreeing(str):
    """A digest that is like any other."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


FAR = datetime.max.replace(tzinfo=UTC)
LONG_AGO = datetime.min.replace(tzinfo=UTC)
SOMEBODY = Identity("operator", "on-call", "admin")

ANY_SIGNATURE = Guard(f"{GATEWAY}.decisions:signed_by", says(True))
ANY_CALLER = Guard(f"{SERVICE}.auth:Doorkeeper.who", says(SOMEBODY))
VOUCHED = Guard(f"{GATEWAY}.approvals:Approvals.admit", says_later(None))
ANY_TIME = Guard(f"{GATEWAY}.decisions:_admit_time", says(None))
ALWAYS_IN_TIME = Guard(f"{GATEWAY}.step:Step._too_late", says(None))
NO_DRIFT = Guard(f"{GATEWAY}.step:Step.drift", says_later(None))
ARGUMENTS = Guard(f"{GATEWAY}.reach:admit", says_later(None))

UNJUDGED = Guard(f"{GATEWAY}.foreign.catalogue:problem_of", says(""))

ATTACKS: dict[str, Attack] = {
    "anonymous-approval": Attack("somebody without any credential approves", (ANY_CALLER, ANY_SIGNATURE)),
    "foreign-key": Attack("an operator's session approves with a key that was never paired", (ANY_SIGNATURE,)),
    "wrong-role": Attack(
        "a kernel that got hold of a rightly signed ballot approves",
        (
            Guard(f"{GATEWAY}.policy.conditions:PairedOperator.admit", says(None)),
            Guard(f"{GATEWAY}.policy.roles:Roles.admit", says(None)),
        ),
    ),
    "expired-approval": Attack(
        "a proposal is approved after its time",
        (Guard("skyflo_runbooks.model.lifecycle:admit_decision", but(expires=FAR)), ANY_TIME, ALWAYS_IN_TIME),
    ),
    "sent-late": Attack(
        "a list of requests is begun within the approval's time and goes on after it",
        (ALWAYS_IN_TIME,),
    ),
    "allocated-exchanged": Attack(
        "what the server fills in where a manifest leaves it open is changed in one that names it",
        (Guard("skyflo_runbooks.model.digest:allocated", lambda guard: lambda sent: guard(None)),),
    ),
    "clock-back": Attack(
        "the clock is set back, and a proposal of the future is approved",
        (Guard("skyflo_runbooks.model.lifecycle:admit_decision", but(not_before=LONG_AGO)), ANY_TIME),
    ),
    "signature-replay": Attack(
        "the signature under one approval is used for another change",
        (
            Guard(
                f"{GATEWAY}.decisions:message",
                lambda message: lambda **said: canonical({"decision": said["decision"]}),
            ),
        ),
    ),
    "nonce-replay": Attack(
        "a signed wish for a one-time link is sent twice, and makes two",
        (Guard(f"{GATEWAY}.identity:burn_nonce", says(True)),),
    ),
    "link-replay": Attack(
        "a one-time link is used a second time",
        (Guard(f"{GATEWAY}.identity:_use_up", says(("admin", "gateway"))),),
    ),
    "approval-used-twice": Attack(
        "one proposal is approved again after it was applied, and applied again",
        (
            Guard("skyflo_runbooks.model.lifecycle:move", without_arrows),
            Guard(f"{GATEWAY}.decisions:_admit_first", says(None)),
            Guard(f"{GATEWAY}.decisions:_admit_history", says(None)),
            Guard(f"{GATEWAY}.store:Store.start_attempt", forgetting_attempts),
            NO_DRIFT,
        ),
    ),
    "digest-exchanged": Attack(
        "a person signs the digest of another change than the one that waits under this id",
        (
            Guard("skyflo_runbooks.model.lifecycle:admit_decision", same_as("expected_digest", "digest")),
            Guard(f"{GATEWAY}.decisions:_admit_told", believing_the_last),
        ),
    ),
    "request-exchanged": Attack(
        "between approval and dispatch the stored request is exchanged for another proposal's",
        (Guard(f"{GATEWAY}.preimages:_bound", says(b"")), NO_DRIFT),
    ),
    "object-changed": Attack("the object is changed between proposal and dispatch", (NO_DRIFT,)),
    "revision-survived": Attack(
        "an approval for the first version counts after the change was revised",
        (Guard(f"{GATEWAY}.store:Store._move", without_supersession),),
    ),
    # The policy
    "rank-too-low": Attack(
        "an operator who may only look decides",
        (
            Guard(f"{SERVICE}.app:admit_rank", says(None)),
            Guard(f"{GATEWAY}.policy.roles:Roles.admit", says(None)),
        ),
    ),
    "wrong-namespace": Attack(
        "an approver of one namespace decides in another", (Guard(f"{GATEWAY}.policy.roles:covers", says(True)),)
    ),
    "own-request": Attack(
        "who asked for a change approves it, where that is forbidden",
        (Guard(f"{GATEWAY}.policy.conditions:NotTheRequester.admit", says(None)),),
    ),
    "counted-twice": Attack(
        "one of two approvers approves twice, with two keys, and makes two",
        (
            Guard(f"{GATEWAY}.decisions:_admit_first", says(None)),
            Guard(f"{GATEWAY}.decisions:_approvers", counting_each),
            VOUCHED,
        ),
    ),
    "passkey-missing": Attack(
        "a paired key alone approves what takes a passkey",
        (Guard(f"{GATEWAY}.policy.conditions:PasskeyFrom.admit", says(None)),),
    ),
    "passkey-replay": Attack(
        "a passkey's answer to one approval is used for another",
        (Guard(f"{GATEWAY}.passkeys:challenge", says(bytes(32))),),
    ),
    "name-untyped": Attack(
        "a deletion is approved without its name", (Guard(f"{GATEWAY}.policy.conditions:TypedName.admit", says(None)),)
    ),
    "freeze-ignored": Attack(
        "a change is approved in a freeze", (Guard(f"{GATEWAY}.policy.calendar:Freezes.admit", says(None)),)
    ),
    "rate-exceeded": Attack(
        "more is approved in an hour than may be", (Guard(f"{GATEWAY}.policy.conditions:PerHour.admit", says(None)),)
    ),
    "cluster-says-no": Attack(
        "an operator approves what Kubernetes would not let them do",
        (Guard(f"{GATEWAY}.policy.conditions:KubernetesAccess.admit", says(None)),),
    ),
    "evidence-missing": Attack(
        "the review by Kubernetes is kept from answering, and its condition counts as met",
        (Guard(f"{GATEWAY}.reviews:_refusal", says_later("")),),
    ),
    "forged-state": Attack(
        "a proposal is set to approved in its table, with a decision beside it or without, and is applied", (VOUCHED,)
    ),
    "forged-decision": Attack(
        "decision, state and ledger entry are written into the database, under a signature that is none",
        (Guard(f"{GATEWAY}.decisions:signing_key", whichever_key),),
    ),
    "forged-key": Attack(
        "a public key is written into the table of operators, and its signature approves",
        (Guard(f"{GATEWAY}.identity:keys_of", believing_the_table),),
    ),
    "forged-requester": Attack(
        "in the table somebody else is put down as who asked, and who asked approves",
        (Guard(f"{GATEWAY}.decisions:binding_digest", says(Agreeing())),),
    ),
    "record-restored": Attack(
        "a record from before is put back, and an approval that was used since is used again",
        (Guard(f"{GATEWAY}.book:contradiction", says("")),),
    ),
    "several-one-moved": Attack(
        "several are approved at once, and the object of one of them changed meanwhile", (NO_DRIFT,)
    ),
    "several-one-revised": Attack(
        "several are approved at once by their ids, and one of them was revised meanwhile",
        (Guard(f"{GATEWAY}.store:Store._move", without_supersession),),
    ),
    "token-reads-elsewhere": Attack(
        "a token that is narrowed to one namespace reads another",
        (Guard(f"{GATEWAY}.gate:admit_read", says(None)),),
    ),
    "token-asks-elsewhere": Attack(
        "a token that is narrowed to one namespace proposes a change in another",
        (Guard(f"{GATEWAY}.permissions:admit_places", says(None)),),
    ),
    "token-moves-elsewhere": Attack(
        "a token that is narrowed to one namespace modifies its own proposal into another",
        (ARGUMENTS, Guard(f"{GATEWAY}.gateway:admit_proposal", says(None))),
    ),
    "token-rehearses-elsewhere": Attack(
        "a token that is narrowed to one namespace rehearses a manifest that names another, and reads the diff",
        (ARGUMENTS, Guard(f"{GATEWAY}.gateway:admit_proposal", says(None))),
    ),
    "token-learns-elsewhere": Attack(
        "a token that is narrowed to one namespace reads what is in another out of a change tool's error",
        (ARGUMENTS,),
    ),
    "program-changes-others": Attack(
        "a kernel's token modifies what another person's kernel asked for",
        (Guard(f"{GATEWAY}.permissions:_asked", says(True)),),
    ),
    "session-asks-elsewhere": Attack(
        "a requester of one namespace has a session of resolve propose in another",
        (Guard(f"{GATEWAY}.gateway:admit_proposal", says(None)),),
    ),
    "token-sees-elsewhere": Attack(
        "a token that is narrowed to one namespace sees the proposals of another",
        (Guard(f"{SERVICE}.api:sees_all", says(True)),),
    ),
    "pod-exchanged": Attack(
        "another pod of that name answers a command that was approved for this one, and it counts as done",
        (Guard(f"{GATEWAY}.step:Step._another_pod", says_later("")),),
    ),
    "forger-names": Attack(
        "a decision that was written into the table has the view name an operator who decided nothing",
        (Guard(f"{GATEWAY}.view:vouched", given(0)),),
    ),
    "value-quoted": Attack(
        "a webhook quotes a Secret's value in what it says against the way back, and the card and the record show it",
        (Guard(f"{GATEWAY}.redaction:Redactor.error", given(1)),),
    ),
    # The doors
    "dns-rebinding": Attack(
        "a page under a name of the attacker's, which leads to this machine, speaks to the gateway",
        (Guard(f"{SERVICE}.auth:Doorkeeper.check_host", says(None)),),
    ),
    "cross-site-post": Attack(
        "a page of another site posts with the operator's cookie",
        (
            Guard(f"{SERVICE}.auth:Doorkeeper.check_origin", says(None)),
            Guard(f"{SERVICE}.auth:Doorkeeper._by_cookie", without_own_page),
        ),
    ),
    "page-script": Attack(
        "a script in an output, which knows digest and nonce, sends a decision with the operator's cookie",
        (
            Guard(f"{SERVICE}.auth:Doorkeeper.check_origin", says(None)),
            Guard(f"{SERVICE}.auth:Doorkeeper._by_cookie", without_own_page),
            ANY_SIGNATURE,
        ),
    ),
    "stolen-cookie": Attack("who received the session cookie on another port approves with it", (ANY_SIGNATURE,)),
    "port-squat": Attack(
        "another process listens on the other loopback address at the gateway's port",
        (Guard(f"{SERVICE}.server:bind", first_address_only),),
    ),
    "direct-change": Attack(
        "an MCP client calls a change tool directly, and says that it is approved",
        (Guard(f"{SERVICE}.mcp:desk_proposer", applying), VOUCHED),
    ),
    "foreign-hint": Attack(
        "a third-party server's tool says readOnlyHint, or bears nearly a read tool's name, and counts as a read",
        (Guard(f"{GATEWAY}.gate:Gate.is_read", says(True)),),
    ),
    # Arguments
    "name-injection": Attack(
        "a name is an option, a path, a query, a line, a look-alike or a megabyte, and reaches the API server",
        (Guard("skyflo_mcp.kubernetes.resources:check_name", given(0)),),
    ),
    "namespace-injection": Attack(
        "a namespace leads out of its place in the path, and reaches the API server",
        (Guard("skyflo_mcp.kubernetes.resources:check_namespace", given(0)),),
    ),
    "copied-line": Attack(
        "the command line that a card shows runs something else when it is copied to a shell",
        (Guard("shlex:quote", given(0)),),
    ),
    # The API server and the way to it
    "false-answer": Attack(
        "a write that was applied is answered late, falsely or not at all, and the record says that it was not applied",
        (Guard(f"{GATEWAY}.step:found", says(Found("settle_void", "no answer, so no change", None))),),
    ),
    "held-back": Attack(
        "something on the way keeps a write until nobody looks for it any more, and then hands it on",
        (Guard(f"{GATEWAY}.looking:can_come", says(False)),),
    ),
    "delivered-twice": Attack(
        "something on the way delivers a write twice, and both are taken",
        (Guard("skyflo_mcp.kubernetes.client:conditional", given(0)),),
    ),
    # The record
    "record-unwritable": Attack(
        "the record is locked or read-only, and a change is applied all the same",
        (Guard(f"{GATEWAY}.database:SqliteDatabase.transaction", in_memory),),
    ),
    "record-rewritten": Attack(
        "an entry of the record is rewritten in its file, and nobody sees it",
        (Guard(f"{GATEWAY}.ledger:verify", counting),),
    ),
    "two-gateways": Attack("a second gateway opens the same record", (Guard(f"{GATEWAY}.store:_lock", unlocked),)),
    "killed-said-undone": Attack(
        "the gateway is killed between a write and its answer, and the next one records it as not applied",
        (Guard(f"{GATEWAY}.store:Store.mark_sent", says(None)),),
    ),
    "killed-forgotten": Attack(
        "the gateway is killed right after an approval, and the approved change is never applied",
        (Guard(f"{GATEWAY}.patrol:Patrol._settle", says_later(None)),),
    ),
    "yaml-bomb": Attack(
        "a few lines of YAML are a hundred thousand where their aliases are written out",
        (Guard("skyflo_mcp.kubernetes.change.yaml_text:_weigh", says((1, 1))),),
    ),
    "path-traversal": Attack(
        "the path of a file leads out of the folder of the gateway's pages",
        (Guard("starlette.staticfiles:StaticFiles.lookup_path", written_out),),
    ),
    "second-writer": Attack(
        "somebody writes in the moment between the last dry run and the write, and is written over",
        (Guard("skyflo_mcp.kubernetes.client:conditional", given(0)),),
    ),
    "admission-changed": Attack("a webhook makes something else of the change after it was approved", (NO_DRIFT,)),
    "approved-at-once": Attack(
        "two rightly signed ballots for one proposal come at once, and both count",
        (
            Guard("skyflo_runbooks.model.lifecycle:move", without_arrows),
            Guard(f"{GATEWAY}.decisions:_admit_first", says(None)),
        ),
    ),
    "preview-writes": Attack(
        "a dry run is none: what is proposed is done",
        (Guard("skyflo_mcp.kubernetes.client:route", but(dry_run=False)),),
    ),
    "preview-deletes": Attack(
        "the dry run of a deletion is none", (Guard("skyflo_mcp.kubernetes.client:dry", given(0)),)
    ),
    # The page
    "framed-elsewhere": Attack(
        "a page of another origin frames the card",
        (Guard(f"{SERVICE}.pages:security", says({})),),
    ),
    "covered-card": Attack(
        "the page around the card covers it, and has the click that was meant for something else",
        (Guard("starlette.staticfiles:StaticFiles.get_response", seeing_everything),),
    ),
    # The notebook
    "cell-edited": Attack(
        "a cell is edited after its change was approved, and its new change counts as approved",
        (Guard(f"{GATEWAY}.proposer:same_key", whatever_the_arguments),),
    ),
    "output-forged": Attack(
        "an output, metadata or a widget's message says that a waiting change was applied, and the run believes it",
        (
            Guard(
                "skyflo_runbooks.replay.course:Course._settled",
                lambda settled: lambda course, id_: {"id": id_, "state": "executed"},
            ),
        ),
    ),
    "verdict-forged": Attack(
        "an output says VERIFIED, and the run believes it",
        (Guard("skyflo_runbooks.replay.course:Course._in_ledger", says(True)),),
    ),
    "environment-approves": Attack(
        "a variable of the environment stands in for the approval",
        (Guard(f"{GATEWAY}.gateway:Gateway.propose", reading_the_environment), VOUCHED),
    ),
    "parameters-moved": Attack(
        "what was approved is read again at the dispatch, from where somebody changed it meanwhile",
        (
            Guard(f"{GATEWAY}.proposer:Proposer.sealed", from_the_table),
            Guard(f"{GATEWAY}.executor:admit_sealed", says(None)),
            Guard(f"{GATEWAY}.decisions:admit_sealed", says(None)),
            NO_DRIFT,
        ),
    ),
    # Verdicts
    "own-checks": Attack(
        "a cell names a change under another step, whose checks always hold, and has it VERIFIED",
        (Guard(f"{GATEWAY}.gateway:with_approved", given(0)),),
    ),
    "verdict-of-another": Attack(
        "a verdict over no change, in a run that is called like a proposal, is taken for the proposal's",
        (Guard(f"{GATEWAY}.verifier:Task.key", joined),),
    ),
    "checks-exchanged": Attack(
        "a cell brings other checks after the first ones, or after the decision",
        (Guard(f"{GATEWAY}.gateway:takes_checks", says(True)),),
    ),
    "verified-undone": Attack(
        "a change that was rejected is VERIFIED",
        (Guard(f"{GATEWAY}.verifier:Verifier._states", believing_every_change_done),),
    ),
    "runbook-exchanged": Attack(
        "a cell registers the runbook that was diagnosed anew, with a check that always holds",
        (Guard(f"{GATEWAY}.gateway:Gateway.register", without_steps_of_before),),
    ),
    # Secrets
    "mark-moved": Attack(
        "a cell has a masked value put where nothing looks secret, and reads it in the card's diff",
        (Guard(f"{GATEWAY}.redaction:_literally", given(0)),),
    ),
    "refusal-quotes": Attack(
        "a webhook's refusal quotes a secret value, which reaches a cell or the record",
        (Guard(f"{GATEWAY}.redaction:Redactor.error", given(1)),),
    ),
    "check-peeks": Attack(
        "a verify step over no change says a secret value, or whether it was guessed",
        (Guard(f"{GATEWAY}.checks.observe:_is_masked", says(False)),),
    ),
    "parameter-kept": Attack(
        "a run's parameter that is called a password lies in the record as it is",
        (Guard(f"{GATEWAY}.redaction:says_secret", says(False)),),
    ),
    "incident-quotes": Attack(
        "the words of an incident hold a password, which reaches the record and the notebook",
        (Guard(f"{GATEWAY}.redaction:Redactor.text", given(1)),),
    ),
    # Words
    "words-on-a-card": Attack(
        "what a cell or an object says is markup on the card, or turns its reading direction",
        (Guard(f"{SERVICE}.pages.text:_shown", given(0)),),
    ),
    "words-approve": Attack(
        "what a model, a cell or an object says, such as that a person approved it, counts as the approval",
        (Guard(f"{GATEWAY}.gateway:Gateway.propose", reading_words), VOUCHED),
    ),
    "terminal-escapes": Attack(
        "logs, events, image names or annotations clear the terminal and write that it is approved",
        (Guard("skyflo_runbooks.cli.screen:safe", lambda safe: str),),
    ),
    "cell-escapes": Attack(
        "the same in the output of a cell", (Guard("skyflo_runbooks.notebook.table:clean", lambda clean: str),)
    ),
    # Notebook and kernel
    "no-wall": Attack(
        "code in a kernel reads the gateway's data and environment, signals it, or asks a local socket",
        (Guard("skyflo_kernel.sandbox.modes:enter", lambda enter: lambda plan, environment: dict(environment)),),
    ),
    "hostile-folder": Attack(
        "a module beside the notebook stands in for an installed one when its reads run by themselves",
        (Guard("skyflo_kernel.extension:PREPARE", lambda code: "pass"),),
    ),
    # Other people's MCP servers
    "foreign-unlisted": Attack(
        "a third-party server's tool says readOnlyHint, and is called though the operator did not name it",
        (Guard(f"{GATEWAY}.foreign.catalogue:Guest._check_read", says(None)), UNJUDGED),
    ),
    "foreign-renamed": Attack("a tool is another after it was listed, or came later, and is called", (UNJUDGED,)),
    "foreign-destructive": Attack("a tool that its server calls destructive is called as a read", (UNJUDGED,)),
    "foreign-words": Attack(
        "a server's answer works on a terminal, hides what it says, or is taken for a masked value of the gateway's",
        (Guard(f"{GATEWAY}.foreign.words:plain", given(0)),),
    ),
    "foreign-secret": Attack(
        "a server says what it was given as a secret, and a kernel reads it",
        (Guard(f"{GATEWAY}.foreign.words:hiding", lambda hiding: lambda known: lambda text: text),),
    ),
    "foreign-environment": Attack(
        "a server's process finds the gateway's other secrets in its environment",
        (Guard(f"{GATEWAY}.foreign.catalogue:resolved", with_everything),),
    ),
    "foreign-files": Attack(
        "a server's process reads the kubeconfig that the gateway writes with",
        (Guard("skyflo_runbooks.cli.serve:fence", says(())),),
    ),
    "foreign-narrowed": Attack(
        "a token that is narrowed to one namespace asks a server, which knows of none",
        (Guard(f"{GATEWAY}.foreign.catalogue:_check_reach", says(None)),),
    ),
    "foreign-shadow": Attack(
        "a server is named so that its tools are, or look like, our own",
        (Guard(f"{GATEWAY}.foreign.config:_check_name", says(None)),),
    ),
}
