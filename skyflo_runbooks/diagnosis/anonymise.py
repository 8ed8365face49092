"""A snapshot without the names of the people who run it: the same objects, references, numbers, times and messages.

Rules:
  1. A name is replaced by the same other name wherever it stands, so that what refers to what stays, and the diagnosis
     finds the same fault in the same place.
  2. Replaced are names of objects and containers, values of labels, parts of image names, host names (known by their
     last part), addresses that are not private, and e-mail addresses. Names that every cluster has, and words of the
     API itself, stay.
  3. Values of environment variables and of configuration that are no number, address or path become `(value 1)`, equal
     ones equally; so do the holder and issuer of a certificate, and who writes fields unless it is a common tool.
     Annotations that are not Kubernetes' own go, and what a cloud calls a node.
  4. Names of environment variables, and keys of settings and labels without a domain, stay: rules read them.
  5. What is free text otherwise (a log, a message, an argument) stays, with the names in it replaced. Secrets are not
     looked for here: the gateway masks them before.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from skyflo_runbooks.diagnosis.pods import each
from skyflo_runbooks.diagnosis.snapshot import Snapshot
from skyflo_runbooks.model.json import Json, at

# Names that every cluster may have, and words with which Kubernetes says what is wrong.
# fmt: off
EVERYWHERE = frozenset((
    "default", "kube-system", "kube-public", "kube-node-lease", "kubernetes", "kube-root-ca.crt", "kube-dns",
    "coredns", "standard", "nginx", "traefik", "istio-system", "cert-manager", "monitoring", "ingress-nginx",
    "metrics-server", "docker.io", "quay.io", "gcr.io", "ghcr.io", "registry.k8s.io", "mcr.microsoft.com",
    "public.ecr.aws", "library", "latest", "kubernetes.io", "k8s.io", "svc", "cluster", "local", "cluster.local",
    "svc.cluster.local", "localhost", "address", "affinity", "back-off", "class", "claim", "command", "config",
    "configmap", "container", "containers", "cpu", "directory", "disk", "endpoints", "ephemeral-storage", "error",
    "exec", "failed", "file", "found", "free", "host", "http", "https", "image", "insufficient", "key", "limit",
    "limits", "liveness", "memory", "missing", "mount", "namespace", "network", "no", "node", "nodes", "not", "of",
    "pod", "pods", "policy", "port", "ports", "probe", "pull", "quota", "readiness", "replicas", "request",
    "requests", "rules", "run", "secret", "selector", "server", "service", "serviceaccount", "startup", "storage",
    "taint", "the", "to", "topology", "unavailable", "unknown", "user", "volume", "volumes", "webhook", "zone",
))
# fmt: on
_HASHES = ("pod-template-hash", "controller-revision-hash", "pod-template-generation", "controller-uid", "job-name")
_OWN = re.compile(r"(?:^|\.)(?:kubernetes\.io|k8s\.io|helm\.sh|istio\.io|argoproj\.io|cert-manager\.io)$")
# Below these keys stand words of other people; elsewhere a key is a word of the API.
_MAPS = frozenset(("labels", "annotations", "data", "binaryData", "matchLabels", "nodeSelector", "selector"))
# Values that are words of the API.
_WORDS = frozenset(("kind", "apiVersion", "type", "reason", "phase", "status", "protocol", "operator", "effect", "key"))
_GENERATED = re.compile(r"-[a-z0-9]{1,10}(?:-[a-z0-9]{5})?")
# By their last part: `spec.containers` and `setup.py` are no hosts.
_TOP = (
    "com|net|org|io|dev|app|cloud|ai|co|tech|shop|store|bank|info|biz|online|site|xyz|edu|gov|mil|int|internal|corp|lan|intra|"
    "example|de|fr|uk|eu|us|ch|at|nl|be|es|it|pl|se|no|dk|fi|cz|pt|ie|jp|cn|kr|in|au|nz|br|mx|ca|za|ru|ua|tr|sg|hk|tw|il"
)
_HOST = re.compile(rf"(?<![\w.-])(?:[a-z0-9](?:[a-z0-9-]{{0,61}}[a-z0-9])?\.){{1,8}}(?:{_TOP})(?![\w-])", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IPV6 = r"(?<![\w:.])[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![\w:])"
_ADDRESS = re.compile(rf"\b\d{{1,3}}(?:\.\d{{1,3}}){{3}}\b|{_IPV6}", re.IGNORECASE)
_PLAIN = re.compile(
    r"[+-]?\d+(?:\.\d+)?[a-zA-Z]{0,2}|true|false|/\S*|(?:[a-z][a-z0-9+.-]*://)?[\w.-]+:\d+(?:/\S*)?|"
    r"[a-z][a-z0-9+.-]*://\S+|[\w-]+(?:\.[\w-]+){1,4}|«\S+»|",
    re.IGNORECASE,
)
_LONGEST = 200
# What writes to clusters everywhere; a manager of another name may be called after whoever made it.
_TOOLS = re.compile(
    r"(?:kubectl|kube|helm|argocd|flux|terraform|coredns)\b|(?:Helm|Terraform|cluster-autoscaler|skyflo)\b"
)


def anonymise(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot by the rules above."""
    names = Names(snapshot)
    plain = msgspec.to_builtins(snapshot)
    for items in plain["objects"].values():
        for item in items:
            _strip(item, names.value)
    return msgspec.convert(names.everywhere(plain), Snapshot)


