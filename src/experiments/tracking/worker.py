"""The process that calls MLflow: `python -m experiments.tracking.worker`.

It reads pickled calls from standard input and writes to what was standard output, for each,
whether it succeeded and what it returned or raised. Ctrl-C is the parent's affair. When the
parent has gone, runs that it did not end are ended as killed.
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
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, BinaryIO

from experiments.errors import UserError
from experiments.tracking.watch import abandon

UNNEEDED = ("numpy", "pandas", "pyarrow", "pygments", "scipy")
"""What MLflow imports where it can and does without where it cannot, as logging does: nearly
half of the time that it takes to import."""

HOLLOW = ("fastapi", "mlflow.genai")
"""What MLflow imports for names that logging never uses: of a web server, and of judges that
are language models. A fifth of the rest of the time."""

WHOLE = "--whole"
"""Import MLflow with all that it imports."""


def main() -> None:
    """Serve one parent until it goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed must not get between the replies
    try:
        if WHOLE in sys.argv:
            import_mlflow()
        else:
            import_mlflow(UNNEEDED, HOLLOW)
    except Exception:
        if WHOLE in sys.argv:
            raise
        os.dup2(replies.fileno(), 1)
        os.execv(sys.executable, [sys.executable, "-m", __spec__.name, WHOLE])
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, replies)
    with suppress(UserError):
        abandon()
    sys.stderr.flush()
    os._exit(0)  # Python would take a second to take apart what MLflow loaded


def import_mlflow(without: Sequence[str] = (), hollow: Sequence[str] = ()) -> None:
    """Import what the first call would have to wait for.

    Args:
        without: modules whose import is to fail.
        hollow: packages that have every module and name that is asked of them, for show.
    """
    gc.disable()  # nothing that is imported here becomes garbage
    absent: dict[str, Any] = dict.fromkeys(without)
    sys.modules.update(absent)
    finder = _Hollow(hollow)
    sys.meta_path.insert(0, finder)
    import mlflow
    from mlflow.store.tracking import sqlalchemy_store

    assert mlflow
    assert sqlalchemy_store
    sys.meta_path.remove(finder)
    for name in filter(finder.covers, list(sys.modules)):
        del sys.modules[name]  # whoever asks from now on gets the real one
    gc.freeze()
    gc.enable()


class _Hollow(MetaPathFinder, Loader):
    """Finds modules of some packages, each with a class for every name."""

    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = packages

    def covers(self, name: str) -> bool:
        return any(f"{name}.".startswith(f"{package}.") for package in self._packages)

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        return ModuleSpec(name, self, is_package=True) if self.covers(name) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _HollowModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


class _HollowModule(ModuleType):
    def __getattr__(self, name: str) -> type[Exception]:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})  # exceptions, since some are caught


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
    main()
