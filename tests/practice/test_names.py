"""Which hosts played processes find: Services of the cluster while its DNS answers, and every other name with it."""

from __future__ import annotations

import pytest

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import PracticeCluster
from skyflo_runbooks.practice.kubelet.names import Names
from tests.practice.client import client_of, pod, small

ORDERS: Json = {"kind": "Service", "metadata": {"name": "orders", "namespace": "lab"}}
DNS: Json = {
    "kind": "Service",
    "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
}
COREFILE = ".:53 {{\n    errors\n    kubernetes {zone} in-addr.arpa\n    forward . /etc/resolv.conf\n}}\n"
ASKING = """
  - image: desk:v1
    memory: {start: 1Mi, peak: 1Mi}
    asks: [{variable: UPSTREAM_URL, lost: "FATAL lookup {host}: no such host", code: 2}]
"""


def names(*services: Json, served: bool = True, corefile: str = "") -> Names:
    """A cluster's names, with a DNS that is served or not."""
    held: Json | None = {"data": {"Corefile": corefile}} if corefile else None
    return Names(lambda: services, lambda _name: held, lambda _service: served)


@pytest.mark.parametrize(
    "host", ["orders", "orders.lab", "orders.lab.svc", "orders.lab.svc.cluster.local", "orders.lab.svc."]
)
def test_a_service_is_found_by_each_of_its_names(host: str) -> None:
    """In its own namespace by the first label alone."""
    assert names(ORDERS).found("lab", host)


@pytest.mark.parametrize(
    ("namespace", "host"), [("lab", "order"), ("shop", "orders"), ("shop", "orders.shop.svc"), ("lab", "orders.shop")]
)
def test_what_is_no_service_is_not_found(namespace: str, host: str) -> None:
    """Neither is one of another namespace without that namespace's name."""
    assert not names(ORDERS).found(namespace, host)


def test_a_name_outside_needs_the_resolver_alone() -> None:
    """It is found where the resolver answers, whatever it answers for in the cluster."""
    assert names().found("lab", "pay.example.com")
    assert names(DNS, corefile=COREFILE.format(zone="cluster.locale")).found("lab", "pay.example.com")
    assert not names(DNS, served=False).found("lab", "pay.example.com")


def test_without_a_served_resolver_nothing_is_found_but_addresses() -> None:
    """Addresses and `localhost` are not looked up."""
    away = names(ORDERS, DNS, served=False)

    assert not away.found("lab", "orders")
    assert away.found("lab", "10.1.2.3")
    assert away.found("lab", "localhost")


@pytest.mark.parametrize(("zone", "found"), [("cluster.local", True), ("cluster.locale", False)])
def test_the_corefile_has_to_serve_the_cluster_s_zone(zone: str, found: bool) -> None:
    """Another zone's names are found, and those of `cluster.local` are not."""
    assert names(ORDERS, DNS, corefile=COREFILE.format(zone=zone)).found("lab", "orders") is found


async def test_a_process_ends_until_its_host_is_found() -> None:
    """It says which host it did not find, and runs once there is a Service of that name."""
    client = client_of(PracticeCluster(small(ASKING)))
    wanted = pod(image="desk:v1")
    wanted["spec"]["containers"][0]["env"] = [{"name": "UPSTREAM_URL", "value": "http://orders:80/v1"}]
    await client.create("/api/v1/namespaces/lab/pods", wanted)
    await client.advance(3)
    one = await client.get("/api/v1/namespaces/lab/pods/one")
    assert one["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 2

    spec: Json = {"selector": {"app": "orders"}, "ports": [{"port": 80}]}
    await client.create("/api/v1/namespaces/lab/services", {**ORDERS, "apiVersion": "v1", "spec": spec})
    await client.advance(60)
    again = await client.get("/api/v1/namespaces/lab/pods/one")
    assert again["status"]["containerStatuses"][0]["ready"]
