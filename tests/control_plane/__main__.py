"""`python -m tests.control_plane build | up SCENARIO | down`: a real control plane, for a person.

Nodes are objects here, and what a kubelet would do to pods is played. For a real kubelet, see `tests.real_node`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.control_plane import builds, command
from tests.control_plane.holder import Place, Ready


def main(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    place = Place(builds.cache() / "control-plane", "tests.control_plane")
    return command.run(arguments, place, lambda: builds.build([*builds.CONTROL_PLANE, "kubectl"]), _cluster)


@contextmanager
def _cluster(folder: Path, name: str) -> Iterator[Ready]:
    from skyflo_runbooks.practice import scenario
    from tests.control_plane import played

    binaries = builds.control_plane()
    if isinstance(binaries, builds.Absent):
        raise builds.BuildError("expected the control plane to be built; run make control-plane")
    print("starting etcd, API server, controller manager and scheduler; then the scenario's history is played")
    with played.staged(folder, binaries, scenario.load(name)) as staged:
        plane = staged.plane
        yield Ready(name, str(plane.kubeconfig("operator")), str(plane.kubeconfig("admin")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
