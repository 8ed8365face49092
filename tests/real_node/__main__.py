"""`python -m tests.real_node build | up SCENARIO | down`: a real Kubernetes node, for a person. Needs root."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.control_plane import builds, command
from tests.control_plane.holder import Place, Ready


def main(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    from tests.real_node import parts

    place = Place(builds.cache() / "real-node", "tests.real_node")
    return command.run(arguments, place, parts.make, _cluster)


@contextmanager
def _cluster(folder: Path, name: str) -> Iterator[Ready]:
    from skyflo_runbooks.practice import scenario
    from tests.real_node import node, parts

    found = parts.look()
    if isinstance(found, builds.Absent) or os.geteuid() != 0:
        raise builds.BuildError("expected root, and all parts of a real node; run make real-node as root")
    print("starting a control plane and one real node; then the scenario's history is played on it")
    with node.staged(folder, found, scenario.load(name)) as staged:
        plane = staged.plane
        yield Ready(name, str(plane.kubeconfig("operator")), str(plane.kubeconfig("admin")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
