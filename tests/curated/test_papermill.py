"""The shipped notebooks under papermill: by our command's engine, and by papermill's own. A real kernel each."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyflo_runbooks.cli import launch, shelf
from skyflo_runbooks.cli.bench import Bench
from skyflo_runbooks.model.errors import ExitCode
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook.render import VERDICT
from skyflo_runbooks.replay.run import RunResult, run

PODS = {"namespace": "checkout", "name": "payment-service"}
IN_POD = {**PODS, "container": "payment-service"}
# Each on the flagship: what would change there, what is in place, and what is not there at all.
REHEARSED: dict[str, tuple[dict[str, str], str, ExitCode]] = {
    "oom": ({**IN_POD, "memory_limit": "512Mi"}, "would_change", ExitCode.WOULD_CHANGE),
    "crash-loop": ({**IN_POD, "to_revision": "1"}, "would_change", ExitCode.WOULD_CHANGE),
    "rollback": ({**PODS, "to_revision": "1"}, "would_change", ExitCode.WOULD_CHANGE),
    "image-pull": ({**IN_POD, "image": "payment-svc:v2.4.0"}, "would_change", ExitCode.WOULD_CHANGE),
    "pending": ({**IN_POD, "cpu_request": "50m", "memory_request": "64Mi"}, "would_change", ExitCode.WOULD_CHANGE),
    "no-endpoints": (
        {"namespace": "checkout", "service": "storefront", "label": "/spec/selector/app", "value": "storefront"},
        "verified",
        ExitCode.DONE,
    ),
    "quota": (
        {
            **PODS,
            "name": "storefront",
            "quota": "checkout-quota",
            "limit": "/spec/hard/pods",
            "amount": "20",
            "settle": "2s",
        },
        "verified",
        ExitCode.DONE,
    ),
    "node-drain": ({"node": "node-a"}, "would_change", ExitCode.WOULD_CHANGE),
    "node-return": ({"node": "node-a", "settle": "2s"}, "verified", ExitCode.DONE),
    "certificate": ({"namespace": "checkout", "secret": "nothing"}, "inconclusive", ExitCode.BAD_INPUT),
    "dns": ({}, "inconclusive", ExitCode.BAD_INPUT),
    "pvc": ({"namespace": "checkout", "claim": "x", "storage_class": "y"}, "inconclusive", ExitCode.BAD_INPUT),
    "hpa-max": ({**PODS, "autoscaler": "x", "maximum": "3"}, "inconclusive", ExitCode.BAD_INPUT),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The flagship with its gateway."""
    with Bench(tmp_path_factory.mktemp("papermill")) as made:
        yield made


@pytest.fixture(autouse=True)
def at_the_gateway(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run finds this gateway, as a kernel does."""
    monkeypatch.setenv("SKYFLO_GATEWAY_URL", bench.kernel.url)
    monkeypatch.setenv("SKYFLO_KERNEL_TOKEN", bench.kernel.token)


def played(book: str, to: Path, values: dict[str, str], *, replay: bool = False) -> RunResult:
    """Run a shipped notebook headless."""
    return run(shelf.find(Path(book)), parameters=values, output=to / "out.ipynb", replay=replay)


@pytest.mark.parametrize("book", sorted(REHEARSED))
def test_each_is_rehearsed(book: str, bench: Bench, tmp_path: Path) -> None:
    """Its reads run, its change is dry-run, nothing is proposed; what is not there ends it as bad input."""
    before = bench.writes()
    values, status, code = REHEARSED[book]
    result = played(book, tmp_path, values, replay=True)
    assert (result.status, result.exit_code) == (status, code), result.message
    assert result.proposals == ()
    assert bench.writes() == before


def test_every_book_is_rehearsed() -> None:
    """One that is added without its rehearsal fails this."""
    assert sorted(REHEARSED) == shelf.names()


def test_unapproved_it_waits_and_approved_it_is_verified(bench: Bench, tmp_path: Path) -> None:
    """Exit 10 and nothing changed; then, approved beside it, VERIFIED with the way back said and not taken."""
    values = {**IN_POD, "memory_limit": "512Mi", "settle": "10s"}
    waiting = played("oom", tmp_path, values)
    assert (waiting.status, waiting.exit_code) == ("waiting", ExitCode.WAITING)
    assert bench.limit() == "256Mi"
    (made,) = waiting.proposals
    view = bench.kernel.proposal(str(made["id"]))
    assert "512Mi" in view["diff"]
    assert [check["name"] for check in view["verification"]["checks"]][-1] == "no_oom_kills"
    approving = threading.Thread(target=bench.decide, args=(view,))
    approving.start()
    done = run(shelf.find(Path("oom")), parameters=values, output=tmp_path / "done.ipynb", wait=60)
    approving.join(30)
    assert (done.status, done.exit_code) == ("verified", ExitCode.DONE), done.message
    assert bench.limit() == "512Mi"
    assert "proposed only by an operator" in json.dumps(json.loads((tmp_path / "done.ipynb").read_text()))


def papermill(bench: Bench, book: str, to: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a shipped notebook by papermill's own command on its default engine."""
    own = {"SKYFLO_GATEWAY_URL": bench.kernel.url, "SKYFLO_KERNEL_TOKEN": bench.kernel.token}
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", str(shelf.find(Path(book))), str(to), *words]
    environment = launch.bare(bench.home) | own
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


def test_plain_papermill_proposes_and_claims_nothing(bench: Bench, tmp_path: Path) -> None:
    """Nothing waits, nothing is applied, and its verify step says INCONCLUSIVE."""
    before = bench.writes()
    words = [word for pair in {**PODS, "to_revision": "1"}.items() for word in ("-p", *pair)]
    done = papermill(bench, "rollback", tmp_path / "out.ipynb", *words)
    assert done.returncode == 0, done.stderr
    found: Json = json.loads((tmp_path / "out.ipynb").read_text())
    verdicts = [
        o["data"][VERDICT] for c in found["cells"] for o in c.get("outputs", []) if VERDICT in o.get("data", {})
    ]
    assert [each["verdict"] for each in verdicts] == ["INCONCLUSIVE"]
    assert bench.writes() == before


def test_plain_papermill_without_what_is_required_stops(bench: Bench, tmp_path: Path) -> None:
    """The first step that needs it refuses, shortly; nothing is proposed."""
    known = len(bench.kernel.get("/api/v1/proposals"))
    words = [word for pair in PODS.items() for word in ("-p", *pair)]
    done = papermill(bench, "rollback", tmp_path / "out.ipynb", *words)
    assert done.returncode != 0
    assert "The parameter 'to_revision' has no value" in done.stderr
    assert len(bench.kernel.get("/api/v1/proposals")) == known
