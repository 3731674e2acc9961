"""The clocks of one executor, and which of its limits it has passed.

CPU time decides, read from the kernel's clock for the process, so that neither a busy machine
nor a program that lies changes a verdict. What the executor says about its clock is believed
only within what was seen from outside: a call cannot have ended before it was last seen
running, nor later than now. A program that forges its replies can therefore shift time from
one input to another by no more than passes between two looks.

A program that sleeps uses no CPU time. It is ended once it has been idle, neither running nor
waiting for a processor, for longer than `wall_factor` times the CPU time of an input, and of no
more than a second of it; not for each input, but in all.
"""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

LOOK_SECONDS = 0.25
IDLE_SECONDS = 1.0
"""Of the CPU time that is allowed, no more decides for how long a program may be idle."""

WRITING_SECONDS = 10.0
"""CPU time for writing one output, which is not the call's, while none of it has come."""

WRITING_SLACK_SECONDS = 0.25
WRITING_SECONDS_PER_BYTE = 1e-7
"""CPU time for writing an output that has come."""


@dataclass(slots=True)
class Spent:
    """What a program has used so far, in all of its executors.

    Attributes:
        cpu_seconds: of executors that ended.
        idle_seconds: of all of them.
    """

    cpu_seconds: float = 0.0
    idle_seconds: float = 0.0


class Clocks:
    """The kernel's clocks for a process; for none, what is told by others is all there is."""

    def __init__(self, pid: int = 0) -> None:
        self.pid = pid

    def cpu_seconds(self) -> float | None:
        """CPU time of the process, with all its threads; None if it cannot be read."""
        if self.pid:
            with contextlib.suppress(OSError):
                return time.clock_gettime((~self.pid << 3) | 2)
        return None

    def waiting_seconds(self) -> float | None:
        """Time for which it was ready to run and had no processor; None if not known."""
        if self.pid:
            with contextlib.suppress(OSError, ValueError, IndexError):
                return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e9
        return None


class Deadline:
    """Holds an executor to its limits.

    Args:
        wall_factor: see above.
        total_seconds: CPU time for loading and for all inputs.
        spent: what earlier executors of the program have used; idle time is added to it.

    Attributes:
        allowed: CPU time for what is pending: loading, or a call.
        is_writing: whether the pending call has returned and its output is being written.
    """

    def __init__(self, wall_factor: float, total_seconds: float, spent: Spent) -> None:
        self.allowed = 0.0
        self.is_writing = False
        self._wall_factor = wall_factor
        self._total = total_seconds
        self._spent = spent
        self._idle_before = spent.idle_seconds
        self._clocks = Clocks()
        self._seen: float | None = None
        self._now: float | None = None
        self._began = 0.0  # CPU time at which what is pending began
        self._watched = 0.0  # seconds for which the host waited for the executor

    def start(self, pid: int) -> None:
        """Begin: the program is about to be loaded."""
        self._clocks = Clocks(pid)

    def look(self, waited: float = 0.0) -> None:
        """Read the clock, after waiting so long and before reading what has come."""
        self._seen, self._now = self._now, self._clocks.cpu_seconds()
        self._watched += waited

    def told(self, seconds: float) -> float:
        """Return how long what was pending took, of which is told that it ended at this time."""
        seconds = max(seconds, self._seen or 0.0)
        if self._now is not None:
            seconds = min(seconds, self._now)
        took = max(0.0, seconds - self._began)
        self._began += took
        return took

    def sent(self) -> None:
        """What has come was long: to send it took time, which is not the next call's."""
        self.look()
        self._began = max(self._began, self._now or 0.0)

    def pending_seconds(self, used: float | None = None) -> float:
        """CPU time of what is pending, where the executor has used so much in all."""
        if used is None:
            used = self._began if self._now is None else self._now
        return max(0.0, used - self._began)

    def passed(self) -> str:
        """Return which limit has been passed; empty if none."""
        allowed = max(self.allowed, WRITING_SECONDS) if self.is_writing else self.allowed
        pending = self.pending_seconds()
        if pending > allowed:
            return "CPU time"
        if self._spent.cpu_seconds + self._began + pending > self._total:
            return "CPU time for all inputs"
        idle = self._idle_before + self._watched - self._began - pending
        if idle > LOOK_SECONDS:  # to ask for the time spent waiting takes a while
            idle -= self._clocks.waiting_seconds() or 0.0
        self._spent.idle_seconds = max(self._idle_before, idle)
        if self._now is not None:  # else it may have been running
            allowed = min(allowed, IDLE_SECONDS)
        return "wall time" if idle > self._wall_factor * allowed else ""

    def seconds(self) -> float:
        """How long to wait before the next look."""
        return max(0.005, min(LOOK_SECONDS, self.allowed - self.pending_seconds()))


def writing_seconds(size: int) -> float:
    """CPU time that writing an output of so many bytes may take."""
    return WRITING_SLACK_SECONDS + WRITING_SECONDS_PER_BYTE * size
