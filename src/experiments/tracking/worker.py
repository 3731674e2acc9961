"""The process that calls MLflow for one run: `python -m experiments.tracking.worker`.

Standard input brings, pickled, a `NewRun`, then its progress, and last an `End`. Standard output
takes two replies, an exception where something failed: one when the run has begun, one when it
has ended. Where the input ends without an `End`, whoever wrote it was killed, and the run ends
as KILLED.

A store that is away costs nothing but time: when the run ends, all of it is tried once more, for a
while, and what is missing then is noted in the folder for `experiments sync`.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, BinaryIO

from experiments.errors import TrackingAway, TrackingError, UserError
from experiments.tracking import bringing, notes
from experiments.tracking.logs import log_metrics
from experiments.tracking.notes import NewRun, Note
from experiments.tracking.opening import database_file, explained
from experiments.tracking.recorder import End, Progress

SECONDS_BETWEEN_TRIES = 2.0

ENVIRONMENT = {
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",  # a trace is there when it is assessed
    "MLFLOW_TRACE_SAMPLING_RATIO": "1",  # each sample is a trace
}
"""What MLflow reads, whatever the user's environment says."""


def main() -> None:
    """Log one run."""
    prepare()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    received: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, received)).start()
    new: NewRun | None = received.get()
    if new is None:
        return
    note = _result(notes.opened, new, time.time())
    if not isinstance(note, Note):  # nothing can be logged: the folder takes no note of it
        _reply(replies, note)
        _reply(replies, note)
        return
    begun = _result(bringing.begin, note, new.system_metrics)
    if isinstance(begun, Note):
        note = begun
        _end_stale(note)
    _reply(replies, begun)
    _reply(replies, _result(log, note, iter(received.get, None)))


def prepare() -> None:
    """Have MLflow do as this project needs it, whatever the user's environment says."""
    os.environ.update(ENVIRONMENT)
    os.environ.pop("MLFLOW_RUN_ID", None)  # MLflow would go on with that run


def log(note: Note, received: Iterable[Progress | End]) -> None:
    """Log the progress of a run, then its folder, and end it.

    What is logged of a run's progress may be lost without harm: the rest goes on. After a failure
    no more of it is logged, since each call may take MLflow minutes; the failure is raised at the
    end.
    """
    end = End("KILLED")
    failure: Exception | None = None
    for item in received:
        if isinstance(item, End):
            end = item
            break
        if failure is None:
            try:
                with explained(note.new.uri):
                    log_metrics(item.metrics, item.step)
            except Exception as error:
                failure = error
    status = notes.outcome(note.new.folder, end.status)
    bring(replace(note, status=status, description=end.description), patience(note.new.uri))
    if failure is not None and not isinstance(failure, TrackingAway):
        raise failure


def patience(uri: str) -> float:
    """Return for how many seconds a store that is away is tried again when a run has ended.

    Others may hold the lock of a database file for long; a server comes back, or does not.
    """
    return 90.0 if database_file(uri) is not None else 20.0


def bring(note: Note, seconds: float) -> None:
    """Log all that the folder has and end the run, again and again for some seconds.

    Raises:
        TrackingError: MLflow cannot be used; the folder has noted what was to be done.
    """
    notes.write(note)
    deadline = time.monotonic() + seconds
    while True:
        try:
            note = bringing.begin(note)
            if note.status == "FINISHED" or note.is_sweep:
                bringing.fill(note)
            bringing.end(note)
            return
        except Exception as error:
            may_pass = isinstance(error, TrackingAway)
            if may_pass and time.monotonic() + SECONDS_BETWEEN_TRIES < deadline:
                time.sleep(SECONDS_BETWEEN_TRIES)
                continue
            with suppress(Exception):  # else it stays MLflow's active run, and gets what is next
                bringing.fail(note)
            raise


def _end_stale(note: Note) -> None:
    """Have runs of this machine ended whose processes were killed, in a process of its own."""
    if note.new.parent is not None:
        return
    with suppress(TrackingError):
        host = note.new.tags.get("host", "")
        if folders := bringing.stale(note.new.uri, note.experiment_id, host):
            module = "experiments.tracking.syncing"
            subprocess.Popen(
                [sys.executable, "-P", "-m", module, note.new.uri, *folders],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )


def _receive(stream: BinaryIO, received: SimpleQueue[Any]) -> None:
    """Take what comes as it comes, so that the other process never waits; None is the end."""
    with suppress(EOFError, pickle.UnpicklingError):  # the other may be killed while it writes
        while True:
            received.put(pickle.load(stream))
    received.put(None)


def _result(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns, or the exception that it raises."""
    try:
        return function(*arguments)
    except UserError as error:
        return error
    except Exception:  # a bug; what MLflow raises cannot always be pickled
        return RuntimeError(traceback.format_exc())


def _reply(replies: BinaryIO, reply: Any) -> None:
    with suppress(BrokenPipeError):  # nobody may be left to read it
        replies.write(pickle.dumps(reply))
        replies.flush()


if __name__ == "__main__":
    main()
