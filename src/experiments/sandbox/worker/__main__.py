"""The worker: forks an executor per program and ends it, with all that it started."""

import errno
import fcntl
import gc
import marshal
import os
import select
import signal
import socket
import struct
import sys
import time
from typing import Any

from . import executor, folder, kernel, protocol

_PRELOAD = (
    "abc array bisect cmath collections collections.abc copy dataclasses datetime decimal enum",
    "fractions functools hashlib heapq itertools json math operator random re statistics string",
    "textwrap time traceback typing unicodedata warnings",
)
"""What solutions commonly import: imported once, before any fork."""

_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36
_CLONE_THREAD = 0x00010000
_GRACE_SECONDS = 0.003
"""Most programs are over by then: only from then on is an executor listened to."""

_LOOK_SECONDS = 0.25
"""How often files are counted while a program runs; threads as well, where none can be refused."""


def main() -> None:
    """Serve until the host closes the control socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings, _ = _receive(control)
    _prepare(settings)
    worker = _Worker(control, settings)
    control.send(protocol.STATUS.pack(protocol.READY, 0, 0.0, 0))
    try:
        worker.serve()
    finally:
        worker.end_executor()
        if settings["private"]:  # perhaps the host was killed, and cannot do it
            folder.remove(settings["private"])


class _Worker:
    """Forks executors, waits for their end, and knows no outputs."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        self.control = control
        self.settings = settings
        self.inputs: list[bytes] = []
        self.child = 0
        self.forks = 0
        self.overfull = False
        self.listener = -1
        self.listeners, self.listeners_of_child = socket.socketpair()
        self.wakened, self.waker = os.pipe()
        for descriptor in (self.wakened, self.waker, self.listeners.fileno()):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.waker, warn_on_full_buffer=False)
        self.clean = self.folder_state()

    def serve(self) -> None:
        while True:
            message, descriptors = _receive(self.control)
            if message is None:
                return
            if message[0] == "inputs":
                self.inputs = message[1]
            elif message[0] == "run":
                self.run(message[1], descriptors)

    def run(self, options: dict[str, Any], descriptors: list[int]) -> None:
        """Run one program to its end and say how it ended."""
        self.forks, self.overfull = 0, False
        try:
            self.child = os.fork()
        except OSError as error:
            self.tell_fault(error)
            return
        finally:
            if self.child:
                for descriptor in descriptors:
                    os.close(descriptor)
        if self.child == 0:
            code = 70
            try:
                self.become_executor(options, descriptors)
                code = 0
            except OSError as error:
                self.tell_fault(error)
            finally:
                os._exit(code)
        status, seconds = self.end_executor(self.wait())
        if self.take_listener() or self.listener >= 0:
            os.close(self.listener)
            self.listener = -1
        flags = protocol.OVERFULL if self.overfull else 0
        if not self.cleaned():
            flags |= protocol.SOILED
        self.control.send(protocol.STATUS.pack(protocol.ENDED, status, seconds, flags))

    def tell_fault(self, error: OSError) -> None:
        """Say that the machine could not start an executor, unless it has started."""
        if self.control.fileno() >= 0:
            self.control.send(protocol.STATUS.pack(protocol.FAULTY, error.errno or 0, 0.0, 0))

    def become_executor(self, options: dict[str, Any], descriptors: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self.wakened)
        os.close(self.waker)
        self.listeners.close()
        executor.execute(
            self.settings,
            options,
            self.inputs,
            self.control,
            self.listeners_of_child,
            *descriptors,
        )

    def wait(self) -> tuple[int, float] | None:
        """Return how the executor ended by itself; None if it is to be ended."""
        poll = select.poll()
        for each in (self.wakened, self.control):
            poll.register(each, select.POLLIN)
        look_at = time.monotonic() + _LOOK_SECONDS
        seconds = _GRACE_SECONDS
        while True:
            ready = {number for number, _ in poll.poll(seconds * 1000)}
            if seconds == _GRACE_SECONDS:
                seconds = _LOOK_SECONDS
                poll.register(self.listeners, select.POLLIN)
            if self.wakened in ready:
                os.read(self.wakened, 4096)
            process, status, usage = os.wait4(self.child, os.WNOHANG)
            if process:
                return status, usage.ru_utime + usage.ru_stime
            if self.control.fileno() in ready:
                return None  # killed, or the host is gone, which `serve` finds
            if self.listeners.fileno() in ready and self.take_listener():
                poll.register(self.listener, select.POLLIN)
            if self.listener in ready:
                self.answer()
            if time.monotonic() > look_at:
                if self.is_overfull():
                    self.overfull = True
                    return None
                look_at = time.monotonic() + _LOOK_SECONDS

    def take_listener(self) -> bool:
        """Receive the descriptor by which the executor asks for new threads, if it was sent."""
        try:
            _, descriptors, _, _ = socket.recv_fds(self.listeners, 1, 1)
        except BlockingIOError:
            return False
        self.listener = descriptors[0]
        return True

    def answer(self) -> None:
        """Allow or refuse a new thread or process."""
        request = bytearray(80)
        try:
            fcntl.ioctl(self.listener, 0xC0502100, request)
            number, pid, flags = struct.unpack_from("=QI20xQ", request)
            if flags & _CLONE_THREAD:
                allowed = _threads(pid) < self.settings["threads"]
            else:
                self.forks += 1
                allowed = self.forks <= self.settings["forks"]
            refusal = 0 if allowed else -errno.EAGAIN
            fcntl.ioctl(
                self.listener, 0xC0182101, struct.pack("=QqiI", number, 0, refusal, int(allowed))
            )
        except OSError:
            pass  # it was killed meanwhile

    def is_overfull(self) -> bool:
        settings = self.settings
        if self.listener < 0 and _threads(self.child) > settings["threads"]:
            return True
        return folder.is_overfull(
            settings["folder"], settings["folder_files"], settings["folder_bytes"]
        )

    def end_executor(self, end: tuple[int, float] | None = None) -> tuple[int, float]:
        """Kill and reap the executor and everything that it may have started."""
        if not self.child:
            return 0, 0.0
        own, self.child = self.child, 0
        if end is None:
            os.kill(own, signal.SIGKILL)
            _, status, usage = os.wait4(own, 0)
            end = status, usage.ru_utime + usage.ru_stime
        try:
            if self.settings["alone"]:
                os.kill(-1, signal.SIGKILL)
            else:
                os.killpg(own, signal.SIGKILL)
        except OSError:
            pass
        try:
            while True:
                _kill_children()
                os.wait4(-1, 0)
        except ChildProcessError:
            pass
        return end

    def cleaned(self) -> bool:
        """Whether the folder for files is as it was, perhaps after emptying it."""
        path = self.settings["folder"]
        if self.folder_state() == self.clean:
            return True
        try:
            folder.empty(path)
        except OSError:
            return False
        mode, self.clean = self.clean[0], self.folder_state()
        return self.clean[0] == mode

    def folder_state(self) -> tuple[int, int]:
        """The rights of the folder for files, and when it was changed last."""
        found = os.stat(self.settings["folder"])
        return found.st_mode, found.st_ctime_ns


