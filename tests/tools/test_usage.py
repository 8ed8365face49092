"""What containers use: from metrics.k8s.io, from the kubelets, or not known, and never zero for want of a figure."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyflo_mcp.kubernetes import Cluster
from skyflo_mcp.kubernetes.usage import (
    Counter,
    Key,
    Sample,
    Usage,
    from_kubelet,
    from_metrics,
    kubelet_address,
    with_rates,
)

from skyflo_runbooks.model.json import Json
from tests.control_plane.pki import Authority
from tests.tools.apiserver import Asked, Reply, Scripted, status, with_discovery

READ_AT = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
POD: Json = {"metadata": {"namespace": "shop", "name": "web-1"}, "spec": {"nodeName": "node-a"}}
ONLY = {("shop", "web-1")}
PAGE = """# HELP container_memory_working_set_bytes Current working set
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{container="web",namespace="shop",pod="web-1"} 3.5651584e+08 1767607200000
container_memory_working_set_bytes{container="web",namespace="shop",pod="web-2"} 1 1767607200000
container_cpu_usage_seconds_total{container="web",namespace="shop",pod="web-1"} 12.5 1767607200000
node_cpu_usage_seconds_total 99
"""


def read(page: str, counters: dict[Key, Counter] | None = None) -> Usage:
    """The samples of a kubelet's page for the one pod."""
    known = {} if counters is None else counters
    return Usage(from_kubelet(page, node="node-a", read_at=READ_AT, counters=known, only=ONLY))


def test_a_kubelets_page_gives_memory_and_when_it_was_measured() -> None:
    """For the pods asked about, and only those."""
    found = read(PAGE)
    assert len(found.samples) == 1
    sample = found.of("shop", "web-1", "web")
    assert sample is not None
    assert (sample.memory, sample.cpu) == (340 * 2**20, None)
    assert (sample.at, sample.source) == ("2026-01-05T10:00:00Z", "kubelet of node-a")


def test_cpu_is_known_from_the_second_reading_on() -> None:
    """A counter says nothing about the rate until it is read twice."""
    counters: dict[Key, Counter] = {}
    read(PAGE, counters)
    later = PAGE.replace("12.5 1767607200000", "15.5 1767607210000")
    sample = read(later, counters).of("shop", "web-1", "web")
    assert sample is not None
    assert sample.cpu == pytest.approx(0.3)


@pytest.mark.parametrize("again", ["12.6 1767607201000", "0.2 1767607230000"])
def test_readings_too_close_or_across_a_restart_give_no_rate(again: str) -> None:
    """A second apart is noise, and a counter that fell began anew."""
    counters: dict[Key, Counter] = {}
    read(PAGE, counters)
    sample = read(PAGE.replace("12.5 1767607200000", again), counters).of("shop", "web-1", "web")
    assert sample is not None
    assert sample.cpu is None


@given(st.text(max_size=300))
def test_a_page_of_anything_is_read_without_failing(text: str) -> None:
    """What is not a sample is passed by."""
    assert read(text).samples == ()


def test_metrics_are_read_in_kubernetes_own_units() -> None:
    """Bytes and cores, with the time and the source."""
    container = {"name": "web", "usage": {"cpu": "250m", "memory": "348160Ki"}}
    item: Json = {"metadata": POD["metadata"], "timestamp": "2026-01-05T10:00:00Z", "containers": [container]}
    (sample,) = from_metrics([item])
    assert (sample.memory, sample.cpu, sample.source) == (340 * 2**20, 0.25, "metrics.k8s.io")


def test_a_figure_that_is_missing_is_unknown() -> None:
    """None, not zero."""
    (sample,) = from_metrics([{"metadata": POD["metadata"], "containers": [{"name": "web", "usage": {}}]}])
    assert (sample.memory, sample.cpu) == (None, None)
    assert Usage((sample,)).of("shop", "web-1", "other") is None


@pytest.mark.parametrize(
    ("ip", "port", "address"),
    [
        ("10.0.0.1", 10250, "https://10.0.0.1:10250"),
        ("fd00::1", 10250, "https://[fd00::1]:10250"),
        ("10.0.0.1", None, None),
    ],
)
def test_a_kubelet_is_where_its_node_says(ip: str, port: int | None, address: str | None) -> None:
    """At the InternalIP, at the kubelet's own port, over TLS."""
    addresses = [{"type": "Hostname", "address": "node-a"}, {"type": "InternalIP", "address": ip}]
    status_of_node: Json = {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}
    assert kubelet_address({"status": status_of_node}) == address


async def test_metrics_of_the_pods_asked_about_are_kept() -> None:
    """One list for each namespace."""
    container = {"name": "web", "usage": {"cpu": "1", "memory": "1Mi"}}
    names = ("web-1", "web-2")
    items = [{"metadata": {"namespace": "shop", "name": name}, "containers": [container]} for name in names]
    server = Scripted(lambda _: Reply(body={"items": items}))
    use = await server.cluster().usage([POD])
    assert [sample.pod for sample in use.samples] == ["web-1"]
    assert [one.path for one in server.asked] == ["/apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"]
    assert use.gaps == ()


