"""Runs in MLflow. The only module that imports it, in a process of its own.

    live      a run as it is logged while it goes on
      ↓
    host      this process's side ⇄ worker    the process that calls MLflow
                                      ↓
                                    watch     the machine's numbers; runs left open
                                    client    experiments, runs, artifacts
                                    traces    a generation as a trace

The run folder is the truth and MLflow a view of it: whatever fails here costs nothing that
was generated or judged.
"""

from experiments.tracking.client import Status, Tracker, fetch, is_run_id, open_tracker
from experiments.tracking.errors import TrackingError
from experiments.tracking.host import call, warm_up
from experiments.tracking.live import Beginning, Live
from experiments.tracking.traces import Answer

__all__ = [
    "Answer",
    "Beginning",
    "Live",
    "Status",
    "Tracker",
    "TrackingError",
    "call",
    "fetch",
    "is_run_id",
    "open_tracker",
    "warm_up",
]
