"""One process at a time makes or fetches a file; the others wait for it."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

_WAITING_SECONDS = 0.2


@contextmanager
def locked(target: Path, doing: str) -> Iterator[int]:
    """Hold the lock for one file; yields the descriptor of the lock file.

    The lock file stays: removing it would let a third process lock a new one while the
    second holds the old. A process that dies gives its lock back.

    Args:
        target: the file that is to be written; its folder exists.
        doing: what is done, for a person who waits ("makes", "fetches").

    Raises:
        OSError: the folder cannot be written.
    """
    path = target.parent / f".{target.name}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        told = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    log.info("Waiting for another run that %s %s.", doing, target)
                    told = True
                time.sleep(_WAITING_SECONDS)
        yield lock
    finally:
        os.close(lock)
