"""What this machine offers: cores, memory, energy counters.

The one place where cores and memory are counted: limits of containers and batch jobs hold.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path, PurePosixPath

MEBIBYTE = 2**20

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the energy counters of Intel's and AMD's processors (root may read them)."""


CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
"""Where Linux shows what a container, a service or a batch job may use."""


def cores() -> int:
    """Return how many cores this process may use, hyperthreads counted once."""
    siblings = set()
    for processor in _allowed_processors():
        topology = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        try:
            siblings.add(topology.read_text(encoding="ascii").strip())
        except OSError:
            siblings.add(str(processor))
    return max(1, min(len(siblings), *(int(quota) for quota in _quotas())))


def memory_total() -> int:
    """Return the bytes of memory that this process may ever use."""
    return min(_meminfo("MemTotal"), *(limit for limit, _ in _memory_limits()))


def memory_available() -> int:
    """Return the bytes of memory that are free now, caches that can be dropped included."""
    free = (max(0, limit - used) for limit, used in _memory_limits())
    return min(_meminfo("MemAvailable"), *free)


def is_here(host: str) -> bool:
    """Return whether a server of that name or address runs on this machine."""
    if host in ("localhost", "host.docker.internal", socket.gethostname().lower()):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


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


def _quotas() -> Iterator[float]:
    """Yield the cores that each control group around this process may use."""
    yield _UNKNOWN
    for folder in _groups("cpu"):
        of_version_1 = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        quota, period = _text(folder / "cpu.max").split() or of_version_1
        if quota.isdecimal() and period.isdecimal():  # else "max", or -1: no limit
            yield int(quota) / int(period)


def _memory_limits() -> Iterator[tuple[int, int]]:
    """Yield the limit of each control group around this process, and what it uses of it.

    Of what it holds of files, what could be dropped does not count as used.
    """
    yield _UNKNOWN, 0
    for folder in _groups("memory"):
        limit = _text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes")
        used = _text(folder / "memory.current") or _text(folder / "memory.usage_in_bytes")
        if limit.isdecimal() and used.isdecimal():
            held = dict(line.split() for line in _text(folder / "memory.stat").splitlines())
            cache = held.get("total_inactive_file") or held.get("inactive_file", "0")
            yield int(limit), int(used) - int(cache)


def _groups(controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups that this process is in, of either version."""
    for line in _text(OWN_GROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = CONTROL_GROUPS / controller if controllers else CONTROL_GROUPS
        own = PurePosixPath(path.lstrip("/"))
        yield root
        # Of a process that was moved into a container from outside, the path leads out of it.
        if ".." not in own.parts:
            yield from (root / part for part in (own, *own.parents) if part.name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


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
