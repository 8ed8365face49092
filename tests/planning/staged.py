"""A staged practice cluster with the real client, tools and dry runs, all in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec
from skyflo_mcp.kubernetes import Cluster, call

from skyflo_runbooks.diagnosis import Snapshot, investigate
from skyflo_runbooks.model.errors import SkyfloError
from skyflo_runbooks.model.finding import Diagnosis
from skyflo_runbooks.model.incident import Incident
from skyflo_runbooks.model.json import Json
from skyflo_runbooks.model.plan import ChangeStep, Plan, bind, defaults
from skyflo_runbooks.model.request import Rendered
from skyflo_runbooks.planning import DryRun, DryRunner, plan
from skyflo_runbooks.practice import PracticeCluster, Scenario, load


class Staged(msgspec.Struct):
    """A practice cluster and the client that reads and writes it."""

    practice: PracticeCluster
    cluster: Cluster

    @property
    def incident(self) -> Incident:
        """What the scenario's operator says."""
        return Incident(self.practice.scenario.incident)

    async def look(self, incident: Incident | None = None) -> tuple[Snapshot, Diagnosis]:
        """Read and diagnose."""
        return await investigate(self.cluster, incident or self.incident)

    async def planned(self, incident: Incident | None = None) -> Plan | None:
        """Read, diagnose and plan, with real dry runs and a real probe."""
        snapshot, diagnosis = await self.look(incident)
        return await plan(diagnosis, incident or self.incident, snapshot, dry_run_on(self.cluster), probe=self.probe)

    async def probe(self, namespace: str, service: str, path: str) -> int | None:
        """GET a path of a Service; None where the service itself did not answer."""
        answer = await self.cluster.proxy_get(namespace, service, path)
        return answer.status if answer.by == "service" else None

    async def apply(self, made: Plan, **values: str) -> None:
        """Send the plan's change with its defaults, or with other values, as an approval would."""
        (change,) = (step for step in made.steps if isinstance(step, ChangeStep))
        arguments = bind(change.arguments, {**defaults(made), **values})
        assert isinstance(arguments, dict)
        await send(self.cluster, change.tool, arguments, dry_run=False)


async def send(cluster: Cluster, tool: str, arguments: Json, *, dry_run: bool) -> None:
    """Render a change and send its requests."""
    rendered = await call(cluster, tool, arguments)
    assert isinstance(rendered, Rendered)
    for request in rendered.requests:
        await cluster.send(request, dry_run=dry_run, field_manager="test")


def dry_run_on(cluster: Cluster) -> DryRunner:
    """Return what lets the API server try a change."""

    async def dry_run(tool: str, arguments: Json) -> DryRun:
        try:
            await send(cluster, tool, arguments, dry_run=True)
        except SkyfloError as error:
            return DryRun(ok=False, message=error.message)
        return DryRun(ok=True)

    return dry_run


@asynccontextmanager
async def stage(scenario: Scenario | str) -> AsyncIterator[Staged]:
    """Stage a scenario."""
    practice = PracticeCluster(load(scenario) if isinstance(scenario, str) else scenario)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(practice.app), base_url="http://practice")
    async with Cluster(client) as cluster:
        yield Staged(practice, cluster)
