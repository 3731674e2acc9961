"""Isolations by name: which there are, which works here, what each lacks."""

import os
import platform
import sys
from dataclasses import dataclass

from experiments.errors import SandboxError
from experiments.sandbox import landlock, system_calls
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
    fault = ISOLATIONS["bubblewrap"].fault()
    version = landlock.version()
    here = f"{sys.platform} {platform.machine()}"
    return [
        Ability(
            "bubblewrap",
            not fault,
            fault or "no network, read-only root, private /tmp, own process tree",
        ),
        Ability(
            "system call filter",
            system_calls.filter_works(),
            "only what a program needs: no processes, sockets, signals or tracing"
            if system_calls.filter_works()
            else f"not on {here}",
        ),
        Ability(
            "limit of threads",
            system_calls.counting_works(),
            "each new thread is asked for"
            if system_calls.counting_works()
            else "threads are counted four times a second",
        ),
        Ability(
            "Landlock",
            version > 0,
            f"version {version}: only the folders a program needs" if version else "not here",
        ),
        Ability(
            "CPU clock of other processes",
            hasattr(os, "pidfd_open"),
            "time limits are measured from outside"
            if hasattr(os, "pidfd_open")
            else "time limits are held by RLIMIT_CPU and a wall clock",
        ),
        Ability(
            "memory limit",
            sys.platform == "linux",
            "address space per program" if sys.platform == "linux" else "cannot be had here",
        ),
    ]
