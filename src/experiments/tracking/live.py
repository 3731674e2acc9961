"""A run as it is logged while it goes on."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from experiments.records import Dataset
from experiments.tracking import host, watch
from experiments.tracking.client import Status, Tracker
from experiments.tracking.errors import TrackingError
from experiments.tracking.traces import Answer

SECONDS_BETWEEN_STEPS = 2.0
ANSWERS_AT_ONCE = 10

Write = Callable[[], None]
"""Writes a part of a run."""

log = logging.getLogger(__name__)


class Live:
    """Logs one run from a thread of its own, through the process that calls MLflow.

    Once the run has begun, nothing here waits until `close`. What fails then is told once, as
    a warning: a result is not lost for want of a log.

    Args:
        tracker: where to.
        name: of the run.
        parent: id of the sweep's run.
        tags: what it is found by, besides its parameters.
        traces: whether its generations are logged.

    Raises:
        TrackingError: the run could not begin.
    """

    def __init__(
        self,
        tracker: Tracker,
        name: str,
        parent: str | None = None,
        tags: Mapping[str, str] = {},
        traces: bool = True,
    ) -> None:
        self._tracker = tracker
        self._run = host.call(Tracker.start, tracker, name, parent, tags)
        host.call(watch.watch, tracker, self._run)
        self._traces = traces
        self._answers: list[Answer] = []
        self._next_step = 0.0
        self._last_step: Write | None = None
        self._waiting: queue.SimpleQueue[Write | Status] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def parameters(self, config: Mapping[str, Any]) -> None:
        """Log every resolved setting."""
        self._put(Tracker.log_parameters, config)

    def dataset(self, dataset: Dataset) -> None:
        """Log the data set."""
        self._put(Tracker.log_dataset, dataset)

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log numbers of a run that is going on: at most once in two seconds, and the last."""

        def write() -> None:
            host.call(Tracker.log_metrics, self._tracker, self._run, metrics, step)

        now = time.monotonic()
        if now < self._next_step:
            self._last_step = write
            return
        self._next_step = now + SECONDS_BETWEEN_STEPS
        self._last_step = None
        self._waiting.put(write)

    def answer(self, answer: Answer) -> None:
        """Log a generation as a trace, some at a time, where traces are wanted."""
        if not self._traces:
            return
        self._answers.append(answer)
        if len(self._answers) >= ANSWERS_AT_ONCE:
            self._put_answers()

    def results(self, metrics: Mapping[str, float], folder: Path, note: str) -> None:
        """Log what came out: numbers, files and a description."""
        self._put(Tracker.log_metrics, metrics)
        self._put(Tracker.describe, note)
        self._put(Tracker.log_folder, folder)

    def close(self, status: Status, patience: float | None = None) -> None:
        """End the run when all is written; give up waiting after so many seconds."""
        if self._last_step is not None:
            self._waiting.put(self._last_step)
        self._put_answers()
        self._waiting.put(status)
        self._thread.join(patience)

    def _put_answers(self) -> None:
        if self._answers:
            self._put(Tracker.log_traces, self._answers)
            self._answers = []

    def _put(self, method: Callable[[Tracker, str, Any], None], what: Any) -> None:
        self._waiting.put(lambda: host.call(method, self._tracker, self._run, what))

    def _work(self) -> None:
        fine = True
        while not isinstance(item := self._waiting.get(), str):
            fine = fine and _told(item)
        if fine:
            _told(lambda: host.call(watch.end, self._tracker, self._run, item))
        else:  # what failed has been told
            with suppress(TrackingError):
                host.call(watch.end, self._tracker, self._run, "FAILED")


def _told(write: Write) -> bool:
    """Write, or say what failed; return whether it was written."""
    try:
        write()
    except TrackingError as error:
        log.warning("warning: %s", error)
        return False
    except Exception:  # a bug: told with its traceback, and the results are on disk
        log.exception("warning: MLflow lacks a part of this run")
        return False
    return True
