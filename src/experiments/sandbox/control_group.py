"""A control group around a worker, where the system gives one.

It counts all memory that a worker and its program make the kernel keep, of whatever kind, and
all their threads. systemd gives one to everybody. Else a group (version 2) that is delegated to
the user may have groups made in it, as may the topmost one by root. Where there is none, the
limits of the process and what the filter of system calls refuses come near it.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from experiments.schema import SandboxConfig

WORKER_MEGABYTES = 512
"""For the worker itself, its modules, and files in memory."""

TASKS = 32
"""Processes and threads beside those of the program."""

PROBE_SECONDS = 10.0
REMOVE_SECONDS = 5.0

_BOOTED = Path("/run/systemd/system")
_OF_SYSTEMD = ("PATH", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_PREFIX = "experiments-"
_ENTER = 'echo 0 > "$0" && exec "$@"'
_MEMORY = 'cat "$0$(grep ^0:: /proc/self/cgroup | cut -d: -f3)/memory.max"'


@dataclass(frozen=True, slots=True)
class Group:
    """A group for one worker; none, where it enters nothing.

    Attributes:
        entering: what stands before a command that is to run in it.
        environment: of that, beside the command's own.
        folder: that is to be removed; None if the system does it.
    """

    entering: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None

    def wrapped(
        self, command: list[str], environment: dict[str, str]
    ) -> tuple[list[str], dict[str, str]]:
        """Return a command and its environment such that it runs in this group."""
        if not self.environment:
            return [*self.entering, *command], environment
        settings = [f"{name}={value}" for name, value in environment.items()]
        return [*self.entering, "env", "-i", *settings, *command], self.environment

    def remove(self) -> None:
        """Kill what is left in it, and remove it."""
        if self.folder is None:
            return
        with contextlib.suppress(OSError):
            self.folder.joinpath("cgroup.kill").write_text("1")
        until = time.monotonic() + REMOVE_SECONDS
        while self.folder.exists() and time.monotonic() < until:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.01)


def around(limits: SandboxConfig, threads: int) -> Group:
    """Return a new group for a worker whose program has these limits, if one can be had."""
    maker = _maker()
    if not maker:
        return Group()
    tasks = TASKS + threads * (1 + limits.processes)
    return _made(maker, limits.memory_megabytes + WORKER_MEGABYTES, tasks)


def maker() -> str:
    """Return who gives groups here, whose limits hold; empty if nobody does."""
    found = _maker()
    return found if found in ("", _SYSTEMD) else f"delegated, in {found}"


_SYSTEMD = "systemd"


@cache
def _maker() -> str:
    """Return systemd, or a folder in which groups can be made; empty if there is neither."""
    has_systemd = _BOOTED.exists() and shutil.which("systemd-run")
    candidates = ([_SYSTEMD] if has_systemd else []) + _delegated()
    return next((each for each in candidates if _holds(each)), "")


def _delegated() -> list[str]:
    """Return groups above this process in which others can be made, with limits of both kinds."""
    try:
        lines = _OWN.read_text().splitlines()
        own = next(line[3:] for line in lines if line.startswith("0::"))
    except (OSError, StopIteration):
        return []
    found = []
    for name in (Path(own), *Path(own).parents):
        folder = _GROUPS / str(name).lstrip("/")
        with contextlib.suppress(OSError):
            given = folder.joinpath("cgroup.subtree_control").read_text().split()
            if {"memory", "pids"} <= set(given) and os.access(folder / "cgroup.procs", os.W_OK):
                found.append(str(folder))
    return found


def _holds(maker: str) -> bool:
    """Whether a process in a group has the group's limit of memory."""
    try:
        group = _made(maker, 100, 10)
    except OSError:
        return False
    try:
        command, environment = group.wrapped(
            ["sh", "-c", _MEMORY, str(_GROUPS)], {"PATH": os.environ.get("PATH", os.defpath)}
        )
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        group.remove()
    return done.stdout.strip() == str(100 << 20)


def _made(maker: str, megabytes: int, tasks: int) -> Group:
    if maker == _SYSTEMD:
        command = ["systemd-run", "--scope", "--quiet", "--collect", "--no-ask-password"]
        command += [] if os.geteuid() == 0 else ["--user"]
        for setting in (f"MemoryMax={megabytes}M", "MemorySwapMax=0", f"TasksMax={tasks}"):
            command += ["-p", setting]
        environment = {name: os.environ[name] for name in _OF_SYSTEMD if name in os.environ}
        return Group([*command, "--"], environment)
    _remove_those_left(Path(maker))
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=maker))
    group = Group(["sh", "-c", _ENTER, str(folder / "cgroup.procs")], {}, folder)
    try:
        folder.joinpath("memory.max").write_text(str(megabytes << 20))
        folder.joinpath("pids.max").write_text(str(tasks))
        with contextlib.suppress(OSError):  # a kernel without swap
            folder.joinpath("memory.swap.max").write_text("0")
    except BaseException:
        group.remove()
        raise
    return group


def _remove_those_left(folder: Path) -> None:
    """Remove groups of judges that were killed; none that has a process can be removed."""
    for each in folder.glob(f"{_PREFIX}*"):
        pid = each.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                each.rmdir()