class Names:
    """Which name is replaced by which, and what replaces them in a text."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._kept = EVERYWHERE | frozenset(_words(snapshot.objects))
        self._made: dict[str, str] = {}
        self._values: dict[str, str] = {}
        for prefix, found in _named(snapshot):
            self._add(prefix, found)
        known = sorted(self._made, key=len, reverse=True)
        either = "|".join(re.escape(name) for name in known)
        self._pattern = re.compile(rf"(?<![A-Za-z0-9])(?:{either})(?![A-Za-z0-9])") if known else None

    def text(self, text: str) -> str:
        """Return a text with the names in it replaced."""
        text = _EMAIL.sub("somebody@example.test", text)
        if self._pattern is not None:
            text = self._pattern.sub(lambda found: self._made[found[0]], text)
        return _ADDRESS.sub(lambda found: _address(found[0]), text)

    def value(self, value: str) -> str:
        """Return the value of a variable or setting: plain ones as they are, others by a number."""
        if len(value) <= _LONGEST and _PLAIN.fullmatch(value):
            return value
        return self._values.setdefault(value, f"(value {len(self._values) + 1})")

    def everywhere(self, value: Any) -> Any:
        """Return a JSON value with the names in all its texts and keys replaced."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.everywhere(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.everywhere(item) for key, item in value.items()}
        return value

    def _add(self, prefix: str, name: str) -> None:
        if name in self._made or name in self._kept or len(name) < 2 or name.isdigit():
            return
        owner = self._owner(name)
        number = len(self._made) + 1
        self._made[name] = self._made[owner] + name[len(owner) :] if owner else f"{prefix}-{number}"

    def _owner(self, name: str) -> str:
        """Return the longest known name that another one was made of, by a controller's ending."""
        cuts = (place for place in range(len(name) - 1, 0, -1) if name[place] == "-")
        known = (name[:cut] for cut in cuts if _GENERATED.fullmatch(name, cut))
        return next((owner for owner in known if owner in self._made), "")


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return text
    if not address.is_global:
        return text
    return "192.0.2.1" if address.version == 4 else "2001:db8::1"


