"""Family K, delivery: DLV-01 and DLV-02.

Sources of the evidence: the labels of Helm's release Secrets (`owner: helm`, `name`, `version`, `status`, `modifiedAt`:
helm.sh/helm, pkg/storage/driver/secrets.go), of which no value is read; the status of an Argo Rollout and of its
AnalysisRuns (https://argo-rollouts.readthedocs.io/en/stable/features/specification/). A rollout that pauses at a step
of its own is waiting for a person, as it is meant to.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from skyflo_runbooks.diagnosis.graph import Graph, ref
from skyflo_runbooks.diagnosis.pods import created, each, labels_of, namespace_of, ready, texts
from skyflo_runbooks.diagnosis.rules.base import INTENDED, INTENT, Rule, evidence, services
from skyflo_runbooks.diagnosis.snapshot import ago, seconds_between
from skyflo_runbooks.model.finding import Evidence, Finding
from skyflo_runbooks.model.json import Json, at

# An operation of Helm waits five minutes where nothing else is said; one that is pending after twice that has died.
_DIED = 600.0
_RELEASE = "meta.helm.sh/release-name"
_HASH = "rollouts-pod-template-hash"


# DLV-01 ---------------------------------------------------------------------------------------------------------------


def release_stuck(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Helm release whose last operation never ended, or failed while its pods are well."""
    releases: dict[tuple[str, str], list[Json]] = {}
    for secret in graph.all("Secret"):
        labels = labels_of(secret)
        if labels.get("owner") == "helm" and labels.get("name"):
            releases.setdefault((namespace_of(secret), labels["name"]), []).append(secret)
    for (namespace, name), held in releases.items():
        newest = max(held, key=_version)
        status = labels_of(newest).get("status", "")
        made = _made(graph, namespace, name)
        pending = status.startswith("pending-") and _age(graph, newest) > _DIED
        failed = status == "failed" and all(ready(pod) for item in made for pod in graph.pods(item))
        if pending or failed:
            yield _release(graph, namespace, name, newest, held, made)


def _version(secret: Json) -> int:
    written = labels_of(secret).get("version", "")
    return int(written) if written.isdigit() else 0


