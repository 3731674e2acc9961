"""The trusted side: starts a guest, gives it programs and inputs, holds the limits."""

import contextlib
import enum
import math
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from experiments.errors import SandboxError
from experiments.sandbox import guest, isolation, kernel, wire
from experiments.sandbox.folder import remove
from experiments.schema import SandboxConfig

REGION_BYTES = 4 << 20
STACK_BYTES = 120 << 20  # the kernel keeps 128 MB below a process's mappings for its stack
OPEN_FILES = 64
UNREADABLE = "its replies could not be read"
PROOF = b"def proof():\n    return 1\n"
STRIKES = 3
"""After so many inputs on which it timed out, a program is given no more."""

WALL_FACTOR_FOR_ALL = 2.0
"""All inputs together may take this many times their CPU time by the clock on the wall."""

START_SECONDS = 60.0
ANSWER_SECONDS = 30.0
CHECK_SECONDS = 0.25
WRITE_SECONDS = 30.0
"""CPU time for writing one output, which is not counted as the program's."""


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
        cpu_seconds: of this call, as the guest's child says.
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
    """Inputs, encoded once and sent to a guest once, however many programs they are for.

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


class _GuestDied(Exception):
    """The warm guest itself is gone."""


class Sandbox:
    """One warm guest that runs programs, one at a time; a context manager.

    Use it from the thread that entered it.

    Args:
        limits: of each program; CPU time per input comes with the inputs.
        isolation: `auto`, `bubblewrap` or `process`; None: as the limits say.
        preload: modules that the guest imports before any program.
        hash_seed: of strings; it decides the order in which sets are gone through.

    Raises:
        SandboxError: on entering, or later, if no guest can be started.
    """

    def __init__(
        self,
        limits: SandboxConfig | None = None,
        isolation: str | None = None,
        preload: Sequence[str] = (),
        hash_seed: int = 0,
    ) -> None:
        self.limits = limits or SandboxConfig()
        self.preload = tuple(preload)
        self.hash_seed = hash_seed
        self.isolation = _choose(isolation or self.limits.isolation.value)
        self.cpu_seconds = 0.0
        """CPU time of the last program's processes."""
        self._guest: _Guest | None = None
        self._is_given_up = False

    def __enter__(self) -> Self:
        self._started()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the guest and everything in it."""
        if self._guest is not None:
            self._guest.close()
            self._guest = None

    def give_up(self) -> None:
        """End what it is doing, from another thread: `run` raises a SandboxError there."""
        self._is_given_up = True
        guest = self._guest
        if guest is not None:
            guest.process.kill()

    def run(
        self,
        program: str,
        entry_point: str,
        inputs: Calls | Sequence[tuple[Any, ...]],
        cpu_seconds: Sequence[float],
        *,
        total_cpu_seconds: float | None = None,
        as_set: bool = False,
        blocks: bool = False,
    ) -> Iterator[Reply]:
        """Call the entry point on each input and yield what came back, in order.

        If the program cannot be loaded, one reply with index -1 is all. After the third
        input on which the program timed out, the rest is not given. Closing the iterator
        ends the program.

        Args:
            program: Python source.
            entry_point: name of the function to call.
            inputs: positional arguments per call; fresh copies are made for each.
            cpu_seconds: CPU time allowed, per input.
            total_cpu_seconds: CPU time allowed for all; `limits.total_cpu_seconds` if None.
            as_set: give the set of the output's items instead of the output.
            blocks: wait for the caller after 1, 2, 4, ... inputs, so that it can stop early.
        """
        calls = inputs if isinstance(inputs, Calls) else Calls(inputs)
        total = self.limits.total_cpu_seconds if total_cpu_seconds is None else total_cpu_seconds
        self.cpu_seconds = 0.0
        source = program.encode("utf-8", "surrogatepass")
        if len(source) > REGION_BYTES - guest.HEADER.size:
            yield Reply(-1, Kind.NO_CODE, text=f"the program is longer than {REGION_BYTES} bytes")
            return
        first, strikes, deaths, loaded = 0, 0, 0, False
        started = time.monotonic()
        while first < len(calls) or not loaded:
            run = _Run(self, source, entry_point, calls, cpu_seconds, total, as_set, blocks, first)
            try:
                for reply in run.replies():
                    loaded = True
                    strikes += reply.kind is Kind.TIMED_OUT
                    first = reply.index + 1
                    yield reply
                    if reply.index < 0:
                        return
            except _GuestDied:
                self.close()
                deaths += 1
                if deaths > 1:
                    self._prove()
                    deaths = 0
                    strikes += 1
                    yield Reply(run.pending, Kind.DIED, text="the sandbox died with it")
                    if run.pending < 0:
                        return
                    loaded = True
                    first = run.pending + 1
            except KeyboardInterrupt:
                self.close()  # it may have come between the guest's words and our hearing them
                raise
            finally:
                run.end()
                self.cpu_seconds += run.cpu_seconds
            allowed = total + self.limits.load_cpu_seconds
            passed = time.monotonic() - started  # matters to programs that die again and again
            if (
                strikes >= STRIKES
                or self.cpu_seconds > allowed
                or passed > WALL_FACTOR_FOR_ALL * allowed
            ):
                return

    def _prove(self) -> None:
        """Show that a guest can run a program of our own, so that its end was not our fault."""
        run = _Run(self, PROOF, "proof", Calls([()]), [10.0], 10.0, False, False, 0)
        replies = []
        try:
            replies = [reply.kind for reply in run.replies()]
        except _GuestDied:
            self.close()
        finally:
            run.end()
        if replies != [Kind.VALUE]:
            raise SandboxError("The sandbox ends with every program", "See: experiments doctor")

    def _started(self) -> "_Guest":
        if self._guest is None and not self._is_given_up:
            self._guest = _Guest(self.limits, self.isolation, self.preload, self.hash_seed)
        if self._guest is None or self._is_given_up:
            self.close()
            raise SandboxError("The sandbox was given up")
        return self._guest


class _Guest:
    """The process, its sockets and its region of shared memory."""

    def __init__(
        self, limits: SandboxConfig, chosen: str, preload: tuple[str, ...], hash_seed: int
    ) -> None:
        self.calls: Calls | None = None
        self.pidfd = -1
        self.closing = contextlib.ExitStack()
        self.region: mmap.mmap
        try:
            self._start(limits, chosen, preload, hash_seed)
        except BaseException:
            self.close()
            raise

    def _start(
        self, limits: SandboxConfig, chosen: str, preload: tuple[str, ...], hash_seed: int
    ) -> None:
        if chosen == isolation.BUBBLEWRAP:
            start = isolation.bubblewrap(preload, 4 * limits.file_megabytes, hash_seed)
        else:
            start = isolation.process(preload, hash_seed)
            self.closing.callback(remove, Path(start.private))
        self.control, control = socket.socketpair()
        for each in (self.control, control):
            self.closing.callback(each.close)
        region = self.closing.enter_context(os.fdopen(_shared_memory(REGION_BYTES), "rb"))
        self.region = mmap.mmap(region.fileno(), REGION_BYTES)
        self.closing.callback(self.region.close)
        numbers = [control.fileno(), region.fileno()]
        errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self.closing.callback(errors.close)
        if hasattr(socket, "SO_PASSCRED"):
            self.control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        try:
            self.process = subprocess.Popen(
                [*start.command, *map(str, numbers)],
                env=start.environment,
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"The sandbox could not be started: {error}") from None
        self.closing.callback(self._kill)
        control.close()
        region.close()
        call_filter = kernel.system_call_filter(limits.processes > 0)
        linux = sys.platform == "linux"
        settings = {
            "region_bytes": REGION_BYTES,
            "alone": start.alone,
            "folder": start.folder,
            "packages": start.packages,
            "preload": list(preload),
            "landlock": start.landlock or {},
            "capset": kernel.capset_number(),
            "filter": call_filter.code,
            "filter_pid_offsets": list(call_filter.pid_offsets),
            "memory_bytes": limits.memory_megabytes << 20 if linux else None,
            "stack_bytes": min(STACK_BYTES, limits.memory_megabytes << 20) if linux else None,
            "file_bytes": limits.file_megabytes << 20,
            "files": OPEN_FILES,
            "processes": limits.processes or (None if call_filter.code else 0),
        }
        try:
            self.send(settings)
            status = self.status(START_SECONDS)
        except (_GuestDied, OSError):
            status = None
        if status is None or status.kind != guest.READY:
            self._kill()
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines() or ["no message"]
            raise SandboxError(
                f"The sandbox ({chosen}) could not be started: {lines[-1]}",
                "See: experiments doctor",
            )
        self.pidfd = status.pidfd

    def send(self, message: object, descriptors: Sequence[int] = ()) -> None:
        """Send a message, and descriptors along with its first bytes."""
        body = wire.encode(message)
        data = guest.LENGTH.pack(len(body)) + body
        try:
            sent = socket.send_fds(self.control, [data], descriptors) if descriptors else 0
            self.control.sendall(memoryview(data)[sent:])
        except OSError:
            raise _GuestDied from None

    def give(self, calls: Calls) -> None:
        """Send the inputs, unless the guest has them."""
        if self.calls is not calls:
            self.send(("problem", calls.blobs))
            self.calls = calls

    def status(self, seconds: float) -> "_Status | None":
        """Return the next status; None if there is none within the time."""
        if not _readable([self.control], seconds):
            return None
        try:
            data, ancillary, _, _ = self.control.recvmsg(guest.STATUS.size, 256)
        except OSError:
            raise _GuestDied from None
        if len(data) != guest.STATUS.size:
            raise _GuestDied
        pidfd = -1
        for level, kind, rights in ancillary:
            if level != socket.SOL_SOCKET:
                continue
            if kind == socket.SCM_RIGHTS:
                pidfd = struct.unpack("=i", rights[:4])[0]
            elif kind == getattr(socket, "SCM_CREDENTIALS", -1) and data[:1] == guest.READY:
                pid = struct.unpack("=iII", rights[:12])[0]
                with contextlib.suppress(OSError, AttributeError):  # not every system has it
                    pidfd = os.pidfd_open(pid)
        kind, code, cpu_seconds, flags = guest.STATUS.unpack(data)
        return _Status(kind, code, cpu_seconds, flags, pidfd)

    def close(self) -> None:
        """End the guest; what runs in it ends with it."""
        self.closing.close()

    def _kill(self) -> None:
        """Kill the guest: as PID 1 it takes its process tree along."""
        if self.pidfd >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            os.close(self.pidfd)
            self.pidfd = -1
        else:
            self.process.kill()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(frozen=True, slots=True)
class _Status:
    kind: bytes
    code: int
    cpu_seconds: float
    flags: int
    pidfd: int


class _Run:
    """One child of the guest, from its fork to its end."""

    def __init__(
        self,
        sandbox: Sandbox,
        source: bytes,
        entry_point: str,
        calls: Calls,
        cpu_seconds: Sequence[float],
        total: float,
        as_set: bool,
        blocks: bool,
        first: int,
    ) -> None:
        self.sandbox = sandbox
        self.guest = sandbox._started()
        self.limits = sandbox.limits
        self.calls = calls
        self.allowed = cpu_seconds
        self.first = first
        self.total = total + self.limits.load_cpu_seconds
        self.pending = -1
        self.cpu_seconds = 0.0
        self.ended = True
        self.loaded = False
        self.broken = ""
        self.buffer = bytearray()
        self.longest = guest.FRAME.size + (self.limits.output_megabytes << 20) + (1 << 16)
        self.options = {
            "entry_point": entry_point,
            "last": len(calls),
            "as_set": as_set,
            "block": 1 if blocks else 0,
            "output_bytes": self.limits.output_megabytes << 20,
            "cpu_seconds": math.ceil(self.total) + 2,
        }
        self.source = source
        # sockets for this child only: what it does to them, the next cannot find
        self.talk, self.childs = socket.socketpair()

    def replies(self) -> Iterator[Reply]:
        """Start the child and yield its replies; at the end the child is gone."""
        self._begin()
        watch = _Watch(self)
        killed = ""
        while True:
            event = self._wait(watch)
            if event == "ended":
                break
            if event == "full":
                yield from self._drain()
                if not self.broken:
                    self._go_on()
                    watch.progress()
            if not killed:
                limit = watch.verdict()
                if limit or self.broken:
                    killed = limit or "broken"
                    self.guest.send(("kill",))
                    watch.stop()
        yield from self._drain()
        if self.pending < len(self.calls) and self.pending_matters:
            yield from self._unfinished(killed)

    @property
    def pending_matters(self) -> bool:
        """Whether the child ended before it had answered everything."""
        return not (self.loaded and self.pending >= len(self.calls)) and not self.refused

    refused = False

    def end(self) -> None:
        """Kill the child if it still runs, and the guest if the child has left traces."""
        self.talk.close()
        self.childs.close()
        if self.sandbox._guest is not self.guest:
            return
        if not self.ended:
            try:
                self.guest.send(("kill",))
                self._until_ended()
            except _GuestDied:
                self.ended = self.touched = True
        if self.touched:
            self.sandbox.close()  # the next program gets a fresh guest and an untouched folder

    def _begin(self) -> None:
        self.guest.give(self.calls)
        region = self.guest.region
        size = guest.HEADER.size
        region[size : size + len(self.source)] = self.source
        guest.HEADER.pack_into(region, 0, 0, size, len(self.source), 0, 0)
        self.ended = False
        self.guest.send(("run", self.first, self.options), [self.childs.fileno()])
        self.childs.close()

    def _wait(self, watch: "_Watch") -> str:
        ready = _readable([self.talk, self.guest.control], watch.seconds())
        if self.guest.control in ready:
            status = self.guest.status(0)
            if status is None:
                return ""
            if status.kind == guest.STARTED:
                watch.start(status.pidfd)
                return ""
            self._ended(status)
            watch.stop()
            return "ended"
        if self.talk in ready:
            end = guest.HEADER.unpack_from(self.guest.region)[1]
            whole = end == REGION_BYTES or self.options["block"]
            if self._said() != b"+" or not whole:
                self.broken = self.broken or UNREADABLE
            return "full"
        if watch.unanswered():
            self.sandbox.close()
            raise _GuestDied
        return ""

    def _said(self) -> bytes:
        """Return what the child said; nothing if it has closed its end."""
        with contextlib.suppress(OSError):
            return self.talk.recv(4096)
        return b""

    def _go_on(self) -> None:
        """Tell the child that the region is free; a child that does not listen may not block."""
        with contextlib.suppress(OSError):
            self.talk.send(b"+", socket.MSG_DONTWAIT)

    def _ended(self, status: _Status) -> None:
        self.ended = True
        self.status = status
        self.cpu_seconds += status.cpu_seconds
        self.touched = bool(status.flags & guest.TOUCHED)

    touched = False

    def _until_ended(self) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self.ended:
            status = self.guest.status(max(0.0, deadline - time.monotonic()))
            if status is None:
                raise _GuestDied
            if status.kind == guest.STARTED and status.pidfd >= 0:
                os.close(status.pidfd)
            elif status.kind == guest.ENDED:
                self._ended(status)

    def _drain(self) -> Iterator[Reply]:
        """Take what the child has written and yield the complete replies."""
        region = self.guest.region
        end = min(guest.HEADER.unpack_from(region)[1], REGION_BYTES)
        data = region[guest.HEADER.size : end]
        if self.buffer:
            self.buffer += data
            data = bytes(self.buffer)
        at, size = 0, guest.FRAME.size
        while not self.broken and len(data) - at >= size:
            kind, start, used, length = guest.FRAME.unpack_from(data, at)
            if length > self.longest:
                self.broken = UNREADABLE
                break
            if len(data) - at - size < length:
                break
            payload = data[at + size : at + size + length]
            at += size + length
            reply = self._reply(kind, (used - start) / 1e9, payload)
            if reply is not None:
                yield reply
        self.buffer = bytearray(data[at:])

    def _reply(self, kind: bytes, seconds: float, payload: bytes) -> Reply | None:
        """Return the reply that a frame stands for; None for those that are not replies."""
        if self.refused or kind == guest.FINISHED:
            return None
        index = self.pending
        if not self.loaded:
            if kind == guest.LOADED:
                self.loaded = True
                self.pending = self.first
                return None
            self.refused = True
            if kind not in (guest.NO_CODE, guest.RAISED, guest.MEMORY):
                self.broken = UNREADABLE
                return Reply(-1, Kind.DIED, cpu_seconds=seconds, text=self.broken)
        elif index >= len(self.calls) or kind == guest.NO_CODE:
            self.broken = UNREADABLE
            return None
        else:
            self.pending += 1
            if seconds > self.allowed[index]:
                return Reply(index, Kind.TIMED_OUT, cpu_seconds=seconds, text="CPU time")
        if kind == guest.VALUE:
            return Reply(index, Kind.VALUE, payload, seconds)
        if kind == guest.MEMORY:
            return Reply(index, Kind.OUT_OF_MEMORY, cpu_seconds=seconds, text="MemoryError")
        if kind == guest.NO_CODE:
            return Reply(-1, Kind.NO_CODE, cpu_seconds=seconds, text=_text(payload))
        if kind == guest.RAISED:
            return _raised(index, seconds, payload)
        self.broken = UNREADABLE
        self.refused = True
        return Reply(index, Kind.DIED, cpu_seconds=seconds, text=self.broken)

    def _unfinished(self, killed: str) -> Iterator[Reply]:
        """Yield the reply for the input at which the child ended."""
        if not self.status.flags & guest.PREPARED:
            raise SandboxError(
                f"The sandbox could not prepare a program (status {self.status.code})",
                "See: experiments doctor",
            )
        code = self.status.code
        if killed and not self.broken:
            yield Reply(self.pending, Kind.TIMED_OUT, cpu_seconds=self.cpu_seconds, text=killed)
        elif self.broken:
            yield Reply(self.pending, Kind.DIED, text=self.broken)
        elif os.WIFSIGNALED(code) and os.WTERMSIG(code) == getattr(signal, "SIGXCPU", -1):
            yield Reply(self.pending, Kind.TIMED_OUT, text="CPU time for all inputs")
        elif os.WIFSIGNALED(code):
            yield Reply(self.pending, Kind.DIED, text=f"killed by signal {os.WTERMSIG(code)}")
        else:
            status = os.waitstatus_to_exitcode(code)
            yield Reply(self.pending, Kind.DIED, text=f"it left with exit status {status}")


class _Watch:
    """The clocks of one child."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.pidfd = -1
        self.pid = 0
        self.born = time.monotonic()
        self.stopped = False
        self.frames = -1
        self.phases: set[int] = set()
        self.progress()

    def start(self, pidfd: int) -> None:
        """Begin to look at the child's clocks: it did not end at once."""
        self.pidfd = pidfd
        self.started = True
        if pidfd >= 0:
            self.pid = _pid_of(pidfd)
        self._look()

    started = False

    def stop(self) -> None:
        """End looking: the child was killed or is gone."""
        self.stopped_at = time.monotonic()
        self.stopped = True
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def progress(self) -> None:
        """The child goes on from here: the wall clock begins anew."""
        self.since = time.monotonic()
        self.waited = self._waited()

    def seconds(self) -> float:
        """How long to wait before the next look."""
        if not self.started or self.stopped:
            return ANSWER_SECONDS
        return max(0.005, min(CHECK_SECONDS, self.left))

    left = CHECK_SECONDS

    def unanswered(self) -> bool:
        """Whether the guest owes an answer for too long."""
        if not self.started:
            return time.monotonic() - self.born > ANSWER_SECONDS
        return self.stopped and time.monotonic() - self.stopped_at > ANSWER_SECONDS

    def verdict(self) -> str:
        """Return which limit the pending input has passed; empty if none."""
        if not self.started or self.stopped:
            return ""
        self._look()
        run = self.run
        used = self._used()
        index = run.first + self.frames - 1  # after LOADED
        if self.frames < 1:
            allowed = run.limits.load_cpu_seconds
        elif index < len(run.allowed):
            allowed = run.allowed[index]
        else:
            allowed = CHECK_SECONDS
        if self.writing and self.frames >= 1:
            allowed = max(allowed, WRITE_SECONDS)
        self.left = allowed - (used - self.last)
        if self.left < 0:
            return "CPU time"
        if used > run.total:
            return "CPU time for all inputs"
        if time.monotonic() - self.born - self._waited() > run.total * WALL_FACTOR_FOR_ALL:
            return "wall time for all inputs"
        passed = time.monotonic() - self.since
        if passed > allowed * run.limits.wall_factor:
            passed -= self._waited() - self.waited
            if passed > allowed * run.limits.wall_factor:
                return "wall time"
        return ""

    last = 0.0
    writing = 0

    def _look(self) -> None:
        """Note how far the child has come, and its clock at that time."""
        frames, _, _, used, writing = guest.HEADER.unpack_from(self.run.guest.region)
        if frames != self.frames:
            self.phases = set()
        if writing not in self.phases:
            # each phase begins once: a program cannot set its clock back again and again
            self.phases.add(writing)
            self.frames, self.writing = frames, writing
            self.last = min(used / 1e9, self._used())
            self.progress()
        else:
            self.writing = writing  # back from handing over: the longer time is over

    def _used(self) -> float:
        """CPU seconds of the child, by the kernel's clock for its process."""
        if self.pid:
            with contextlib.suppress(OSError):
                return time.clock_gettime((~self.pid << 3) | 2)
        return float(guest.HEADER.unpack_from(self.run.guest.region)[3] / 1e9)

    def _waited(self) -> float:
        """Seconds that the child was ready to run and had no processor."""
        if self.pid:
            with contextlib.suppress(OSError, ValueError, IndexError):
                statistics = Path(f"/proc/{self.pid}/schedstat").read_text()
                return int(statistics.split()[1]) / 1e9
        return 0.0


