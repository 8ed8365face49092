"""Which hosts the cluster's DNS finds for processes that look them up.

Rules:
  1. A cluster in which no Service of kube-system carries the DNS's label has a resolver that always answers. Where
     there is one, it answers while a ready pod is behind it.
  2. Names of the cluster are those of its Services. A Corefile, where there is one, has to serve `cluster.local` by the
     plugin kubernetes.
  3. Every other name is found where the resolver answers; `localhost` and addresses need none.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from skyflo_runbooks.model.json import Json, at
from skyflo_runbooks.practice.selectors import labels_of

SYSTEM = "kube-system"
DOMAIN = "cluster.local"


@dataclass(frozen=True)
class Names:
    """The cluster's names: every Service, the ConfigMap of a name in kube-system, and whether a Service is served."""

    services: Callable[[], Iterable[Json]]
    config: Callable[[str], Json | None]
    served: Callable[[Json], bool]

    def found(self, namespace: str, host: str) -> bool:
        """Return whether a process in this namespace finds the host."""
        if host == "localhost" or host.replace(".", "").isdigit() or ":" in host:
            return True
        resolver = next((s for s in self.services() if _is_dns(s)), None)
        if resolver is not None and not self.served(resolver):
            return False
        parts = host.removesuffix(".").split(".")
        name, space, rest = parts[0], parts[1] if len(parts) > 1 else namespace, ".".join(parts[2:])
        if rest not in ("", "svc", f"svc.{DOMAIN}"):
            return True
        known = {(s["metadata"]["namespace"], s["metadata"]["name"]) for s in self.services()}
        return self._of_cluster() and (space, name) in known

    def _of_cluster(self) -> bool:
        text = str(at(self.config("coredns") or {}, "data", "Corefile", default=""))
        zones = [line.split("#")[0].split() for line in text.splitlines()]
        return not text or any(words[:1] == ["kubernetes"] and DOMAIN in words for words in zones)


def _is_dns(service: Json) -> bool:
    return service["metadata"].get("namespace") == SYSTEM and labels_of(service).get("k8s-app") == "kube-dns"
