"""Runs that go on: their machine's numbers are logged, and none stays open for ever."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from experiments.tracking.client import Status, Tracker

SECONDS_BETWEEN_SAMPLES = 3

_watched: dict[str, tuple[Tracker, Any]] = {}


def begin(tracker: Tracker, name: str, parent: str | None, tags: Mapping[str, str]) -> str:
    """Begin a run and return its id.

    CPU, memory, disk and network are logged to it from now on, where psutil is installed.
    """
    _monitor_class()  # nothing must be wanting once the run has begun
    run = tracker.start(name, parent, tags)
    watch(tracker, run)
    return run


def watch(tracker: Tracker, run: str, goes_on: bool = False) -> None:
    """Log the machine's numbers to a run from now on; `goes_on` if that was done before."""
    _watched[run] = (tracker, None)
    if (make := _monitor_class()) is not None:
        monitor = make(
            run,
            sampling_interval=SECONDS_BETWEEN_SAMPLES,
            resume_logging=goes_on,
            tracking_uri=tracker.uri,
        )
        monitor.start()
        _watched[run] = (tracker, monitor)


def watched() -> list[tuple[Tracker, str]]:
    """Return the runs that have begun and not ended."""
    return [(tracker, run) for run, (tracker, _) in _watched.items()]


def end(tracker: Tracker, run: str, status: Status) -> None:
    """End a run, watched or not."""
    _, monitor = _watched.pop(run, (tracker, None))
    if monitor is not None:
        monitor.finish()
    tracker.finish(run, status)


def abandon() -> None:
    """End all that are left as killed."""
    for tracker, run in watched():
        end(tracker, run, "KILLED")


def _monitor_class() -> Any:
    """Return MLflow's class; None without psutil."""
    if find_spec("psutil") is None:
        return None
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    for module in ("system_metrics_monitor", "metrics"):
        logging.getLogger(f"mlflow.system_metrics.{module}").setLevel(logging.WARNING)
    return SystemMetricsMonitor
