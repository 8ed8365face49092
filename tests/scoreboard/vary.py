"""A staged case as nobody wrote it: other names, other counts, other containers, with noise and decoys around it.

Everything is drawn from one random source, so that a seed repeats a run.

Rules:
  1. The fault itself is the case's. Only what the case leaves open is drawn: a count it does not state, containers
     beside its own, what else lives in its namespace, what happened there long ago, and the operator's words.
  2. Noise is healthy and stays so. Where the case closes its namespace (quota, limits, admission), only noise without
     pods is put beside it, because there every further pod would be part of the fault.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from random import Random

import yaml

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice import scenario
from tests.faults import staging
from tests.faults.staging import IMAGE, Case
from tests.scoreboard import names

SIDECAR = "log-agent:2.3.1"
TASK = "report-task:1.4.0"  # ends well after a second
ELSEWHERE = "elsewhere-broken"
_SIDECARS = ("log-agent", "mesh-proxy", "metrics-relay", "config-reloader")
_CLOSING = frozenset((
    "ResourceQuota", "LimitRange", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy", "MutatingAdmissionPolicy", "Namespace",
))  # fmt: skip
_WORDS = (
    "something is wrong here",
    "it does not work since this morning, please look",
    "{name} is not doing what it should",
    "customers complain. I think the nodes are out of memory",
    "is the database of {name} down?",
    "alerts are firing for {name}, maybe DNS?",
)
_LONG_AGO = (
    ("Warning", "FailedScheduling", "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3"),
    ("Warning", "BackOff", "Back-off restarting failed container main in pod {pod}"),
    ("Warning", "Failed", 'Failed to pull image "registry.example.com/{name}:v9": not found'),
    ("Warning", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
    ("Normal", "ScalingReplicaSet", "Scaled up replica set {name}-7d4 to 3"),
)  # fmt: skip


@dataclass(frozen=True)
class Room:
    """Where cases are put and how much is room for: replicas of a case, things beside it, their replicas and image."""

    where: str = "on played nodes"
    replicas: int = 3
    beside: int = 3
    apiece: int = 2
    image: str = IMAGE


PLAYED = Room()
REAL = Room(
    "on a real node", replicas=2, beside=2, apiece=1, image=SIDECAR
)  # one real node runs every process of a whole round at once


@dataclass(frozen=True)
class Varied:
    """A case as it was drawn, in words what was drawn, and the names of the noise beside it."""

    case: Case
    drawn: tuple[str, ...]
    noise: frozenset[str] = frozenset()


def vary(case: Case, random: Random, taken: MutableMapping[str, str], now: datetime, room: Room = PLAYED) -> Varied:
    """Return the case under other circumstances; `taken` are the cluster-wide names of this run and is added to."""
    other = rename(case, random, taken)
    app, drawn = dict(other.app), []
    if app and "replicas" not in app:
        app["replicas"] = random.randint(1, room.replicas)
        drawn.append(f"{app['replicas']} replica{'s' if app['replicas'] > 1 else ''}")
    if app:
        for place in random.choice(((), ("before",), ("beside",), ("before", "beside"))):
            container = sidecar(random, {str(c["name"]) for c in (*app.get("before", []), *app.get("beside", []))})
            app[place] = [*app.get(place, []), container]
            drawn.append(f"a sidecar {'before it' if place == 'before' else 'after it'}")
    noise = list(neighbours(other, random, room))
    old = list(long_ago(other, random, now))
    drawn += [f"{len(noise)} objects beside it", f"{len(old)} old events"]
    words = random.choice(_WORDS).format(name=str(app.get("name") or other.finds.rpartition("/")[2]))
    drawn += [f"“{words}”", room.where]
    varied = replace(other, app=app, objects=[*other.objects, *noise, *old], words=words)
    about = {str(item["involvedObject"]["name"]) for item in old}
    return Varied(varied, tuple(drawn), frozenset(str(item["metadata"]["name"]) for item in noise) | about)


def rename(case: Case, random: Random, taken: MutableMapping[str, str]) -> Case:
    """Return the case with each of its own words spelt another way."""
    said = asdict(case)
    manifests = [item for item in case.objects if isinstance(item, dict)]
    shared = names.cluster_wide(manifests, case.nodes)
    taken.update(names.renames({word for word in shared if word not in taken}, random, taken))
    found = names.own({key: value for key, value in said.items() if key not in ("fault", "repair", "words")})
    made = names.renames(found | shared, random, taken)
    taken.update({f"{case.namespace}/{word}": new for word, new in made.items() if word not in taken})
    changed = names.renamed(said, made)
    assert isinstance(changed, dict)  # a dictionary stays one
    changed["nodes"] = {made.get(name, name): change for name, change in changed["nodes"].items()}
    for change in changed["nodes"].values():
        change["taints"] = [_renamed_taint(taint, made) for taint in change.get("taints", [])]
    return Case(**_without_empty_taints(changed))


def _renamed_taint(taint: Json, made: dict[str, str]) -> Json:
    return {key: made.get(str(value), value) if key in ("key", "value") else value for key, value in taint.items()}


def _without_empty_taints(changed: Json) -> Json:
    for change in changed["nodes"].values():
        if not change["taints"]:
            del change["taints"]
    return changed


def sidecar(random: Random, used: set[str]) -> Json:
    """Return a small container that is well by itself."""
    name = random.choice([name for name in _SIDECARS if name not in used])
    small = {"cpu": "5m", "memory": "16Mi"}
    return {
        "name": name,
        "image": SIDECAR,
        "resources": {"requests": small, "limits": {"cpu": "50m", "memory": "48Mi"}},
    }


def closed(case: Case) -> bool:
    """Return whether further pods in the case's namespace would be part of the fault."""
    return bool(case.labels) or any(item["kind"] in _CLOSING for item in case.objects)


