"""`verify-promises`: the six promises of the design, each with the attacks that were tried and what stopped them.

Rules:
  1. An attack counts as stopped only where the refusal was seen *and* the cluster itself was looked at afterwards.
  2. A promise without a proof is broken: an error of another kind than the expected refusal is not a proof.
  3. Everything happens on a practice cluster in a temporary home. The exit code is 11 where a promise is broken.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from skyflo_runbooks.cli import operator
from skyflo_runbooks.cli.bench import NAMESPACE, Bench, Standing
from skyflo_runbooks.cli.options import AsJson
from skyflo_runbooks.cli.record import pages
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import ExitCode, NotAllowed, Refused, SkyfloError
from skyflo_runbooks.model.json import Json, at

# A kill meets the moment between mark and request about once in some hundred times.
_KILLS = 3


class Proof(msgspec.Struct, frozen=True):
    """One attack, and what stopped it."""

    attack: str
    stopped: str
    held: bool


Tries = Iterator[Proof]


def verify_promises(as_json: AsJson = False) -> ExitCode:
    """Prove the six promises on the practice cluster, on this machine, in under a minute."""
    screen = Screen(as_json)
    began = time.monotonic()
    screen.line("On a practice cluster of its own; nothing else is touched.", "dim")
    proofs: dict[str, list[Proof]] = {}
    with tempfile.TemporaryDirectory(prefix="skyflo-promises-") as folder, Bench(Path(folder)) as bench:
        for promise, attempt in PROMISES.items():
            screen.heading(promise)
            proofs[promise] = [*_shown(screen, attempt, bench)]
    broken = [name for name, tried in proofs.items() if not tried or not all(proof.held for proof in tried)]
    screen.line()
    said = f"{len(PROMISES) - len(broken)} of {len(PROMISES)} promises hold; {time.monotonic() - began:.0f} s."
    screen.line(said, "bold red" if broken else "bold green")
    screen.json({"promises": {name: msgspec.to_builtins(tried) for name, tried in proofs.items()}, "broken": broken})
    return ExitCode.FAILED if broken else ExitCode.DONE


def _shown(screen: Screen, attempt: Callable[[Bench], Tries], bench: Bench) -> Tries:
    try:
        for proof in attempt(bench):
            screen.line(f"  {'✓' if proof.held else '✗'} tried:   {proof.attack}", "green" if proof.held else "red")
            screen.line(f"    stopped: {proof.stopped}" if proof.held else f"    NOT STOPPED: {proof.stopped}")
            yield proof
    except SkyfloError as error:
        screen.line(f"  ✗ could not be tried to its end: {error}", "red")
        yield Proof("the whole attempt", str(error), held=False)


def refused(attack: str, call: Callable[[], object], kind: type[SkyfloError], unharmed: Callable[[], bool]) -> Proof:
    """Try something that must be refused with `kind`, and look whether the cluster is unharmed."""
    try:
        answer = call()
    except kind as error:
        return Proof(attack, error.message, held=unharmed())
    except SkyfloError as error:
        return Proof(attack, f"{type(error).__name__} instead of {kind.__name__}: {error.message}", held=False)
    return Proof(attack, f"it was answered: {str(answer)[:120]}", held=False)


def lock(bench: Bench) -> Tries:
    """Promise 1: nothing but an operator's signature approves, nothing but the gateway writes."""
    view = bench.propose("512Mi", "lock")
    path = f"/api/v1/proposals/{view['id']}"

    def same() -> bool:
        return bench.limit() == "256Mi"

    ballot = {"decision": "approve", "reason": "", "digest": view["digest"], "nonce": "made-up", "signature": "AAAA"}
    yield refused("a kernel token approves", lambda: bench.kernel.post(f"{path}/decision", ballot), NotAllowed, same)
    yield refused(
        "a stolen session without the key approves",
        lambda: operator.decide(bench.as_operator, _forger(bench), view=view, decision="approve"),
        NotAllowed,
        same,
    )
    yield refused(
        "a kernel calls the change tool itself",
        lambda: bench.kernel.post("/api/v1/tools/k8s_set_resources", {"arguments": view["arguments"]}),
        SkyfloError,
        same,
    )
    bench.forge_approval(view)
    after = bench.kernel.proposal(str(view["id"]), wait=20)
    attack = "a decision that nobody signed is written into the record's file"
    yield Proof(attack, str(at(after, "receipt", "message")), held=after["state"] == "void" and same())


