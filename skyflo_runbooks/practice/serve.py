"""`python -m skyflo_runbooks.practice.serve [SCENARIO]`: a practice cluster as a process of its own.

It prints one JSON line when it is ready: its process id, address and scenario, and the kubeconfig files it wrote; the
same stands in `state.json` beside them. It ends on SIGINT or SIGTERM and takes its files away.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.practice.cluster import PracticeCluster
from skyflo_runbooks.practice.server import Server, write_private


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m skyflo_runbooks.practice.serve", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("scenario", nargs="?", default="oomkilled-payment", help="a shipped scenario, or a file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--speed", type=float, default=1.0, help="cluster seconds per real second")
    parser.add_argument("--folder", type=Path, help="where the kubeconfig files go (default: a new temporary folder)")
    given = parser.parse_args(arguments)
    try:
        asyncio.run(_serve(given))
    except SkyfloError as wrong:
        print(wrong, file=sys.stderr)
        return int(wrong.exit_code)
    return 0


async def _serve(given: argparse.Namespace) -> None:
    cluster = PracticeCluster(given.scenario, speed=given.speed, token_required=True)
    server = Server(cluster, given.host, given.port)
    folder = given.folder or Path(tempfile.mkdtemp(prefix="skyflo-practice-"))
    files = {name: folder / name for name in ("kubeconfig", "kubeconfig-reader", "state.json")}
    state = {
        "pid": os.getpid(),
        "url": server.url,
        "scenario": cluster.scenario.scenario,
        "kubeconfig": str(files["kubeconfig"]),
        "reader": str(files["kubeconfig-reader"]),
    }
    write_private(files["kubeconfig"], server.kubeconfig("admin"))
    write_private(files["kubeconfig-reader"], server.kubeconfig("reader"))
    write_private(files["state.json"], json.dumps(state))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.stop)
    serving = asyncio.create_task(server.serve())
    print(json.dumps(state), flush=True)
    try:
        await serving
    finally:
        _remove(files, state)


def _remove(files: dict[str, Path], state: dict[str, object]) -> None:
    """Take the files away, unless another cluster has written its own there since."""
    try:
        ours = json.loads(files["state.json"].read_text()) == state
    except (OSError, ValueError):
        ours = False
    for path in files.values() if ours else []:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    raise SystemExit(main())
