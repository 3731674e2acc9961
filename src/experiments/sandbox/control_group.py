"""A control group around a worker, where systemd gives one.

It counts all memory that a worker and its program make the kernel keep, of whatever kind, and
all their threads. Where there is none, the limits of the process and what the filter of system
calls refuses come near it.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from experiments.schema import SandboxConfig

WORKER_MEGABYTES = 512
"""For the worker itself, its modules, and files in memory."""

TASKS = 32
"""Processes and threads beside those of the program."""

PROBE_SECONDS = 10.0

_BOOTED = Path("/run/systemd/system")
_OF_SYSTEMD = ("PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
_MEMORY = 'cat "/sys/fs/cgroup$(grep ^0:: /proc/self/cgroup | cut -d: -f3)/memory.max"'


def wrapped(
    command: list[str], environment: dict[str, str], limits: SandboxConfig, threads: int
) -> tuple[list[str], dict[str, str]]:
    """Return a command and its environment such that it runs in a group of its own, if it can."""
    if not works():
        return command, environment
    tasks = TASKS + threads * (1 + limits.processes)
    group = _group(limits.memory_megabytes + WORKER_MEGABYTES, tasks)
    settings = [f"{name}={value}" for name, value in environment.items()]
    return [*group, "env", "-i", *settings, *command], _environment()


@cache
def works() -> bool:
    """Whether a group can be had here, and its limit of memory holds."""
    if not _BOOTED.exists() or not shutil.which("systemd-run"):
        return False
    try:
        done = subprocess.run(
            [*_group(100, 10), "sh", "-c", _MEMORY],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() == str(100 << 20)


def _group(megabytes: int, tasks: int) -> list[str]:
    command = ["systemd-run", "--scope", "--quiet", "--collect", "--no-ask-password"]
    command += [] if os.geteuid() == 0 else ["--user"]
    for setting in (f"MemoryMax={megabytes}M", "MemorySwapMax=0", f"TasksMax={tasks}"):
        command += ["-p", setting]
    return [*command, "--"]


def _environment() -> dict[str, str]:
    """What systemd-run needs; the worker gets an environment of its own."""
    return {name: os.environ[name] for name in _OF_SYSTEMD if name in os.environ}
