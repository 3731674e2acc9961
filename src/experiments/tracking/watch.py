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
    run = tracker.start(name, parent, tags)
    _watched[run] = (tracker, None)
    if find_spec("psutil") is not None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        for module in ("system_metrics_monitor", "metrics"):
            logging.getLogger(f"mlflow.system_metrics.{module}").setLevel(logging.WARNING)
        monitor = SystemMetricsMonitor(
            run, sampling_interval=SECONDS_BETWEEN_SAMPLES, tracking_uri=tracker.uri
        )
        monitor.start()
        _watched[run] = (tracker, monitor)
    return run


def end(tracker: Tracker, run: str, status: Status) -> None:
    """End a run, watched or not."""
    _, monitor = _watched.pop(run, (tracker, None))
    if monitor is not None:
        monitor.finish()
    tracker.finish(run, status)


def abandon() -> None:
    """End all that are left as killed."""
    for run, (tracker, _) in list(_watched.items()):
        end(tracker, run, "KILLED")
