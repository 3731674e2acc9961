"""The process that a model lives in: `python -m experiments.backends.llama_cpp.worker`.

It reads frames from standard input and writes frames to what was standard output:

    → {"load": {path, settings}}        ← {"loaded": seconds, "warnings": lines} or {"failed": text}
    → {"complete": {jobs, sampling}}    ← {"completion": …}*, {"progress": …}*, {"done": counters}
                                          or {"failed": text}
    → {"evaluate": {texts, rows, is_reference}}   ← {"size": …}, {"scores": …}*, {"done": {}}
                                          or {"failed": text}

llama.cpp's messages go to standard error, whose end the parent keeps. Ctrl-C is the
parent's affair: this process ignores it, and ends when its standard input does.
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from experiments.backends.llama_cpp.frames import read_frame, write_frame

SECONDS_BETWEEN_REPORTS = 0.3
"""Progress is reported to the parent some three times per second."""


def main() -> None:
    """Serve one parent until it goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed must not get between the frames
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    try:
        _serve(requests, replies)
    except BrokenPipeError:
        os._exit(0)
    except BaseException:  # a bug: at its own end Python would wait for the thread that listens
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _listen(stream: BinaryIO, requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Pass requests on, and end the process with its parent, in the middle of work or not."""
    while (request := read_frame(stream)) is not None:
        requests.put(request)
    os._exit(0)


def _serve(requests: queue.SimpleQueue[dict[str, Any]], replies: BinaryIO) -> None:
    import llama_cpp.llama_cpp as llama

    from experiments.backends.llama_cpp.engine import Engine, Settings
    from experiments.backends.llama_cpp.model import EngineError, Model
    from experiments.backends.llama_cpp.sequence import Job
    from experiments.schema import Sampling

    lines: list[str] = []
    keep = _log_to_stderr(llama, lines)
    model: Model | None = None
    engine: Engine | None = None
    while True:
        request = requests.get()
        try:
            if "load" in request:
                began = time.perf_counter()
                settings = Settings(**request["load"]["settings"])
                markers = [text for s in settings.styles for text in (*s.opens, s.closing)]
                model = Model(request["load"]["path"], settings.memory_map, markers)
                engine = Engine(model, settings)
                loaded = {"loaded": time.perf_counter() - began, "warnings": lines}
                write_frame(replies, loaded)
            elif "complete" in request:
                assert engine is not None
                jobs = [Job(**job) for job in request["complete"]["jobs"]]
                sampling = Sampling(**request["complete"]["sampling"])
                progress = _Progress(replies, engine)
                for completion in engine.complete(jobs, sampling, progress.report):
                    reply = asdict(completion)
                    del reply["token_ids"]
                    write_frame(replies, {"completion": reply, "peak_bytes": _peak_bytes()})
                done = {"done": asdict(engine.counters), "peak_bytes": _peak_bytes()}
                write_frame(replies, done)
                _forget_peak()
            elif "evaluate" in request:
                assert model is not None
                _evaluate(model, settings, replies, **request["evaluate"])
        except EngineError as error:
            write_frame(replies, {"failed": str(error)})
        del request
        assert keep


def _evaluate(
    model: Any,
    settings: Any,
    replies: BinaryIO,
    texts: list[dict[str, Any]],
    rows: str,
    is_reference: bool,
) -> None:
    """Report how likely the model finds the tokens of texts; see `evaluating`."""
    from experiments.backends.llama_cpp.evaluating import KEPT, Evaluator, text_of

    every = [text_of(model, **text) for text in texts]
    fitting = [t for t in every if t.scored and len(t.tokens) <= settings.context_tokens]
    tokens = sum(text.scored for text in fitting)
    size = {
        "unfit": [text.key for text in every if text not in fitting],
        "tokens": tokens,
        "bytes": tokens * model.size * KEPT.itemsize,
    }
    write_frame(replies, {"size": size})
    if fitting:
        evaluator = Evaluator(model, settings, max(len(text.tokens) for text in fitting))
        try:
            for scores in evaluator.evaluate(fitting, Path(rows), is_reference):
                write_frame(replies, {"scores": scores, "peak_bytes": _peak_bytes()})
        finally:
            evaluator.close()
    write_frame(replies, {"done": {}, "peak_bytes": _peak_bytes()})
    _forget_peak()


class _Progress:
    """Reports to the parent how fast it went since the last time."""

    def __init__(self, replies: BinaryIO, engine: Any) -> None:
        self._replies = replies
        self._engine = engine
        self._last = time.perf_counter()
        self._prefilled = self._decoded = 0

    def report(self, active: int) -> None:
        """Report, if it is time to."""
        now, counters = time.perf_counter(), self._engine.counters
        seconds = now - self._last
        if seconds < SECONDS_BETWEEN_REPORTS:
            return
        progress = {
            "active": active,
            "prefill_per_second": (counters.prefill_tokens - self._prefilled) / seconds,
            "decode_per_second": (counters.decode_tokens - self._decoded) / seconds,
        }
        write_frame(self._replies, {"progress": progress, "peak_bytes": _peak_bytes()})
        self._last = now
        self._prefilled, self._decoded = counters.prefill_tokens, counters.decode_tokens


def _peak_bytes() -> int:
    """Return the most memory that this process held since `_forget_peak`, in bytes.

    On Linux `ru_maxrss` would be no less than what the parent held when it started this
    process; the peak in `/proc` begins anew with each program.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            kilobytes = next(line for line in lines if line.startswith("VmHWM:")).split()[1]
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return int(kilobytes) * 1024


def _forget_peak() -> None:
    """Begin a new peak, for the next job; where that cannot be had, it is the highest so far."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")


def _log_to_stderr(llama: Any, lines: list[str]) -> Any:
    """Write llama.cpp's warnings and errors, and not its chatter; keep the result alive.

    Args:
        llama: the library.
        lines: where they are kept as well.
    """
    warning, more = 3, 5
    shown = False

    @llama.llama_log_callback  # type: ignore[untyped-decorator]
    def log(level: int, text: bytes, _: Any) -> None:
        nonlocal shown
        shown = shown if level == more else level >= warning
        if shown:
            lines.append(text.decode(errors="replace"))
            sys.stderr.write(text.decode(errors="replace"))
            sys.stderr.flush()

    llama.llama_log_set(log, None)
    return log


if __name__ == "__main__":
    main()
