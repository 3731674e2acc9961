"""A sandbox: a warm worker that runs programs, one at a time."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from experiments.errors import SandboxError
from experiments.sandbox import isolation as isolations
from experiments.sandbox.deadline import Spent
from experiments.sandbox.execution import Calls, Execution, Job, Kind, Reply
from experiments.sandbox.workers import Worker, WorkerGone
from experiments.schema import SandboxConfig

PROGRAM_BYTES = 4 << 20
STRIKES = 3
"""After so many inputs on which it timed out, or so many times the time for one that came to
nothing, a program is given no more."""

PROOF = Job(b"def proof():\n    return 1\n", "proof", Calls([()]), [10.0], 10.0)


class Sandbox:
    """One warm worker that runs programs, one at a time; a context manager.

    Use it from the thread that entered it.

    Args:
        limits: of each program; CPU time per input comes with the inputs.
        isolation: a name of `isolation.ISOLATIONS`, or `auto`; None: as the limits say.
        preload: modules that the worker imports before any program.
        hash_seed: of strings; it decides the order in which sets are gone through.

    Raises:
        SandboxError: on entering, or later, if no worker can be started.
    """

    def __init__(
        self,
        limits: SandboxConfig | None = None,
        isolation: str | None = None,
        preload: Sequence[str] = (),
        hash_seed: int = 0,
    ) -> None:
        self.limits = limits or SandboxConfig()
        self.preload = tuple(preload)
        self.hash_seed = hash_seed
        self.isolation = isolations.choose(isolation or self.limits.isolation.value)
        self.cpu_seconds = 0.0
        """CPU time of the last program's processes."""
        self._worker: Worker | None = None
        self._is_given_up = False

    def __enter__(self) -> Self:
        self._started()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and everything in it."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def give_up(self) -> None:
        """End what it is doing, from another thread: `run` raises a SandboxError there."""
        self._is_given_up = True
        worker = self._worker
        if worker is not None:
            worker.give_up()

    def run(
        self,
        program: str,
        entry_point: str,
        inputs: Calls | Sequence[tuple[Any, ...]],
        cpu_seconds: Sequence[float],
        *,
        total_cpu_seconds: float | None = None,
        as_set: bool = False,
        blocks: bool = False,
    ) -> Iterator[Reply]:
        """Call the entry point on each input and yield what came back, in order.

        If the program cannot be loaded, one reply with index -1 is all. A program that timed
        out on three inputs, or wasted as much time in other ways, is given no more. Closing the
        iterator ends the program.

        Args:
            program: Python source.
            entry_point: name of the function to call.
            inputs: positional arguments per call; fresh copies are made for each.
            cpu_seconds: CPU time allowed, per input.
            total_cpu_seconds: CPU time allowed for all; `limits.total_cpu_seconds` if None.
            as_set: give the set of the output's items instead of the output.
            blocks: wait for the caller after 1, 2, 4, ... inputs, so that it can stop early.

        Raises:
            SandboxError: the sandbox does not work, or was given up.
        """
        calls = inputs if isinstance(inputs, Calls) else Calls(inputs)
        total = self.limits.total_cpu_seconds if total_cpu_seconds is None else total_cpu_seconds
        self.cpu_seconds = 0.0
        source = program.encode("utf-8", "surrogatepass")
        if len(source) > PROGRAM_BYTES:
            yield Reply(-1, Kind.NO_CODE, text=f"the program is longer than {PROGRAM_BYTES} bytes")
            return
        job = Job(source, entry_point, calls, cpu_seconds, total, as_set, blocks)
        spent = Spent()
        first = deaths = strikes = 0
        wasted = 0.0
        is_loaded = False
        while first < len(calls) or not is_loaded:
            execution = Execution(self._started(), self.limits, job, first, spent)
            try:
                for reply in execution.replies():
                    is_loaded = True
                    first = reply.index + 1
                    strikes += reply.kind is Kind.TIMED_OUT
                    yield reply
                    if reply.index < 0:
                        return
            except WorkerGone:
                self.close()
                deaths += 1
                if deaths > 1:
                    self._prove()
                    yield Reply(execution.pending, Kind.DIED, text="the sandbox died with it")
                    return
            except KeyboardInterrupt:
                self.close()  # it may have come between the worker's words and our hearing them
                raise
            finally:
                self._end(execution)
                self.cpu_seconds = spent.cpu_seconds
            wasted += execution.wasted_seconds
            if strikes >= STRIKES or wasted > STRIKES * max(cpu_seconds, default=0.0):
                return
            if spent.cpu_seconds > total + self.limits.load_cpu_seconds:
                return

    def _end(self, execution: Execution) -> None:
        execution.end()
        if execution.is_soiled:
            self.close()  # the next program gets a fresh worker and an untouched folder

    def _prove(self) -> None:
        """Show that a worker can run a program of our own, so that its end was not our fault."""
        kinds = []
        try:
            execution = Execution(self._started(), self.limits, PROOF, 0, Spent())
            try:
                kinds = [reply.kind for reply in execution.replies()]
            finally:
                self._end(execution)
        except WorkerGone:
            self.close()
        if kinds != [Kind.VALUE]:
            raise SandboxError("The sandbox ends with every program", "See: experiments doctor")

    def _started(self) -> Worker:
        if self._worker is None and not self._is_given_up:
            isolation = isolations.ISOLATIONS[self.isolation]
            self._worker = Worker(self.limits, isolation, self.preload, self.hash_seed)
        if self._worker is None or self._is_given_up:
            self.close()
            raise SandboxError("The sandbox was given up")
        return self._worker
