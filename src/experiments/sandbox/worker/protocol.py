"""What a host, its worker and an executor say to each other.

Between host and worker there is a pair of sockets. The host sends `LENGTH` and a marshalled
message, and descriptors with it:

    {...}                         settings, once
    ("inputs", [input, ...])      the inputs of the programs that follow, each marshalled
    ("run", options)              fork an executor; its pipe and its socket come along
    ("kill",)                     kill the executor now

and gets `STATUS` back: `READY` and `ENDED` from the worker, `STARTED` from the executor itself.

Each executor has a pipe and a socket that no other executor ever had. By the socket comes the
program (`LENGTH`, then its source), past the worker, whose memory all later programs inherit. The
executor writes frames into the pipe (`FRAME`: kind, its CPU clock in nanoseconds, length; then the
payload). Where inputs are given in blocks, it says by the socket that one is done, and waits for
the word to go on.
"""

import os
import struct

LENGTH = struct.Struct("=Q")
STATUS = struct.Struct("=cidB")
FRAME = struct.Struct("=cQQ")

READY = b"R"  # the worker is up
STARTED = b"S"  # limits are set, the program is about to be loaded; number: of the process
ENDED = b"D"  # number: status as of `waitpid`; seconds of CPU; flags:
SOILED = 1  # the folder for files could not be brought back to what it was
OVERFULL = 2  # it was killed for too many files, or too large ones
FAULTY = b"F"  # the machine could not start an executor; number: of the error

LOADED = b"L"  # the program was loaded and has the entry point
NO_CODE = b"N"  # it does not compile, or lacks the entry point; payload: why
RETURNED = b"O"  # a call has returned; its output, which takes time, is being written
VALUE = b"V"  # payload: the output
RAISED = b"E"  # payload: marshalled (builtin types of the exception, its type, its message)
MEMORY = b"M"  # a MemoryError
FINISHED = b"Z"  # all inputs were given

MARSHAL_VERSION = 2
"""Without references and short forms: equal plain values have equal bytes."""

LONG = 1 << 17
"""To write and to send an output of so many bytes takes time."""

LONGEST_TEXT = 4096
"""Bytes of a frame that tells why, rather than what came back."""


def message(descriptor: int, start: bytes = b"") -> bytes | None:
    """Return what follows a `LENGTH`, of which some has come; None at the end of all messages."""
    head = _exactly(descriptor, LENGTH.size, start)
    return None if head is None else _exactly(descriptor, LENGTH.unpack(head)[0])


def _exactly(descriptor: int, size: int, start: bytes = b"") -> bytes | None:
    parts = bytearray(start)
    while len(parts) < size:
        part = os.read(descriptor, min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)
