"""Everything that a cluster wants, as one value, and what is different in another.

Rules:
  1. Every kind that can be listed is read, custom ones too; only what controllers and kubelets write about the wishes
     of others is left out: statuses, pods and revisions, endpoints, events, leases, and what somebody owns.
  2. How many replicas an autoscaler gives to what it scales is its own.
  3. A difference is one line: what was created or deleted, or the path of the field that changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

import httpx

from skyflo_runbooks.model.json import Json, at

State: TypeAlias = dict[str, dict[str, str]]

_DERIVED = frozenset((
    "events", "leases", "endpoints", "endpointslices", "pods", "replicasets", "controllerrevisions",
    "componentstatuses", "certificatesigningrequests", "ipaddresses", "jobs",
))  # fmt: skip
_NOT_WISHED = ("resourceVersion", "managedFields", "generation", "uid", "creationTimestamp", "selfLink")
# Written by controllers into the objects of others.
_BOOKED = re.compile(
    r"metadata\.annotations\.(deployment\.kubernetes\.io/|pv\.kubernetes\.io/|volume\.|node\.alpha|volumes\.kubernetes"
    r"|skyflo\.dev/|kubernetes\.io/change-cause|deprecated\.).*"
    r"|spec\.taints.*node\.kubernetes\.io/(not-ready|unreachable|unschedulable).*"
    r"|spec\.claimRef\.(uid|resourceVersion)|spec\.volumeName"
)


def collections(client: httpx.Client) -> list[str]:
    """Return the API paths of every list that holds wishes, each kind in one version."""
    versions = ["/api/v1"]
    for group in client.get("/apis").raise_for_status().json()["groups"]:
        versions.append(f"/apis/{group['preferredVersion']['groupVersion']}")
    found: dict[str, str] = {}
    for version in versions:
        answer = client.get(version)
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            continue  # an aggregated API whose server is away
        for each in answer.raise_for_status().json()["resources"]:
            listed = "/" not in each["name"] and "list" in each["verbs"]
            if listed and each["name"] not in _DERIVED and each["name"] not in found:
                found[each["name"]] = f"{version}/{each['name']}"
    return sorted(found.values())


def read(client: httpx.Client, paths: list[str]) -> State:
    """Return what is wished for now."""
    state: State = {}
    for path in paths:
        answer = client.get(path)
        if answer.status_code in (404, 405):
            continue
        listed = answer.raise_for_status().json()
        kind = str(listed["kind"]).removesuffix("List")
        for item in listed["items"]:
            if not any(owner.get("controller") for owner in at(item, "metadata", "ownerReferences", default=[])):
                state[name(kind, item)] = fields(item)
    return state


def name(kind: str, item: Json) -> str:
    """Return how an object is called in a difference."""
    namespace = at(item, "metadata", "namespace", default="")
    return "/".join(part for part in (kind, namespace, item["metadata"]["name"]) if part)


def fields(item: Json) -> dict[str, str]:
    """Return the leaves of what an object wishes, by path; entries of lists that have a name are named by it."""
    wished = {key: value for key, value in item.items() if key not in ("status", "kind", "apiVersion")}
    wished["metadata"] = {key: value for key, value in item["metadata"].items() if key not in _NOT_WISHED}
    return {path: value for path, value in _leaves(wished, "") if not _BOOKED.fullmatch(path)}


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            label = inner.get("name") or inner.get("key") if isinstance(inner, dict) else None
            yield from _leaves(inner, f"{path}[{label or place}]")
    elif path != "spec":  # an empty wish is none
        yield path, repr(value)


def differences(before: State, after: State, within: str = "") -> list[str]:
    """Return what is different, sorted; with `within`, only of objects of that namespace."""
    found = [f"created {item}" for item in after.keys() - before.keys()]
    found += [f"deleted {item}" for item in before.keys() - after.keys()]
    scaled = {*_scaled(before), *_scaled(after)}
    for item in before.keys() & after.keys():
        old, new = before[item], after[item]
        changed = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
        changed -= {"spec.replicas"} if item in scaled else set()
        found += [f"{item}: {path}{' (removed)' if path not in new else ''}" for path in changed]
    return sorted(line for line in found if not within or f"/{within}/" in line)


def _scaled(state: State) -> Iterator[str]:
    """Yield what autoscalers scale."""
    for item, held in state.items():
        kind, _, place = item.partition("/")
        if kind == "HorizontalPodAutoscaler":
            named = [held.get(f"spec.scaleTargetRef.{part}", "").strip("'") for part in ("kind", "name")]
            yield f"{named[0]}/{place.partition('/')[0]}/{named[1]}"
