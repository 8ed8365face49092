"""Another spelling for everything that only a staged case calls so: namespaces, names, containers, labels.

Rules:
  1. What Kubernetes or the trade calls so is kept: kinds, label keys with a domain, `default`, `http`, images.
  2. Two words that are a slip of the pen apart stay so: the new one is a slip of the new other one. A case whose fault
     is a misspelt name keeps its fault, and the slip is drawn anew.
  3. Names of the whole cluster (nodes, classes, volumes) are the same in every case of a run; others are a case's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from random import Random

from rapidfuzz.distance import Levenshtein

from skyflo_runbooks.model.json import Json

CLUSTER_WIDE = frozenset((
    "IngressClass", "StorageClass", "PriorityClass", "PersistentVolume", "Namespace", "Node",
    "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "ClusterRole", "ClusterRoleBinding", "GatewayClass", "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
))  # fmt: skip
_NAMES = frozenset((
    "name", "namespace", "container", "claimName", "serviceAccountName", "nodeName", "schedulerName", "serviceName",
    "storageClassName", "ingressClassName", "priorityClassName", "secretName", "volumeName", "policyName",
    "gatewayClassName",
))  # fmt: skip
_LABELS = frozenset(("labels", "matchLabels", "selector", "nodeSelector"))
_KEPT_UNDER = frozenset((
    "image", "kind", "apiVersion", "fault", "repair", "type", "operator", "effect", "verbs", "resources", "apiGroups",
    "operations", "policyTypes", "accessModes", "scope", "pathType", "protocol", "command", "args",
))  # fmt: skip
_KEPT = frozenset((
    "app", "default", "default-scheduler", "http", "https", "cpu", "memory", "restricted", "baseline", "privileged",
    "kube-system", "kube-dns", "k8s-app", "coredns", "kube-root-ca", "tcp", "udp", "true", "false",
    "istio-proxy",  # Istio's own name for its container
    "helm", "owner", "name", "status", "version", "modifiedat", "deployed", "pending-upgrade", "failed",  # and Helm's
))  # fmt: skip
_WORD = re.compile(r"[a-z][a-z0-9-]+[a-z0-9]")
_FIRST = (
    "amber",
    "birch",
    "cobalt",
    "delta",
    "ember",
    "fjord",
    "garnet",
    "heron",
    "indigo",
    "juniper",
    "krill",
    "lumen",
)
_SECOND = (
    "invoices", "parcels", "ratings", "tickets", "quotes", "refunds", "rosters", "signals", "tariffs", "uploads",
    "vouchers", "weather", "bookings", "catalog", "digests", "exports",
)  # fmt: skip


def words(value: object, key: str = "") -> Iterator[str]:
    """Yield what a case calls by names of its own, with repetitions."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "key" and not value.keys() & {"operator", "effect"}:
                continue  # a member of a ConfigMap or Secret, not a label
            if key in _LABELS and _WORD.fullmatch(str(name)):
                yield str(name)
            yield from words(inner, key if key in _LABELS and isinstance(inner, str) else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner, key)
    elif isinstance(value, str) and key in (_NAMES | _LABELS | {"values", "key"}) and _WORD.fullmatch(value):
        yield value


def own(value: object) -> set[str]:
    """Return a case's own words."""
    return set(words(value)) - _KEPT


def cluster_wide(manifests: list[Json], nodes: Mapping[str, Json]) -> set[str]:
    """Return which of a case's words name things of the whole cluster."""
    named = {str(item["metadata"]["name"]) for item in manifests if item["kind"] in CLUSTER_WIDE}
    labels = {word for change in nodes.values() for word in words(change)}
    taints = {str(t[part]) for change in nodes.values() for t in change.get("taints", []) for part in ("key", "value")}
    return {word for word in named | labels | taints | set(nodes) if _WORD.fullmatch(word)} - _KEPT


def slip(word: str, random: Random) -> str:
    """Return a word with one slip of the pen inside it: a letter lost, doubled, or two exchanged."""
    places = [i for i in range(1, len(word) - 1) if "-" not in word[i - 1 : i + 2]]
    made = word
    while made == word:
        i = random.choice(places)
        made = random.choice((
            word[:i] + word[i + 1 :],
            word[:i] + word[i] + word[i:],
            word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :],
        ))  # fmt: skip
    return made


def near(one: str, other: str) -> bool:
    """Return whether two words are a slip apart; members of a numbered series (node-a, node-b) are not."""
    head, _, tail = one.rpartition("-")
    numbered = bool(head) and len(tail) <= 2 and other.rpartition("-")[0] == head
    most = 1 if min(len(one), len(other)) < 6 else 2
    return not numbered and Levenshtein.distance(one, other) <= most


def renames(found: set[str], random: Random, taken: MutableMapping[str, str]) -> dict[str, str]:
    """Return a new word for each; `taken` holds those that are given already, and every new one is added to it."""
    made: dict[str, str] = {word: taken[word] for word in found if word in taken}
    for word in sorted(found - set(made)):
        twin = next((known for known in sorted(made) if near(known, word)), None)
        made[word] = slip(made[twin], random) if twin else _fresh(random, set(taken.values()) | set(made.values()))
    return made


def _fresh(random: Random, used: set[str]) -> str:
    while True:
        made = f"{random.choice(_FIRST)}-{random.choice(_SECOND)}"
        made = made if made not in used else f"{made}-{random.randrange(10, 99)}"
        if made not in used:
            return made


def renamed(value: object, made: Mapping[str, str], key: str = "") -> object:
    """Return a value with every word replaced, in longer texts too, and nothing else."""
    if isinstance(value, dict):
        return {
            (made.get(name, name) if key in _LABELS else name): renamed(inner, made, str(name))
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [renamed(inner, made, key) for inner in value]
    if not isinstance(value, str) or key in _KEPT_UNDER:
        return value
    return re.sub(r"(?<![\w-])[a-z][a-z0-9-]*[a-z0-9](?![\w-])", lambda match: _other(match[0], made), value)


def _other(word: str, made: Mapping[str, str]) -> str:
    """Return the new word; a pod of a StatefulSet is called like it, with its number."""
    stem, _, number = word.rpartition("-")
    return f"{made[stem]}-{number}" if word not in made and stem in made and number.isdigit() else made.get(word, word)
