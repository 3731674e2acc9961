"""The program inside the sandbox: warm, small, standard library only.

It is started once per worker and runs as a file of its own, never as a part of the package:
nothing else of this project can be seen from inside. For every program under test it forks a
child. The child compiles the program, calls its entry point on each input and writes what
came back, as plain data, into a region of shared memory. The child is not trusted: whatever
it writes is only ever read as data, by the host.

Control messages (socket; host to guest: a length and marshalled arguments; back: `STATUS`):

    ("problem", [input, ...])     the inputs of the calls that follow, each marshalled
    ("run", first, options)       fork a child that starts with input number `first`; with the
                                  message comes the child's end of a socket to the host
    ("kill",)                     kill the child now

The region: `HEADER` (frames written, end of the last byte written, length of the program, CPU
nanoseconds at the end of the last call, whether its output is being written), then the program,
and from the moment the child has read it, a stream of frames: `FRAME` (kind, CPU nanoseconds at
the start and at the end of the call, length) and the payload. When the region is full, or a
block of inputs is done, the child says so on its socket, which no other child ever had, and
waits for the word to go on.
"""

import builtins
import ctypes
import gc
import hashlib
import marshal
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
import types
from typing import Any

Settings = dict[str, Any]

HEADER = struct.Struct("=QQQQQ")
FRAME = struct.Struct("=cQQQ")
CLOCK = struct.Struct("=QQ")
CLOCK_OFFSET = 24
STATUS = struct.Struct("=cidB")
LENGTH = struct.Struct("=Q")

LOADED = b"L"  # the program was loaded and has the entry point
NO_CODE = b"S"  # it does not compile, or lacks the entry point; payload: why
VALUE = b"V"  # payload: the output, marshalled
RAISED = b"E"  # payload: marshalled (builtin types of the exception, its type, its message)
MEMORY = b"M"  # a MemoryError
FINISHED = b"Z"  # all inputs were given

READY = b"R"  # status: the guest is up
STARTED = b"P"  # status: the child needs longer; a handle of it comes with the message
ENDED = b"D"  # status: the child is gone; code as of `waitpid`, CPU seconds, flags:
PREPARED = 1  # its limits were set and the program was about to be loaded
TOUCHED = 2  # it has changed the folder for files, which the next program may not see

MARSHAL_VERSION = 2
"""Without references and short forms: equal plain values have equal bytes."""

LARGE = 1 << 17
"""From this length on, writing an output takes time that is not the program's."""

GRACE_SECONDS = 0.01
MESSAGE_LENGTH = 300

PRELOAD = (
    "abc array bisect cmath collections collections.abc copy dataclasses datetime decimal enum",
    "fractions functools hashlib heapq itertools json math operator random re statistics string",
    "textwrap time traceback typing unicodedata warnings",
)
"""What solutions commonly import: imported once, before any fork."""


