"""The verdict of one program.

Base inputs come before extra ones, so the first failure decides the verdict. What comes after it
only counts how many tests pass, and gets little time:

- after a wrong output, an exception or a death, the remaining inputs share the CPU time that one
  input may take;
- after a timeout, they share a quarter of that, and only in the last judgement of the program.

The time for comparing their outputs is in it.

So a program that never ends costs its limit, its limit once more to be sure, and a quarter of it.
Inputs that were not run are counted in the verdict: its number of passed tests is then a lower
bound.
"""

import builtins
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import cast

from experiments.judge import compare
from experiments.judge.references import Reference, call_text
from experiments.records import Failure, Outcome, Verdict
from experiments.sandbox import Calls, Kind, Reply, Sandbox, decode, describe
from experiments.sandbox.wire import WireError
from experiments.schema import SandboxConfig

NEAR = 0.7
"""From this share of a limit on, a time is near it."""

AFTER_TIMEOUT = 0.25
"""The share of a limit that is left to the inputs after a timeout."""


def judge_program(
    sandbox: Sandbox,
    program: str,
    reference: Reference,
    settings: SandboxConfig,
    is_second: bool = False,
) -> tuple[Verdict, bool]:
    """Run a program on all inputs; return its verdict, and whether that has to be confirmed.

    It has to be where a busy or a full machine may have decided it.

    Args:
        sandbox: what it runs in.
        program: Python source.
        reference: of the problem.
        settings: the limits.
        is_second: no judgement follows this one; a first one ends where its failure is doubtful.

    Returns:
        The verdict, as that of sample 0, and whether it is doubtful.

    Raises:
        SandboxError: the sandbox does not work.
    """
    tests = _Tests(sandbox, program, reference, settings)
    tests.run(is_second)
    is_last = is_second or not tests.doubtful
    if tests.timed_out and is_last and not settings.stop_at_first_failure:
        tests.run_remaining()
    return replace(tests.verdict(), retried=is_second), tests.doubtful


