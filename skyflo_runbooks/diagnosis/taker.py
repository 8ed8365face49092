"""One read of a snapshot: bounded, and a gap where it gave no answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from skyflo_runbooks.diagnosis.reader import Reader
from skyflo_runbooks.diagnosis.snapshot import Gap
from skyflo_runbooks.model.errors import BadInput, SkyfloError
from skyflo_runbooks.model.json import Json

# Kinds that every cluster serves; any other may be missing, and where it is not served there are none of it.
_ALWAYS = frozenset((
    "Pod", "Event", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "Service",
    "EndpointSlice", "ConfigMap", "Secret", "ServiceAccount", "ResourceQuota", "LimitRange", "HorizontalPodAutoscaler",
    "PodDisruptionBudget", "Ingress", "NetworkPolicy", "PersistentVolumeClaim", "Namespace", "Node",
))  # fmt: skip
# Objects that controllers make by the thousand, and nobody edits: who changed them when is not asked for.
_MADE = frozenset(("Pod", "Event", "ReplicaSet", "ControllerRevision", "EndpointSlice", "Namespace"))
EVENTS = 5000

Answer = TypeVar("Answer")


class Taker(msgspec.Struct):
    """The reads under way: who answers, until when (seconds for each phase), and what gave no answer so far."""

    reader: Reader
    deadline: float
    gaps: list[Gap]

    async def ask(
        self, kind: str, namespace: str, read: Callable[[], Awaitable[Answer]], *, quiet: bool = False
    ) -> Answer | None:
        """Return what `read` answers, or None with a gap; `quiet` takes "no such thing" for an answer."""
        try:
            async with asyncio.timeout(self.deadline):
                return await read()
        except TimeoutError:
            self.gaps.append(Gap(kind, namespace, f"no answer within {self.deadline:g} s"))
        except BadInput as error:
            if not quiet:
                self.gaps.append(Gap(kind, namespace, error.message))
        except SkyfloError as error:
            self.gaps.append(Gap(kind, namespace, error.message))
        return None


async def listed(taker: Taker, kind: str, namespace: str, *, of: str = "") -> list[Json] | None:
    """Return the objects of a kind, or None with a gap; one that a cluster may do without and does not serve has none.

    `of` is what to ask for where the kind's own name does not say it exactly.
    """
    limit = EVENTS if kind == "Event" else None
    asked = of or kind
    listing = await taker.ask(
        kind,
        namespace,
        lambda: taker.reader.list(asked, namespace or None, limit=limit, changes=kind not in _MADE),
        quiet=kind not in _ALWAYS,
    )
    if listing is None:
        return None
    if listing.more:
        taker.gaps.append(Gap(kind, namespace, f"only the first {limit} were read"))
    return list(listing.items)
