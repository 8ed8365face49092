"""What the kubelet needs from the rest of the cluster, and what it answers with.

The kubelet itself does no I/O: it is shown pods, looks ConfigMaps and Secrets up through `Lookup`, and returns
actions. The practice cluster carries them out on its store, `practice.remote` over HTTP on a real API server.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from skyflo_runbooks.model.json import Json
from skyflo_runbooks.practice.scenario import Image

Lookup = Callable[[Literal["ConfigMap", "Secret"], str, str], Json | None]
# (namespace, host) → is the host found there?
Resolve = Callable[[str, str], bool]


@dataclass(frozen=True)
class SetStatus:
    """Write a pod's status."""

    pod: Json
    status: Json


@dataclass(frozen=True)
class Report:
    """Record an event about a pod; `field_path` names the container it is about."""

    pod: Json
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    field_path: str = ""


@dataclass(frozen=True)
class Remove:
    """Delete a pod whose containers have stopped, with no more grace."""

    pod: Json


Action = SetStatus | Report | Remove


@dataclass
class World:
    """The registry, the ConfigMaps and Secrets, and each node's pulled images."""

    registry: Mapping[str, Image]
    lookup: Lookup
    resolve: Resolve = lambda _namespace, _host: True
    pulled: dict[str, set[str]] = field(default_factory=dict)
    # Set while history is played: how long the next container of a pod takes to its peak.
    history_peak: Callable[[Json], float | None] = lambda _pod: None

    def hosts(self) -> set[str]:
        """Return the registries that answer."""
        from skyflo_runbooks.practice.kubelet.texts import split_image

        return {"docker.io", *(split_image(name)[0] for name in self.registry)}
