"""What is measured of a run while it generates, so that its cost is known later, too."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from experiments.backends import Backend
from experiments.environment.provenance import provenance
from experiments.records import Generation
from experiments.stats.costs import Measured

_TIMELESS = frozenset({"weights_sha256", "model", "stop"})
"""What a backend says of itself that makes no setting another."""


def with_costs(generations: Iterable[Generation], made_on: str) -> Iterator[Generation]:
    """Yield generations with their share of the wall clock, and machine and settings.

    Args:
        generations: as they are finished; the model is loaded before the first.
        made_on: see `setting`.
    """
    last = None
    began = time.monotonic()
    for generation in generations:
        now = time.monotonic()
        if last is None:  # what came before its own clock was loading the model
            own = generation.queue_seconds + generation.prefill_seconds + generation.decode_seconds
            last = max(began, now - own)
        yield replace(generation, wall_seconds=now - last, made_on=made_on)
        last = now


def setting(backend: Backend) -> str:
    """Return machine and settings, as far as time depends on them, in a line for people.

    Settings beside the threads are in it as a digest: equal ones are equal.
    """
    machine, described = provenance()["machine"], backend.describe()
    told = {name: value for name, value in described.items() if name not in _TIMELESS}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    parts = [f"{machine['processor']}, {machine['cores']} cores", str(described.get("name", ""))]
    if "threads" in described:
        parts.append(f"{described['threads']} threads")
    return ", ".join([*filter(None, parts), f"settings {digest[:8]}"])


def measured(backend: Backend, seconds: float) -> Measured:
    """Return what was measured of a run as a whole.

    Args:
        backend: has generated.
        seconds: wall clock of that, without loading the model.
    """
    return Measured(
        seconds=seconds,
        made_on=setting(backend),
        joules=backend.statistics().get("energy_joules"),
        usd_per_token=prices(backend),
    )


def prices(backend: Backend) -> tuple[float, float] | None:
    """Return what a prompt token and a new one cost in USD; None where there is no price."""
    described = backend.describe()
    found = (described.get(f"usd_per_million_{side}") for side in ("input", "output"))
    read, written = (None if price is None else float(price) / 1e6 for price in found)
    return None if read is None or written is None else (read, written)
