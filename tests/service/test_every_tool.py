"""Every tool through the whole gateway, with arguments made up from its schema: what a kernel gets over REST.

The laws: no answer is a failure of ours, a refusal has the documented shape, no Secret's value is in any answer, and
whatever is proposed is only proposed. What tools do by themselves stands in tests/tools/test_laws.py.
"""

import base64
import json
from collections.abc import Iterator

import anyio.from_thread
import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skyflo_mcp.kubernetes import TOOLS

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.kinds import POD, SECRET
from tests.gateway.test_crash import in_cluster
from tests.service.running import Service, running
from tests.service.test_openapi import STATUS, Refused
from tests.tools.schemas import arguments
from tests.tools.test_arguments import GOOD

# A pod that cannot be reached, a stream that the practice cluster does not have.
UNREACHED = {502, 503}
LAW = settings(max_examples=4, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


class Kernel:
    """A kernel's client, and what it must never read."""

    def __init__(self, service: Service) -> None:
        self.client = httpx.Client(
            base_url=service.url, headers={"Authorization": f"Bearer {service.kernel}"}, timeout=30
        )
        held = [one for secret in service.practice.store.list(SECRET) for one in (secret.get("data") or {}).values()]
        pod = service.practice.store.list(POD)[0]["metadata"]["name"]
        self._here = {"shop": "checkout", "web": "payment-service", "web-1": pod, "node-1": "node-a"}
        self.hidden = [*held, *(base64.b64decode(one).decode() for one in held)]

    def good(self, name: str) -> Json:
        """Return arguments with which a tool gets through, about what is in this cluster."""
        text = json.dumps(GOOD[name])
        for there, here in self._here.items():
            text = text.replace(f'"{there}"', f'"{here}"')
        found: Json = json.loads(text)
        return found

    def post(self, path: str, body: object) -> httpx.Response:
        """Send a body as JSON; what is no text is escaped."""
        headers = {"content-type": "application/json"}
        return self.client.post(f"/api/v1{path}", content=json.dumps(body).encode(), headers=headers)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One service for all tools; at its end nothing was applied."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(tmp_path_factory.mktemp("tools"))) as service,
    ):
        made, before = Kernel(service), in_cluster(service.practice)
        assert made.hidden
        yield made
        made.client.close()
        assert in_cluster(service.practice) == before
        assert {row.state for row in service.desk.gateway.store.find()} <= {"proposed", "in_place"}


# The service runs beside it in this process, where others draw on the module's own generator meanwhile.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
@pytest.mark.parametrize("name", sorted(TOOLS))
@given(data=st.data())
@LAW
def test_a_kernel_calls_it(kernel: Kernel, name: str, data: st.DataObject) -> None:
    """A read is read, a change is proposed."""
    made_up = data.draw(arguments(TOOLS[name].schema))
    kept = data.draw(st.sets(st.sampled_from(sorted(made_up)), max_size=2)) if made_up else set()
    given_ = kernel.good(name) | {member: made_up[member] for member in kept}
    if TOOLS[name].effect == "read":
        answer = kernel.post(f"/tools/{name}", {"arguments": given_})
    else:
        answer = kernel.post("/proposals", {"tool": name, "arguments": given_, "step": "made-up"})
    assert answer.status_code in STATUS | UNREACHED, (given_, answer.text[:500])
    if answer.status_code != 200:
        assert len(msgspec.json.decode(answer.content, type=Refused).error.message) < 5000
    assert not [one for one in kernel.hidden if one in answer.text]
