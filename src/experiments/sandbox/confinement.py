"""Processes of ours that read files of strangers: the model's, the quantizer's, a template's.

llama.cpp is C++, and a GGUF of a stranger may be made to have it do something else. On Linux
these processes therefore have no network and can write nowhere but to the folders that they are
given; nor can they signal, trace or type into what is outside. They read what the user can read.
All of it is refused by the kernel, and costs nothing while the process runs.

What a kernel lacks is left out, and `missing` says so: a model runs everywhere.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.sandbox import landlock, system_calls

_KERNEL = Path(__file__).parent / "worker" / "kernel.py"
_OF_FILES = 0b110
"""Capabilities that root keeps: to read, and to write where it may, whoever the owner is."""


def command(
    program: Sequence[str], writable: Sequence[Path] = (), options: Sequence[str] = ("-P",)
) -> list[str]:
    """Return a command that runs a program of Python's confined.

    Args:
        program: `-m` and a module, or a script, and the arguments.
        writable: folders that it may write to, which exist.
        options: of the interpreter; one of them is to keep its path free of foreign modules.
    """
    # the peak of memory of a process is forgotten by writing there
    rules = landlock.rules(None, [*map(str, writable), "/proc/self/clear_refs"])
    code, places = system_calls.outward_code()
    settings = {
        "landlock": rules and rules | {"attributes": rules["attributes"].hex()},
        "filter": code.hex(),
        "filter_pids": places,
        "capset": system_calls.numbers()["capset"],
        "capabilities": _OF_FILES,
    }
    return [sys.executable, *options, str(_KERNEL), json.dumps(settings), *program]


def missing() -> list[str]:
    """Return what of it cannot be had on this machine."""
    gaps = []
    if not system_calls.filter_works():
        gaps.append("no network" if landlock.version() < 4 else "no network but UDP")
    if not landlock.version():
        gaps.append("no writing outside its folder")
    return gaps