class _Tests:
    """One program on the inputs of one problem, and what is known of it so far."""

    def __init__(
        self, sandbox: Sandbox, program: str, reference: Reference, settings: SandboxConfig
    ) -> None:
        self.sandbox = sandbox
        self.program = program
        self.reference = reference
        self.settings = settings
        self.base, self.total = len(reference.problem.base_inputs), len(reference.expected)
        factor, least = settings.reference_factor, settings.minimum_cpu_seconds
        self.limits = [max(least, factor * each.seconds) for each in reference.expected]
        self.limit_after_failure = max(least, factor * reference.seconds)
        sets = 2 if 0 < self.base < self.total else 1
        self.limit_of_all = max(sets * settings.total_cpu_seconds, factor * reference.seconds)
        self.given = 0
        self.passed = [0, 0]  # of the base inputs, of the extra ones
        self.outcome, self.failed_at = Outcome.PASSED, self.total
        self.failure: Failure | None = None
        self.timed_out = self.doubtful = False
        self.cpu_seconds = 0.0
        self.comparing_seconds = 0.0  # of this process, after the failure

    def run(self, is_second: bool) -> None:
        """Run the program on all inputs, until a limit or the settings end it."""
        until_failure = 0.0
        for reply, spent in self._replies(self.reference.calls, self.limits, self.limit_of_all):
            if self.failure is None:
                until_failure = spent
                self.doubtful |= self._is_doubtful(reply, spent)
            if reply.index < 0:
                self._fail(reply)
                self.given = self.total  # none of them can pass
                return
            self.given += 1
            if not self._passes(reply, reply.index):
                self._fail(reply)
                self.timed_out = reply.kind is Kind.TIMED_OUT
                is_enough = self.settings.stop_at_first_failure or self.timed_out
                if is_enough or (self.doubtful and not is_second):
                    return
            if spent - until_failure + self.comparing_seconds > self.limit_after_failure:
                return
        if self.failure is None and self.given < self.total:
            self.outcome, self.failed_at, self.doubtful = Outcome.TIMED_OUT, self.given, True
            text = f"over the CPU time for all ({self.limit_of_all:.0f} s)"
            self.failure = Failure("(all inputs)", "", text)

    def run_remaining(self) -> None:
        """Run the program on the inputs after a timeout, in the little time that they have."""
        first = self.given
        calls = Calls.of_blobs(self.reference.calls.blobs[first:])
        limits = [AFTER_TIMEOUT * limit for limit in self.limits[first:]]
        limit_of_all = AFTER_TIMEOUT * self.limit_after_failure
        for reply, spent in self._replies(calls, limits, limit_of_all):
            if reply.index < 0 or reply.kind is Kind.TIMED_OUT:
                return
            self._passes(reply, first + reply.index)
            self.given += 1
            if spent + self.comparing_seconds > limit_of_all:
                return

    def verdict(self) -> Verdict:
        """Return what became of the program."""
        return Verdict(
            problem_id=self.reference.problem.id,
            sample=0,
            base=self.outcome if self.failed_at < self.base else Outcome.PASSED,
            plus=self.outcome,
            base_passed=self.passed[0],
            base_total=self.base,
            extra_passed=self.passed[1],
            extra_total=self.total - self.base,
            tests_not_run=self.total - self.given,
            failure=self.failure,
            cpu_seconds=self.cpu_seconds,
            isolation=self.sandbox.isolation,
        )

    def _replies(
        self, calls: Calls, limits: Sequence[float], limit_of_all: float
    ) -> Iterator[tuple[Reply, float]]:
        """Run the program; yield each reply with the CPU seconds that were spent until then."""
        if not self.program.strip():
            yield Reply(-1, Kind.NO_CODE, text="there is no program"), 0.0
            return
        replies = self.sandbox.run(
            self.program,
            self.reference.problem.entry_point,
            calls,
            limits,
            total_cpu_seconds=limit_of_all,
            as_set=self.reference.problem.comparison == "set",
            blocks=self.settings.stop_at_first_failure,
        )
        spent = 0.0
        try:
            with closing(cast(Generator[Reply, None, None], replies)):
                for reply in replies:
                    spent += reply.cpu_seconds
                    yield reply, max(spent, self.sandbox.cpu_seconds)
        finally:
            self.cpu_seconds += self.sandbox.cpu_seconds

    def _passes(self, reply: Reply, index: int) -> bool:
        """Return whether a reply is right, and count it.

        After a failure it counts what that takes: wrong outputs can be slow to compare.
        """
        if self.failure is None:
            is_right = self._is_right(reply, index)
        else:
            began = time.thread_time()
            is_right = self._is_right(reply, index)
            self.comparing_seconds += time.thread_time() - began
        self.passed[index >= self.base] += is_right
        return is_right

    def _is_right(self, reply: Reply, index: int) -> bool:
        expected, problem = self.reference.expected[index], self.reference.problem
        if expected.raises:
            nearest = _lineage(reply.builtin_types[:1])
            return reply.kind is Kind.RAISED and expected.raises in nearest
        blob = self.reference.calls.blobs[index]
        return reply.kind is Kind.VALUE and compare.is_right(
            reply.payload, expected, problem.comparison, blob
        )

    def _fail(self, reply: Reply) -> None:
        """Note the first failure; later ones change nothing."""
        if self.failure is not None:
            return
        is_wrong = reply.kind is Kind.VALUE
        self.outcome = Outcome.WRONG_ANSWER if is_wrong else Outcome(reply.kind.value)
        self.failed_at = reply.index
        call, expected = "(loading the program)", ""
        if reply.index >= 0:
            blob = self.reference.calls.blobs[reply.index]
            call = call_text(self.reference.problem.entry_point, blob)
            expected = _expected_text(self.reference.expected[reply.index])
        self.failure = Failure(call, expected, _actual_text(reply))

    def _is_doubtful(self, reply: Reply, spent: float) -> bool:
        """Return whether the machine may have decided what became of an input."""
        loading = self.settings.load_cpu_seconds
        limit = self.limits[reply.index] if reply.index >= 0 else loading
        is_near = reply.cpu_seconds > NEAR * limit or spent > NEAR * self.limit_of_all
        if is_near or reply.kind is Kind.VALUE:
            return is_near
        if reply.kind in (Kind.TIMED_OUT, Kind.OUT_OF_MEMORY, Kind.DIED):
            return True
        nearest = reply.builtin_types[:1]  # no file, no thread to be had
        return "RuntimeError" in nearest or "OSError" in _lineage(nearest)


def _lineage(nearest: Sequence[str]) -> set[str]:
    """Return the names of a builtin exception and of those above it.

    Only the nearest builtin counts: a class that descends from all of them is none of them.
    """
    return {
        kind.__name__
        for name in nearest
        if isinstance(found := getattr(builtins, name, None), type)
        for kind in found.__mro__
    }


def _expected_text(expected: compare.Expected) -> str:
    return f"raises {expected.raises}" if expected.raises else describe(expected.value)


def _actual_text(reply: Reply) -> str:
    """What the program did, as a short text."""
    match reply.kind:
        case Kind.VALUE:
            if len(reply.payload) > 1 << 20:
                return f"an output of {len(reply.payload) >> 20} MB"
            try:
                return describe(decode(reply.payload))
            except WireError as error:
                return str(error)
        case Kind.RAISED:
            text = f"raises {reply.exception}: {reply.text}"
        case Kind.NO_CODE:
            text = reply.text
        case _:
            text = f"{reply.kind.value.replace('_', ' ')}: {reply.text}"
    return text if len(text) <= 300 else text[:297] + "..."
