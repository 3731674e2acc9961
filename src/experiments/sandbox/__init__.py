"""Run an untrusted program on inputs under limits; give back outputs.

    host                                   worker (warm)            executor (one per program)
    Sandbox ── Execution ── Worker ──────► forks, ends, cleans ───► limits, then the program
                   ▲                                                        │ frames, by a pipe
                   └────────────────────────────────────────────────────────┘

The executor gets the program and inputs, and sends outputs back as plain data, which is only
ever read as data. What is expected, and the comparison, never come here, so there is nothing in
reach of a program that could turn a wrong output into a right one; references run in sandboxes
of their own, which are gone before the first program under test begins.

    sandbox     a program from its first input to its last, over as many executors as it needs
    execution   one executor as the host sees it
    deadline    its clocks, and which limit it has passed
    frames      what it writes, taken apart
    workers     a worker as the host sees it
    worker/     what runs inside: the worker, the executor, outputs, the protocol
    isolation/  how a worker is kept apart from the machine
    system_calls, landlock      what the Linux kernel refuses
    wire        outputs as bytes, read without trusting them

What is covered by which isolation, and what is not, stands in docs/decisions/judge.md.
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
