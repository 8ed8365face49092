"""The service's settings: one frozen object, built by the command that starts it and handed down.

There is deliberately no setting here that weakens the approval: a test reads the fields to say so.
"""

from pathlib import Path

import msgspec

from skyflo_runbooks.gateway.policy.file import PolicyFile


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway listens, where its record lies, and which cluster it serves.

    `kubeconfig` holds the credential that writes; `read_kubeconfig`, where given, the one that reads. `home` is
    `$SKYFLO_HOME`; the record lies in `data_dir`, `gateway.json` always in `home/run`. `jupyter_origin` is the one
    origin that may frame the card (`http://localhost:8888`), empty for none. `isolation` says how Jupyter is kept from
    the gateway's credentials (`other user`, `sandbox`, `none`, `not started here`). `expires` is the life of a proposal
    in seconds (at most 24 h). `policy` is what the configuration adds to the conditions of an approval.
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
    expires: float = 1800.0
    practice: bool = False
    policy: PolicyFile = PolicyFile()
