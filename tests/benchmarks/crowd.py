"""The flagship in a crowded namespace: a scenario file with as many healthy pods around it as are asked for."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import scenario

_REPLICAS = 8


def write(path: Path, pods: int) -> Path:
    """Write a scenario with `pods` pods in the flagship's namespace: its own, and the healthy ones of neighbours."""
    crowd: Json = yaml.safe_load((scenario.folder() / "oomkilled-payment.yaml").read_text())
    applied: list[Json] = crowd["history"][0]["apply"]
    own = sum(each["spec"]["replicas"] for each in applied if each["kind"] == "Deployment")
    storefront = next(
        each for each in applied if each["metadata"]["name"] == "storefront" and "template" in each["spec"]
    )
    left, number = pods - own, 0
    while left > 0:
        applied.append(_neighbour(storefront, f"neighbour-{number}", min(_REPLICAS, left)))
        left, number = left - _REPLICAS, number + 1
    quota = next(each for each in applied if each["kind"] == "ResourceQuota")
    quota["spec"]["hard"] = {"pods": str(2 * pods), "requests.memory": "256Gi", "limits.memory": "512Gi"}
    crowd["nodes"] = [{"name": f"node-{place}", "cpu": "32", "memory": "128Gi"} for place in range(3)]
    path.write_text(yaml.safe_dump(crowd))
    return path


def _neighbour(like: Json, name: str, replicas: int) -> Json:
    made = copy.deepcopy(like)
    made["metadata"] |= {"name": name, "labels": {"app": name}}
    made["spec"] |= {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}
    made["spec"]["template"]["metadata"]["labels"] = {"app": name}
    return made
