"""The machine that the figures were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import sys
import time
from importlib import metadata
from pathlib import Path
from tempfile import NamedTemporaryFile

_PACKAGES = ("sqlalchemy", "msgspec", "fastapi", "uvicorn", "flask", "waitress", "jsocket")


def describe(folder: Path) -> dict[str, str]:
    """The machine and the program versions, in words; `folder` holds the databases."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {
        "processor": f"{_processor()}, {os.cpu_count()} logical processors{_virtual()}",
        "memory": f"{int(memory.split()[1]) / 2**20:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, {_filesystem(folder)}",
        "disk": f"{flush_seconds(folder) * 1e3:.2f} ms for appending 4 KiB and fdatasync (median)",
        "python": f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "packages": ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES),
        "switch interval": f"{sys.getswitchinterval() * 1e3:g} ms",
        "load before": f"{os.getloadavg()[0]:.2f} (1 minute)",
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _virtual() -> str:
    return ", virtual machine" if " hypervisor" in Path("/proc/cpuinfo").read_text() else ""


def _filesystem(folder: Path) -> str:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    within = [mount for mount in mounts if str(folder.resolve()).startswith(mount[1])]
    return max(within, key=lambda mount: len(mount[1]))[2]


def flush_seconds(folder: Path) -> float:
    """Time to append 4 KiB durably: the median of 100."""
    times = []
    with NamedTemporaryFile(dir=folder) as file:
        for _ in range(100):
            began = time.perf_counter()
            os.write(file.fileno(), bytes(4_096))
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)
