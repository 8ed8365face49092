"""A fake gateway that the environment names, as a kernel finds one."""

from collections.abc import Iterator

import pytest

from tests.kernel.fake_gateway import TOKEN, FakeGateway, serve


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    """A running fake gateway; the environment of this process names it."""
    fake = FakeGateway()
    with serve(fake) as url:
        monkeypatch.setenv("SKYFLO_GATEWAY_URL", url)
        monkeypatch.setenv("SKYFLO_KERNEL_TOKEN", TOKEN)
        yield fake
