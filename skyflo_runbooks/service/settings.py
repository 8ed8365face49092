"""The service's settings: one frozen object, built by the command that starts it and handed down.

There is deliberately no setting here that weakens the approval: a test reads the fields to say so.
"""

from pathlib import Path

import msgspec

from skyflo_runbooks.gateway.foreign.config import Server
from skyflo_runbooks.gateway.policy.file import PolicyFile
from skyflo_runbooks.model.errors import BadInput
from skyflo_runbooks.model.quantity import format_duration, parse_duration

# How long a proposal may wait for its decision; in seconds.
USUAL_LIFE = 1800.0
SHORTEST_LIFE = 60.0
LONGEST_LIFE = 86_400.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway listens, where its record lies, and which cluster it serves.

    `kubeconfig` holds the credential that writes; `read_kubeconfig`, where given, the one that reads. `home` is
    `$SKYFLO_HOME`; the record lies in `data_dir`, `gateway.json` always in `home/run`. `jupyter_origin` is the one
    origin that may frame the card (`http://localhost:8888`), empty for none. `isolation` says how Jupyter is kept from
    the gateway's credentials (`other user` or `sandbox`, and how its ports are: `sandbox, ports closed`; `none`,
    `not started here`). `expires` is the life of a proposal in seconds (`life`). `policy` is what the configuration
    adds to the conditions of an approval.
    `mcp_servers` are the operator's own, of which some tools may be read; `mcp_fence` is what a command of theirs is
    started with, so that it does not reach the gateway's files (empty where the system has no such thing).
    """

    home: Path
    data_dir: Path
    host: str = "localhost"
    port: int = 0
    kubeconfig: Path | None = None
    read_kubeconfig: Path | None = None
    context: str = ""
    jupyter_origin: str = ""
    isolation: str = "not started here"
    expires: float = USUAL_LIFE
    practice: bool = False
    policy: PolicyFile = PolicyFile()
    mcp_servers: tuple[Server, ...] = ()
    mcp_fence: tuple[str, ...] = ()


def life(text: str) -> float:
    """Return the life of a proposal in seconds, of a duration such as `45m`; `BadInput` outside of what is allowed."""
    allowed = f"{format_duration(SHORTEST_LIFE)} to {format_duration(LONGEST_LIFE)}"
    try:
        seconds = parse_duration(text)
    except BadInput:
        seconds = 0.0
    if not SHORTEST_LIFE <= seconds <= LONGEST_LIFE:
        raise BadInput(
            f"A proposal waits for its decision for {allowed}, got {text[:40]!r}.",
            next_step=f"Say it like 2h; without it {format_duration(USUAL_LIFE)} is taken.",
        )
    return seconds
