"""The executor: sets its own limits, then runs one program on its inputs.

It is a child of the worker, forked for one program. All that a program could spoil later is
bound beforehand: a program that replaces builtins breaks only its own replies.
"""

import array
import builtins
import marshal
import os
import resource
import signal
import socket
import sys
import time
import types
from typing import Any

from . import kernel, outputs, protocol

Settings = dict[str, Any]

_PR_SET_PDEATHSIG = 1
_MOMENT_NANOSECONDS = 1_000_000
"""Of a call that took longer, the host is told at once that it has returned."""

_BUILTINS = dict(vars(builtins))
_MESSAGE_LENGTH = 300


def execute(
    settings: Settings,
    options: Settings,
    inputs: list[bytes],
    control: socket.socket,
    listeners: socket.socket,
    pipe: int,
    host: int,
) -> None:
    """Prepare this process, say so, and run the program; from then on nothing is trusted.

    Args:
        settings: of the worker.
        options: of this program.
        inputs: of the calls, each marshalled.
        control: to the host, for one word.
        listeners: to the worker, for the descriptor by which it is asked for new threads.
        pipe: for frames.
        host: a socket, by which the program comes, and words on blocks of inputs.
    """
    kernel.option(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != settings["pid"]:  # it ended before that was set
        os._exit(70)
    if not settings["alone"]:
        os.setpgid(0, 0)
    os.chdir(settings["folder"])
    if settings["counting"]:  # first: to send a descriptor is held by the limit of open files
        _have_threads_counted(settings, listeners)
    listeners.close()
    _limit(settings, options)
    if settings["ruleset"] >= 0:
        kernel.restrict(settings["ruleset"])
    if settings["capset"]:  # root outside of bubblewrap: one that may do nothing special
        kernel.keep_capabilities(settings["capset"])
    if settings["filter"]:
        kernel.filter_calls(settings["filter"], settings["filter_pids"])
    program = protocol.message(host)
    if program is None:
        os._exit(70)  # the host is gone
    frames = _Frames(pipe)
    control.send(protocol.STATUS.pack(protocol.STARTED, os.getpid(), 0.0, 0))
    control.close()
    call = _load(program, options["entry_point"], frames)
    if call is not None:
        _run(call, inputs, options, frames, host)
        frames.send(protocol.FINISHED, time.process_time_ns())


def _limit(settings: Settings, options: Settings) -> None:
    for name, value in (
        ("RLIMIT_CPU", options["cpu_seconds"]),
        ("RLIMIT_AS", settings["memory_bytes"]),
        ("RLIMIT_DATA", settings["memory_bytes"]),
        ("RLIMIT_STACK", settings["stack_bytes"]),
        ("RLIMIT_FSIZE", settings["file_bytes"]),
        ("RLIMIT_NOFILE", settings["open_files"]),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_MSGQUEUE", 0),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_SIGPENDING", settings["open_files"]),
        ("RLIMIT_NPROC", settings["processes"]),
    ):
        if value is not None and hasattr(resource, name):
            limit = getattr(resource, name)
            hard = resource.getrlimit(limit)[1]
            if hard != resource.RLIM_INFINITY:
                value = min(value, hard)
            resource.setrlimit(limit, (value, value))


def _have_threads_counted(settings: Settings, listeners: socket.socket) -> None:
    """Install the filter that asks the worker before each new thread.

    Where the system has put a filter of that kind on all processes, a second is refused, and
    the worker counts threads now and then only.
    """
    listener = kernel.listener(settings["seccomp"], settings["counting"])
    if listener >= 0:
        rights = array.array("i", [listener])
        listeners.sendmsg([b"l"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        os.close(listener)


def _load(
    program: bytes, entry_point: str, frames: "_Frames", clock: Any = time.process_time_ns
) -> Any:
    """Return the function under test; None if there is none, which is told."""
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    try:
        text = program.decode("utf-8", "surrogatepass")
        code = compile(text, "<solution>", "exec", dont_inherit=True)
    except MemoryError:
        frames.send(protocol.NO_CODE, clock(), b"it is too deeply nested to be compiled")
        return None
    except BaseException as error:
        frames.send(protocol.NO_CODE, clock(), _message(error))
        return None
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        frames.error(error)
        return None
    if entry_point not in module.__dict__:
        message = f"the program does not define {entry_point}"
        frames.send(protocol.NO_CODE, clock(), message.encode("utf-8", "backslashreplace"))
        return None
    frames.send(protocol.LOADED, clock())
    return module.__dict__[entry_point]


def _run(
    call: Any,
    inputs: list[bytes],
    options: Settings,
    frames: "_Frames",
    host: int,
    loads: Any = marshal.loads,
    payload_of: Any = outputs.payload_of,
    read: Any = os.read,
    write: Any = os.write,
    clock: Any = time.process_time_ns,
    size_of: Any = len,
    moment: int = _MOMENT_NANOSECONDS,
    long: int = protocol.LONG,
) -> None:
    """Give the inputs one by one, each freshly made, and send what comes back."""
    first, as_set, limit = options["first"], options["as_set"], options["output_bytes"]
    send, error_sent = frames.send, frames.error
    block = 1
    until = first + block if options["blocks"] else len(inputs)
    for index in range(first, len(inputs)):
        if index == until:
            write(host, b"+")
            read(host, 1)  # the host decides whether to go on
            block *= 2
            until += block
        arguments = loads(inputs[index])
        try:
            output = call(*arguments)
            if as_set:
                output = set(output)
        except BaseException as error:
            error_sent(error)
            continue
        now = clock()
        is_told = now - frames.told > moment
        if is_told:  # what is written from now on takes no time of the call
            send(protocol.RETURNED, now)
        try:
            payload = payload_of(output, limit)
        except MemoryError:
            output = None
            send(protocol.MEMORY, clock())
            continue
        if size_of(payload) > long and not is_told:
            send(protocol.RETURNED, now)
            is_told = True
        output = arguments = None  # to free them takes time, too
        send(protocol.VALUE, clock() if is_told else now, payload)


class _Frames:
    """Writes frames into a pipe, each with the CPU clock of this process."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.told = 0

    def send(
        self,
        kind: bytes,
        now: int,
        payload: bytes = b"",
        pack: Any = protocol.FRAME.pack,
        write: Any = os.write,
        size_of: Any = len,
    ) -> None:
        self.told = now
        data = pack(kind, now, size_of(payload)) + payload
        sent = write(self.pipe, data)
        while sent < size_of(data):
            sent += write(self.pipe, memoryview(data)[sent:])

    def error(self, error: BaseException, clock: Any = time.process_time_ns) -> None:
        now = clock()
        if isinstance(error, MemoryError):
            self.send(protocol.MEMORY, now)
            return
        bases = type.__dict__["__mro__"].__get__(type(error))
        names = [(type.__dict__["__name__"].__get__(base), base) for base in bases]
        kinds = [name for name, base in names if _BUILTINS.get(name) is base and base is not object]
        told = (kinds, names[0][0][:100], _message(error))
        self.send(protocol.RAISED, now, marshal.dumps(told, protocol.MARSHAL_VERSION))


def _message(error: BaseException) -> bytes:
    """The message of an exception as short bytes, whatever its `__str__` does."""
    try:
        text = str.__str__(str(error))
    except BaseException:
        text = "(its message could not be read)"
    return text[:_MESSAGE_LENGTH].encode("utf-8", "backslashreplace")
