"""A token that is narrowed to namespaces learns nothing of others from a change tool: not even by its errors."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from skyflo_mcp.kubernetes.catalogue import TOOLS

from skyflo_runbooks.gateway.identity import Identity
from skyflo_runbooks.gateway.proposer import Wish
from skyflo_runbooks.model.errors import BadInput, NotAllowed
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.proposal import Origin
from tests.gateway.requests import SETTINGS
from tests.gateway.world import RAISE, World, world
from tests.tools.cases import CASES

NARROW = Identity("kernel", "narrow", namespaces=("default", "team-*"))


async def asked(here: World, tool: str, arguments: Json, who: Identity = NARROW, *, replay: bool = False) -> str:
    """Propose, or rehearse, as a narrowed token does; return what came of it."""
    wish = Wish(tool, arguments, Origin(requester=str(who), step="s"))
    if replay:
        return (await here.gateway.rehearse(wish, who)).would
    return (await here.gateway.propose(wish, who)).state


def elsewhere(value: Any) -> Any:
    """Return a case's arguments as they name another namespace."""
    if isinstance(value, str):
        return value.replace("{ns}", "checkout")
    if isinstance(value, dict):
        return {key: elsewhere(one) for key, one in value.items()}
    return [elsewhere(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("replay", [False, True], ids=["proposed", "rehearsed"])
async def test_no_change_tool_reads_what_lies_elsewhere(tmp_path: Path, replay: bool) -> None:
    """Every tool, with arguments that would do: refused before any object was asked for."""
    objects: list[str] = []

    def front(request: httpx.Request) -> None:
        if request.url.path not in ("/api", "/apis", "/version") and not request.url.path.endswith("kube-system"):
            objects.append(request.url.path)

    async with world(tmp_path, front=front) as here:
        await here.gateway.cluster.uid()
        calls = [(case.tool, elsewhere(case.arguments)) for case in CASES]
        calls += [(name, {"namespace": "checkout"}) for name, tool in TOOLS.items() if tool.effect == "change"]
        for tool, arguments in calls:
            with pytest.raises(NotAllowed):
                await asked(here, tool, arguments, replay=replay)
    assert [path for path in objects if "/namespaces/" in path or "nodes" in path] == []


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("k8s_label", {"kind": "Node", "namespace": "default", "name": "node-1", "set": {"a": "b"}}),
        ("k8s_patch", {"kind": "Namespace", "namespace": "default", "name": "checkout", "patch": {}}),
        ("k8s_set_resources", {**RAISE, "namespace": ""}),
        ("k8s_set_resources", {**RAISE, "namespace": ["default"]}),
        ("k8s_create", {"manifest": SETTINGS, "namespace": "default"}),
        ("k8s_apply", {"content": [SETTINGS], "namespace": "default"}),
        ("k8s_apply", {"content": "kind: Namespace\napiVersion: v1\nmetadata: {name: x}\n", "namespace": "default"}),
    ],
)
async def test_what_leads_out_by_another_way_is_refused_too(tmp_path: Path, tool: str, arguments: Json) -> None:
    """A kind that lies in no namespace, none at all, a manifest that names another one."""
    async with world(tmp_path) as here:
        with pytest.raises(NotAllowed):
            await asked(here, tool, arguments)


async def test_within_its_namespaces_it_asks_as_ever(tmp_path: Path) -> None:
    """By a pattern, too; and what is no manifest is still bad input."""
    async with world(tmp_path) as here:
        given = {"content": [SETTINGS], "namespace": "checkout"}
        wider = Identity("kernel", "narrow", namespaces=("check*",))
        assert await asked(here, "k8s_apply", given, wider) == "proposed"
        with pytest.raises(BadInput):
            await asked(here, "k8s_apply", {"content": 7, "namespace": "checkout"}, wider)