def _strip(item: Json, value: Callable[[str], str]) -> None:
    """Take what is nobody's business from an object: foreign annotations, free values of variables and settings."""
    metadata = item.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("annotations"), dict):
        metadata["annotations"] = {
            key: said
            for key, said in metadata["annotations"].items()
            if _OWN.search(key.partition("/")[0]) and "last-applied" not in key
        }
    for entry in each(item, "metadata", "managedFields"):
        if not _TOOLS.match(str(entry.get("manager", ""))):
            entry["manager"] = value(str(entry.get("manager", "")))
    if item.get("kind") == "Node" and isinstance(item.get("spec"), dict):
        item["spec"].pop("providerID", None)
    if isinstance(item.get("certificate"), dict):
        item["certificate"] |= {name: value(str(item["certificate"].get(name, ""))) for name in ("subject", "issuer")}
    for variables in _found(item, "env"):
        for variable in each(variables, "env"):
            if isinstance(variable.get("value"), str):
                variable["value"] = value(variable["value"])
    if item.get("kind") == "ConfigMap" and str(at(item, "metadata", "name", default="")) not in EVERYWHERE:
        for name in ("data", "binaryData"):
            if isinstance(item.get(name), dict):
                item[name] = {key: value(str(said)) for key, said in item[name].items()}


def _found(value: Any, key: str) -> Iterator[Json]:
    """Yield every object within a value that has a key."""
    if isinstance(value, dict):
        if key in value:
            yield value
        for item in value.values():
            yield from _found(item, key)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _found(item, key)


def _words(value: Any, *, own: bool = False) -> Iterator[str]:
    """Yield the words of the API in objects: keys, but for those below `_MAPS`, and values that are enumerations."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _words(item, own=own)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not own:
                yield key
            if key in _WORDS and isinstance(item, str):
                yield item
            yield from _words(item, own=key in _MAPS)


def _named(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield the names to replace with what they begin with afterwards, owners before what they own."""
    objects = [item for kind in sorted(snapshot.objects) for item in snapshot.objects[kind]]
    yield from (("team", name) for name in snapshot.namespaces)
    yield from (("team", gap.namespace) for gap in snapshot.gaps)
    for item in objects:
        yield from (("team", str(at(item, "metadata", "namespace", default=""))),)
    for item in sorted(objects, key=lambda item: (item.get("kind") != "Namespace", item.get("kind") != "Node")):
        prefix = {"Namespace": "team", "Node": "machine"}.get(str(item.get("kind")), "thing")
        if item.get("kind") != "Event" and not at(item, "metadata", "ownerReferences"):
            yield prefix, str(at(item, "metadata", "name", default=""))
    yield from (("machine", load.node) for load in snapshot.elsewhere or ())
    for item in sorted(objects, key=lambda item: len(str(at(item, "metadata", "name", default="")))):
        if item.get("kind") != "Event":
            yield "thing", str(at(item, "metadata", "name", default=""))
        yield from _inside(item)
        yield from _hosts(item)
    yield from _hosts([log.text for log in snapshot.logs])


def _inside(item: Json) -> Iterator[tuple[str, str]]:
    for holder in _found(item, "containers"):
        for container in (*each(holder, "containers"), *each(holder, "initContainers")):
            yield "part", str(container.get("name", ""))
            yield from _image(str(container.get("image", "")))
    for key in ("labels", "matchLabels", "nodeSelector", "selector"):
        for holder in _found(item, key):
            yield from _labels(holder[key])
    for holder in _found(item, "names"):
        yield from (pair for name in holder["names"] if isinstance(name, str) for pair in _image(name))


def _labels(labels: object) -> Iterator[tuple[str, str]]:
    if not isinstance(labels, dict):
        return
    for key, value in labels.items():
        domain, slash, _ = key.partition("/")
        if slash and not _OWN.search(domain):
            yield "domain", domain
        if key in _HASHES:
            continue
        if isinstance(value, str) and (not slash or not _OWN.search(domain)) and value not in ("true", "false"):
            yield "thing", value


def _image(image: str) -> Iterator[tuple[str, str]]:
    path = image.partition("@")[0]
    head, _, last = path.rpartition("/")
    for part in (*(head.split("/") if head else ()), last.partition(":")[0]):
        yield "image", part.partition(":")[0]


def _hosts(value: object) -> Iterator[tuple[str, str]]:
    """Yield the hosts that any text of a value names, but for those of the API and of the cluster itself."""
    if isinstance(value, str):
        yield from (("host", host) for host in _HOST.findall(value) if not _OWN.search(host) and ".svc." not in host)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _hosts(key)
            yield from _hosts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _hosts(item)


__all__ = ["Names", "anonymise"]
