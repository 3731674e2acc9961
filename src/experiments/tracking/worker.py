"""The process that calls MLflow: `python -m experiments.tracking.worker PLACE`.

It reads pickled calls from standard input and writes to what was standard output, for each,
whether it succeeded and what it returned or raised; None for that, if it is to be called again.
Ctrl-C is the parent's affair. When the parent has gone, runs that it did not end are ended as
killed.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO

from experiments.errors import UserError
from experiments.tracking.hollow import Hollow, HollowUsed
from experiments.tracking.watch import abandon

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
"""What MLflow imports for names that logging never uses,"""

HTTP = ("requests", "urllib3")
"""and for those that logging to a database does not. A third of the rest of the time."""

IMPORTS: tuple[tuple[Sequence[str], Sequence[str]], ...] = (
    (UNNEEDED, (*OTHER_PARTS, *HTTP)),
    (UNNEEDED, OTHER_PARTS),
    ((), ()),
)
"""What MLflow is imported without, and what is hollow then: for a database; for a server; and
where more is needed than was thought."""


def main(place: int = 0) -> None:
    """Serve one parent until it goes away.

    Args:
        place: among `IMPORTS`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed must not get between the replies

    def begin_again() -> None:
        os.dup2(replies.fileno(), 1)
        os.execv(sys.executable, [sys.executable, "-m", __spec__.name, str(place + 1)])

    try:
        import_mlflow(*IMPORTS[place])
    except Exception:
        if place + 1 == len(IMPORTS):
            raise
        begin_again()
    try:
        serve(sys.stdin.buffer, replies)
    except HollowUsed:
        replies.write(pickle.dumps((None, None)))
        replies.flush()
        begin_again()
    except BrokenPipeError:
        pass
    with suppress(UserError):
        abandon()
    sys.stderr.flush()
    os._exit(0)  # Python would take a second to take apart what MLflow loaded


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
        replies.write(_result(function, args, kwargs))
        replies.flush()


def _result(function: Any, args: Any, kwargs: Any) -> bytes:
    try:
        return pickle.dumps((True, function(*args, **kwargs)))
    except UserError as error:
        return pickle.dumps((False, error))
    except Exception:  # a bug; what MLflow raises cannot always be pickled
        return pickle.dumps((False, RuntimeError(traceback.format_exc())))


if __name__ == "__main__":
    main(int(sys.argv[1]))
