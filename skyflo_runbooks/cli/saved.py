"""Diagnosis of what was read before: a saved snapshot, a dump or a bundle. No gateway and no cluster are needed.

Rules:
  1. A file of ours is a snapshot; a folder or a `.tar.gz` holds what somebody else collected (`diagnosis.bundle`).
     Nothing is unpacked to disk, links are not followed, and what is too large is refused.
  2. No change can be tried, so none stands in the runbook: what would be tried on the cluster is named.
  3. Secrets are masked in everything that is said or written, as the gateway does it.
"""

import asyncio
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from skyflo_runbooks.diagnosis import bundle, diagnose
from skyflo_runbooks.diagnosis.pods import name_of
from skyflo_runbooks.diagnosis.snapshot import Snapshot, load
from skyflo_runbooks.diagnosis.words import nearest
from skyflo_runbooks.gateway.redaction import Redactor
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.model.plan import Plan, Target
from skyflo_runbooks.notebook.compile import compile_plan
from skyflo_runbooks.planning import DryRun
from skyflo_runbooks.planning import plan as make_plan
from skyflo_runbooks.planning.drawing import drawing

LARGEST = 512 * 2**20
# Of a log the end is kept.
LOG = 256 * 2**10
SUFFIXES = (".json", ".log", "logs.txt")


def read(path: Path) -> Snapshot:
    """Return the snapshot that a file or folder holds."""
    if path.is_dir():
        return bundle.read(_bounded(_folder(path)))
    if path.name.endswith((".tar.gz", ".tgz", ".tar")):
        try:
            with tarfile.open(path) as packed:
                return bundle.read(_bounded(_members(packed)))
        except (tarfile.TarError, EOFError, OSError) as error:
            raise BadInput(f"{path} cannot be unpacked: {error}.") from None
    if not path.exists():
        raise BadInput(f"There is no file {path}.", next_step="'skyflo-runbooks snapshot' writes one.")
    if path.stat().st_size > LARGEST:
        raise _too_large()
    return load(path.read_bytes())


def answer(snapshot: Snapshot, text: str, namespaces: tuple[str, ...], *, always: bool) -> Json:
    """Return what the gateway would answer to an incident, with the changes that nobody could try under `untried`."""
    started = time.monotonic()
    _check(snapshot, namespaces)
    incident = Incident(text, namespaces, snapshot.time)
    found = diagnose(snapshot, incident)
    untried: list[Json] = []

    async def try_nothing(tool: str, arguments: Json) -> DryRun:
        untried.append({"tool": tool, "arguments": arguments})
        return DryRun(ok=False, message="there is no cluster to try it on", tried=False)

    target = Target(cluster=_uid(snapshot))
    made = asyncio.run(make_plan(found, incident, snapshot, try_nothing, target=target, insist=always))
    redactor = Redactor()
    plan = None if made is None else msgspec.convert(redactor.mask(msgspec.to_builtins(made)), Plan)
    graph = redactor.text(drawing(snapshot, found.findings[0])) if found.findings else ""
    masked = msgspec.convert(redactor.mask(msgspec.to_builtins(found)), Diagnosis)
    said: Json = msgspec.to_builtins(
        {
            "id": plan.id if plan else "",
            "findings": masked.findings,
            "diagnosis": masked,
            "plan": plan,
            "notebook": None if plan is None else compile_plan(plan, graph=graph),
            "untried": redactor.mask(untried),
            "elapsed_ms": round((time.monotonic() - started) * 1000, 1),
        }
    )
    return said


def _check(snapshot: Snapshot, namespaces: tuple[str, ...]) -> None:
    listed = {name_of(item) for item in snapshot.objects.get("Namespace", [])}
    known = sorted(set(snapshot.namespaces) or listed)
    for name in namespaces:
        if known and name not in known:
            near = nearest(name, known, least=50.0) or tuple(known[:5])
            raise BadInput(f"Namespace {name!r} was not read.", next_step=f"The nearest names: {', '.join(near)}.")


def _uid(snapshot: Snapshot) -> str:
    spaces = snapshot.objects.get("Namespace", [])
    return next((str(at(one, "metadata", "uid", default="")) for one in spaces if name_of(one) == "kube-system"), "")


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*")):
        if file.name.endswith(SUFFIXES) and file.is_file() and not file.is_symlink():
            yield str(file.relative_to(path)), _shortened(file.name, file.read_bytes())


def _members(packed: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in packed:
        if member.isreg() and member.name.endswith(SUFFIXES):
            if member.size > LARGEST:
                raise _too_large()
            held = packed.extractfile(member)
            if held is not None:
                yield member.name, _shortened(member.name, held.read())


def _shortened(name: str, raw: bytes) -> bytes:
    return raw if name.endswith(".json") or len(raw) <= LOG else raw[-LOG:].partition(b"\n")[2]


def _bounded(files: Iterator[tuple[str, bytes]]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    size = 0
    for name, raw in files:
        size += len(raw)
        if size > LARGEST:
            raise _too_large()
        found[name] = raw
    return found


def _too_large() -> BadInput:
    return BadInput(f"This is more than {LARGEST // 2**20} MiB.", next_step="Collect fewer namespaces.")
