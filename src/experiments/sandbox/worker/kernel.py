"""What the Linux kernel is asked to refuse to a process, for good: folders, calls, capabilities.

Run as a program, it has itself refused what it is told, and then becomes another program of
Python's. So programs are confined that know nothing of it (see `sandbox.confinement`):

    python -P kernel.py SETTINGS -m MODULE ARGUMENT...
    python -P kernel.py SETTINGS SCRIPT ARGUMENT...
"""

import ctypes
import os
import struct
import sys
from typing import Any

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 22, 2, 38
_SECCOMP_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446

_libc = ctypes.CDLL(None, use_errno=True)


def option(number: int, value: int) -> None:
    """Set an option of this process, where there are such (`prctl`)."""
    if hasattr(_libc, "prctl"):
        _libc.prctl(number, value, 0, 0, 0)


def keep_privileges() -> None:
    """Never gain a right by starting a program; all that follows asks for it."""
    option(_PR_SET_NO_NEW_PRIVS, 1)


def ruleset(rules: dict[str, Any]) -> int:
    """Return a descriptor of Landlock's rules, as `sandbox.landlock` makes them."""
    attributes = rules["attributes"]
    made = _libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if made < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    for path, access in rules["allowed"]:
        try:
            place = os.open(path, os.O_PATH)
        except OSError:
            continue
        if not os.path.isdir(path):
            access &= rules["of_files"]
        rule = struct.pack("=Qi", access, place)
        _refused_if(_libc.syscall(_ADD_RULE, made, 1, rule, 0))
        if not path.startswith("/proc/"):  # there, the rule is of what is held open
            os.close(place)
    return int(made)


def restrict(ruleset: int) -> None:
    """Hold this process to Landlock's rules."""
    _refused_if(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def keep_capabilities(capset: int, kept: int = 0) -> None:
    """Give up all capabilities but some.

    Args:
        capset: number of the call.
        kept: one bit each, of the first 32; those that it has not are not gained.
    """
    if kept:
        with open("/proc/self/status") as lines:
            permitted = next(line for line in lines if line.startswith("CapPrm:"))
        kept &= int(permitted.split()[1], 16)
    header = struct.pack("=Ii", 0x20080522, 0)
    _refused_if(_libc.syscall(capset, header, struct.pack("=6I", kept, kept, 0, 0, 0, 0)))


def filter_calls(code: bytes, places: list[int]) -> None:
    """Put a filter of system calls on this process.

    Args:
        code: its instructions.
        places: bytes from which on the number of this process is to be put.
    """
    own = bytearray(code)
    for place in places:
        struct.pack_into("=I", own, place, os.getpid())
    program, _kept = _filter_program(bytes(own))
    _refused_if(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0))


def listener(seccomp: int, code: bytes) -> int:
    """Put a filter on this process that asks, and return who is asked: a descriptor.

    It is below 0 where the system has put a filter of that kind on all processes already.
    """
    program, _kept = _filter_program(code)
    return int(_libc.syscall(seccomp, _SECCOMP_SET_MODE_FILTER, _NEW_LISTENER, program))


def _filter_program(code: bytes) -> tuple[Any, Any]:
    """The kernel's structure for a filter, and the instructions to which it points."""
    instructions = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
    return ctypes.create_string_buffer(head), instructions


def _refused_if(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "the kernel refuses a limit")


def main() -> None:
    """Confine this process, and become the program that is named."""
    import json
    import runpy

    settings = json.loads(sys.argv[1])
    keep_privileges()
    try:
        if settings["capset"]:
            keep_capabilities(settings["capset"], settings["capabilities"])
        if rules := settings["landlock"]:
            restrict(ruleset(rules | {"attributes": bytes.fromhex(rules["attributes"])}))
        if settings["filter"]:
            filter_calls(bytes.fromhex(settings["filter"]), settings["filter_pids"])
    except OSError as error:  # a model runs everywhere
        print(f"warning: this process is not confined: {error}", file=sys.stderr)
    is_module = sys.argv[2] == "-m"
    del sys.argv[: 3 if is_module else 2]
    if is_module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
