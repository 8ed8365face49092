"""The machine that the figures are of: processor, memory, system, Python, and how busy it was."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """What has to stand beside a number. `load` is the system's load average of the last minute."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    load: float
    at: str


def look() -> Machine:
    """Return this machine as it is now."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(pages * size / 2**30, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _processor() -> str:
    """Return the processor's name: from /proc/cpuinfo on Linux, as platform says elsewhere."""
    said = Path("/proc/cpuinfo")
    if sys.platform == "linux" and said.exists():
        for line in said.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
