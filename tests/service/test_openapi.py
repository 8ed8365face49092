"""Every route of the API with whatever fits its description, and with what does not, by each credential.

The laws: no answer is a failure of ours; without a credential nothing is answered but what is everybody's; each refusal
has the documented shape; and whatever is called with an operator's session, nothing is approved without the key.
"""

from collections.abc import Iterator
from typing import Any

import anyio.from_thread
import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.service.app import ROUTED, described
from tests.gateway.test_crash import in_cluster
from tests.service.running import Service, running

KNOWN = "ap-known"
ROLES = ("nobody", "kernel", "operator")
PUBLIC = {"/api/v1/pair"}
# A stream does not end by itself; tests/service/test_live.py reads it.
ENDLESS = "/api/v1/events"
STATUS = {200, 400, 403, 404, 405, 409}


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands under `error`."""

    code: int
    kind: str
    message: str
    next_step: str


class Refused(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The documented shape of every answer that is not a success."""

    error: Refusal


WORDS: dict[str, list[str]] = {
    "id": [KNOWN, "ap-000000", "rb-0123", "rb-rs-0123", "x'y", "\u202e"],
    "name": ["k8s_get", "k8s_logs", "k8s_scale", "k8s_apply", "x"],
    "wait": ["0", "0.01", "-1", "nan", "1e-400", "x"],
    "limit": ["0", "1", "-1", "9" * 30, "²", "٣"],
    "since": ["0", "1", "-1", "9" * 18],
    "before": ["0", "2", "9" * 18],
    "decision": ["approve", "reject"],
    "for": ["link", "token", "revoke"],
    "role": ["viewer", "admin"],
}
ARGUMENTS: Json = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["Deployment", "Pod", "Secret", "Node", "", "x.y/z"]},
        "namespace": {"enum": ["checkout", "default", "", "../x", "\x00"]},
        "name": {"enum": ["payment-service", "storefront", "", "a b", "🙂"]},
        "replicas": {"enum": [0, 3, -1, 1.5, 10**30, "3", None]},
        "values": {"enum": [{}, {"a": "«entry»"}, {"a": None}, []]},
    },
    "required": ["kind", "namespace", "name"],
}
CLOSER: dict[str, Json] = {
    "NewProposal": {"arguments": ARGUMENTS, "tool": {"enum": ["k8s_scale", "k8s_delete", "k8s_set_secret", "k8s_get"]}},
    "ToolCall": {"arguments": ARGUMENTS},
    "NewVerdict": {"wait": {"type": "number", "maximum": 0.02}, "changes": {"enum": [[], ["ap-000000"], ["x"]]}},
    "NewIncident": {"generator": {"enum": ["rules", "x"]}, "namespaces": {"enum": [[], ["checkout"], ["../x"]]}},
    "Lease": {"seconds": {"enum": [0, -1, 60, 1e300]}},
    "Modification": {"set": {"enum": [{}, {"limits.memory": "600Mi"}, {"": 1}, {"x.y": None}, {"limits.memory": [1]}]}},
}


def sharpened() -> Json:
    """Return the document with words that lead further than chance does."""
    document = described()
    del document["paths"][ENDLESS]
    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                parameter["schema"] = {"enum": WORDS.get(parameter["name"], ["", "x", "\x00"])}
    for name, members in CLOSER.items():
        document["components"]["schemas"][name]["properties"].update(members)
    return document


DOCUMENT = sharpened()
schema = schemathesis.openapi.from_dict(DOCUMENT)
everything = settings(
    max_examples=5, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)


class House:
    """The service in this process, and a client for each credential."""

    def __init__(self, service: Service, proposal: str) -> None:
        self.service = service
        self.proposal = proposal
        tokens = {"nobody": "", "kernel": service.kernel, "operator": service.session}
        headers = {name: {"Authorization": f"Bearer {token}"} if token else {} for name, token in tokens.items()}
        self.clients = {name: httpx.Client(base_url=service.url, headers=headers[name]) for name in ROLES}

    def ask(self, role: str, case: schemathesis.Case[Any]) -> httpx.Response:
        """Send what was made up, with a known id where it says so."""
        path = case.formatted_path.replace(KNOWN, self.proposal)
        body: dict[str, Any] = {} if case.body is schemathesis.core.NOT_SET else {"content": encoded(case.body)}
        return self.clients[role].request(case.method, path, params=case.query, **body)


def encoded(body: object) -> bytes:
    """Return a body as JSON; bytes as they are."""
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One service for all of it; at its end nothing was applied by anybody who had no key."""
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(running(tmp_path_factory.mktemp("api"))) as service,
    ):
        portal.call(service.login)
        before = in_cluster(service.practice)
        made = House(service, portal.call(service.propose)["id"])
        yield made
        for client in made.clients.values():
            client.close()
        # Whatever was called with the operator's session: without the key nothing was approved.
        assert in_cluster(service.practice) == before


FOR = {(one.described.method, one.described.path): one.described.roles for one in ROUTED}


# The service runs beside it in this process, where langgraph draws on the module's own generator meanwhile.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning")
@schema.parametrize()
@everything
def test_every_route(case: schemathesis.Case[Any], house: House) -> None:
    """Each made-up call is made by each credential; a success is only for whom the route's line names."""
    for role in ROLES:
        answer = house.ask(role, case)
        said = f"{role}: {case.method} {case.formatted_path} {case.query} {case.body!r:.300}: {answer.text[:300]}"
        assert answer.status_code in STATUS, said
        if answer.status_code != 200:
            msgspec.json.decode(answer.content, type=Refused)
        elif case.path not in PUBLIC:
            assert role in FOR.get((case.method, case.path), ()), said


def test_the_stream_is_for_nobody_without_a_credential(house: House) -> None:
    """It is left out above because it does not end."""
    answer = house.clients["nobody"].get(ENDLESS)
    assert answer.status_code == 403
    msgspec.json.decode(answer.content, type=Refused)


def test_words_lead_somewhere(house: House) -> None:
    """What is made up reaches beyond the door: the known proposal is there, and the words are parameters' names."""
    for role in ("kernel", "operator"):
        assert house.clients[role].get(f"/api/v1/proposals/{house.proposal}").status_code == 200
    named = {
        one["name"] for paths in DOCUMENT["paths"].values() for each in paths.values() for one in each["parameters"]
    }
    assert set(WORDS) <= named