def _modified(secret: Json) -> str:
    written = labels_of(secret).get("modifiedAt", "")
    if not written.isdigit() or len(written) > 10:
        return created(secret)
    return datetime.fromtimestamp(int(written), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(graph: Graph, secret: Json) -> float:
    return seconds_between(_modified(secret), graph.snapshot.time) or 0.0


def _made(graph: Graph, namespace: str, name: str) -> list[Json]:
    return [
        item
        for kind in ("Deployment", "StatefulSet", "DaemonSet")
        for item in graph.all(kind)
        if namespace_of(item) == namespace and texts(item, "metadata", "annotations").get(_RELEASE) == name
    ]


def _release(graph: Graph, namespace: str, name: str, newest: Json, held: list[Json], made: list[Json]) -> Finding:
    labels, when = labels_of(newest), _modified(newest)
    status = labels["status"]
    good = [item for item in held if labels_of(item).get("status") in ("deployed", "superseded")]
    last = max(good, key=_version, default=None)
    back = f"helm rollback {name} {_version(last)} --namespace {namespace}" if last is not None else ""
    since = ago(when, graph.snapshot.time)
    pending = status.startswith("pending-")
    first = "Look that no helm command is still at work on it; then " if pending else "Look why it failed; then "
    return Finding(
        fault="DLV-01",
        title=f"Helm release {name} in {namespace} is {status} at revision {labels.get('version')} for {since}",
        object=ref(newest),
        confidence=0.93 if pending else 0.7,
        evidence=(
            evidence(newest, "labels", when, f"status {status}, version {labels.get('version')}"),
            *((evidence(last, "labels", _modified(last), f"status {labels_of(last)['status']}"),) if last else ()),
        ),
        facts={"release": name, "status": status, "revision": str(_version(last)) if last is not None else ""},
        related=tuple(ref(item) for item in made),
        advice=f"{first}{back}."
        if back
        else f"{first}helm uninstall {name} --namespace {namespace}, and install it again.",
    )


# DLV-02 ---------------------------------------------------------------------------------------------------------------


def rollout_degraded(graph: Graph) -> Iterator[Finding]:
    """Yield one finding for each Argo Rollout that was aborted or degraded, or that somebody paused as a whole."""
    for rollout in graph.all("Rollout"):
        phase = str(at(rollout, "status", "phase", default=""))
        paused = at(rollout, "spec", "paused") is True
        aborted = at(rollout, "status", "abort") is True
        if phase != "Degraded" and not paused and not aborted:
            continue
        failed = [run for run in graph.owned(rollout) if at(run, "status", "phase") in ("Failed", "Error")]
        message = str(at(rollout, "status", "message", default="") or phase)
        # The field alone says that somebody paused it: the phase is "Paused" at a step of its own as well.
        held = paused and phase != "Degraded"
        why = "somebody paused it" if held else message
        said = evidence(rollout, "status", graph.snapshot.time, f"phase {phase}, abort {aborted}: {message}")
        yield Finding(
            fault="DLV-02",
            title=f"{ref(rollout)} is {phase or 'Paused'}: {why}",
            object=ref(rollout),
            confidence=INTENDED if held and not aborted else 0.92,
            evidence=(
                *((evidence(rollout, "spec.paused", graph.snapshot.time, "true"),) if held else ()),
                *(() if held and not aborted else (said,)),
                *(_analysis(graph, run) for run in failed[:2]),
            ),
            facts=_facts(graph, rollout, paused=held) | ({INTENT: "spec.paused"} if held and not aborted else {}),
            related=(
                *(ref(run) for run in failed),
                *(ref(pod) for pod in graph.pods(rollout)),
                *services(graph, rollout),
            ),
            explains=(ref(rollout),),
            advice="Look why it was paused before it goes on."
            if held
            else "Repair what the analysis measured, and retry; or go back to what is stable.",
        )


def _analysis(graph: Graph, run: Json) -> Evidence:
    measured = [
        f"{item.get('name')}: {item.get('phase')} {item.get('message', '')}"
        for item in each(run, "status", "metricResults")
        if item.get("phase") not in ("Successful", None)
    ]
    text = "; ".join(measured) or str(at(run, "status", "message", default="failed"))
    return evidence(run, "status", graph.snapshot.time, text)


def _facts(graph: Graph, rollout: Json, *, paused: bool) -> dict[str, str]:
    """Return what a repair may set: nothing but `paused`, or the images of the stable revision."""
    if paused:
        return {"paused": "true"}
    stable = str(at(rollout, "status", "stableRS", default=""))
    sets = [item for item in graph.owned(rollout) if labels_of(item).get(_HASH) == stable and stable]
    if len(sets) != 1:
        return {}
    new, old = (each(item, "spec", "template", "spec", "containers") for item in (rollout, sets[0]))
    same = [a.get("name") for a in new] == [b.get("name") for b in old]
    only_images = same and all(
        {k: v for k, v in a.items() if k != "image"} == {k: v for k, v in b.items() if k != "image"}
        for a, b in zip(new, old, strict=True)
    )
    if not only_images:
        return {}
    return {
        f"image:{index}": str(b.get("image"))
        for index, (a, b) in enumerate(zip(new, old, strict=True))
        if a.get("image") != b.get("image")
    }


RULES = (
    Rule(
        fault="DLV-01",
        needs=("Deployment",),
        find=release_stuck,
        wants=("Secret",),
        about=r"(?i)\bhelm\b|release|upgrade",
    ),
    Rule(
        fault="DLV-02",
        needs=("Pod",),
        find=rollout_degraded,
        wants=("Rollout", "AnalysisRun"),
        about=r"(?i)rollout|canary|argo",
    ),
)

__all__ = ["RULES"]
