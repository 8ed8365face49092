"""The demo: the story of the flagship, over the real gate, in text."""

import os
import re
import subprocess
import sys

import pytest

from skyflo_runbooks.cli.demo import Ending, Player
from skyflo_runbooks.cli.screen import Screen
from skyflo_runbooks.model.errors import ExitCode
from tests.cli.conftest import Terminal

DEMO = [sys.executable, "-m", "skyflo_runbooks.cli", "demo", "--headless"]


def play(*arguments: str) -> str:
    """Play the demo to its end, which is 0, and return what it printed."""
    done = subprocess.run(
        [*DEMO, "--operator", "k.ops", *arguments],
        env=dict(os.environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def in_order(text: str, *patterns: str) -> None:
    """Each pattern comes after the one before."""
    at = 0
    for pattern in patterns:
        found = re.compile(pattern).search(text, at)
        assert found, f"{pattern!r} is not after {text[max(0, at - 80) : at]!r}"
        at = found.end()


def test_the_story_to_verified(terminal: Terminal) -> None:
    """Incident to VERIFIED in this order; the home of the one who plays it is not even made."""
    said = play()
    assert not terminal.home.exists()
    in_order(
        said,
        "simulation",
        "payment-service pods are crash-looping in the checkout namespace",
        r"OOMKilled at its memory limit of 256Mi \(CON-07\)",
        "exitCode 137",
        r"explains: .*500 errors",
        r"Change: k8s_set_resources.*512Mi",
        "waits for your approval",
        r"-\s+memory: 256Mi",
        r"\+\s+memory: 512Mi",
        "way back",
        r"✓ Plan approved by operator at \d\d:\d\d:\d\d UTC",
        r"Approval ID: ap-[0-9a-z]{6}   Operator: k.ops",
        "Verification report",
        "✓ pods ready: 3 of 3",
        "✓ no restarts: 0 restarts",
        "✓ no oom kills",
        r"✓ memory below: 340Mi of 512Mi",
        r"✓ http ok: 200 on /checkout",
        "Result: VERIFIED",
    )


def test_the_second_ending(terminal: Terminal) -> None:
    """Too little: FAILED with evidence, three ways offered, the way back approved by itself and applied."""
    said = play("--ending", "too-small")
    in_order(
        said,
        "> modify: limits.memory=300Mi",
        r"\+\s+memory: 300Mi",
        "✓ Plan approved",
        "✗ no oom kills: .*limit 300Mi",
        "Result: FAILED",
        "retry, rollback, escalate",
        "> rollback",
        r"\+\s+memory: 256Mi",
        "✓ Plan approved",
        "The limit is 256Mi again",
    )


@pytest.mark.parametrize(
    ("ending", "verdicts", "limit", "code"),
    [
        (Ending.VERIFIED, ["VERIFIED"], "512Mi", 0),
        (Ending.VERIFIED, ["INCONCLUSIVE"], "512Mi", 11),
        (Ending.VERIFIED, [], "256Mi", 11),
        (Ending.TOO_SMALL, ["FAILED"], "256Mi", 0),
        (Ending.TOO_SMALL, ["FAILED"], "300Mi", 11),
        (Ending.TOO_SMALL, ["VERIFIED"], "256Mi", 11),
    ],
)
def test_a_story_that_went_otherwise_is_no_success(
    ending: Ending, verdicts: list[str], limit: str, code: int, terminal: Terminal
) -> None:
    """The exit code is 0 only where it ended as it should have."""
    assert Player(Screen(), ending).judge(verdicts, limit) == ExitCode(code)