def _forger(bench: Bench) -> operator.Operator:
    """Return the operator's session with a key that was never paired."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return msgspec.structs.replace(bench.operator, key=pem.decode())


def approved_is_applied(bench: Bench) -> Tries:
    """Promise 2: a moved object voids the approval, and an approval is used once."""
    view = bench.propose("512Mi", "moved")
    bench.foreign_hand()
    attack = "somebody changes the object between the card and the approval"
    try:
        state = str(bench.decide(view)["state"])
    except Refused as error:
        state = error.message
    yield Proof(attack, f"the approval is {state}", held="void" in state and bench.limit() == "256Mi")
    fresh = bench.propose("512Mi", "fresh")
    applied = bench.decide(fresh)
    before = bench.writes()
    yield refused(
        f"{applied['id']}, which was {applied['state']}, is approved once more",
        lambda: operator.decide(bench.as_operator, bench.operator, view=fresh, decision="approve"),
        Refused,
        lambda: bench.writes() == before and bench.limit() == "512Mi",
    )


def measured(bench: Bench) -> Tries:
    """Promise 3: no verdict before the change, and none that the cluster does not show."""
    view = bench.propose("300Mi", "too-little")
    early = bench.judge(view, wait=0)["verdict"]
    yield Proof("a verdict is asked for before anybody decided", f"it is {early}", held=early == "INCONCLUSIVE")
    bench.decide(view)
    judged = bench.judge(view, wait=50)
    seen = "; ".join(one["observed"] for one in judged["checks"] if one["result"] == "FAIL")
    attack = "a change that is applied but too small asks for its verdict"
    yield Proof(attack, f"{judged['verdict']}: {seen}", held=judged["verdict"] == "FAILED" and "OOMKilled" in seen)


def way_back(bench: Bench) -> Tries:
    """Promise 4: the way back is stored, and needs an approval of its own."""
    executed = next(view for view in bench.kernel.get("/api/v1/proposals") if view["state"] == "executed")
    before = bench.limit()
    back = bench.as_operator.post(f"/api/v1/proposals/{executed['id']}/rollback", {})
    waits = back["state"] == "proposed" and bench.limit() == before
    yield Proof("the approval to apply is used to roll back", f"the way back waits as {back['id']}", held=waits)
    restored = bench.decide(back)
    said = f"it was approved by itself and restored {before} to {bench.limit()}"
    yield Proof("the way back is walked", said, held=restored["state"] == "executed" and bench.limit() == "512Mi")


def nothing_lost(bench: Bench) -> Tries:
    """Promise 5: a crash neither loses nor repeats a change, and a forged record is seen."""
    yield from killed(bench)
    whole = bench.as_operator.get("/api/v1/ledger/verify")
    problem = _forged(bench)
    yield Proof("an entry of the record is rewritten in the file", problem or "nobody saw it",
                held=bool(problem) and bool(whole["ok"]))  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="skyflo-before-") as folder:
        yield _restored(bench, Path(folder))


def killed(bench: Bench) -> Tries:
    """Kill the gateway at the approval, until an approved change survived that.

    A kill between the journal's mark and the request leaves a change of which nobody can tell beforehand whether it was
    sent. That nothing came of it is then found and told: nothing is lost and nothing repeated, and what was approved
    has to be approved anew. So it is no broken promise; but a gateway of which no approval survives would be.
    """
    for turn in range(_KILLS):
        view, before = bench.propose(f"{768 + turn}Mi", f"crash-{turn}"), bench.standing()
        operator.decide(bench.as_operator, bench.operator, view=view, decision="approve")
        bench.kill_and_restart()
        after = bench.settled(view)
        proof = survived(after, asked=f"{768 + turn}Mi", before=before, now=bench.standing())
        yield proof
        if not proof.held or after["state"] == "executed":
            return
    yield Proof("an approved change outlives one of the kills", f"none of {_KILLS} did", held=False)


def survived(after: Json, *, asked: str, before: Standing, now: Standing) -> Proof:
    """Judge what the record says of a change at whose approval the gateway was killed by what the cluster shows. Pure.

    `executed` is right where the cluster has what was asked for, by one write; `void` where nothing was written at all,
    and the record says why. Whatever else it says is wrong, and so is each of the two where the cluster disagrees.
    """
    attack, state = "the gateway is killed (SIGKILL) at the approval", str(after["state"])
    if state == "void":
        said = str(at(after, "receipt", "message", default=""))
        return Proof(attack, f"void, and nothing was written: {said}", held=bool(said) and now == before)
    held = state == "executed" and now == Standing(limit=asked, writes=before.writes + 1)
    return Proof(attack, f"{state}, applied once" if held else f"{state}, and the cluster has {now}", held=held)


def _restored(bench: Bench, folder: Path) -> Proof:
    """Put a record back from before an approval was used and undone, and send that approval once more."""
    view, before = bench.propose("900Mi", "restored"), bench.limit()
    ballot = operator.ballot(bench.as_operator, bench.operator, view=view, decision="approve")
    bench.copy_record(folder)
    path = f"/api/v1/proposals/{view['id']}"
    bench.as_operator.post(f"{path}/decision", ballot)
    applied = bench.as_operator.proposal(str(view["id"]), wait=20)["state"]
    bench.decide(bench.as_operator.post(f"{path}/rollback", {}))
    bench.restore_record(folder)
    alarms = [str(one["kind"]) for one in bench.kernel.get("/api/v1/status")["alarms"]]
    proof = refused(
        "the record from before an approval is restored, and that approval is sent again",
        lambda: bench.as_operator.post(f"{path}/decision", ballot),
        NotAllowed,
        lambda: applied == "executed" and bench.limit() == before and "restored" in alarms,
    )
    return msgspec.structs.replace(proof, stopped=f"noticed ({', '.join(alarms)}). {proof.stopped}")


def _forged(bench: Bench) -> str:
    """Rewrite an approval's operator in a copy of the record, and return what verifying says to that."""
    from skyflo_runbooks.gateway import ledger
    from skyflo_runbooks.gateway.database import SqliteDatabase

    with tempfile.TemporaryDirectory(prefix="skyflo-forged-") as folder:
        bench.copy_record(Path(folder))
        database = SqliteDatabase(Path(folder) / "gateway.db")
        try:
            with database.transaction() as db:
                db.execute("DROP TRIGGER entries_never_change")
                db.execute("UPDATE entries SET body = replace(body, 'promises', 'somebody') WHERE kind = 'approve'")
            ledger.verify(ledger.entries(database))
        except ledger.LedgerBroken as error:
            return error.message
        finally:
            database.close()
    return ""