def _choose(requested: str) -> str:
    return isolation.choose(requested)


def _shared_memory(size: int) -> int:
    """Return a descriptor of memory that can neither shrink nor grow."""
    if hasattr(os, "memfd_create"):
        import fcntl

        descriptor = os.memfd_create("region", os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        return descriptor
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return os.dup(file.fileno())


def _readable(sockets: list[socket.socket], seconds: float) -> list[socket.socket]:
    poll = select.poll()
    for each in sockets:
        poll.register(each, select.POLLIN)
    ready = {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
    return [each for each in sockets if each.fileno() in ready]


def _pid_of(pidfd: int) -> int:
    """Return the number by which this process knows the process of the handle."""
    with contextlib.suppress(OSError, ValueError), open(f"/proc/self/fdinfo/{pidfd}") as lines:
        for line in lines:
            if line.startswith("Pid:"):
                return max(0, int(line.split()[1]))
    return 0


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
                exception=_printable(name[:100]),
                builtin_types=tuple(kinds),
            )
    return Reply(index, Kind.DIED, cpu_seconds=seconds, text=UNREADABLE)


def _text(payload: bytes) -> str:
    return _printable(payload[:1000].decode("utf-8", "replace"))


def _printable(text: str) -> str:
    """Return a text of a program with what would steer a terminal, or cannot be stored, escaped."""
    return "".join(
        each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text
    )
