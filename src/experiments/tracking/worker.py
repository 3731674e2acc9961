"""The process that calls MLflow for one run: `python -m experiments.tracking.worker`.

Standard input brings, pickled, a `NewRun`, then calls, and last the status that the run ends
with. Standard output takes two replies, an exception where something failed: one when the run
has begun, one when it has ended. Where the input ends without a status, whoever wrote it was
killed, and the run ends as KILLED.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.util import find_spec
from queue import SimpleQueue
from typing import Any, BinaryIO

from experiments.errors import UserError
from experiments.tracking.opening import explained, open_experiment
from experiments.tracking.recorder import Call, NewRun, StartedRun, Status

ENVIRONMENT = {
    "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",  # a trace is there when it is assessed
    "MLFLOW_TRACE_SAMPLING_RATIO": "1",  # each sample is a trace
}
"""What MLflow reads, whatever the user's environment says."""


def main() -> None:
    """Log one run."""
    os.environ.update(ENVIRONMENT)
    os.environ.pop("MLFLOW_RUN_ID", None)  # MLflow would go on with that run
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    received: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(sys.stdin.buffer, received)).start()
    new: NewRun | None = received.get()
    if new is None:
        return
    started = _result(start, new)
    _reply(replies, started)
    if isinstance(started, StartedRun):
        _reply(replies, _result(log, new.uri, iter(received.get, None)))


def start(new: NewRun) -> StartedRun:
    """Begin the run, and make it MLflow's active one.

    Raises:
        TrackingError: the database or the server cannot be used.
    """
    experiment = open_experiment(new.uri, new.artifacts, new.experiment)
    with explained(new.uri):
        import mlflow

        mlflow.set_tracking_uri(new.uri)
        mlflow.set_experiment(experiment_id=experiment)
        run = mlflow.start_run(
            run_name=new.name,
            parent_run_id=new.parent,
            tags=dict(new.tags),
            log_system_metrics=new.system_metrics and find_spec("psutil") is not None,
        )
    return StartedRun(run.info.run_id, experiment)


def log(uri: str, received: Iterable[Call | Status]) -> None:
    """Make the calls and end the active run; the first failure is raised then.

    What is logged of a run's progress may be lost without harm: the rest goes on. After any
    other failure nothing more is tried, since each try may take MLflow minutes, and the run
    ends as failed.
    """
    import mlflow

    status: Status = "KILLED"
    failure: Exception | None = None
    goes_on = True
    for item in received:
        if not isinstance(item, Call):
            status = item
            break
        if not goes_on or (failure and item.is_progress):
            continue
        try:
            with explained(uri):
                item.function(*item.arguments)
        except Exception as error:
            failure = failure or error
            goes_on = item.is_progress
    with explained(uri):
        mlflow.end_run(status if goes_on else "FAILED")
    if failure is not None:
        raise failure


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
