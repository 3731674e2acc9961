"""A worker as the host sees it: how it is started, told what to do, and ended."""

import contextlib
import select
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from experiments.errors import SandboxError, printable
from experiments.sandbox import control_group, system_calls, wire
from experiments.sandbox.isolation.base import Isolation
from experiments.sandbox.worker import protocol
from experiments.schema import SandboxConfig

START_SECONDS = 60.0
ANSWER_SECONDS = 30.0
STACK_BYTES = 120 << 20  # the kernel keeps 128 MB below a process's mappings for its stack
OPEN_FILES = 64
THREADS = 64
FOLDER_FILES = 2000
FOLDER_FACTOR = 4
"""All files together may be this many times as large as one."""


class WorkerGone(Exception):
    """The worker itself has ended."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a worker or an executor says; see `protocol`.

    Attributes:
        pid: of the sender, as it is known here; 0 if that is not to be had.
    """

    kind: bytes
    number: int
    seconds: float
    flags: int
    pid: int


class Worker:
    """A warm worker, its control socket and its place on this machine.

    Raises:
        SandboxError: it cannot be started.
    """

    def __init__(
        self, limits: SandboxConfig, isolation: Isolation, preload: Sequence[str], hash_seed: int
    ) -> None:
        self._inputs: object = None
        self._closing = contextlib.ExitStack()
        try:
            self._start(limits, isolation, preload, hash_seed)
        except BaseException:
            self.close()
            raise

    def _start(
        self, limits: SandboxConfig, isolation: Isolation, preload: Sequence[str], hash_seed: int
    ) -> None:
        folder_bytes = FOLDER_FACTOR * (limits.file_megabytes << 20)
        place = isolation.place(tuple(preload), folder_bytes, hash_seed)
        self._closing.callback(isolation.clean, place)
        self.control, control = socket.socketpair()
        for each in (self.control, control):
            self._closing.callback(each.close)
        errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._closing.callback(errors.close)
        if hasattr(socket, "SO_PASSCRED"):
            self.control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        try:
            group = control_group.around(limits, THREADS)
            self._closing.callback(group.remove)
            command, environment = group.wrapped(place.command, place.environment)
            self.process = subprocess.Popen(
                [*command, str(control.fileno())],
                env=environment,
                pass_fds=[control.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"The sandbox could not be started: {error}") from None
        self._isolation = isolation
        self._pid = self.executor = 0
        self._closing.callback(self._kill)
        control.close()
        linux = sys.platform == "linux"
        filter_code, filter_pids = system_calls.filter_code(limits.processes > 0)
        settings = {
            "alone": place.alone,
            "code": place.code,
            "folder": place.folder,
            "private": place.private,
            "packages": place.packages,
            "preload": list(preload),
            "landlock": place.landlock,
            "filter": filter_code,
            "filter_pids": list(filter_pids),
            "counting": system_calls.counting_code(),
            **system_calls.numbers(),
            "memory_bytes": limits.memory_megabytes << 20 if linux else None,
            "stack_bytes": min(STACK_BYTES, limits.memory_megabytes << 20) if linux else None,
            "file_bytes": limits.file_megabytes << 20,
            "open_files": OPEN_FILES,
            "threads": THREADS,
            "forks": limits.processes,
            "processes": None if filter_code or limits.processes else 0,
            "folder_files": FOLDER_FILES,
            "folder_bytes": folder_bytes,
        }
        status = None
        with contextlib.suppress(WorkerGone):
            self._send(settings)
            status = self.status(START_SECONDS)
        if status is None or status.kind != protocol.READY:
            self._kill()
            errors.seek(0)
            text = errors.read(1 << 16).decode(errors="replace").strip()
            lines = text.splitlines() or ["no message"]
            raise SandboxError(
                f"The sandbox ({isolation.name}) could not be started: {printable(lines[-1])}",
                "See: experiments doctor",
            )
        self._pid = status.pid

    def run(self, inputs: list[bytes], options: object, descriptors: Sequence[int]) -> None:
        """Have an executor started, which is given a pipe and a socket.

        Raises:
            WorkerGone: it has ended.
        """
        if self._inputs is not inputs:
            self._send(("inputs", inputs))
            self._inputs = inputs
        self._send(("run", options), descriptors)

    def kill_executor(self) -> None:
        """Have the program ended that runs now, if one does.

        Raises:
            WorkerGone: the worker has ended.
        """
        self._send(("kill",))

    def status(self, seconds: float | None = None) -> Status:
        """Return what is said next.

        Args:
            seconds: to wait for it; None if there is something to be read.

        Raises:
            WorkerGone: it has ended, or says nothing within the time.
        """
        if seconds is not None and not readable([self.control.fileno()], seconds):
            raise WorkerGone
        try:
            data, ancillary, _, _ = self.control.recvmsg(protocol.STATUS.size, 256)
        except OSError:
            raise WorkerGone from None
        if len(data) != protocol.STATUS.size:
            raise WorkerGone
        kind, number, cpu_seconds, flags = protocol.STATUS.unpack(data)
        pid = 0
        for level, ancillary_kind, content in ancillary:
            if (level, ancillary_kind) == (
                socket.SOL_SOCKET,
                getattr(socket, "SCM_CREDENTIALS", None),
            ):
                pid = struct.unpack_from("=i", content)[0]
        if kind == protocol.STARTED:
            self.executor = pid or number  # which are the same where there are no name spaces
        elif kind == protocol.ENDED:
            self.executor = 0
        return Status(kind, number, cpu_seconds, flags, pid)

    def give_up(self) -> None:
        """Kill it, from another thread; what runs in it ends with it."""
        self.process.kill()

    def close(self) -> None:
        """End it and what runs in it, and remove its files."""
        self._closing.close()

    def _send(self, message: object, descriptors: Sequence[int] = ()) -> None:
        """Send a message, and descriptors along with its first bytes."""
        body = wire.encode(message)
        data = protocol.LENGTH.pack(len(body)) + body
        try:
            sent = socket.send_fds(self.control, [data], descriptors) if descriptors else 0
            self.control.sendall(memoryview(data)[sent:])
        except OSError:
            raise WorkerGone from None

    def _kill(self) -> None:
        self._isolation.kill(self.process, self._pid, self.executor)
        self._pid = self.executor = 0


def readable(descriptors: Sequence[int], seconds: float) -> set[int]:
    """Return which of the descriptors have something to read, or have come to their end."""
    poll = select.poll()
    for each in descriptors:
        poll.register(each, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
