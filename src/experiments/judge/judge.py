"""The verdict of one solution."""

import builtins
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from experiments.judge import compare
from experiments.judge.truth import Truth, call_text
from experiments.records import Failure, Outcome, Solution, Verdict
from experiments.sandbox import Kind, Reply, Sandbox, decode, describe
from experiments.sandbox.wire import WireError
from experiments.schema import SandboxConfig

NEAR = 0.7
"""From this share of a limit on, a time is near it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and whether a time came near its limit."""

    verdict: Verdict
    near: bool


def judge_one(
    sandbox: Sandbox, solution: Solution, truth: Truth, settings: SandboxConfig
) -> Judged:
    """Run a solution on all inputs and return what became of it.

    Raises:
        SandboxError: the sandbox does not work.
    """
    problem, expected = truth.problem, truth.expected
    base, total = len(problem.base_inputs), len(expected)
    allowed = [
        max(settings.minimum_cpu_seconds, settings.reference_factor * each.seconds)
        for each in expected
    ]
    sets = 2 if 0 < base < total else 1
    all_seconds = max(sets * settings.total_cpu_seconds, settings.reference_factor * truth.seconds)
    passed = [0, 0]
    outcomes: list[Outcome | None] = [None, None]  # the first failure in base, in extra
    failure: Failure | None = None
    near = False
    given = 0
    if not solution.program.strip():
        reply = Reply(-1, Kind.NO_CODE, text="there is no program")
        replies: Iterator[Reply] = iter([reply])
        cpu_seconds = 0.0
    else:
        replies = sandbox.run(
            solution.program,
            problem.entry_point,
            truth.calls,
            allowed,
            total_cpu_seconds=all_seconds,
            as_set=problem.comparison == "set",
            blocks=settings.stop_at_first_failure,
        )
    try:
        for reply in replies:
            index = reply.index
            limit = allowed[index] if index >= 0 else settings.load_cpu_seconds
            near = near or reply.kind is Kind.TIMED_OUT or reply.cpu_seconds > NEAR * limit
            if index < 0:
                outcomes = [_OUTCOMES[reply.kind]] * 2
                failure = Failure("(loading the program)", "", _actual(reply))
                break
            given = index + 1
            extra = index >= base
            right = _is_right(reply, truth, index)
            if right:
                passed[extra] += 1
                continue
            if outcomes[extra] is None:
                outcomes[extra] = _OUTCOMES[reply.kind]
            if failure is None:
                failure = Failure(
                    call_text(problem.entry_point, truth.calls.blobs[index]),
                    _wanted(expected[index]),
                    _actual(reply),
                )
            if settings.stop_at_first_failure:
                break
    finally:
        close = getattr(replies, "close", None)
        if close is not None:
            close()
    cpu_seconds = sandbox.cpu_seconds if solution.program.strip() else 0.0
    if failure is None and given < total:  # the time for all is used up
        late = [given < base, True]
        outcomes = [
            Outcome.TIMED_OUT if is_late and each is None else each
            for is_late, each in zip(late, outcomes, strict=True)
        ]
        failure = Failure("(all inputs)", "", f"over the CPU time for all ({all_seconds:.0f} s)")
        near = True
    first_base, first_extra = outcomes
    if first_base is None and passed[0] < base:
        first_base = first_extra
    verdict = Verdict(
        problem_id=solution.problem_id,
        sample=solution.sample,
        base=first_base or Outcome.PASSED,
        plus=first_base or first_extra or Outcome.PASSED,
        base_passed=passed[0],
        base_total=base,
        extra_passed=passed[1],
        extra_total=total - base,
        failure=failure,
        cpu_seconds=cpu_seconds,
        isolation=sandbox.isolation,
    )
    return Judged(verdict, near)


_OUTCOMES = {
    Kind.VALUE: Outcome.WRONG_ANSWER,
    Kind.RAISED: Outcome.RAISED,
    Kind.OUT_OF_MEMORY: Outcome.OUT_OF_MEMORY,
    Kind.TIMED_OUT: Outcome.TIMED_OUT,
    Kind.DIED: Outcome.DIED,
    Kind.NO_CODE: Outcome.NO_CODE,
}


def _is_right(reply: Reply, truth: Truth, index: int) -> bool:
    expected = truth.expected[index]
    if expected.raises:
        return reply.kind is Kind.RAISED and expected.raises in _lineage(reply.builtin_types[:1])
    return reply.kind is Kind.VALUE and compare.is_right(
        reply.payload, expected, truth.problem.comparison, truth.calls.blobs[index]
    )


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


def _wanted(expected: compare.Expected) -> str:
    return f"raises {expected.raises}" if expected.raises else describe(expected.value)


def _actual(reply: Reply) -> str:
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
