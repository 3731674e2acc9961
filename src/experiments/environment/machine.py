"""What this machine offers: cores, memory, energy counters."""

from __future__ import annotations

import os
from pathlib import Path

MEBIBYTE = 2**20

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the energy counters of Intel's and AMD's processors (root may read them)."""


def cores() -> int:
    """Return how many cores this process may use, hyperthreads counted once."""
    allowed = _allowed_processors()
    siblings = set()
    for processor in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        try:
            siblings.add(topology.read_text(encoding="ascii").strip())
        except OSError:
            siblings.add(str(processor))
    return max(1, min(len(siblings), _quota()))


def memory_total() -> int:
    """Return the bytes of memory that this process may ever use."""
    return min(_meminfo("MemTotal"), _cgroup("memory.max"))


def memory_available() -> int:
    """Return the bytes of memory that are free now, caches that can be dropped included."""
    limit = _cgroup("memory.max")
    if limit < _UNKNOWN:
        limit = max(0, limit - _cgroup("memory.current") + _cgroup_cache())
    return min(_meminfo("MemAvailable"), limit)


def energy_joules() -> dict[str, float]:
    """Return the machine's energy counters; none where they cannot be read."""
    counters = {}
    for folder in sorted(POWERCAP.glob("intel-rapl:*")):
        if folder.name.count(":") > 1:
            continue  # part of a package, whose counter has it already
        try:
            if (folder / "name").read_text().strip() == "psys":
                continue  # the whole board, which counts the packages again
            counters[folder.name] = int((folder / "energy_uj").read_text()) / 1e6
        except (OSError, ValueError):
            continue
    return counters


def energy_between(before: dict[str, float], after: dict[str, float]) -> float | None:
    """Return the joules used between two readings; None where there are no counters."""
    joules = 0.0
    for name, start in before.items():
        if name not in after:
            return None
        used = after[name] - start
        if used < 0:  # the counter began again
            try:
                used += int((POWERCAP / name / "max_energy_range_uj").read_text()) / 1e6
            except (OSError, ValueError):
                return None
        joules += used
    return joules if before else None


_UNKNOWN = 2**62


def _allowed_processors() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _quota() -> int:
    """Return the cores that a container may use."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return _UNKNOWN
    return _UNKNOWN if quota == "max" else max(1, int(quota) // int(period))


def _meminfo(name: str) -> int:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return _UNKNOWN


def _cgroup(name: str) -> int:
    try:
        text = Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
    except OSError:
        return _UNKNOWN
    return int(text) if text.isdigit() else _UNKNOWN


def _cgroup_cache() -> int:
    """Return what the container holds of files and could drop."""
    try:
        lines = Path("/sys/fs/cgroup/memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
