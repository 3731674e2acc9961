"""The parent's side of the process that a model lives in.

There is one such process at most, kept from job to job while the weights and settings stay
the same, and ended before another is started, so that two models are never in memory.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from experiments.backends.llama_cpp.frames import read_frame, write_frame
from experiments.errors import BackendError
from experiments.sandbox import confinement

LINES_KEPT = 20
"""Last lines of llama.cpp's messages that are shown when it fails."""

MOST_WARNINGS = 5
"""Of those of one file, so many are passed on."""

log = logging.getLogger(__name__)

SECONDS_TO_END = 1.0
"""A worker that does not end by itself in this time is killed."""


class Worker:
    """A process with a loaded model.

    Args:
        path: of the GGUF.
        settings: of `engine.Settings`, as plain data.
        writable: folders that it may write to.

    Raises:
        BackendError: the model could not be loaded.
    """

    def __init__(self, path: str, settings: dict[str, Any], writable: Sequence[Path] = ()) -> None:
        self.load_seconds = 0.0
        self.peak_bytes = 0
        self.counters: dict[str, float] = {}
        self._path = path
        self._owner = os.getpid()
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._process = subprocess.Popen(
            confinement.command(["-m", "experiments.backends.llama_cpp.worker"], writable),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,  # Ctrl-C in the terminal does not reach it
        )
        self._errors = threading.Thread(target=self._keep_lines, daemon=True)
        self._errors.start()
        try:
            self._send({"load": {"path": path, "settings": settings}})
            reply = self._receive("loading")
            if "loaded" not in reply:
                raise self._failure(f"llama.cpp could not load {path}")
            self.load_seconds = reply["loaded"]
            _warn(path, reply["warnings"])
        except BaseException:
            self.close()
            raise

    @property
    def is_alive(self) -> bool:
        """Whether it can be given work by this process."""
        return self._owner == os.getpid() and self._process.poll() is None

    def complete(
        self, jobs: list[dict[str, Any]], sampling: dict[str, Any]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield `("completion", …)` for each finished job and `("progress", …)` in between.

        If the caller stops early, or is interrupted, the process is killed: what it was
        about to generate is not wanted any more.

        Raises:
            BackendError: the process died or llama.cpp failed. All that was finished
                before was yielded.
        """
        request = {"complete": {"jobs": jobs, "sampling": sampling}}
        yield from self._ask(request, "generating", ("completion", "progress"))

    def evaluate(
        self, texts: list[dict[str, Any]], rows: str, is_reference: bool
    ) -> Generator[tuple[str, dict[str, Any]]]:
        """Yield `("size", …)` before the work begins and `("scores", …)` for each text.

        Args:
            texts: of `evaluating.text_of`, as plain data.
            rows: file of the reference's distributions.
            is_reference: it is written; else it is read.

        Raises:
            BackendError: as `complete`, which also says what becomes of a caller's early stop.
        """
        request = {"evaluate": {"texts": texts, "rows": rows, "is_reference": is_reference}}
        yield from self._ask(request, "evaluating", ("size", "scores"))

    def _ask(
        self, request: dict[str, Any], doing: str, kinds: tuple[str, ...]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the replies of some kinds to a request, up to `done`."""
        self.counters = {}  # those of the jobs before are counted already
        self.peak_bytes = 0
        done = False
        try:
            self._send(request)
            while True:
                reply = self._receive(doing)
                self.peak_bytes = max(self.peak_bytes, reply.get("peak_bytes", 0))
                if "done" in reply:
                    self.counters = reply["done"]
                    done = True
                    return
                if "failed" in reply:
                    raise self._failure(f"{self._path}: {reply['failed']}")
                for kind in kinds:
                    if kind in reply:
                        yield kind, reply[kind]
        finally:
            if not done:
                self.kill()

    def close(self) -> None:
        """End the process, by force if it has to be."""
        if self._owner != os.getpid():
            return  # a forked child has no say over its parent's worker
        if self._process.poll() is None:
            with suppress(OSError):
                self._stdin.close()
            try:
                self._process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._forget()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._forget()

    def _forget(self) -> None:
        self._process.wait()
        self._errors.join(SECONDS_TO_END)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    @property
    def _stdin(self) -> BinaryIO:
        assert self._process.stdin is not None
        return self._process.stdin  # type: ignore[return-value]

    def _send(self, message: dict[str, Any]) -> None:
        try:
            write_frame(self._stdin, message)
        except OSError as error:
            raise self._death("before it began") from error

    def _receive(self, doing: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        reply = read_frame(self._process.stdout)  # type: ignore[arg-type]
        if reply is None:
            raise self._death(f"while {doing}")
        return reply

    def _death(self, when: str) -> BackendError:
        try:
            code = self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        reason = " (which the system sends when memory runs out)" if code == -9 else ""
        is_abort = code == -signal.SIGABRT
        return self._failure(f"llama.cpp died {when}, {how}{reason}, with {self._path}", is_abort)

    def _failure(self, what: str, is_abort: bool = False) -> BackendError:
        self._errors.join(0.2)  # the last lines may still be on their way
        lines = [line.strip() for line in self._lines if line.strip()]
        said = f". It wrote: {' | '.join(lines[-6:])}" if lines else ""
        words = " ".join(lines)
        hint = "What was generated is kept: the same command goes on from there."
        if match := _UNKNOWN.search(words):
            hint = (
                f"This llama.cpp does not know '{match[1]}': choose another model, or install a "
                "newer llama-cpp-python."
            )
        elif is_abort or not self.load_seconds:
            hint = "The same command would end like this again: choose another file or setting."
        return BackendError(what + said, hint)

    def _keep_lines(self) -> None:
        assert self._process.stderr is not None
        with suppress(OSError, ValueError):
            for line in self._process.stderr:
                self._lines.append(line.decode(errors="replace"))


def worker_for(
    identity: tuple[Any, ...], path: str, settings: dict[str, Any], writable: Sequence[Path] = ()
) -> tuple[Worker, bool]:
    """Return a process with this model, and whether it was loaded just now.

    Args:
        identity: of weights and settings; equal ones share a process.
        path: of the GGUF.
        settings: of `engine.Settings`, as plain data.
        writable: folders that it may write to.

    Raises:
        BackendError: the model could not be loaded.
    """
    global _current
    if _current is not None:
        known, worker = _current
        if known == identity and worker.is_alive:
            return worker, False
        close_worker()
    worker = Worker(path, settings, writable)
    _current = (identity, worker)
    return worker, True


def close_worker() -> None:
    """Free the model's memory, if there is one in it."""
    global _current
    if _current is not None:
        _current[1].close()
        _current = None


def is_loaded(identity: tuple[Any, ...]) -> bool:
    """Tell whether this model is in memory."""
    return _current is not None and _current[0] == identity and _current[1].is_alive


_current: tuple[tuple[Any, ...], Worker] | None = None

atexit.register(close_worker)


_UNKNOWN = re.compile(r"unknown (?:model architecture|pre-tokenizer type): '([^']+)'")
_LETTERS = re.compile(r"[a-zA-Z]")
_warned: set[tuple[str, str]] = set()


def _warn(path: str, lines: list[str]) -> None:
    """Pass on what llama.cpp warned of while it loaded a file, each warning once."""
    said = dict.fromkeys(line.strip() for line in "".join(lines).splitlines())
    for line in [line for line in said if _LETTERS.search(line)][:MOST_WARNINGS]:
        words = line.partition(": ")[2] or line  # without the name of llama.cpp's function
        if (path, words) not in _warned:
            _warned.add((path, words))
            log.warning("llama.cpp warns of %s: %s", os.path.basename(path), words)


def environment() -> dict[str, str]:
    """Return the environment of a process that runs llama.cpp."""
    environment = dict(os.environ)
    environment["GGML_NO_BACKTRACE"] = "1"  # it would start a debugger on itself
    # Threads that wait for each other spin, which is fast where each has a core to itself
    # and ruinous where it has not. This long (half a millisecond) and no longer.
    environment.setdefault("GOMP_SPINCOUNT", "10000")
    return environment
