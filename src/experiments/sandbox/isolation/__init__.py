"""Isolations by name: which there are, which works here, what each lacks."""

import os
import platform
import sys
from dataclasses import dataclass

from experiments.errors import SandboxError
from experiments.sandbox import confinement, control_group, landlock, system_calls
from experiments.sandbox.isolation.base import Isolation
from experiments.sandbox.isolation.bubblewrap import Bubblewrap
from experiments.sandbox.isolation.process import Process

ISOLATIONS: dict[str, Isolation] = {each.name: each for each in (Bubblewrap(), Process())}
"""The strongest first: `auto` takes the first that works. The last always does."""


@dataclass(frozen=True)
class Ability:
    """One thing that this machine can or cannot do for the sandbox."""

    name: str
    works: bool
    detail: str


def choose(requested: str) -> str:
    """Return the name of the isolation that is taken.

    Args:
        requested: a name, or `auto`.

    Raises:
        SandboxError: the one that was asked for does not work here.
    """
    if requested == "auto":
        return next(name for name, each in ISOLATIONS.items() if not each.fault())
    reason = ISOLATIONS[requested].fault()
    if reason:
        raise SandboxError(
            f"sandbox.isolation={requested} does not work here: {reason}",
            f"Install {requested} (apt install {requested}), or set sandbox.isolation=auto.",
        )
    return requested


def missing(isolation: str) -> str:
    """Return one line on what the chosen isolation lacks; empty if it lacks nothing."""
    gaps = ISOLATIONS[isolation].not_covered()
    if not gaps:
        return ""
    strongest = next(iter(ISOLATIONS))
    reason = ISOLATIONS[strongest].fault() or f"isolation={isolation} was asked for"
    return f"Programs run without {strongest} ({reason}). They lack: {', '.join(gaps)}."


def abilities() -> list[Ability]:
    """Return what this machine can do for the sandbox, for `experiments doctor`."""
    fault, version = ISOLATIONS["bubblewrap"].fault(), landlock.version()
    has_filter, counts = system_calls.filter_works(), system_calls.counting_works()
    has_clock, is_linux = hasattr(os, "pidfd_open"), sys.platform == "linux"
    rows = (
        ("bubblewrap", not fault, "own network, files, /tmp and process tree", fault),
        (
            "system call filter",
            has_filter,
            "only what a program needs: no processes, sockets, signals or tracing",
            f"not on {sys.platform} {platform.machine()}",
        ),
        (
            "limit of threads",
            counts,
            "each new thread is asked for",
            "threads are counted four times a second",
        ),
        ("Landlock", version > 0, f"version {version}: only the folders it needs", "not here"),
        (
            "CPU clock of other processes",
            has_clock,
            "time limits are measured from outside",
            "time limits are held by RLIMIT_CPU and a wall clock",
        ),
        (
            "control group",
            bool(control_group.maker()),
            f"all memory and threads of a program are counted ({control_group.maker()})",
            "neither systemd nor a delegated group gives one: what the kernel keeps for a program "
            "is held by other limits",
        ),
        (
            "model's process",
            not confinement.missing(),
            "reads files of strangers without network, and writes to its own folder only",
            f"it reads files of strangers, and lacks: {', '.join(confinement.missing())}",
        ),
        ("memory limit", is_linux, "address space per program", "cannot be had here"),
    )
    return [Ability(name, works, good if works else bad) for name, works, good, bad in rows]
