"""A run's side of the process that logs it to MLflow.

MLflow lives in a process of its own because only that can end a run whose process was killed.
Besides, neither its import nor a slow server holds anything up here.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from experiments.errors import TrackingAway, TrackingError
from experiments.tracking.logs import storable
from experiments.tracking.notes import NewRun, Note, Status

log = logging.getLogger(__name__)

SECONDS_BETWEEN_STEPS = 10.0
"""Numbers of a run that goes on are logged as often as MLflow logs those of the machine."""

CHARACTERS_KEPT = 2000
"""So many of the last that the process wrote to standard error are looked at when it died."""


@dataclass(frozen=True)
class End:
    """How a run ended, and its description where its folder has none."""

    status: Status
    description: str = ""


@dataclass(frozen=True)
class Progress:
    """Numbers of a run that goes on."""

    step: int
    metrics: Mapping[str, float]


class Recorder:
    """Logs one run to MLflow through a process of its own. Nothing waits until `wait`."""

    def __init__(self, new: NewRun, claim: int | None = None) -> None:
        """Begin a run.

        Args:
            new: what it begins with.
            claim: the descriptor by which the run's folder is held, for as long as it is logged.
        """
        self._started: Future[Note] = Future()
        self._ended: Future[None] = Future()
        self._next_step = 0.0
        self.has_warned = False
        self._last_step: Progress | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "experiments.tracking.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C in the terminal does not reach it
            pass_fds=() if claim is None else (claim,),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        threading.Thread(target=self._listen, name="tracking", daemon=True).start()
        self._send(new)

    def progress(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log numbers of a run that goes on: at most once in ten seconds, and the last.

        Raises:
            TrackingError: the run could not begin, by a mistake that somebody has to put right.
        """
        if self._started.done():
            with suppress(TrackingAway):  # it is tried once more at the end
                self._started.result()
        now = time.monotonic()
        self._last_step = Progress(step, dict(metrics))
        if now >= self._next_step:
            self._next_step = now + SECONDS_BETWEEN_STEPS
            self._send_last_step()

    def warn_if_away(self) -> None:
        """Say at once if the store cannot be reached: the run goes on without it."""

        def warn(started: Future[Note]) -> None:
            if isinstance(error := started.exception(), TrackingAway):
                self.has_warned = True
                log.warning("warning: %s", error)

        self._started.add_done_callback(warn)

    def started(self) -> Note:
        """Wait until the run has begun, and return where it is.

        Raises:
            TrackingError: it could not.
        """
        return self._started.result()

    def end(self, status: Status, description: str = "") -> None:
        """Log the folder and end the run. Whatever is asked for later is ignored."""
        self._send_last_step()
        self._send(End(status, description))
        self._close_input()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the run has ended; return whether it has after so many seconds.

        If nobody waits, it goes on by itself until all is logged.

        Raises:
            TrackingError: the run could not begin, or MLflow lacks a part of it.
        """
        try:
            self._ended.result(seconds)
        except TimeoutError:
            return False
        return True

    def _send_last_step(self) -> None:
        if self._last_step is not None:
            self._send(self._last_step)
            self._last_step = None

    def _send(self, item: NewRun | Progress | End) -> None:
        data = pickle.dumps(storable(item))
        with suppress(OSError, ValueError):  # it has died, or was asked to end
            self._stdin.write(data)
            self._stdin.flush()

    def _close_input(self) -> None:
        with suppress(OSError):  # it has died
            self._stdin.close()

    def _listen(self) -> None:
        """Take both replies, in a thread of their own, and see the process off."""
        try:
            self._set(self._started)
            self._set(self._ended)
        except TrackingError as death:
            for future in (self._started, self._ended):
                if not future.done():
                    future.set_exception(death)
        self._close_input()
        self._process.wait()
        self._stdout.close()
        self._errors.close()

    def _set(self, future: Future[Any]) -> None:
        """Take a reply, which may be an error.

        Raises:
            TrackingError: the process died.
        """
        try:
            reply = pickle.load(self._stdout)
        except (EOFError, pickle.UnpicklingError):
            raise self._death() from None
        if isinstance(reply, Exception):
            future.set_exception(reply)
        else:
            future.set_result(reply)

    def _death(self) -> TrackingError:
        self._close_input()
        code = self._process.wait()
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - CHARACTERS_KEPT))
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        wrote = f". It wrote: {last}" if last else ""
        return TrackingError(
            f"The process that logs to MLflow died (exit code {code}){wrote}",
            "Results are in the run's folder. To go without MLflow: tracking.enabled=false",
        )
