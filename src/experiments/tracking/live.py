"""A run as it is logged while it goes on."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.records import Dataset
from experiments.tracking import host, watch
from experiments.tracking.client import Status, Tracker, open_tracker
from experiments.tracking.errors import TrackingError
from experiments.tracking.traces import Answer

SECONDS_BETWEEN_STEPS = 5.0
ANSWERS_AT_ONCE = 25
"""Or more, if they came while others were written. One alone takes MLflow far longer."""

ANSWERS_IN_A_CALL = 50
"""A call of the process that logs is to end before the process would be ended by force."""

Write = Callable[[Tracker, str], None]
"""Writes a part of a run, given where to and the run's id."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beginning:
    """What a run in MLflow begins with.

    Attributes:
        uri, artifacts, experiment: as `open_tracker` takes them.
        name: of the run.
        parent: id of the sweep's run.
        tags: what it is found by, besides its parameters.
        traces: whether its generations are logged.
    """

    uri: str
    artifacts: str | None
    experiment: str
    name: str
    parent: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    traces: bool = True


class Live:
    """Logs one run from a thread of its own, through the process that calls MLflow.

    Nothing here waits until `close`. A run that cannot begin is an error while there is still
    something to generate, so that hours do not go by without a log; what fails later is told
    once, as a warning: no result is lost for want of one.
    """

    def __init__(self, beginning: Beginning) -> None:
        self._beginning = beginning
        self._refusal: Exception | None = None
        self._answers: deque[Answer] = deque()
        self._next_answers = time.monotonic() + SECONDS_BETWEEN_STEPS
        self._next_step = 0.0
        self._last_step: Write | None = None
        self._waiting: queue.SimpleQueue[Write | Status] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def parameters(self, settings: Mapping[str, Any]) -> None:
        """Log every resolved setting, given under its dotted name."""
        self._log(Tracker.log_parameters, settings)

    def dataset(self, dataset: Dataset) -> None:
        """Log the data set."""
        self._log(Tracker.log_dataset, dataset.name, dataset.digest, len(dataset.problems))

    def step(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log numbers of a run that is going on: at most once in five seconds, and the last.

        Raises:
            TrackingError: the run could not begin.
        """
        if self._refusal is not None:
            raise self._refusal

        def write(tracker: Tracker, run: str) -> None:
            host.call(Tracker.log_metrics, tracker, run, metrics, step)

        now = time.monotonic()
        if now < self._next_step:
            self._last_step = write
            return
        self._next_step = now + SECONDS_BETWEEN_STEPS
        self._last_step = None
        self._waiting.put(write)

    def answer(self, answer: Answer) -> None:
        """Log a generation as a trace, some at a time, where traces are wanted."""
        if not self._beginning.traces:
            return
        self._answers.append(answer)
        now = time.monotonic()
        if len(self._answers) >= ANSWERS_AT_ONCE or now >= self._next_answers:
            self._next_answers = now + SECONDS_BETWEEN_STEPS
            self._waiting.put(self._write_answers)

    def results(self, metrics: Mapping[str, float], folder: Path, note: str) -> None:
        """Log what came out: numbers, files and a description."""
        self._log(Tracker.log_metrics, metrics)
        self._log(Tracker.describe, note)
        self._log(Tracker.log_folder, folder)

    def close(self, status: Status, patience: float | None = None) -> None:
        """End the run when all is written; give up waiting after so many seconds."""
        if self._last_step is not None:
            self._waiting.put(self._last_step)
        self._waiting.put(self._write_answers)
        self._waiting.put(status)
        self._thread.join(patience)
        if self._refusal is not None and status == "FINISHED":
            log.warning("warning: %s", self._refusal)

    def _write_answers(self, tracker: Tracker, run: str) -> None:
        """Write the answers that have come until now."""
        while self._answers:
            some = min(len(self._answers), ANSWERS_IN_A_CALL)
            answers = [self._answers.popleft() for _ in range(some)]
            host.call(Tracker.log_traces, tracker, run, answers)

    def _log(self, method: Callable[..., None], *what: Any) -> None:
        self._waiting.put(lambda tracker, run: host.call(method, tracker, run, *what))

    def _work(self) -> None:
        try:
            tracker, run = _begin(self._beginning)
        except Exception as error:
            self._refusal = error
            return
        fine = True
        while not isinstance(item := self._waiting.get(), str):
            fine = fine and _written(item, tracker, run)
        if fine:
            _written(_end(item), tracker, run)
        else:  # what failed has been told
            with suppress(TrackingError):
                _end("FAILED")(tracker, run)


def _begin(beginning: Beginning) -> tuple[Tracker, str]:
    where = (beginning.uri, beginning.artifacts, beginning.experiment)
    tracker = host.call(open_tracker, *where)
    run = host.call(watch.begin, tracker, beginning.name, beginning.parent, beginning.tags)
    return tracker, run


def _end(status: Status) -> Write:
    return lambda tracker, run: host.call(watch.end, tracker, run, status)


def _written(write: Write, tracker: Tracker, run: str) -> bool:
    """Write, or warn of what failed; return whether it was written."""
    try:
        write(tracker, run)
    except TrackingError as error:
        log.warning("warning: %s", error)
        return False
    except Exception:  # a bug: told with its traceback, and the results are on disk
        log.exception("warning: MLflow lacks a part of this run")
        return False
    return True
