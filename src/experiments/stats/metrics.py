"""Verdicts → numbers: pass@k, speed, cost, kinds of failure.

`summarise` gives one run's numbers by name. Shares are between 0 and 1; each share `x` has
the bounds of its 95 % interval as `x_low` and `x_high`. A number that cannot be known (no
generation has a clock, nothing was solved) is left out, not zero.

| name | unit | meaning |
|---|---|---|
| `pass_at_K/plus` | share | pass@K on base and extra tests, K up to the samples per problem |
| `pass_at_K/base` | share | pass@K on base tests alone |
| `pass_all_K/plus`, `.../base` | share | pass^K, all of K samples pass; K from 2 |
| `pass_at_1_LEVEL/plus`, `.../base` | share | pass@1 on problems of one difficulty |
| `tests_passed/base`, `/extra`, `/all` | share | tests that a solution passes; mean over problems |
| `format/kept` | share | completions in the asked format |
| `format/syntax_valid` | share | completions with a program that Python accepts |
| `outcomes/OUTCOME` | solutions | outcomes on base and extra tests (`wrong_answer`, ...) |
| `outcomes_base/OUTCOME` | solutions | outcomes on base tests |
| `finish/REASON` | generations | why they ended (`end_token`, `token_limit`, ...) |
| `speed/prefill_tokens_per_second` | tokens/s | of one prompt, without shared tokens |
| `speed/decode_tokens_per_second` | tokens/s | of one generation, after its first token |
| `speed/tokens_per_second` | tokens/s | new tokens of all generations over the wall clock |
| `cost/seconds_per_completion` | s | wall clock per completion |
| `cost/seconds_per_problem` | s | wall clock per problem, all its samples together |
| `cost/seconds_per_solved_problem` | s | wall clock per problem solved; samples count in part |
| `cost/joules_per_solved_problem` | J | the same in energy, where the machine measures it |
| `cost/usd`, `cost/usd_per_solved_problem` | USD | what a server's tokens cost, at its prices |
| `cost/judging_cpu_seconds` | s | CPU time of all programs under test, equal ones each |
| `tokens/prompt`, `tokens/new` | tokens | in total, over all generations |
| `tokens/prompt_mean`, `tokens/new_mean` | tokens | per generation |
| `tokens/thought`, `tokens/thought_mean` | tokens | of thoughts, where the model thinks |
| `thoughts/unfinished` | share | generations that ended before the answer, where it thinks |
| `tokens/shared` | share | prompt tokens that were already decoded for another prompt |
| `count/problems`, `count/judged` | problems | asked; with a verdict |
| `count/solved` | problems | solved by at least one sample |
| `count/generations`, `count/cached` | generations | all; those taken from the store |
| `count/elsewhere` | generations | those from the store made on another machine or setting |
| `count/untimed` | generations | those from the store whose cost is not known |

K above 10 is 20, 50, 100, 200, ... only. A data set without extra tests has the same
numbers under `plus` and `base`.

Tests that were left out after a failure (`Verdict.tests_not_run`) count as not passed.

Generations from the store count for speed and cost with what they cost when they were made,
and not at all where that is not known (see `costs`). Names are letters, digits, `_` and `/`,
which MLflow takes on every system; it draws what stands before the `/` as one section.

What is left to others: costs, intervals, comparisons of runs, and how numbers are shown.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import TypeVar

from experiments.records import (
    FinishReason,
    Generation,
    Outcome,
    Problem,
    ProblemInfo,
    Solution,
    Verdict,
)
from experiments.stats.costs import Measured, cost_metrics
from experiments.stats.intervals import bootstrap_interval, wilson_interval

NOTHING_MEASURED = Measured()

T = TypeVar("T")


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """Return the probability that one of k samples passes, estimated without bias.

    1 - C(n - c, k) / C(n, k), as a product of terms near 1 so that no large number arises.
    Source: Chen et al., "Evaluating Large Language Models Trained on Code", 2021,
    arXiv 2107.03374, equation 1 and figure 3.

    Args:
        samples: n, generations of one problem.
        passed: c, how many of them pass.
        k: at most n.
    """
    if not 0 <= passed <= samples or not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs 0 <= passed <= samples >= k, got {passed} of {samples}")
    if samples - passed < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(samples - passed + 1, samples + 1))


def pass_all_k(samples: int, passed: int, k: int) -> float:
    """Return the probability that all of k samples pass (pass^k), estimated without bias.

    C(c, k) / C(n, k): whether one can rely on a model, where pass@k says whether it can do it.
    Source: Yao et al., "tau-bench: A Benchmark for Tool-Agent-User Interaction in Real-World
    Domains", 2024, arXiv 2406.12045, section 3.

    Args:
        samples: n, generations of one problem.
        passed: c, how many of them pass.
        k: at most n.
    """
    return 1.0 - pass_at_k(samples, samples - passed, k)


def pass_rates(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Return, for each problem, the share of its samples that pass base and extra tests."""
    return {problem: fmean(results) for problem, results in _passed(verdicts, "plus").items()}


