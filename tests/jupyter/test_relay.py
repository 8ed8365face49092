"""The gateway as the Jupyter server asks it: answers as values, refusals in words, the token nowhere."""

import socket
from collections.abc import Iterator

import pytest
from skyflo_kernel.door import Door
from skyflo_kernel.relay import Relay

from skyflo_runbooks.model.errors import BadInput, Refused, SkyfloError, Unreachable
from tests.jupyter.gateway import TOKEN, Gateway, served


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A small gateway."""
    with served(Gateway()) as made:
        yield made


@pytest.fixture
def relay(gateway: Gateway) -> Relay:
    """A relay to it."""
    return Relay(lambda: Door(gateway.url, TOKEN))


async def test_the_cluster_is_told(gateway: Gateway, relay: Relay) -> None:
    """With the kernel token as a bearer."""
    assert (await relay.status()).cluster.uid == "uid-1"
    assert gateway.tokens == {f"Bearer {TOKEN}"}


async def test_a_lease_is_granted_once(relay: Relay) -> None:
    """The second who asks for the same key does not get it; another key is another matter."""
    assert [await relay.lease("a"), await relay.lease("a"), await relay.lease("b")] == [True, False, True]


async def test_a_proposal_is_waited_for(gateway: Gateway, relay: Relay) -> None:
    """The gateway is asked to answer when it is settled, and the whole view comes along."""
    gateway.views["ap-aaaaaa"] = {"id": "ap-aaaaaa", "state": "executed", "title": "T"}
    view, whole = await relay.view("ap-aaaaaa", wait=3)
    assert (view.state, whole["title"]) == ("executed", "T")
    assert gateway.asked[-1] == "GET /api/v1/proposals/ap-aaaaaa?wait=3"


@pytest.mark.parametrize("name", ["", "ap-", "ap-aaaaa/", "ap-aaaaaa?x=1", "../status", "AP-aaaaaa", "ap-aaaaaa\n"])
async def test_what_is_no_id_is_not_asked_for(gateway: Gateway, relay: Relay, name: str) -> None:
    """No other route of the gateway can be reached through an id."""
    with pytest.raises(BadInput):
        await relay.view(name)
    assert gateway.asked == []


async def test_the_gateways_refusal_comes_in_its_own_words(relay: Relay) -> None:
    """Message and next step as the gateway said them."""
    with pytest.raises(Refused, match=r"There is no such proposal\. Look again\."):
        await relay.view("ap-zzzzzz")


async def test_an_answer_of_another_form_is_said(gateway: Gateway, relay: Relay) -> None:
    """A gateway of another version is not guessed at."""
    gateway.views["ap-aaaaaa"] = {"id": 7}
    with pytest.raises(Unreachable, match="unexpected form"):
        await relay.view("ap-aaaaaa")


async def test_nobody_there_says_how_to_start_one() -> None:
    """A closed port is an error with the next step, and without the token."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    relay = Relay(lambda: Door(f"http://127.0.0.1:{port}", TOKEN))
    with pytest.raises(SkyfloError, match="skyflo-runbooks serve") as refused:
        await relay.status()
    assert TOKEN not in str(refused.value)
