"""What a process can do only where it really runs: it asks other servers, fills a disk, burns CPU.

A scenario's image says what its process needs (`practice.scenario.Image`), and the practice cluster plays that. What is
said here in addition is done by the program in the image (`image/work.go`) and played by nobody.
"""

from __future__ import annotations

from skyflo_runbooks.practice.scenario import Bytes, Image, Part, Seconds


class Call(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Another server that the process asks, again and again, and says why it fails.

    `url`: may be `$NAME`, a variable's value. `password`: the variable whose value is sent. `account`: the cluster's
    API, asked as the pod's own account. `path` answers 503 while the last call failed; `ends`: the process is done with
    the first good answer; `fatal`: it ends with code 1 at the first failure.
    """

    url: str
    password: str = ""
    account: bool = False
    every: Seconds = Seconds(2)
    path: str = ""
    ends: bool = False
    fatal: bool = False


class Fill(Part, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file that the process writes as it starts; where it cannot, it says why and ends with code 1."""

    path: str
    size: Bytes


class Program(Image, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An image that only a real node can run.

    `password`: the variable that whoever asks has to know, except for a path that ends with z. `burns`: cores.
    """

    calls: tuple[Call, ...] = ()
    password: str = ""
    fills: Fill | None = None
    burns: float = 0.0
