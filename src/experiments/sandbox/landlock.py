"""Landlock: which folders a process may see and write to, where Linux has it.

It comes on top of the other walls and is the only one around files where there is no
bubblewrap. It says nothing on rights, attributes and times of files: the filter of system
calls refuses to change these.
"""

import ctypes
import platform
import struct
import sys
from typing import Any

_CREATE_RULESET = 444
_ASK_VERSION = 1
_READ = 0b1101  # execute (to map libraries), read files, list folders
_WRITE_DEVICE = 0b0110
_TRUNCATE, _IOCTL_DEVICE = 1 << 14, 1 << 15


def version() -> int:
    """Version of Landlock in this kernel; 0 if there is none."""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    return max(0, int(found))


def rules(readable: list[str] | None, writable: list[str]) -> dict[str, Any]:
    """Return rules that a process puts on itself; empty where Landlock is missing.

    Args:
        readable: folders and files; None: all that the user may read.
        writable: folders and files.
    """
    known = version()
    if known == 0:
        return {}
    handled = (1 << 13) - 1
    if known >= 2:
        handled |= 1 << 13  # moving between folders
    if known >= 3:
        handled |= _TRUNCATE
    if known >= 5:
        handled |= _IOCTL_DEVICE
    handled &= ~_READ if readable is None else ~0
    device = (_WRITE_DEVICE | _TRUNCATE) & handled
    allowed = [(path, handled) for path in writable]
    allowed += [("/dev/null", device), ("/dev/zero", device)]
    if readable is not None:
        allowed += [(path, _READ) for path in readable]
        allowed += [("/dev/urandom", 0b0100), ("/dev/random", 0b0100)]
    attributes = [handled]
    if known >= 4:
        attributes.append(0b11)  # no TCP
    if known >= 6:
        attributes.append(0b11)  # no abstract sockets and no signals beyond
    return {
        "attributes": struct.pack(f"={len(attributes)}Q", *attributes),
        "of_files": (0b0111 | _TRUNCATE) & handled,
        "allowed": allowed,
    }
