"""How jobs of a sweep share a machine, and what each asks of a cluster: arithmetic alone.

llama.cpp computes about as much with one thread in each of four jobs as with four threads in
one, and threads that wait for each other on busy cores are many times slower. So as many jobs go
on at once as have a core and fit into memory together, and each has its part of the cores.
"""

from __future__ import annotations

from collections.abc import Sequence

GIBIBYTE = 2**30

BESIDE = 0.7 * GIBIBYTE
"""What a job takes beside its model: its own process, the one that logs to MLflow, and the
workers of the sandbox; see docs/clusters.md."""

SPARE = 0.9
"""Of the memory that is free, the part that jobs may plan with."""

USUAL_GIBIBYTES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Amounts of memory that are asked of a cluster: few, so that many jobs share an array."""

USUAL_MINUTES = (60, 120, 240, 480, 720, 1440)
"""Time limits that are asked of a cluster. A job that needs longer goes on in a next round."""

BEFORE_AND_AFTER_MINUTES = 20
"""For what a plan's time does not hold: fetching, quantizing, loading, judging."""


def at_once(needs: Sequence[float], cores: int, free: float) -> int:
    """Return how many jobs go on at once: each has a core, and the largest fit together.

    Args:
        needs: bytes that each job takes.
        cores: that there are.
        free: bytes of memory that are free.
    """
    room, count = SPARE * free, 0
    for need in sorted(needs, reverse=True)[:cores]:
        room -= need
        if room < 0:
            break
        count += 1
    return max(1, count)


def gibibytes(need: float) -> int:
    """Return the memory to ask of a cluster for a job that takes so many bytes."""
    wanted = need / SPARE / GIBIBYTE
    return next((size for size in USUAL_GIBIBYTES if size >= wanted), round(wanted + 0.5))


def minutes(seconds: float) -> int:
    """Return the time limit to ask of a cluster for a job that generates for so long."""
    wanted = seconds / 60 + BEFORE_AND_AFTER_MINUTES
    return next((limit for limit in USUAL_MINUTES if limit >= wanted), USUAL_MINUTES[-1])
