"""One process at a time makes, fetches or computes something; the others wait for it.

Locks hold among the processes of one machine. Between machines that share a folder they may not:
then two do the same work, each in a draft of its own, and the last one's draft takes the name.
"""

import logging
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from experiments.store.files import HOST, take_lock

log = logging.getLogger(__name__)

_WAITING_SECONDS = 0.2
_IDLE_SECONDS = 600.0
_DRAFT = re.compile(r"\.(?P<host>\w+)-\d+-[0-9a-f]{8}\.part")


@contextmanager
def locked(target: Path, doing: str) -> Iterator[int]:
    """Hold the lock for one file; yields the descriptor of the lock file.

    The lock file stays: removing it would let a third process lock a new one while the
    second holds the old. A process that dies gives its lock back.

    Args:
        target: the file that is to be written, or what stands for it; its folder exists.
        doing: what is done, for a person who waits ("makes", "fetches").

    Raises:
        OSError: the folder cannot be written.
    """
    path = target.parent / f".{target.name}.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if not take_lock(lock):
            log.info("Waiting for another run that %s %s.", doing, target)
            while not take_lock(lock):
                time.sleep(_WAITING_SECONDS)
        yield lock
    finally:
        os.close(lock)


def draft_of(target: Path, about: str = "") -> Path:
    """Return where a file is written before it gets its name; no other process has it.

    Args:
        target: the file.
        about: what the name of the draft has to say.
    """
    own = f"{HOST}-{os.getpid()}-{secrets.token_hex(4)}"
    return target.parent / f".{target.name}.{about}{own}.part"


def left_over(target: Path) -> list[Path]:
    """Return drafts of a file that nobody writes to, the largest last, if we hold its lock.

    Those of another machine, which may not see our lock, are left over when they were idle.
    """
    found = []
    for path in target.parent.iterdir():
        if path.name.startswith(f".{target.name}.") and path.name.endswith(".part"):
            match = _DRAFT.search(path.name)
            with suppress(FileNotFoundError):
                state = path.stat()
                is_idle = time.time() - state.st_mtime > _IDLE_SECONDS
                if match is None or match["host"] == HOST or is_idle:
                    found.append((state.st_size, path))
    return [path for _, path in sorted(found)]
