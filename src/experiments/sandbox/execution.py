"""One executor as the host sees it, from its fork to its end."""

import contextlib
import enum
import math
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from experiments.errors import SandboxError, printable
from experiments.sandbox import deadline, wire
from experiments.sandbox.frames import FrameError, Frames
from experiments.sandbox.worker import protocol
from experiments.sandbox.workers import ANSWER_SECONDS, Status, Worker, WorkerGone, readable
from experiments.schema import SandboxConfig

UNREADABLE = "its replies could not be read"
PAUSE_SECONDS = 0.005
"""The host looks at many replies at once rather than at each as it comes."""


class Kind(enum.Enum):
    """What became of one call."""

    VALUE = "value"
    RAISED = "raised"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    DIED = "died"
    NO_CODE = "no_code"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one input.

    Attributes:
        index: of the input; -1 if the program could not be loaded.
        kind: what became of the call.
        payload: the output as `wire.decode` reads it (VALUE), else empty.
        cpu_seconds: of this call.
        text: for a person: the exception's message, why it died.
        exception: name of the exception's type (RAISED).
        builtin_types: the builtin types that the exception is an instance of, nearest first.
    """

    index: int
    kind: Kind
    payload: bytes = b""
    cpu_seconds: float = 0.0
    text: str = ""
    exception: str = ""
    builtin_types: tuple[str, ...] = ()


class Calls:
    """Inputs, encoded once and sent to a worker once, however many programs they are for.

    Args:
        inputs: for each call its positional arguments, plain data.

    Raises:
        ValueError: an input is not plain data.
    """

    def __init__(self, inputs: Sequence[tuple[Any, ...]]) -> None:
        self.blobs = [wire.encode(tuple(arguments)) for arguments in inputs]

    def __len__(self) -> int:
        return len(self.blobs)

    @classmethod
    def of_blobs(cls, blobs: Sequence[bytes]) -> Self:
        """Return calls of inputs that are encoded already."""
        calls = cls(())
        calls.blobs = list(blobs)
        return calls


@dataclass(frozen=True, slots=True)
class Job:
    """A program and what it is to do; the arguments of `Sandbox.run`."""

    source: bytes
    entry_point: str
    calls: Calls
    cpu_seconds: Sequence[float]
    total_cpu_seconds: float
    as_set: bool = False
    blocks: bool = False


class Execution:
    """One executor, which gives a program its inputs from one of them on.

    Args:
        worker: that forks it.
        limits: of the program.
        job: what to do.
        first: the first input to give.
        spent: what earlier executors of the program have used; added to as time goes by.

    Attributes:
        pending: the input that is waited for; -1 while the program is being loaded.
        is_over: whether the executor is gone.
        is_soiled: whether the worker cannot be used again.
        wasted_seconds: CPU time of a call, or of loading, that came to no end of its own.
    """

    def __init__(
        self, worker: Worker, limits: SandboxConfig, job: Job, first: int, spent: deadline.Spent
    ) -> None:
        self.pending = -1
        self.is_over = False
        self.is_soiled = False
        self.wasted_seconds = 0.0
        self._worker = worker
        self._limits = limits
        self._job = job
        self._count = len(job.calls)
        self._first = first
        self._spent = spent
        self._total = job.total_cpu_seconds + limits.load_cpu_seconds
        self._deadline = deadline.Deadline(limits.wall_factor, self._total, spent)
        self._deadline.allowed = limits.load_cpu_seconds
        self._output_bytes = limits.output_megabytes << 20
        self._frames = Frames(
            dict.fromkeys((protocol.LOADED, protocol.RETURNED, protocol.MEMORY), 0)
            | dict.fromkeys((protocol.NO_CODE, protocol.RAISED), protocol.LONGEST_TEXT)
            | {protocol.VALUE: self._output_bytes, protocol.FINISHED: 0}
        )
        self._until = first + 1 if job.blocks else self._count
        self._block = 1
        self._returned: float | None = None
        self._is_loaded = False
        self._is_answered = False
        self._is_broken = False
        self._is_killed = ""
        self._is_started = False
        self._is_flooded = False
        self._end: Status | None = None
        # for this executor only: what it does to them, the next cannot find
        self._results, self._childs_results = os.pipe()
        self._socket, self._childs_socket = socket.socketpair()
        os.set_blocking(self._results, False)
        self._socket.settimeout(ANSWER_SECONDS)
        self._signals = [self._socket.fileno()]

    def replies(self) -> Iterator[Reply]:
        """Start the executor and yield its replies; at the end it is gone.

        Raises:
            WorkerGone: the worker has ended.
            SandboxError: the machine cannot run a program.
        """
        self._begin()
        while not self._end:
            is_block_done = self._wait()
            yield from self._taken()
            if self._end or self._is_killed or not self._is_started:
                continue
            if is_block_done:
                self._go_on()
            self._is_killed = UNREADABLE if self._is_broken else self._deadline.passed()
            if self._is_killed:
                self._worker.kill_executor()
                self._asked_at = time.monotonic()
        while not self._is_broken and (data := self._read()):
            yield from self._parsed(data)
        if not self._is_answered and self.pending < self._count:
            yield self._unfinished(self._end)

    def end(self) -> None:
        """Kill the executor if it still runs."""
        try:
            if not self.is_over:
                self._worker.kill_executor()
                deadline_at = time.monotonic() + ANSWER_SECONDS
                while not self.is_over:
                    self._heard(self._worker.status(max(0.0, deadline_at - time.monotonic())))
        except WorkerGone:
            self.is_soiled = True
        finally:
            os.close(self._results)
            os.close(self._childs_results)
            self._socket.close()
            self._childs_socket.close()

    def _begin(self) -> None:
        options = {
            "entry_point": self._job.entry_point,
            "first": self._first,
            "as_set": self._job.as_set,
            "output_bytes": self._output_bytes,
            "blocks": self._job.blocks,
            "cpu_seconds": math.ceil(self._total) + 2,
        }
        self._asked_at = time.monotonic()
        descriptors = self._childs_results, self._childs_socket.fileno()
        self._worker.run(self._job.calls.blobs, options, descriptors)
        self._childs_socket.close()
        with contextlib.suppress(OSError):  # it could not be started, which is told soon
            # past the worker, whose memory every later program inherits
            self._socket.sendall(protocol.LENGTH.pack(len(self._job.source)) + self._job.source)
        self._socket.setblocking(False)

    def _wait(self) -> bool:
        """Wait for something to happen, and take note of what the worker says.

        Returns:
            Whether the executor says that it has come to the end of a block.
        """
        control = self._worker.control.fileno()
        began = time.monotonic()
        seconds = self._deadline.seconds() if self._is_started and not self._is_killed else 1.0
        ready: set[int] = set()
        if not self._is_flooded:
            # what is short is over by then
            ready = readable([control, *self._signals], PAUSE_SECONDS)
        ready = ready or readable([control, *self._signals, self._results], seconds)
        now = time.monotonic()
        if self._is_started:
            self._deadline.look(now - began)
        is_asked = not self._is_started or self._is_killed
        if is_asked and now - self._asked_at > ANSWER_SECONDS:
            raise WorkerGone
        if control in ready:
            self._heard(self._worker.status())
        if ready.isdisjoint(self._signals):
            return False
        with contextlib.suppress(OSError):
            if self._socket.recv(4096):
                return True
        self._signals = []  # its end is closed
        return False

    def _heard(self, status: Status) -> None:
        if status.kind == protocol.STARTED:
            self._is_started = True
            self._deadline.start(status.pid)
            self._deadline.look()
            return
        self.is_over = True
        if status.kind == protocol.FAULTY:
            self.is_soiled = True  # it may have more to say
            raise SandboxError(
                f"The machine cannot start a program: {os.strerror(status.number)}",
                "Is there a limit of processes or memory? See: ulimit -a",
            )
        self._end = status
        self.is_soiled = bool(status.flags & protocol.SOILED)
        self._spent.cpu_seconds += status.seconds
        if not self._is_answered:
            self.wasted_seconds = self._deadline.pending_seconds(status.seconds)

    def _read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._results, 1 << 20)
        return b""

    def _taken(self) -> Iterator[Reply]:
        """Yield the replies that have come, without waiting for more."""
        data = b"" if self._is_broken else self._read()
        self._is_flooded = len(data) >= 1 << 15  # the pipe is, or was, full
        yield from self._parsed(data)

    def _parsed(self, data: bytes) -> Iterator[Reply]:
        try:
            for kind, clock, payload in self._frames(data):
                reply = self._reply(kind, clock, payload)
                if reply is not None:
                    yield reply
        except FrameError:
            self._is_broken = True

    def _reply(self, kind: bytes, clock: float, payload: bytes) -> Reply | None:
        """Return the reply that a frame stands for; None for those that are not replies."""
        if self._is_answered:
            raise FrameError
        took = self._deadline.told(clock)
        if kind == protocol.RETURNED and self._is_loaded and self._returned is None:
            self._returned = took
            self._deadline.is_writing = True
            return None
        index = self.pending
        if not self._is_loaded:
            if kind == protocol.LOADED:
                self._is_loaded = True
                self._await(self._first)
                return None
            if kind not in (protocol.NO_CODE, protocol.RAISED, protocol.MEMORY):
                raise FrameError
            self._is_answered = True
        elif index == self._count:
            if kind != protocol.FINISHED:
                raise FrameError
            self._is_answered = True
            return None
        else:
            late, took = self._timed(kind, took, payload)
            self._await(index + 1)
            if len(payload) > protocol.LONG:
                self._deadline.sent()
            if late:
                return Reply(index, Kind.TIMED_OUT, cpu_seconds=took, text="CPU time")
        if kind == protocol.VALUE:
            return Reply(index, Kind.VALUE, payload, took)
        if kind == protocol.MEMORY:
            return Reply(index, Kind.OUT_OF_MEMORY, cpu_seconds=took, text="MemoryError")
        if kind == protocol.NO_CODE:
            return Reply(-1, Kind.NO_CODE, cpu_seconds=took, text=_text(payload))
        return _raised(index, took, payload)

    def _await(self, index: int) -> None:
        """An input is what is waited for now."""
        self.pending = index
        self._returned = None
        self._deadline.is_writing = False
        is_last = index == self._count
        self._deadline.allowed = deadline.LOOK_SECONDS if is_last else self._job.cpu_seconds[index]

    def _timed(self, kind: bytes, took: float, payload: bytes) -> tuple[bool, float]:
        """Return whether the pending call took too long, and how long."""
        if kind not in (protocol.VALUE, protocol.MEMORY, protocol.RAISED):
            raise FrameError
        late = False
        if self._returned is not None:
            took, writing = self._returned, took
            size = min(wire.size(payload), self._limits.memory_megabytes << 20)
            late = writing > deadline.writing_seconds(size)
        return late or took > self._job.cpu_seconds[self.pending], took

    def _go_on(self) -> None:
        """Give the next block of inputs, twice as many, if the executor is where it says it is."""
        if self.pending != self._until:
            self._is_broken = True
        self._block *= 2
        self._until += self._block
        with contextlib.suppress(OSError):  # it may have closed its end; it may not block this one
            self._socket.send(b"+")

    def _unfinished(self, end: Status) -> Reply:
        """Return the reply for the input at which the executor ended."""
        if not self._is_started:
            raise SandboxError(
                f"The sandbox could not prepare a program (status {end.number})",
                "See: experiments doctor",
            )
        kind, text = Kind.DIED, ""
        if self._is_broken:
            text = UNREADABLE
        elif end.flags & protocol.OVERFULL:
            text = "it made too many files or threads"
        elif self._is_killed:
            kind, text = Kind.TIMED_OUT, self._is_killed
        elif not os.WIFSIGNALED(end.number):
            text = f"it left with exit status {os.waitstatus_to_exitcode(end.number)}"
        elif os.WTERMSIG(end.number) == getattr(signal, "SIGXCPU", -1):
            kind, text = Kind.TIMED_OUT, "CPU time for all inputs"
        else:
            text = f"killed by signal {os.WTERMSIG(end.number)}"
        return Reply(self.pending, kind, cpu_seconds=self.wasted_seconds, text=text)


def _raised(index: int, seconds: float, payload: bytes) -> Reply:
    try:
        content = wire.decode(payload)
    except wire.WireError:
        content = None
    match content:
        case (list(kinds), str(name), bytes(message)) if all(isinstance(k, str) for k in kinds):
            return Reply(
                index,
                Kind.RAISED,
                cpu_seconds=seconds,
                text=_text(message),
                exception=printable(name[:100]),
                builtin_types=tuple(kinds),
            )
    return Reply(index, Kind.DIED, cpu_seconds=seconds, text=UNREADABLE)


def _text(payload: bytes) -> str:
    return printable(payload[:1000].decode("utf-8", "replace"))