def _threads(pid: int) -> int:
    """How many threads a process has; 0 if that cannot be read."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[17])
    except (OSError, ValueError, IndexError):
        return 0


def _kill_children() -> None:
    """Orphans come to this process, since it is PID 1 or a subreaper."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as children:
            for child in children.read().split():
                os.kill(int(child), signal.SIGKILL)
    except OSError:
        pass


def _receive(control: socket.socket) -> tuple[Any, list[int]]:
    """The next message of the host and the descriptors that came with it.

    The message is None once the host is gone.
    """
    start, descriptors, _, _ = socket.recv_fds(control, protocol.LENGTH.size, 2)
    body = protocol.message(control.fileno(), start) if start else None
    return None if body is None else marshal.loads(body), descriptors


def _prepare(settings: dict[str, Any]) -> None:
    """Once, before the first fork: modules, standard streams, protection of this process."""
    settings["pid"] = os.getpid()
    kernel.option(_PR_SET_DUMPABLE, 0)  # memory and descriptors are private
    kernel.option(_PR_SET_CHILD_SUBREAPER, 1)
    kernel.keep_privileges()
    settings["ruleset"] = kernel.ruleset(settings["landlock"]) if settings["landlock"] else -1
    sys.path[:] = [path for path in sys.path if path not in ("", settings["code"])]
    sys.path += settings["packages"]
    os.environ.pop("PYTHONPATH", None)
    sys.argv[:] = [""]
    for name in [*" ".join(_PRELOAD).split(), *settings["preload"]]:
        try:
            __import__(name)
        except ImportError:
            if name in settings["preload"]:
                raise
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)
    sys.dont_write_bytecode = True
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