def summarise(
    verdicts: Sequence[Verdict],
    solutions: Sequence[Solution],
    generations: Sequence[Generation],
    problems: Sequence[Problem | ProblemInfo],
    measured: Measured = NOTHING_MEASURED,
) -> dict[str, float]:
    """Return the numbers of one run by name; the module's docstring explains each.

    Args:
        verdicts: of one run, in any order.
        solutions: of the same run.
        generations: of the same run.
        problems: that the run was asked, solved or not.
        measured: time, machine and energy of the run as a whole.
    """
    result: dict[str, float] = {}
    result |= _pass_metrics(verdicts, problems)
    result |= _test_metrics(verdicts)
    result |= _format_metrics(solutions)
    for tests, section in (("plus", "outcomes"), ("base", "outcomes_base")):
        outcomes = Counter(_outcome(verdict, tests) for verdict in verdicts)
        result |= {f"{section}/{outcome}": float(outcomes[outcome]) for outcome in Outcome}
    reasons = Counter(generation.finish_reason for generation in generations)
    result |= {f"finish/{reason}": float(reasons[reason]) for reason in FinishReason}
    result |= _token_metrics(generations)
    result |= cost_metrics(generations, verdicts, measured)
    result["cost/judging_cpu_seconds"] = math.fsum(verdict.cpu_seconds for verdict in verdicts)
    rates = pass_rates(verdicts)
    result["count/problems"] = float(len(problems))
    result["count/judged"] = float(len(rates))
    result["count/solved"] = float(sum(rate > 0 for rate in rates.values()))
    result["count/generations"] = float(len(generations))
    result["count/cached"] = float(sum(generation.cached for generation in generations))
    return result


def _outcome(verdict: Verdict, tests: str) -> Outcome:
    """Return the outcome on one set of tests."""
    return verdict.base if tests == "base" else verdict.plus


def _passed(verdicts: Iterable[Verdict], tests: str) -> dict[str, list[bool]]:
    """Return, for each problem, which of its samples pass."""
    return _by_problem(
        (each.problem_id, _outcome(each, tests) is Outcome.PASSED) for each in verdicts
    )


