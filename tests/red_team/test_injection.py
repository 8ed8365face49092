"""Arguments that are more than a value: options, paths, lines, look-alikes, and what a shell would make of them."""

import asyncio
from contextlib import suppress
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from skyflo_mcp.kubernetes.catalogue import call
from skyflo_mcp.kubernetes.change.yaml_text import documents
from skyflo_mcp.kubernetes.client import Cluster

from skyflo_runbooks.model.errors import BadInput, SkyfloError
from skyflo_runbooks.model.json import Json
from tests.gateway.world import OPERATOR
from tests.red_team.house import House
from tests.red_team.weakening import Gate, against
from tests.red_team.weaknesses import ATTACKS

EVIL = (
    "--kubeconfig=/etc/shadow",
    "--raw=/api/v1/secrets",
    "--dry-run=none",
    "-n",
    "../../secrets/db",
    "web/../../secrets/db",
    "web?dryRun=",
    "web#",
    "web\nnamespace: kube-system",
    "web\x00",
    "р\u0430yment-service",
    "payment\u200b-service",
    "%2e%2e%2fsecrets",
    "n" * 2**20,
)
CALLS: tuple[tuple[str, Json], ...] = (
    ("k8s_get", {"kind": "Pod"}),
    ("k8s_describe", {"kind": "Deployment"}),
    ("k8s_logs", {}),
    ("k8s_scale", {"kind": "Deployment", "replicas": 0}),
    ("k8s_patch", {"kind": "Deployment", "patch": {"spec": {"replicas": 0}}}),
)


class Watched:
    """An ASGI application that keeps the path and query of everything that is sent to the one behind it."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Keep, and pass on."""
        self.asked.append(unquote(scope["raw_path"].decode()) + "?" + unquote(scope["query_string"].decode()))
        await self._app(scope, receive, send)


async def sent(house: House, place: str) -> list[str]:
    """Call tools with each evil value at `place`, and return what reached the API server."""
    watched = Watched(house.app)
    async with Cluster(house.client(watched)) as cluster:
        await cluster.kinds()
        for tool, more in CALLS:
            name = "pod" if tool == "k8s_logs" else "name"
            right: Json = {"namespace": "checkout", name: "payment-service"}
            for evil in EVIL:
                with suppress(SkyfloError, httpx.InvalidURL, httpx.LocalProtocolError):
                    await call(cluster, tool, {**more, **right, name if place == "name" else place: evil})
    return [path[:120] for path in watched.asked if any(evil in path for evil in EVIL)]


@against(ATTACKS["name-injection"])
async def test_a_name_leaves_its_place(house: House, gate: Gate) -> None:
    """Nothing of it reaches the API server."""
    left = await sent(house, "name")
    gate.bites(bool(left), left[:3])


@against(ATTACKS["namespace-injection"])
async def test_a_namespace_leaves_its_place(house: House, gate: Gate) -> None:
    """Nothing of it reaches the API server."""
    left = await sent(house, "namespace")
    gate.bites(bool(left), left[:3])


@against(ATTACKS["yaml-bomb"])
def test_a_bomb_of_aliases(gate: Gate) -> None:
    """Six lists, of nine times the one before each."""
    lines = [
        "a: &a [lol]",
        *(f"{now}: &{now} [{', '.join([f'*{before}'] * 9)}]" for before, now in pairwise("abcdefgh")),
    ]
    read = False
    with suppress(BadInput):
        read = bool(documents("\n".join(lines)))
    gate.bites(read)


@pytest.mark.parametrize("path", ["/static/..%2fcard.py", "/static/%2e%2e/headers.py", "/static/..%2f..%2fauth.py"])
@against(ATTACKS["path-traversal"])
async def test_a_path_out_of_the_static_files(practice_house: House, gate: Gate, path: str) -> None:
    """To the source beside them, and so to everything."""
    async with practice_house.running() as service, service.client() as client:
        request = client.build_request("GET", service.url)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = await client.send(request)
        gate.bites(answer.status_code == 200 and "import" in answer.text, answer.status_code)


@against(ATTACKS["copied-line"])
async def test_a_line_that_is_copied_to_a_shell(house: House, gate: Gate) -> None:
    """An annotation, which anybody in the cluster writes, ends the quotes of the line that the card offers to copy."""
    planted = house.tmp / "planted"
    evil = f"x'; touch {planted}; echo '$(touch {planted})"
    async with house.world() as at_home:
        await house.somebody({"metadata": {"annotations": {"note": evil}}})()
        target: Json = {"kind": "Deployment", "namespace": "checkout", "name": "payment-service"}
        patch = {"metadata": {"annotations": {"note": f"new {evil}"}}}
        row = await at_home.approve(await at_home.propose("k8s_patch", {**target, "patch": patch}))
        back = await at_home.gateway.roll_back(row.proposal.id, OPERATOR)
        for line in (row.proposal.equivalent, back.proposal.equivalent):
            assert f"touch {planted}" in line
            shell = await asyncio.create_subprocess_exec("sh", "-c", f"kubectl() {{ :; }}\n{line}")
            await asyncio.wait_for(shell.wait(), 20)
    gate.bites(planted.exists())