def secrets_stay(bench: Bench) -> Tries:
    """Promise 6: no Secret's value in what a kernel gets, nor in the record."""
    known = bench.secrets()
    for name, value in known.items():
        arguments: Json = {"kind": "Secret", "namespace": NAMESPACE, "name": name}
        said = json.dumps(bench.kernel.post("/api/v1/tools/k8s_get", {"arguments": arguments}))
        held = value not in said and _b64(value) not in said
        yield Proof(f"a kernel reads the Secret {name}", "its values are masked", held=held)
    record = json.dumps(list(pages(bench.kernel, {"since": 0})))
    tokens = [bench.operator.session, bench.kernel.token, *known.values()]
    kept = not any(secret in record for secret in tokens)
    yield Proof("the record is searched for secrets and tokens", "none is in it", held=kept and bool(known))


def _b64(value: str) -> str:
    import base64

    return base64.b64encode(value.encode()).decode()


PROMISES: dict[str, Callable[[Bench], Tries]] = {
    "1. The lock is real": lock,
    "2. What was approved is what is applied": approved_is_applied,
    "3. A verdict is measured, not claimed": measured,
    "4. Every change has a way back": way_back,
    "5. Nothing is lost": nothing_lost,
    "6. Secrets stay where they are": secrets_stay,
}
