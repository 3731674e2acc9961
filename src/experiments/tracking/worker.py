"""The process that calls MLflow: `python -m experiments.tracking.worker PLACE [RUNS]`.

It reads pickled calls from standard input and writes to what was standard output, for each,
whether it succeeded and what it returned or raised; None for that, if it is to be called again.
Ctrl-C is the parent's affair. When the parent has gone, runs that it did not end are ended as
killed.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO

from experiments.errors import UserError
from experiments.tracking import watch
from experiments.tracking.client import Tracker
from experiments.tracking.hollow import Hollow, HollowUsed

UNNEEDED = ("numpy", "pandas", "pyarrow", "pygments", "scipy")
"""What MLflow imports where it can and does without where it cannot, as logging does: nearly
half of the time that it takes to import."""

OTHER_PARTS = (
    "fastapi",
    "mlflow.data",
    "mlflow.gateway",
    "mlflow.genai",
    "mlflow.models",
    "mlflow.projects",
    "mlflow.server",
    "mlflow.store._unity_catalog",
    "pydantic",
)
"""What MLflow imports for names that logging never uses: with `HTTP`, a third of the rest of the
time."""

HTTP = ("requests", "urllib3")
"""What it imports for names that logging to a database never uses."""

IMPORTS: tuple[tuple[Sequence[str], Sequence[str]], ...] = (
    (UNNEEDED, (*OTHER_PARTS, *HTTP)),
    (UNNEEDED, OTHER_PARTS),
    ((), ()),
)
"""What MLflow is imported without, and what is hollow then: for a database; for a server; and
where more is needed than was thought."""


def main(place: int = 0, runs: Sequence[tuple[str, str, str]] = ()) -> None:
    """Serve one parent until it goes away.

    Args:
        place: among `IMPORTS`.
        runs: that began before this process began again: MLflow's address, the id of the
            experiment, and that of the run.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed must not get between the replies
    try:
        import_mlflow(*IMPORTS[place])
        for uri, experiment, run in runs:
            watch.watch(Tracker(uri, experiment), run, goes_on=True)
    except Exception:
        if place + 1 == len(IMPORTS):
            raise
        _begin_again(replies, place + 1, runs)
    with suppress(BrokenPipeError):
        try:
            serve(sys.stdin.buffer, replies)
        except HollowUsed:
            _reply(replies, pickle.dumps((None, None)))
            left = [(tracker.uri, tracker.experiment_id, run) for tracker, run in watch.watched()]
            _begin_again(replies, place + 1, left)
    with suppress(UserError):
        watch.abandon()
    with suppress(BrokenPipeError):
        replies.close()
    sys.stderr.flush()
    os._exit(0)  # Python would take a second to take apart what MLflow loaded


def _begin_again(replies: BinaryIO, place: int, runs: Sequence[tuple[str, str, str]]) -> None:
    """Become a process that imports more."""
    os.dup2(replies.fileno(), 1)
    command = [sys.executable, "-m", __spec__.name, str(place), json.dumps(runs)]
    os.execv(sys.executable, command)


def import_mlflow(without: Sequence[str] = (), hollow: Sequence[str] = ()) -> None:
    """Import what the first call would have to wait for.

    Args:
        without: modules whose import is to fail.
        hollow: packages that are there for show while MLflow is imported.
    """
    gc.disable()  # nothing that is imported here becomes garbage
    absent: dict[str, Any] = dict.fromkeys(without)
    sys.modules.update(absent)
    with Hollow(hollow):
        import mlflow
        from mlflow.store.tracking import sqlalchemy_store
    assert mlflow
    assert sqlalchemy_store
    gc.freeze()
    gc.enable()


def serve(calls: BinaryIO, replies: BinaryIO) -> None:
    """Make the calls that a stream gives until it ends."""
    while True:
        try:
            function, args, kwargs = pickle.load(calls)
        except EOFError:
            return
        _reply(replies, _result(function, args, kwargs))


def _reply(replies: BinaryIO, reply: bytes) -> None:
    replies.write(reply)
    replies.flush()


def _result(function: Any, args: Any, kwargs: Any) -> bytes:
    try:
        return pickle.dumps((True, function(*args, **kwargs)))
    except UserError as error:
        return pickle.dumps((False, error))
    except Exception:  # a bug; what MLflow raises cannot always be pickled
        return pickle.dumps((False, RuntimeError(traceback.format_exc())))


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(json.loads, sys.argv[2:]))
