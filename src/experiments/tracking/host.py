"""This process's side of the one that calls MLflow.

Importing MLflow takes nearly a second of a processor, which a run has to spare while it imports
Hydra, composes its configuration and reads its problems, but only on another core. So the process
is started first of all, kept from job to job, and ended with this one.
"""

from __future__ import annotations

import atexit
import os
import pickle
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, ParamSpec, TypeVar

from experiments.tracking.errors import TrackingError

P = ParamSpec("P")
R = TypeVar("R")

CHARACTERS_KEPT = 2000
"""Of the last that the process wrote to standard error, shown when it died."""

SECONDS_TO_END = 0.3


FOR_DATABASES, FOR_SERVERS = 0, 1
"""Places in `worker.IMPORTS`."""


class Worker:
    """A process that makes the calls it is given, one after another."""

    def __init__(self, place: int = FOR_DATABASES) -> None:
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._used = False
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "experiments.tracking.worker", str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C in the terminal does not reach it
        )

    @property
    def is_alive(self) -> bool:
        """Whether this process can give it calls."""
        return self._owner == os.getpid() and self._process.poll() is None

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what a function of a module returns there, or raise what it raises.

        Raises:
            TrackingError: as the function says, or the process died.
        """
        with self._lock:
            self._used = True
            succeeded = None
            try:
                while succeeded is None:  # it became another, which can do what it could not
                    pickle.dump((function, args, kwargs), self._stdin)
                    self._stdin.flush()
                    succeeded, value = pickle.load(self._stdout)
            except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
                raise self._death() from error
            except BaseException:  # Ctrl-C: the reply would be taken for that of the next call
                self._process.kill()
                raise
        if not succeeded:
            raise value
        result: R = value
        return result

    def close(self, patience: float = SECONDS_TO_END) -> None:
        """End the process: after the call that it is at, if that is soon, or else by force.

        Args:
            patience: how many seconds to wait for its end, at most, when it has no more to do.
        """
        if self._owner != os.getpid() or self._stdout.closed:
            return  # a forked child has no say over its parent's worker
        # The lock is kept: no other thread's call comes after this.
        if not self._lock.acquire(timeout=SECONDS_TO_END):
            self._process.kill()  # which ends the other thread's call
            self._lock.acquire(timeout=SECONDS_TO_END)
        if not self._used:
            self._process.kill()
        with suppress(OSError):
            self._stdin.close()
        select.select([self._stdout], [], [], SECONDS_TO_END)  # closed when it has ended its runs
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self._stdout.close()
        self._errors.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _death(self) -> TrackingError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(SECONDS_TO_END)
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - CHARACTERS_KEPT))
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        said = f". It wrote: {last}" if last else ""
        return TrackingError(
            f"The process that logs to MLflow died (exit code {self._process.poll()}){said}",
            "Results are in the run's folder. To go without MLflow: tracking.enabled=false",
        )


def warm_up(arguments: Sequence[str]) -> None:
    """Have MLflow imported from now on, if these look like arguments of a run that is tracked.

    A wrong guess costs little: a process that nobody calls is ended with this one, and one that
    is missing is started by the first call.
    """
    is_run = all(each in ("-m", "--multirun") or each[:1] != "-" for each in arguments)
    if is_run and "tracking.enabled=false" not in arguments:
        is_served = any(each.startswith("tracking.uri=http") for each in arguments)
        with suppress(OSError):  # told when it is needed
            _worker(FOR_SERVERS if is_served else FOR_DATABASES)


def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what a function returns in the process that calls MLflow.

    Raises:
        TrackingError: as the function says, or the process died.
    """
    if _is_over:
        raise TrackingError("The process that logs to MLflow was ended")
    return _worker().call(function, *args, **kwargs)


def _worker(place: int = FOR_DATABASES) -> Worker:
    """Return the process, started anew if need be."""
    global _current
    if _current is None or not _current.is_alive:
        close()
        _current = Worker(place)
    return _current


@atexit.register
def _close_for_good() -> None:
    """End the process; threads that go on to the end of this one start no other."""
    global _is_over
    _is_over = True
    close(patience=0)  # it takes 10 ms to give its memory back, which nobody waits for


def close(patience: float = SECONDS_TO_END) -> None:
    """End the process, if there is one."""
    global _current
    if _current is not None:
        _current.close(patience)
        _current = None


_current: Worker | None = None
_is_over = False