def _by_problem(values: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = defaultdict(list)
    for problem, value in values:
        found[problem].append(value)
    return found


def _share(name: str, values: Sequence[float], single: bool) -> dict[str, float]:
    """Return a mean over problems with its interval.

    Args:
        name: of the metric.
        values: one per problem.
        single: each value is 0 or 1, of one sample.
    """
    if not values:
        return {}
    if single or min(values) == max(values) in (0.0, 1.0):
        # The bootstrap of equal values has no width, which would claim certainty.
        low, high = wilson_interval(math.fsum(values), len(values))
    else:
        low, high = bootstrap_interval(values)
    return {name: fmean(values), f"{name}_low": low, f"{name}_high": high}


def _pass_metrics(
    verdicts: Sequence[Verdict], problems: Sequence[Problem | ProblemInfo]
) -> dict[str, float]:
    """Return pass@k, pass^k, and pass@1 by difficulty, on base tests and on all tests."""
    levels: dict[str, set[str]] = defaultdict(set)
    for problem in problems:
        if problem.difficulty:
            levels[re.sub(r"\W", "_", problem.difficulty, flags=re.ASCII)].add(problem.id)
    result: dict[str, float] = {}
    for tests in ("plus", "base"):
        outcomes = _passed(verdicts, tests)
        fewest = min(map(len, outcomes.values()), default=0)
        single = max(map(len, outcomes.values()), default=0) == 1
        for k in _ks(fewest):
            values = [pass_at_k(len(each), sum(each), k) for each in outcomes.values()]
            result |= _share(f"pass_at_{k}/{tests}", values, single)
            if k > 1:
                values = [pass_all_k(len(each), sum(each), k) for each in outcomes.values()]
                result |= _share(f"pass_all_{k}/{tests}", values, single)
        for level, members in levels.items():
            values = [fmean(each) for problem, each in outcomes.items() if problem in members]
            result |= _share(f"pass_at_1_{level}/{tests}", values, single)
    return result


def _ks(samples: int) -> list[int]:
    """Return the k to report: all up to 10, then 20, 50, 100, 200, ..."""
    steps = (digit * 10**power for power in range(1, 6) for digit in (2, 5, 10))
    return [*range(1, min(samples, 10) + 1), *(k for k in steps if k <= samples)]


def _test_metrics(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Return the share of tests passed: each problem counts the same, however many it has."""
    counts: dict[str, Callable[[Verdict], tuple[int, int]]] = {
        "base": lambda verdict: (verdict.base_passed, verdict.base_total),
        "extra": lambda verdict: (verdict.extra_passed, verdict.extra_total),
        "all": lambda verdict: (verdict.tests_passed, verdict.tests_total),
    }
    result: dict[str, float] = {}
    for tests, count in counts.items():
        counted = ((verdict.problem_id, *count(verdict)) for verdict in verdicts)
        shares = _by_problem((name, passed / total) for name, passed, total in counted if total)
        values = [fmean(each) for each in shares.values()]
        result |= _share(f"tests_passed/{tests}", values, single=False)
    return result


def _format_metrics(solutions: Sequence[Solution]) -> dict[str, float]:
    """Return how many completions kept the format, and how many hold a program."""
    kept = _by_problem((each.problem_id, bool(each.format_kept)) for each in solutions)
    valid = _by_problem((each.problem_id, bool(each.syntax_valid)) for each in solutions)
    single = all(len(each) == 1 for each in kept.values())
    result: dict[str, float] = {}
    for name, flags in (("format/kept", kept), ("format/syntax_valid", valid)):
        result |= _share(name, [fmean(each) for each in flags.values()], single)
    return result


def _token_metrics(generations: Sequence[Generation]) -> dict[str, float]:
    """Return numbers of tokens, of generations from the store as well."""
    if not generations:
        return {}
    prompt = sum(generation.prompt_tokens for generation in generations)
    new = sum(generation.new_tokens for generation in generations)
    result = {
        "tokens/prompt": float(prompt),
        "tokens/new": float(new),
        "tokens/prompt_mean": prompt / len(generations),
        "tokens/new_mean": new / len(generations),
    }
    if prompt:
        shared = sum(generation.shared_tokens for generation in generations)
        result["tokens/shared"] = shared / prompt
    if any(each.thought or not each.thought_finished for each in generations):
        thought = sum(each.thought_tokens for each in generations)
        result["tokens/thought"] = float(thought)
        result["tokens/thought_mean"] = thought / len(generations)
        unfinished = sum(not each.thought_finished for each in generations)
        result["thoughts/unfinished"] = unfinished / len(generations)
    return result
