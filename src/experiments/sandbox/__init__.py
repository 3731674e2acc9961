"""Run an untrusted program on inputs under limits; give back outputs.

A warm guest per worker forks a child per program. The child gets the program and inputs and
sends outputs back as plain data, which is only ever read as data. What is expected, and the
comparison, never come here, so there is nothing in reach of a program that could turn a wrong
output into a right one; references run in guests of their own, which are gone before the first
program under test begins.

Covered, with bubblewrap
    no network, no other processes to be seen, a read-only root that holds the interpreter,
    numpy and /usr and nothing of the user's; a private /tmp of bounded size; an environment of
    a few fixed variables; no capabilities. The guest is process 1 of its name space, so that
    nothing inside can end it, and ending it ends all; its memory is closed to its children.
Covered on Linux (x86_64, aarch64) also without bubblewrap
    a system call filter: no new processes, no sockets but pairs, no signals to others, no
    tracing, no name spaces, no limits raised, no rights of files changed; Landlock, where the
    kernel has it: only the folders that are needed, /proc and the home not among them; no
    capabilities for root.
Covered everywhere
    CPU time, file size, open files, core dumps by rlimits, memory by address space (not on
    macOS); a process group that is killed. What a program shares with the host (a socket, the
    folder for files) the next program never meets.
Time
    CPU time per input is what the child's clock says and is held from outside by the kernel's
    clock for that process: a child that forges its replies can shift time between inputs, but
    not pass the time for all, which the kernel enforces. A wall clock, from which waiting for
    a processor is taken off, ends what sleeps; all inputs together may take twice their CPU
    time.
Not covered
    holes in the kernel; side channels (timing, caches); the contents of /usr, which can be
    read; memory of the machine as a whole (workers x `memory_megabytes` may exceed it).
    Without bubblewrap also the number of files that a program writes; and, where Landlock is
    missing, too, the user's files, and names and numbers of other processes: a program is then
    kept from these by the rights of the user alone, and should not be run as root.
"""

from experiments.sandbox.execution import Calls, Kind, Reply
from experiments.sandbox.isolation import Ability, abilities, choose, missing
from experiments.sandbox.sandbox import Sandbox
from experiments.sandbox.wire import decode, describe, encode

__all__ = [
    "Ability",
    "Calls",
    "Kind",
    "Reply",
    "Sandbox",
    "abilities",
    "choose",
    "decode",
    "describe",
    "encode",
    "missing",
]
