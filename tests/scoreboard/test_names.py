"""Everything that only a case calls so is spelt another way, and nothing else."""

from random import Random

import pytest

from skyflo_runbooks.model.json import Json
from tests.scoreboard import names

CLAIM: Json = {
    "namespace": "sch-claim",
    "finds": "Deployment/sch-claim/ledger",
    "objects": [{"kind": "PersistentVolumeClaim", "metadata": {"name": "ledger-data", "namespace": "sch-claim"}}],
    "app": {
        "name": "ledger",
        "image": "ledger:v1",
        "volumes": [{"persistentVolumeClaim": {"claimName": "ledger-dta"}}],
    },
}


def test_every_own_word_changes_everywhere() -> None:
    """In names, references and longer texts; the image's name is the registry's, not the case's."""
    made = names.renames(names.own(CLAIM), Random(1), {})
    said = names.renamed(CLAIM, made)

    assert isinstance(said, dict)
    assert said["finds"] == f"Deployment/{made['sch-claim']}/{made['ledger']}"
    assert said["app"]["image"] == "ledger:v1"
    assert said["app"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == made["ledger-dta"]
    assert set(made) == {"sch-claim", "ledger", "ledger-data", "ledger-dta"}
    assert not set(made) & set(made.values())


@pytest.mark.parametrize("seed", range(20))
def test_a_slip_stays_a_slip(seed: int) -> None:
    """The misspelt name is as near to the right one as before, and another one."""
    made = names.renames(names.own(CLAIM), Random(seed), {})

    assert made["ledger-dta"] != made["ledger-data"]
    assert names.near(made["ledger-dta"], made["ledger-data"])
    assert not names.near(made["ledger"], made["ledger-data"])


def test_members_of_a_series_are_no_slips() -> None:
    """node-a and node-b are two nodes."""
    assert not names.near("node-a", "node-b")
    assert names.near("ssd", "sssd")
    assert names.near("report-runner", "reports-runner")


def test_what_is_given_already_is_kept() -> None:
    """Names of the whole cluster are the same in every case."""
    made = names.renames({"edge", "orders"}, Random(3), {"edge": "harbour"})

    assert made["edge"] == "harbour"
    assert made["orders"] not in ("orders", "harbour")


def test_names_of_the_whole_cluster_are_known() -> None:
    """Classes, volumes, nodes, their labels and their taints."""
    manifests: list[Json] = [
        {"kind": "IngressClass", "metadata": {"name": "edge"}},
        {"kind": "Service", "metadata": {"name": "orders"}},
    ]
    nodes: dict[str, Json] = {
        "node-b": {"labels": {"pool": "billing"}, "taints": [{"key": "dedicated", "value": "billing"}]}
    }

    assert names.cluster_wide(manifests, nodes) == {"edge", "node-b", "pool", "billing", "dedicated"}


def test_a_member_of_a_config_map_is_no_label() -> None:
    """What a reference calls `key` there is data's own; in an expression over labels it is a label."""
    found = {"secretKeyRef": {"name": "store", "key": "api-key"}, "expressions": [{"key": "disk", "operator": "In"}]}

    assert names.own(found) == {"store", "disk"}


def test_what_helm_and_istio_call_so_is_kept() -> None:
    """A release's labels and a mesh's container are read by their names."""
    release: Json = {"labels": {"owner": "helm", "name": "shop", "status": "pending-upgrade"}}
    pod: Json = {"containers": [{"name": "istio-proxy"}, {"name": "orders"}]}

    assert names.own(release) == {"shop"}
    assert names.own(pod) == {"orders"}


def test_labels_of_kubernetes_keep_their_keys() -> None:
    """A key with a domain is not the case's."""
    labels: Json = {"labels": {"kubernetes.io/hostname": "node-z", "tier": "front"}}
    made = names.renames(names.own(labels), Random(2), {})

    assert names.renamed(labels, made) == {
        "labels": {"kubernetes.io/hostname": made["node-z"], made["tier"]: made["front"]}
    }


def test_a_pod_of_a_stateful_set_is_renamed_with_it() -> None:
    """It is called like the set, with its number; another word with a number is its own."""
    made = {"store": "amber-quotes", "node-7": "birch-weather"}

    assert names.renamed("Pod/shop/store-0", made) == "Pod/shop/amber-quotes-0"
    assert names.renamed("node-7 and shop-7", made) == "birch-weather and shop-7"
