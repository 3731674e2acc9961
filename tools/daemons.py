"""What the tools that start daemons on this machine have in common. Standard library only."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path


def run(*command: str) -> None:
    """Run a command; what it wrote is shown where it fails, and is the end."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def wait_until(works: Callable[[], bool], what: str, folder: Path, seconds: float) -> None:
    """Wait until a daemon answers; one that does not is the end.

    Args:
        works: whether it does.
        what: is waited for.
        folder: has its log.
        seconds: after which it is given up.
    """
    end = time.monotonic() + seconds
    while not works():
        if time.monotonic() > end:
            sys.exit(f"{what} does not answer after {seconds:.0f} s: see the logs in {folder}")
        time.sleep(0.3)


def has_ended(pid: int, seconds: float) -> bool:
    """Wait for the end of a process, which may not be a child; return whether it has come."""
    end = time.monotonic() + seconds
    while _is_alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return False
    return state != "Z"