@pytest.mark.parametrize("code", [403, 404, 500, 503])
async def test_without_metrics_and_kubelets_the_reasons_are_given(code: int) -> None:
    """Both refusals, in words; no sample."""
    use = await with_discovery(lambda _: status(code, "not today")).cluster().usage([POD])
    assert use.samples == ()
    assert "not today" in use.gaps[0]
    assert "kubelets were not asked" in use.gaps[1]


def node_at(port: int) -> Json:
    """A node whose kubelet listens at a port of this machine."""
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
    return {"kind": "Node", "status": {"addresses": addresses, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}}


@asynccontextmanager
async def kubelet(certificate: Authority, heard: list[bytes], summary: str = "") -> AsyncIterator[int]:
    """A TLS server that answers like a kubelet's pages, with a certificate of this authority."""
    pair = certificate.serving("kubelet", ["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        page = summary if b"/stats/summary" in heard[-1] else PAGE
        status_line = "200 OK" if page else "403 Forbidden"
        head = f"HTTP/1.1 {status_line}\r\nDate: Mon, 05 Jan 2026 10:00:00 GMT\r\nContent-Length: {len(page)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n{page}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


def cluster_of(port: int, trusted: Path) -> Cluster:
    """A cluster without metrics, whose one kubelet is at `port`, and that trusts one CA."""

    def answer(asked: Asked) -> Reply:
        return Reply(body=node_at(port)) if asked.path == "/api/v1/nodes/node-a" else status(404, "no metrics")

    client = httpx.AsyncClient(
        verify=ssl.create_default_context(cafile=str(trusted)), headers={"Authorization": "Bearer our-token"}
    )
    return Cluster(with_discovery(answer).client(), kubelets=client)


async def test_a_kubelet_that_the_cluster_vouches_for_is_asked(tmp_path: Path) -> None:
    """At /metrics/resource, with our credential."""
    authority, heard = Authority(tmp_path), list[bytes]()
    async with kubelet(authority, heard) as port, cluster_of(port, authority.certificate) as cluster:
        use = await cluster.usage([POD])
    sample = use.of("shop", "web-1", "web")
    assert sample is not None
    assert (sample.memory, use.gaps) == (340 * 2**20, ())
    assert heard[0].startswith(b"GET /metrics/resource HTTP/1.1")
    assert b"Bearer our-token" in heard[0]


async def test_a_kubelet_with_a_certificate_of_its_own_gets_nothing(tmp_path: Path) -> None:
    """It is not asked, our credential does not go there, and the reason is said."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    ours, theirs, heard = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs"), list[bytes]()
    async with kubelet(theirs, heard) as port, cluster_of(port, ours.certificate) as cluster:
        use = await cluster.usage([POD])
    assert use.samples == ()
    assert "CA does not vouch" in use.gaps[1]
    assert heard == []


async def test_a_kubelet_that_does_not_answer_is_a_gap(tmp_path: Path) -> None:
    """The other nodes' figures would still come."""
    authority = Authority(tmp_path)
    async with kubelet(authority, []) as port:
        pass
    async with cluster_of(port, authority.certificate) as cluster:
        use = await cluster.usage([POD])
    assert use.samples == ()
    assert "kubelet of node-a" in use.gaps[1]


LIMITED: Json = {**POD, "spec": {**POD["spec"], "containers": [{"name": "web", "resources": {"limits": {"cpu": "1"}}}]}}
BUSY: Json = {"podRef": POD["metadata"], "containers": [{"name": "web", "cpu": {"usageNanoCores": 250000000}}]}
SILENT: Json = {"podRef": {"namespace": "shop", "name": "web-2"}, "containers": [{"name": "web"}]}
RATES: Json = {"pods": [BUSY, SILENT]}


async def test_the_rate_of_a_container_with_a_cpu_limit_is_known_at_the_first_reading(tmp_path: Path) -> None:
    """The kubelet measures it by itself; of one without a limit nobody asks, and the second reading needs no more."""
    authority, heard = Authority(tmp_path), list[bytes]()
    async with kubelet(authority, heard, json.dumps(RATES)) as port, cluster_of(port, authority.certificate) as cluster:
        without = await cluster.usage([POD])
        first = await cluster.usage([LIMITED])
    sample, other = first.of("shop", "web-1", "web"), without.of("shop", "web-1", "web")
    assert sample is not None
    assert other is not None
    assert (sample.cpu, sample.memory, other.cpu, first.gaps) == (0.25, 340 * 2**20, None, ())
    assert [b"/stats/summary" in one for one in heard] == [False, False, True]


async def test_a_rate_that_is_refused_is_not_known(tmp_path: Path) -> None:
    """The memory is there all the same."""
    authority = Authority(tmp_path)
    async with kubelet(authority, []) as port, cluster_of(port, authority.certificate) as cluster:
        use = await cluster.usage([LIMITED])
    sample = use.of("shop", "web-1", "web")
    assert sample is not None
    assert (sample.cpu, sample.memory, use.gaps) == (None, 340 * 2**20, ())


def test_a_rate_that_two_readings_gave_stays() -> None:
    """What a kubelet's page does not hold is not known."""
    counted = Sample("shop", "web-1", "web", 1, 0.1, "", "")
    absent = Sample("shop", "web-2", "web", 1, None, "", "")
    assert with_rates([counted, absent], RATES) == (counted, absent)
    assert with_rates([absent], {}) == (absent,)
