"""Whose a folder of results is: one process at a time works in it, and says what for.

`.lock` holds a digest of what was asked for, by which the same command finds the folder again,
and who works there. The lock itself is the operating system's: it is gone with the process and
with the children that were given its descriptor, however they end. Machines that share a folder
see each other's locks where the file system has them, as NFS does; where it has none, two of
them must not be given the same command at a time.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from experiments.store.files import cannot_use, read_object, take_lock

log = logging.getLogger(__name__)

CLAIM = ".lock"

SECONDS_BETWEEN_TRIES = 0.5


class Busy(Exception):
    """Another process works in the folder; the text says which."""


def ask(folder: Path, request: str) -> None:
    """Note what was asked for in a folder that was made for it.

    Raises:
        OSError: the folder cannot be written.
    """
    (folder / CLAIM).write_text(json.dumps({"request": request}) + "\n", encoding="utf-8")


def asked(folder: Path) -> str:
    """Return what was asked for in a folder; empty if nobody said."""
    return str(read_object(folder / CLAIM).get("request", ""))


@contextmanager
def claimed(folder: Path, waits: bool = True) -> Iterator[int]:
    """Be the one who works in a folder; yields the descriptor that holds it.

    Args:
        folder: exists.
        waits: for whoever works there now, and says so once; else that is an error.

    Raises:
        Busy: another process works there.
        StoreError: the folder cannot be written.
    """
    path = folder / CLAIM
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise cannot_use(path, error) from error
    try:
        told = False
        while not take_lock(descriptor):
            if not waits:
                raise Busy(holder(folder))
            if not told:
                log.warning(
                    "%s: %s still works there. Waiting for its end; Ctrl-C, and rerun=all, for "
                    "a run of its own.",
                    folder,
                    holder(folder),
                )
            told = True
            time.sleep(SECONDS_BETWEEN_TRIES)
        _sign(descriptor, asked(folder))
        yield descriptor
    finally:
        os.close(descriptor)  # children that were given it hold on


def is_claimed(folder: Path) -> bool:
    """Return whether a process works in a folder now."""
    try:
        descriptor = os.open(folder / CLAIM, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not take_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def holder(folder: Path) -> str:
    """Return who works in a folder, or did so last."""
    content = read_object(folder / CLAIM)
    return f"process {content.get('process', '?')} on {content.get('host', 'a machine')}"


def _sign(descriptor: int, request: str) -> None:
    """Say who works here; what cannot be said on a full disk is not."""
    content = {"request": request, "host": socket.gethostname(), "process": os.getpid()}
    line = (json.dumps(content) + "\n").encode()
    with suppress(OSError):
        os.pwrite(descriptor, line, 0)
        os.ftruncate(descriptor, len(line))