def neighbours(case: Case, random: Random, room: Room = PLAYED) -> Iterator[Json]:
    """Yield what else lives in the namespace and is well: settings, and where it is open workloads with a Service."""
    for number in range(random.randint(1, room.beside)):
        name = f"{random.choice(('notes', 'search', 'mailer', 'sitemap', 'avatars'))}-{number}{random.randint(0, 9)}"
        meta: Json = {"name": name, "namespace": case.namespace}
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"LEVEL": "info"}}
        if closed(case):
            continue
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": {"run": name}, "ports": [{"port": 80, "targetPort": 3000}]},
        }
        yield workload(meta, random.randint(1, room.apiece), room.image)


def workload(meta: Json, replicas: int, image: str = IMAGE) -> Json:
    """Return a Deployment that wants little."""
    labels = {"run": str(meta["name"])}
    small = {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}}
    container = {"name": "main", "image": image, "ports": [{"containerPort": 3000}], "resources": small}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def long_ago(case: Case, random: Random, now: datetime) -> Iterator[Json]:
    """Yield events of pods that are gone, hours old."""
    for number in range(random.randint(1, 4)):
        kind, reason, text = random.choice(_LONG_AGO)
        name = random.choice(("legacy-api", "old-worker", "canary"))
        pod = f"{name}-7d4-{random.randrange(16**5):05x}"
        when = (now - timedelta(minutes=random.randint(45, 57))).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{pod}.{number}", "namespace": case.namespace},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": case.namespace, "name": pod},
            "type": kind,
            "reason": reason,
            "message": text.format(pod=pod, name=name),
            "firstTimestamp": when,
            "lastTimestamp": when,
            "count": random.randint(1, 30),
            "source": {"component": "kubelet"},
        }


def elsewhere() -> list[Json]:
    """Return another namespace in which something else is broken; nobody asks about it."""
    meta: Json = {"name": "pull-fails", "namespace": ELSEWHERE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}},
        workload(meta, 2, "storefront:v0.0.0-missing"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "nobody", "namespace": ELSEWHERE},
            "spec": {"selector": {"run": "nobody-has-this"}, "ports": [{"port": 80}]},
        },
    ]


def story(name: str, random: Random, taken: MutableMapping[str, str]) -> Json:
    """Return a shipped scenario's file with each of its own words spelt another way; images keep their names."""
    told: Json = yaml.safe_load((scenario.folder() / f"{name}.yaml").read_text())
    found = names.own({key: told[key] for key in ("history", "expect")}) | {told["namespace"]}
    made = names.renames(found, random, {})
    taken.update({f"{name}/{word}": new for word, new in made.items()})
    changed = names.renamed(told, made)
    assert isinstance(changed, dict)  # a dictionary stays one
    return {**changed, "scenario": told["scenario"]}


def small_images() -> dict[str, Json]:
    """Return the images of this set, as a scenario file has them."""
    small = {"memory": {"start": "8Mi", "peak": "12Mi"}, "cpu": "2m"}
    return {
        SIDECAR: {"image": SIDECAR, **small},
        TASK: {"image": TASK, **small, "exit": {"after": "1s", "code": 0}},
    }


def _images(stories: Sequence[Json], told: Json) -> dict[str, Json]:
    """Return what can be pulled by reference: the images of these scenarios, of the plane's own, and of this set."""
    found: dict[str, Json] = {}
    for one in (*stories, told):
        for image in one["images"]:
            found.setdefault(image["image"], image)
    return found | small_images()


def world(taken: MutableMapping[str, str], random: Random, stories: Sequence[Json] = (), *, wide: bool = False) -> Json:
    """Return the scenario whose nodes and images are played, its nodes under other names."""
    told = staging.world(wide=wide)
    taken.update(names.renames({str(node["name"]) for node in told["nodes"]}, random, taken))
    for node in told["nodes"]:
        node["name"] = taken[node["name"]]
    told["images"] = list(_images(stories, told).values())
    return told
