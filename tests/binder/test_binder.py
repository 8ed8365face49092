"""Binder's files alone make an environment in which the flagship runs to VERIFIED."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).parents[2]
# What a visitor does in Jupyter's terminal: run the runbook, decide, run it again, and stop what `start` left running.
VISIT = """
set -u
skyflo-runbooks run payment-service.ipynb -p settle=5s --json > first.json
echo "first $?"
id=$(python -c 'import json; print(json.load(open("first.json"))["proposals"][0]["id"])')
skyflo-runbooks approve "$id" --yes
skyflo-runbooks run payment-service.ipynb -p settle=5s --wait 5m --json > second.json
echo "second $?"
skyflo-runbooks practice stop
kill $(python -c 'import json, os; print(json.load(open(os.environ["SKYFLO_HOME"] + "/run/gateway.json"))["pid"])')
"""


def checkout(target: Path) -> Path:
    """What Binder gets: the repository's own files, nothing that was built."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def run(*command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout's own environment, and show its words where it fails."""
    found = subprocess.run(
        command, cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, timeout=900, check=False
    )
    assert found.returncode == 0, f"{command}: {found.stdout[-2000:]}\n{found.stderr[-3000:]}"
    return found


def binder_environment(repository: Path) -> dict[str, str]:
    """Make the environment as repo2docker does: the Python of runtime.txt, requirements.txt, then postBuild."""
    wanted = (repository / "binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    assert tuple(map(int, wanted.split("."))) <= sys.version_info[:2]
    prefix = repository / ".binder"
    run(sys.executable, "-m", "venv", str(prefix), cwd=repository)
    python = str(prefix / "bin" / "python")
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    run(uv, "pip", "install", "--quiet", "--python", python, "-r", "binder/requirements.txt", cwd=repository)
    variables = {"PATH": f"{prefix / 'bin'}:{os.environ['PATH']}", "NB_PYTHON_PREFIX": str(prefix)}
    run(str(repository / "binder" / "postBuild"), cwd=repository, **variables)
    return variables


@pytest.mark.registry
@pytest.mark.timeout(1200)
def test_the_flagship_runs_from_binders_files_alone(tmp_path: Path) -> None:
    """Built from binder/, started by binder/start: proposed, approved in the terminal, VERIFIED."""
    needs.program("git", "apt-get install git")
    repository = checkout(tmp_path / "repository")
    variables = {**binder_environment(repository), "SKYFLO_HOME": str(tmp_path / "home")}
    listed = run("jupyter", "labextension", "list", cwd=repository, **variables)
    assert "@skyflo/runbooks" in listed.stdout + listed.stderr

    told = run(str(repository / "binder" / "start"), "sh", "-c", VISIT, cwd=repository, **variables)
    assert "first 10" in told.stdout
    assert "second 0" in told.stdout
    second = json.loads((repository / "second.json").read_text())
    assert second["status"] == "verified"
