"""`/metrics` over HTTP: Prometheus' form, and a credential like everything else."""

from pathlib import Path

from tests.service.running import running


async def test_a_scrape_needs_a_credential(tmp_path: Path) -> None:
    """Also from loopback, where a kernel runs; any role may read."""
    async with running(tmp_path) as service:
        async with service.client() as nobody:
            assert (await nobody.get("/metrics")).status_code == 403
        async with service.client(service.kernel) as kernel:
            answer = await kernel.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'skyflo_proposals{state="proposed"} 0.0' in answer.text
