"""The steps in a real ipykernel: the card, the receipt in its place, and parameters as papermill gives them."""

import queue
from collections.abc import Callable, Iterator

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.notebook.render import PROPOSAL, RECEIPT, RESULT
from tests.kernel.fake_gateway import FakeGateway

IMPORTS = 'from skyflo_kernel import check, runbook\n\nrunbook_id: str = "rb-1"'
BOUND = 30


class Kernel:
    """A kernel and what it published."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, source: str) -> list[Json]:
        """Run a cell and return the messages of its outputs."""
        self._client.execute(source)
        return self.until(
            lambda message: message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
        )

    def until(self, wanted: Callable[[Json], object]) -> list[Json]:
        """Return messages up to the first that is wanted."""
        found: list[Json] = []
        while True:
            try:
                message: Json = self._client.get_iopub_msg(timeout=BOUND)
            except queue.Empty:
                pytest.fail(f"nothing came for {BOUND} s; before it: {[item['msg_type'] for item in found]}")
            found.append(message)
            if wanted(message):
                return found


@pytest.fixture
def kernel(gateway: FakeGateway) -> Iterator[Kernel]:
    """A fresh kernel whose environment names the gateway."""
    manager = KernelManager(kernel_name="python3", transport="ipc")
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def displays(messages: list[Json], kind: str = "display_data") -> list[Json]:
    """The contents of the displays among messages."""
    return [message["content"] for message in messages if message["msg_type"] == kind]


def test_the_card_becomes_the_receipt_in_place(gateway: FakeGateway, kernel: Kernel) -> None:
    """The cell ends with the card; the decision comes later, and the same output becomes the static receipt."""
    kernel.run(IMPORTS)
    (card,) = displays(kernel.run('raise_memory = runbook.change("k8s_set_resources", why="OOMKilled.")'))
    assert "<iframe" in card["data"]["text/html"]
    assert card["data"][PROPOSAL]["id"] == "ap-000000"
    assert card["data"][PROPOSAL]["step"] == "raise_memory"
    gateway.decide("ap-000000", "executed")
    messages = kernel.until(lambda message: message["msg_type"] == "update_display_data")
    (receipt,) = displays(messages, "update_display_data")
    assert receipt["transient"]["display_id"] == card["transient"]["display_id"]
    assert "<iframe" not in receipt["data"]["text/html"]
    assert "k.ops" in receipt["data"]["text/plain"]
    assert receipt["data"][RECEIPT]["state"] == "executed"
    (verdict, *_) = displays(
        kernel.run('v = runbook.verify(check.endpoints_ready("s", namespace="n"), after=[raise_memory])')
    )
    assert "measuring" in verdict["data"]["text/plain"]


def test_parameters_as_papermill_gives_them(gateway: FakeGateway, kernel: Kernel) -> None:
    """`-p flag true` is a text that counts as True from the first step on; a mistyped name is refused in two lines."""
    kernel.run('flag: bool = False  # whether\nnamespace: str = "checkout"')
    kernel.run('# Parameters\nflag = "true"\n')
    kernel.run(IMPORTS)
    (pods,) = displays(kernel.run('pods = runbook.read("k8s_get", namespace=namespace, previous=flag)'))
    assert gateway.bodies("/api/v1/tools/k8s_get")[0]["arguments"] == {"namespace": "checkout", "previous": True}
    assert pods["data"][RESULT]["result"]["rows"] == [["pod-a", "1/1"]]
    kernel.run('# Parameters\nnamspace = "other"\n')
    messages = kernel.run('pods = runbook.read("k8s_get", namespace=namespace)')
    (error,) = [message["content"] for message in messages if message["msg_type"] == "error"]
    assert error["traceback"] == ["BadInput: This runbook has no parameter 'namspace'.", "Did you mean 'namespace'?"]
    assert len(gateway.bodies("/api/v1/tools/k8s_get")) == 1


def test_a_shown_value_is_not_shown_twice(gateway: FakeGateway, kernel: Kernel) -> None:
    """A read without an assignment shows its table, and not its representation below."""
    kernel.run(IMPORTS)
    messages = kernel.run('runbook.read("k8s_get")')
    assert len(displays(messages)) == 1
    assert not [message for message in messages if message["msg_type"] == "execute_result"]
