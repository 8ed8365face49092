"""How often the kernel made a container wait for CPU, by a kubelet's /metrics/cadvisor.

`container_cpu_cfs_periods_total` counts the periods in which a container with a CPU limit wanted to run,
`container_cpu_cfs_throttled_periods_total` those in which its limit was used up; both since the container started.
Source: https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
"""

import re

import msgspec

_SAMPLE = re.compile(r"^container_cpu_cfs_(periods|throttled_periods)_total\{(.*)\}\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Throttle(msgspec.Struct, frozen=True):
    """The periods of one container, and in how many of them it had to wait."""

    namespace: str
    pod: str
    container: str
    periods: int
    throttled: int


def from_kubelet(text: str, only: set[tuple[str, str]]) -> tuple[Throttle, ...]:
    """Return what a page says of the containers of the pods (namespace, name) in `only`."""
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for line in text.splitlines():
        match = _SAMPLE.match(line)
        if not match:
            continue
        said = dict(_LABEL.findall(match[2]))
        key = (said.get("namespace", ""), said.get("pod", ""), said.get("container", ""))
        # A line without a container is the pod's own group: its containers are counted each.
        if key[:2] in only and key[2]:
            found.setdefault(key, {})[match[1]] = int(float(match[3]))
    return tuple(
        Throttle(*key, periods=counts["periods"], throttled=counts["throttled_periods"])
        for key, counts in found.items()
        if {"periods", "throttled_periods"} <= counts.keys()
    )
