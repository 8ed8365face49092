"""Clusters to try the tools on: the practice cluster in memory, and a real control plane."""

import itertools
from collections.abc import AsyncIterator

import httpx
import pytest
from skyflo_mcp.kubernetes import Cluster

from skyflo_runbooks.practice import PracticeCluster
from tests.control_plane.fixtures import control_plane
from tests.control_plane.harness import ControlPlane
from tests.real_node.fixtures import stage_on_real_node
from tests.tools.worlds import World, on_control_plane, on_practice

__all__ = ["control_plane", "stage_on_real_node"]

_NAMES = (f"tools-{number}" for number in itertools.count())


@pytest.fixture
def practice() -> PracticeCluster:
    """The flagship, staged in memory."""
    return PracticeCluster("oomkilled-payment")


@pytest.fixture
async def flagship(practice: PracticeCluster) -> AsyncIterator[Cluster]:
    """The flagship's cluster."""
    client = httpx.AsyncClient(transport=httpx.ASGITransport(practice.app), base_url="http://practice")
    async with Cluster(client, context="practice") as cluster:
        yield cluster


@pytest.fixture(params=["practice", pytest.param("control plane", marks=pytest.mark.control_plane)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The same few objects in a namespace of their own, on the practice cluster and on a real control plane."""
    namespace = next(_NAMES)
    if request.param == "practice":
        opened = await on_practice(namespace)
    else:
        opened = await on_control_plane(request.getfixturevalue("control_plane"), namespace)
    async with opened.cluster:
        yield opened


@pytest.fixture
async def practice_world() -> AsyncIterator[World]:
    """The same objects on the practice cluster alone, for what never reaches a server."""
    opened = await on_practice("tools")
    async with opened.cluster:
        yield opened


@pytest.fixture
async def real_world(control_plane: ControlPlane) -> AsyncIterator[World]:
    """The same objects on a real control plane alone, for what the practice cluster does not have."""
    opened = await on_control_plane(control_plane, next(_NAMES))
    async with opened.cluster:
        yield opened
