"""Runs that go on: their machine's numbers are logged, and none stays open for ever."""

from __future__ import annotations

import logging
import os
from importlib.util import find_spec
from typing import Any

from experiments.tracking.client import Status, Tracker

SECONDS_BETWEEN_SAMPLES = 5

NICENESS = 5
"""Of this process while a run goes on: a model's threads wait for each other, so a pause of
one of them is a pause of all."""

_watched: dict[str, tuple[Tracker, Any]] = {}


def watch(tracker: Tracker, run: str) -> None:
    """Log CPU, memory, disk and network to a run from now on, where psutil is installed."""
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    monitor = None
    if find_spec("psutil") is not None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        for name in ("system_metrics_monitor", "metrics"):
            logging.getLogger(f"mlflow.system_metrics.{name}").setLevel(logging.WARNING)
        monitor = SystemMetricsMonitor(
            run, sampling_interval=SECONDS_BETWEEN_SAMPLES, tracking_uri=tracker.uri
        )
        monitor.start()
    _watched[run] = (tracker, monitor)


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
