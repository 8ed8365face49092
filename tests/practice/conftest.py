"""Clusters in memory, made anew for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from skyflo_runbooks.practice import PracticeCluster
from tests.practice.client import Client, client_of, small


@pytest.fixture
async def flagship() -> AsyncIterator[Client]:
    """The flagship, as it is staged."""
    client = client_of(PracticeCluster("oomkilled-payment"))
    async with client.http:
        yield client


@pytest.fixture
async def bench() -> AsyncIterator[Client]:
    """A cluster of one node with nothing in it but the namespace `lab`."""
    client = client_of(PracticeCluster(small()))
    async with client.http:
        yield client
