"""The error tree and the exit codes.

    SkyfloError                 what went wrong, and the next step for the person who reads it
    ├── BadInput          2     your input: text, names, parameters, files, a port in use, a full disk
    │   └── NotThere            what was named is not there: a proposal, a session, a run, a page
    ├── NotAllowed        5     not logged in, or not allowed
    ├── Unknown           4     reads were refused or failed, so the answer is not known
    ├── Refused          13     a decision or an attempt that the rules refuse: expired, superseded, void, rejected
    ├── Unreachable      20     the gateway or the cluster does not answer
    │   └── OutcomeUnknown      a write was sent and no answer came: look before doing anything
    └── OurBug            1     an invariant of ours is broken

Waiting for an approval is a value (`ExitCode.WAITING`), never an error.
"""

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of every command (design, section 8)."""

    DONE = 0
    OUR_ERROR = 1
    BAD_INPUT = 2
    NOTHING_WRONG = 3
    UNKNOWN = 4
    NOT_ALLOWED = 5
    WAITING = 10
    FAILED = 11
    INCONCLUSIVE = 12
    REFUSED = 13
    WOULD_CHANGE = 14
    UNREACHABLE = 20
    INTERRUPTED = 130


OUTCOME_ORDER = (
    ExitCode.FAILED,
    ExitCode.REFUSED,
    ExitCode.INCONCLUSIVE,
    ExitCode.WAITING,
    ExitCode.WOULD_CHANGE,
    ExitCode.DONE,
)


def worst(codes: list[ExitCode]) -> ExitCode:
    """Return the exit code of several outcomes: the first that holds of 11, 13, 12, 10, 14, 0."""
    return next((code for code in OUTCOME_ORDER if code in codes), ExitCode.DONE)


class SkyfloError(Exception):
    """An error that a person will read: `message` says what was expected and what came, `next_step` what to do."""

    exit_code: ClassVar[ExitCode] = ExitCode.OUR_ERROR

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class BadInput(SkyfloError):
    """What was given cannot be used."""

    exit_code = ExitCode.BAD_INPUT


class NotThere(BadInput):
    """What was named is not there."""


class NotAllowed(SkyfloError):
    """No credential, or one that may not do this."""

    exit_code = ExitCode.NOT_ALLOWED


class Unknown(SkyfloError):
    """A read was refused or failed; the answer is not known."""

    exit_code = ExitCode.UNKNOWN


class Refused(SkyfloError):
    """The rules refuse this decision or attempt."""

    exit_code = ExitCode.REFUSED


class Unreachable(SkyfloError):
    """The gateway or the cluster does not answer."""

    exit_code = ExitCode.UNREACHABLE


class OutcomeUnknown(Unreachable):
    """A write was sent and no answer came."""


class OurBug(SkyfloError):
    """An invariant of ours is broken."""
