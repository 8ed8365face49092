"""`docs/architecture.md` names every folder, every route and every member of a proposal's view."""

import re
import subprocess
from pathlib import Path

import pytest

from skyflo_runbooks.service import api, credentials, deciding, records, resolving
from skyflo_runbooks.service.openapi import Described
from tests.docs.readme import ROOT
from tests.service.running import running

TEXT = (ROOT / "docs" / "architecture.md").read_text()
CODE = set(re.findall(r"`([^`\n]+)`", TEXT))
# Folders that only group others, and Go's own form of a main package.
_GROUPS = {"kernel_ext", "mcp_servers", "runbooks", "skyflo_runbooks", "tests", "tests/control_plane/go/etcd"}


def folders() -> list[str]:
    """Every folder that has a file of the repository in it, and the folders above."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    parents = {parent.as_posix() for name in listed.stdout.splitlines() for parent in (ROOT / name).parents}
    inside = {one.removeprefix(f"{ROOT.as_posix()}/") for one in parents if one.startswith(f"{ROOT.as_posix()}/")}
    return sorted(inside - _GROUPS)


def test_every_folder_is_named() -> None:
    """A newcomer finds the room for a change by this page; a folder that is not on it has no reason yet."""
    found = folders()
    assert "skyflo_runbooks/gateway" in found
    assert "kernel_ext/labextension" in found
    assert [folder for folder in found if folder not in CODE] == []


ROUTES = (*api.ROUTES, *deciding.ROUTES, *credentials.ROUTES, *records.ROUTES, *resolving.ROUTES)


@pytest.mark.parametrize("route", [*(one.described for one in ROUTES), credentials.PAIR])
def test_every_route_is_named(route: Described) -> None:
    """With its method, and with the role that may call it."""
    row = next((line for line in TEXT.splitlines() if f"`{route.method} {route.path}`" in line), None)
    assert row is not None, f"{route.method} {route.path} is not in the table"
    if set(route.roles) == {"operator"}:
        assert "operator" in row.split("|")[2], f"{route.path} is for operators"
    elif route.roles:
        assert "any" in row.split("|")[2] or "agent" in row.split("|")[2], f"{route.path} is not for operators alone"


async def test_every_member_of_a_proposals_view_is_named(tmp_path: Path) -> None:
    """What other programs read of a proposal stands there, neither more nor less."""
    async with running(tmp_path) as service:
        members = set(await service.propose())
    listed = re.search(r"A proposal view is `\{(?P<members>.*?)\}`", TEXT, re.DOTALL)
    assert listed
    assert set(re.findall(r'"(\w+)"', listed["members"])) == members