def main() -> None:
    """Serve until the host closes the control socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    region = int(sys.argv[2])
    settings = _receive(control)[0]
    memory = mmap.mmap(region, settings["region_bytes"])
    os.close(region)
    _prepare(settings)
    guest = _Guest(control, memory, settings)
    control.sendmsg([STATUS.pack(READY, 0, 0.0, 0)])
    try:
        guest.serve()
    finally:
        guest.end_child()


class _Guest:
    """Forks children and watches over them; knows no outputs."""

    def __init__(self, control: socket.socket, memory: mmap.mmap, settings: Settings) -> None:
        self.control = control
        self.memory = memory
        self.settings = settings
        self.inputs: list[bytes] = []
        self.child = 0
        self.reaped: tuple[int, float] | None = None
        self.untouched = self.folder_state()

    def serve(self) -> None:
        while True:
            message, talk = _receive(self.control)
            if message is None:
                return
            if message[0] == "problem":
                self.inputs = message[1]
            elif message[0] == "run":
                self.run(talk, *message[1:])
                os.close(talk)

    def run(self, talk: int, first: int, options: Settings) -> None:
        """Fork, watch, reap. A first look after a moment spares short runs one message."""
        prepared, tell = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            code = 70
            try:
                self.control.close()
                os.close(prepared)
                _child(tell, talk, self.memory, self.inputs, first, options, self.settings)
                code = 0
            finally:
                os._exit(code)
        os.close(tell)
        pidfd = os.pidfd_open(self.child) if hasattr(os, "pidfd_open") else -1
        try:
            if not self.ended(pidfd, GRACE_SECONDS):
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", pidfd))]
                message = STATUS.pack(STARTED, self.child, 0.0, 0)
                self.control.sendmsg([message], rights if pidfd >= 0 else [])
                while not self.ended(pidfd, None):
                    if _receive(self.control)[0] is None:
                        self.end_child()
                        os._exit(0)
                    if self.reaped is None:
                        os.kill(self.child, signal.SIGKILL)
        finally:
            if pidfd >= 0:
                os.close(pidfd)
        status, used = self.end_child()
        flags = PREPARED if os.read(prepared, 1) else 0
        os.close(prepared)
        if self.folder_state() != self.untouched or os.listdir(self.settings["folder"]):
            flags |= TOUCHED
        self.control.sendmsg([STATUS.pack(ENDED, status, used, flags)])

    def folder_state(self) -> tuple[int, int]:
        """The rights of the folder for files, and when it was changed last."""
        found = os.stat(self.settings["folder"])
        return found.st_mode, found.st_ctime_ns

    def ended(self, pidfd: int, seconds: float | None) -> bool:
        """Wait for the end of the child (true) or for a message of the host (false)."""
        if pidfd >= 0:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if seconds is None:
                poll.register(self.control, select.POLLIN)
            ready = poll.poll(None if seconds is None else seconds * 1000)
            return any(descriptor == pidfd for descriptor, _ in ready)
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.reap(os.WNOHANG):
            if deadline is None and select.select([self.control], [], [], 0.002)[0]:
                return False
            if deadline is not None:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.0005)
        return True

    def reap(self, options: int) -> bool:
        """Take note of how the child ended, if it has."""
        if self.reaped is None:
            process, status, usage = os.wait4(self.child, options)
            if process:
                self.reaped = status, usage.ru_utime + usage.ru_stime
        return self.reaped is not None

    def end_child(self) -> tuple[int, float]:
        """Kill and reap the child and everything that it may have started."""
        if not self.child:
            return 0, 0.0
        own = self.child
        if self.reaped is None:
            os.kill(own, signal.SIGKILL)
            self.reap(0)
        status, used = self.reaped or (0, 0.0)
        self.reaped, self.child = None, 0
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
        return status, used


def _kill_children() -> None:
    """Orphans come to this process, since it is PID 1 or a subreaper."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as children:
            for child in children.read().split():
                os.kill(int(child), signal.SIGKILL)
    except OSError:
        pass


def _receive(control: socket.socket) -> tuple[Any, int]:
    """The next message of the host and the descriptor that came with it, or -1.

    The message is None once the host is gone.
    """
    start, descriptors, _, _ = socket.recv_fds(control, LENGTH.size, 1)
    head = _exactly(control, LENGTH.size, start) if start else None
    body = None if head is None else _exactly(control, LENGTH.unpack(head)[0])
    message = None if body is None else marshal.loads(body)
    return message, descriptors[0] if descriptors else -1


