"""What a run's completions cost: time, speed, memory, energy, money.

A completion from the store counts with what it cost when it was made, where the store knows
that. `count/elsewhere` and `count/untimed` say for how many the cost was measured on another
machine or with other settings, and for how many it is not known; a reader of speed and cost
has to know if either is above 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.records import Generation, Outcome, Verdict


@dataclass(frozen=True)
class Measured:
    """What was measured of a run as a whole.

    Attributes:
        seconds: wall clock of the generations made in this run, without loading the model; None
            adds up those of single ones, which is too much where several are decoded together.
        made_on: machine and settings, as in `Generation.made_on`.
        joules: energy used meanwhile; None where it cannot be measured.
        usd_per_token: price of a prompt token and of a new one; None where there is none.
    """

    seconds: float | None = None
    made_on: str = ""
    joules: float | None = None
    usd_per_token: tuple[float, float] | None = None


def cost_metrics(
    generations: Sequence[Generation], verdicts: Sequence[Verdict], measured: Measured
) -> dict[str, float]:
    """Return speed and cost by name; see `metrics` for the names.

    Args:
        generations: of one run; equal ones (greedy samples) are paid once.
        verdicts: of the same run.
        measured: what was measured of the run as a whole.
    """
    timed = [each for each in generations if not each.cached or each.wall_seconds > 0]
    paid = _each_once(timed)
    made = [each for each in paid if not each.cached]
    solved = _Solved(verdicts)
    seconds = math.fsum(each.wall_seconds for each in paid if each.cached)
    if made:
        alone = math.fsum(each.prefill_seconds + each.decode_seconds for each in made)
        seconds += alone if measured.seconds is None else measured.seconds
    result = {
        "count/elsewhere": float(
            sum(each.cached and each.made_on != measured.made_on for each in timed)
        ),
        "count/untimed": float(len(generations) - len(timed)),
        **_single_speeds(paid),
    }
    if seconds > 0:
        result["speed/tokens_per_second"] = sum(each.new_tokens for each in paid) / seconds
        result["cost/seconds_per_completion"] = seconds / len(paid)
        result["cost/seconds_per_problem"] = seconds / len({each.problem_id for each in paid})
        if share := solved.by(timed):
            result["cost/seconds_per_solved_problem"] = seconds / share
    if measured.joules is not None and (share := solved.by(g for g in timed if not g.cached)):
        result["cost/joules_per_solved_problem"] = measured.joules / share
    if peak := max((each.peak_megabytes for each in paid), default=0.0):
        result["engine/peak_memory_megabytes"] = peak
    if measured.usd_per_token is not None and generations:
        prompt, new = measured.usd_per_token
        usd = math.fsum(
            each.prompt_tokens * prompt + each.new_tokens * new for each in _each_once(generations)
        )
        result["cost/usd"] = usd
        if share := solved.by(generations):
            result["cost/usd_per_solved_problem"] = usd / share
    return result


def is_mixed(metrics: Mapping[str, float]) -> bool:
    """Return whether a run's speed and cost are not of this run's machine and settings alone.

    Runs of earlier versions measured only what they made themselves.
    """
    if "count/untimed" in metrics:
        return bool(metrics["count/untimed"] or metrics.get("count/elsewhere"))
    return bool(metrics.get("count/cached"))


def _each_once(generations: Iterable[Generation]) -> list[Generation]:
    return list({(each.problem_id, each.key): each for each in generations}.values())


class _Solved:
    """How many problems are solved, samples counting in part."""

    def __init__(self, verdicts: Sequence[Verdict]) -> None:
        self._samples = Counter(verdict.problem_id for verdict in verdicts)
        self._passed = {
            (each.problem_id, each.sample) for each in verdicts if each.plus is Outcome.PASSED
        }

    def by(self, generations: Iterable[Generation]) -> float:
        """Return how many problems these generations solve."""
        return math.fsum(
            1 / self._samples[each.problem_id]
            for each in generations
            if (each.problem_id, each.sample) in self._passed
        )


def _single_speeds(paid: Sequence[Generation]) -> dict[str, float]:
    """Return how fast one prompt was prefilled and one completion decoded."""
    result = {}
    prefilled = [each for each in paid if each.prefill_seconds > 0]
    decoded = [each for each in paid if each.decode_seconds > 0 and each.new_tokens > 1]
    if prefilled:
        tokens = sum(each.prompt_tokens - each.shared_tokens for each in prefilled)
        seconds = math.fsum(each.prefill_seconds for each in prefilled)
        result["speed/prefill_tokens_per_second"] = tokens / seconds
    if decoded:
        # The clock starts when the first new token is there.
        tokens = sum(each.new_tokens - 1 for each in decoded)
        seconds = math.fsum(each.decode_seconds for each in decoded)
        result["speed/decode_tokens_per_second"] = tokens / seconds
    return result
