"""The process that a model lives in: `python -m experiments.backends.llama_cpp.worker`.

It reads frames from standard input and writes frames to what was standard output:

    → {"load": {path, settings}}          ← {"loaded": seconds} or {"failed": text}
    → {"write": {jobs, sampler}}          ← {"written": …}*, {"told": …}*, {"done": counters}
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
from typing import Any, BinaryIO

from experiments.backends.llama_cpp.frames import read_frame, write_frame

LEAST_SECONDS = 0.1
"""Over a shorter time a speed would be anything."""


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

    from experiments.backends.llama_cpp.engine import Settings
    from experiments.backends.llama_cpp.lanes import Lanes
    from experiments.backends.llama_cpp.model import EngineError, Model
    from experiments.backends.llama_cpp.samplers import Sampler
    from experiments.backends.llama_cpp.sequence import Job

    keep = _log_to_stderr(llama)
    lanes: Lanes | None = None
    while True:
        request = requests.get()
        try:
            if "load" in request:
                began = time.perf_counter()
                settings = dict(request["load"]["settings"])
                settings["stop"] = tuple(settings["stop"])
                model = Model(request["load"]["path"], settings["memory_map"])
                count = settings.pop("lanes")
                lanes = Lanes(model, Settings(**settings), count)
                write_frame(replies, {"loaded": time.perf_counter() - began})
            elif "write" in request:
                assert lanes is not None
                jobs = [Job(**job) for job in request["write"]["jobs"]]
                sampler = Sampler(**request["write"]["sampler"])
                news = _News(replies, lanes)
                for written in lanes.write(jobs, sampler, news.tell):
                    reply = asdict(written)
                    del reply["token_ids"]
                    write_frame(replies, {"written": reply})
                done = {"done": asdict(lanes.counters), "peak_bytes": _peak_bytes()}
                write_frame(replies, done)
                _forget_peak()
        except EngineError as error:
            write_frame(replies, {"failed": str(error)})
        del request
        assert keep


class _News:
    """Tells the parent how fast it went since the last time."""

    def __init__(self, replies: BinaryIO, lanes: Any) -> None:
        self._replies = replies
        self._lanes = lanes
        self._last = time.perf_counter()
        self._read = self._decoded = 0
        self._speeds = {"prefill_per_second": 0.0, "decode_per_second": 0.0}

    def tell(self) -> None:
        self._measure()
        told = {
            "active": sum(self._lanes.active),
            "busy_threads": self._lanes.busy_threads,
            **self._speeds,
            "peak_bytes": _peak_bytes(),
        }
        write_frame(self._replies, {"told": told})

    def _measure(self) -> None:
        now, counters = time.perf_counter(), self._lanes.counters
        seconds = now - self._last
        if seconds < LEAST_SECONDS:
            return
        self._speeds = {
            "prefill_per_second": (counters.prefill_tokens - self._read) / seconds,
            "decode_per_second": (counters.decode_tokens - self._decoded) / seconds,
        }
        self._last, self._read, self._decoded = now, counters.prefill_tokens, counters.decode_tokens


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


def _log_to_stderr(llama: Any) -> Any:
    """Write llama.cpp's warnings and errors, and not its chatter; keep the result alive."""
    warning, more = 3, 5
    shown = False

    @llama.llama_log_callback  # type: ignore[untyped-decorator]
    def log(level: int, text: bytes, _: Any) -> None:
        nonlocal shown
        shown = shown if level == more else level >= warning
        if shown:
            sys.stderr.write(text.decode(errors="replace"))
            sys.stderr.flush()

    llama.llama_log_set(log, None)
    return log


if __name__ == "__main__":
    main()