def _exactly(control: socket.socket, size: int, start: bytes = b"") -> bytes | None:
    parts = bytearray(start)
    while len(parts) < size:
        part = control.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _prepare(settings: Settings) -> None:
    """Once, before the first fork: modules, standard streams, protection of this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    settings["prctl"] = getattr(libc, "prctl", None)
    settings["syscall"] = getattr(libc, "syscall", None)
    if settings["prctl"]:
        settings["prctl"](4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: memory and descriptors are private
        settings["prctl"](36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
        settings["prctl"](38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    if settings["landlock"]:
        _landlock(libc, settings["landlock"])
    sys.path[:] = [path for path in sys.path if path] + settings["packages"]
    sys.argv[:] = [""]
    for name in [*" ".join(PRELOAD).split(), *settings["preload"]]:
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


def _landlock(libc: ctypes.CDLL, rules: Settings) -> None:
    """Let this process and its children see the given folders only, and write to one."""
    attributes = rules["attributes"]
    ruleset = libc.syscall(444, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    for path, access in rules["allowed"]:
        try:
            folder = os.open(path, os.O_PATH)
        except OSError:
            continue
        if not os.path.isdir(path):
            access &= rules["of_files"]
        rule = struct.pack("=Qi", access, folder)
        if libc.syscall(445, ruleset, 1, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
        os.close(folder)
    if libc.syscall(446, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def _child(
    tell: int,
    talk: int,
    memory: mmap.mmap,
    inputs: list[bytes],
    first: int,
    options: Settings,
    settings: Settings,
) -> None:
    """Run the program. From here on nothing is trusted."""
    size = HEADER.unpack_from(memory)[2]
    program = memory[HEADER.size : HEADER.size + size]
    writer = _Writer(memory, talk, options)
    writer.reset()
    if not settings["alone"]:
        os.setpgid(0, 0)
    _limit(settings, options)
    if settings["capset"]:
        _drop_capabilities(settings)
    if settings["filter"]:
        _install_filter(settings)
    os.chdir(settings["folder"])
    os.write(tell, b"+")
    os.close(tell)
    call = _load(program, options["entry_point"], writer)
    if call is not None:
        _run(call, inputs, first, options, writer)
        writer.frame(FINISHED, b"")


def _limit(settings: Settings, options: Settings) -> None:
    for name, value in (
        ("RLIMIT_CPU", options["cpu_seconds"]),
        ("RLIMIT_AS", settings["memory_bytes"]),
        ("RLIMIT_DATA", settings["memory_bytes"]),
        ("RLIMIT_STACK", settings["stack_bytes"]),
        ("RLIMIT_FSIZE", settings["file_bytes"]),
        ("RLIMIT_NOFILE", settings["files"]),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_MSGQUEUE", 0),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_NPROC", settings["processes"]),
    ):
        if value is not None and hasattr(resource, name):
            limit = getattr(resource, name)
            hard = resource.getrlimit(limit)[1]
            if hard != resource.RLIM_INFINITY:
                value = min(value, hard)
            resource.setrlimit(limit, (value, value))


def _drop_capabilities(settings: Settings) -> None:
    """Where this runs as root without bubblewrap: a root that may do nothing special."""
    header = struct.pack("=Ii", 0x20080522, 0)
    if settings["syscall"](settings["capset"], header, bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _install_filter(settings: Settings) -> None:
    """Let the kernel refuse the system calls that no solution needs."""
    code = bytearray(settings["filter"])
    for offset in settings["filter_pid_offsets"]:
        struct.pack_into("=I", code, offset, os.getpid())
    instructions = ctypes.create_string_buffer(bytes(code), len(code))
    filter_program = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
    if settings["prctl"](22, 2, ctypes.create_string_buffer(filter_program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def _load(program: bytes, entry_point: str, writer: "_Writer") -> Any:
    """Return the function under test; None if there is none, which is told."""
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    try:
        text = program.decode("utf-8", "surrogatepass")
        code = compile(text, "<solution>", "exec", dont_inherit=True)
    except MemoryError:
        writer.frame(NO_CODE, b"it is too deeply nested to be compiled")
        return None
    except BaseException as error:
        writer.frame(NO_CODE, _told(error))
        return None
    try:
        exec(code, module.__dict__)
    except BaseException as error:
        writer.error(error)
        return None
    if entry_point not in module.__dict__:
        message = f"the program does not define {entry_point}"
        writer.frame(NO_CODE, message.encode("utf-8", "backslashreplace"))
        return None
    writer.returned(writer.clock())
    writer.frame(LOADED, b"")
    return module.__dict__[entry_point]


def _run(
    call: Any,
    inputs: list[bytes],
    first: int,
    options: Settings,
    writer: "_Writer",
    loads: Any = marshal.loads,
    dumps: Any = marshal.dumps,
    clock: Any = time.process_time_ns,
    size_of: Any = len,
) -> None:
    """Give the inputs one by one, each freshly made, and write what comes back.

    The functions used between two calls are bound beforehand: a program that replaces
    builtins to break this loop breaks only its own replies.
    """
    as_set = options["as_set"]
    limit = options["output_bytes"]
    modules = sys.modules
    for index in range(first, options["last"]):
        arguments = loads(inputs[index])
        writer.begin(index - first)
        try:
            output = call(*arguments)
            if as_set:
                output = set(output)
        except BaseException as error:
            writer.error(error)
            continue
        writer.returned(clock())
        try:
            payload = dumps(output, MARSHAL_VERSION)
            if "numpy" in modules and b"s" in payload:  # perhaps an array, written as bytes
                payload = dumps(plain(output), MARSHAL_VERSION)
        except MemoryError:
            writer.frame(MEMORY, b"")
            continue
        except BaseException:
            try:
                payload = dumps(plain(output), MARSHAL_VERSION)
            except MemoryError:
                writer.frame(MEMORY, b"")
                continue
            except BaseException:
                payload = dumps(_other(output), MARSHAL_VERSION)
        size = size_of(payload)
        if size > limit:
            digest = hashlib.sha256(payload).hexdigest()
            payload = dumps((..., "digest", size, digest), MARSHAL_VERSION)
        if size <= LARGE:
            writer.frame(VALUE, payload)
        else:
            writer.frame(VALUE, payload, writing=1)
            output = payload = None  # to free them takes time, too
            writer.started(clock())


class _Writer:
    """Writes frames into the region; hands it over when it is full or a block is done."""

    def __init__(self, memory: mmap.mmap, talk: int, options: Settings) -> None:
        self.memory = memory
        self.talk = socket.socket(fileno=talk)
        self.size = len(memory)
        self.position = HEADER.size
        self.frames = 0
        self.block = options["block"]
        self.until = self.block
        self.clock = time.process_time_ns
        self.start = self.used = 0

    def reset(self) -> None:
        HEADER.pack_into(self.memory, 0, 0, HEADER.size, 0, 0, 0)

    def begin(self, done: int) -> None:
        """Called before each input: at the end of a block the host decides whether to go on."""
        if self.block and done == self.until:
            self.hand_over()
            self.block *= 2
            self.until += self.block

    def started(self, now: int) -> None:
        """The next call's time begins now; else it begins where the last one's ended."""
        self.start = now
        CLOCK.pack_into(self.memory, CLOCK_OFFSET, now, 0)

    def returned(self, now: int) -> None:
        """A call has ended: tell the host, whose clock for the output begins now."""
        self.used = now
        CLOCK.pack_into(self.memory, CLOCK_OFFSET, now, 1)

    def frame(self, kind: bytes, payload: bytes, writing: int = 0) -> None:
        used = self.used
        head = FRAME.pack(kind, self.start, used, len(payload))
        self.start = used
        end = self.position + len(head) + len(payload)
        if end <= self.size:
            self.memory[self.position : end] = head + payload
            self.position = end
        else:
            self.pieces(head + payload)
        self.frames += 1
        HEADER.pack_into(self.memory, 0, self.frames, self.position, 0, used, writing)

    def pieces(self, data: bytes) -> None:
        """A frame that does not fit goes in pieces."""
        view = memoryview(data)
        while len(view):
            if self.position == self.size:
                self.hand_over(writing=1)
            part = view[: self.size - self.position]
            self.memory[self.position : self.position + len(part)] = part
            self.position += len(part)
            view = view[len(part) :]

    def hand_over(self, writing: int = 0) -> None:
        HEADER.pack_into(self.memory, 0, self.frames, self.position, 0, self.clock(), 1)
        self.talk.send(b"+")
        self.talk.recv(1)
        self.position = HEADER.size
        # what was taken is not there any more, and the time for writing is over
        HEADER.pack_into(self.memory, 0, self.frames, self.position, 0, self.clock(), writing)

    def error(self, error: BaseException) -> None:
        self.returned(self.clock())
        if isinstance(error, MemoryError):
            self.frame(MEMORY, b"")
            return
        kinds = [
            kind.__name__
            for kind in type.mro(type(error))
            if _BUILTINS.get(kind.__name__) is kind and kind is not object
        ]
        try:
            name = str.__str__(type(error).__name__)[:100]
        except BaseException:
            name = "?"
        self.frame(RAISED, marshal.dumps((kinds, name, _told(error)), MARSHAL_VERSION))


_BUILTINS = dict(vars(builtins))


def _told(error: BaseException) -> bytes:
    """The message of an exception as short bytes, whatever its `__str__` does."""
    try:
        text = str.__str__(str(error))
    except BaseException:
        text = "(its message could not be read)"
    return text[:MESSAGE_LENGTH].encode("utf-8", "backslashreplace")


def plain(value: Any, depth: int = 0) -> Any:
    """Return `value` as builtin types only, with what has no such form told by its type.

    Subclasses become their base type. What plain types cannot say is a tuple that begins
    with `...`: numpy scalars and arrays, ranges, decimals, fractions, others.
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, complex, str, bytes):
        return value
    if depth > 500:
        raise RecursionError("nested too deeply")
    below = depth + 1
    if kind is list:
        return [plain(item, below) for item in value]
    if kind is tuple:
        return tuple([plain(item, below) for item in value])
    if kind is dict:
        return {plain(key, below): plain(item, below) for key, item in value.items()}
    if kind is set:
        return {plain(item, below) for item in value}
    if kind is frozenset:
        return frozenset([plain(item, below) for item in value])
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.generic, numpy.ndarray)):
        return _of_numpy(numpy, value)
    if isinstance(value, bool | int):
        return int.__pos__(value)
    if isinstance(value, float):
        return float.__pos__(value)
    if isinstance(value, complex):
        return complex.__pos__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes.__getitem__(value, slice(None))
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, list):
        return [plain(item, below) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return tuple([plain(item, below) for item in tuple.__iter__(value)])
    if isinstance(value, dict):
        return {plain(key, below): plain(item, below) for key, item in dict.items(value)}
    if isinstance(value, set):
        return {plain(item, below) for item in set.__iter__(value)}
    if isinstance(value, frozenset):
        return frozenset([plain(item, below) for item in frozenset.__iter__(value)])
    return _other(value, below)


def _of_numpy(numpy: Any, value: Any) -> Any:
    """A numpy scalar or array: its kind of numbers, its shape (None: a scalar), its items."""
    array = numpy.asarray(value)
    scalar = isinstance(value, numpy.generic)
    if array.dtype.kind not in "biufcUS":
        return _other(value)
    items = array.ravel().tolist()
    if scalar:
        return (..., "numpy", array.dtype.str, None, items[0])
    return (..., "numpy", array.dtype.str, tuple(array.shape), items)


def _other(value: Any, depth: int = 0) -> Any:
    kind = type(value)
    if kind is range:
        return (..., "range", value.start, value.stop, value.step)
    if kind is type({}.keys()) or kind is type({}.items()):
        return (..., "set-like", [plain(item, depth) for item in value])
    decimal = sys.modules.get("decimal")
    if decimal is not None and kind is decimal.Decimal:
        return (..., "decimal", str(value))
    fractions = sys.modules.get("fractions")
    if fractions is not None and kind is fractions.Fraction:
        return (..., "fraction", int(value.numerator), int(value.denominator))
    return (..., "other", str.__str__(kind.__name__)[:100])


if __name__ == "__main__":
    main()
