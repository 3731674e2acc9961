"""Verdicts → numbers: pass@k, intervals, paired comparisons.

`summarise` gives one run's numbers by name. Shares are between 0 and 1; each share `x` has
the bounds of its 95 % interval as `x_low` and `x_high`. A number that cannot be known (no
generation was made in this run, nothing was solved) is left out, not zero.

| name | unit | meaning |
|---|---|---|
| `pass_at_K/plus` | share | pass@K on base and extra tests, K up to the samples per problem |
| `pass_at_K/base` | share | pass@K on base tests alone |
| `pass_at_1_LEVEL/plus`, `.../base` | share | pass@1 on problems of one difficulty |
| `tests_passed/base`, `/extra`, `/all` | share | tests that a solution passes; mean over problems |
| `format/kept` | share | answers in the asked format |
| `format/syntax_valid` | share | answers with a program that Python accepts |
| `outcomes/OUTCOME` | solutions | outcomes on base and extra tests (`wrong_answer`, ...) |
| `outcomes_base/OUTCOME` | solutions | outcomes on base tests |
| `finish/REASON` | generations | why they ended (`end_token`, `token_limit`, ...) |
| `speed/reading_tokens_per_second` | tokens/s | of one prompt, without shared tokens |
| `speed/decoding_tokens_per_second` | tokens/s | of one generation, after its first token |
| `speed/tokens_per_second` | tokens/s | new tokens of all generations over the wall clock |
| `cost/seconds_per_problem` | s | wall clock per problem generated in this run |
| `cost/seconds_per_solved_problem` | s | wall clock per problem solved; samples count in part |
| `cost/judging_cpu_seconds` | s | CPU time of all programs under test |
| `tokens/prompt`, `tokens/new` | tokens | in total, over all generations |
| `tokens/prompt_mean`, `tokens/new_mean` | tokens | per generation |
| `tokens/shared` | share | prompt tokens that were already decoded for another prompt |
| `count/problems`, `count/judged` | problems | asked; with a verdict |
| `count/solved` | problems | solved by at least one sample |
| `count/generations`, `count/cached` | generations | all; those taken from the store |

K above 10 is 20, 50, 100, 200, ... only. A data set without extra tests has the same
numbers under `plus` and `base`.

Generations from the store count for tokens and outcomes, never for speed and cost: their
clock ran in another run. Names are letters, digits, `_` and `/`, which MLflow takes on
every system; it draws what stands before the `/` as one section.

What is left to others: which runs are compared, and how numbers are shown.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist, fmean
from typing import NamedTuple

from experiments.records import FinishReason, Generation, Outcome, Problem, Solution, Verdict

CONFIDENCE = 0.95
RESAMPLES = 10_000


class Interval(NamedTuple):
    """Bounds of a confidence interval."""

    low: float
    high: float


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


def wilson_interval(passed: float, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval of a share; all of [0, 1] if there is nothing to go by.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22 (1927), 209-212.
    """
    if not 0 <= passed <= total:
        raise ValueError(f"{passed} of {total} is not a share")
    if total == 0:
        return Interval(0.0, 1.0)
    z = _z(confidence)
    share = passed / total
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low = 0.0 if passed == 0 else max(0.0, (middle - spread) / scale)
    high = 1.0 if passed == total else min(1.0, (middle + spread) / scale)
    return Interval(low, high)


def bootstrap_interval(
    values: Sequence[float],
    confidence: float = CONFIDENCE,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the percentile bootstrap interval of the mean of one value per problem.

    Problems are drawn with replacement, since it is other problems that a result has to
    hold for; samples of one problem are not independent.
    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    if not values:
        raise ValueError("a bootstrap needs at least one value")
    import numpy

    data = numpy.asarray(values, dtype=float)
    random = numpy.random.default_rng(seed)
    rows = max(1, min(resamples, 2_000_000 // len(data)))  # drawn at once: 16 MB
    means: list[float] = []
    while len(means) < resamples:
        drawn = random.integers(0, len(data), size=(min(rows, resamples - len(means)), len(data)))
        means.extend(data[drawn].mean(axis=1))
    tail = (1 - confidence) / 2
    low, high = numpy.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Under the null hypothesis each problem that tells two runs apart favours either with
    probability 1/2: twice the smaller binomial tail, at most 1.
    Source: McNemar, "Note on the Sampling Error of the Difference Between Correlated
    Proportions or Percentages", Psychometrika 12 (1947), 153-157; exact form: Agresti,
    "Categorical Data Analysis", 3rd edition, section 11.1.

    Args:
        only_first: problems that the first run alone solves.
        only_second: problems that the second run alone solves.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError("numbers of problems cannot be negative")
    discordant = only_first + only_second
    tail = sum(math.comb(discordant, i) for i in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / (1 << discordant))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for being many, in the same order.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
    Journal of Statistics 6 (1979), 65-70.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same problems. Differences are second minus first.

    Attributes:
        problems: that both runs have.
        first, second: pass@1 on them.
        difference: second - first.
        low, high: its 95 % interval: bootstrap over problems, or that of `answers` where all
            problems differ alike, since a bootstrap of equal values has no width.
        only_first, only_second: problems on which one run is better (with one sample:
            that it alone solves).
        p_value: exact McNemar; with several samples this is the sign test over problems.
        square: mean over problems of the difference squared.
    """

    problems: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    only_first: int
    only_second: int
    p_value: float
    square: float


def compare(first: Mapping[str, float], second: Mapping[str, float], seed: int = 0) -> Comparison:
    """Compare two runs on the problems that both have.

    Args:
        first: problem id to share of its samples that pass; see `pass_rates`.
        second: the same of the other run.
        seed: of the bootstrap.
    """
    common = sorted(first.keys() & second.keys())
    if not common:
        raise ValueError("the two runs have no problem in common")
    differences = [second[problem] - first[problem] for problem in common]
    only_first = sum(difference < 0 for difference in differences)
    only_second = sum(difference > 0 for difference in differences)
    difference = fmean(differences)
    square = fmean(d * d for d in differences)
    if len(set(differences)) > 1:
        low, high = bootstrap_interval(differences, seed=seed)
    else:
        middle, error = _adjusted(difference, square, len(common))
        reach = _z(CONFIDENCE) * error
        low, high = max(-1.0, middle - reach), min(1.0, middle + reach)
    return Comparison(
        problems=len(common),
        first=fmean(first[problem] for problem in common),
        second=fmean(second[problem] for problem in common),
        difference=difference,
        low=low,
        high=high,
        only_first=only_first,
        only_second=only_second,
        p_value=mcnemar_p_value(only_first, only_second),
        square=square,
    )


class Finding(StrEnum):
    """What a comparison says of the second run."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"  # within the margin
    UNKNOWN = "unknown"  # too few problems to know


@dataclass(frozen=True)
class Answer:
    """What a comparison says, corrected for the others that were made with it.

    Attributes:
        comparison: what was compared.
        p_value: corrected by Holm's method.
        finding: of the second run against the first.
        problems_needed: to know with a power of 80 %, if the difference seen is the true
            one; None if it is known.
    """

    comparison: Comparison
    p_value: float
    finding: Finding
    problems_needed: int | None = None


def answers(
    comparisons: Sequence[Comparison], margin: float = 0.05, confidence: float = CONFIDENCE
) -> list[Answer]:
    """Return yes, no or "not known yet" for each of the comparisons made together.

    A run is better or worse if the corrected p-value is below 1 - confidence. Two runs are
    equal if the interval of their difference lies within the margin. That interval is
    Wald's with one made-up problem that either run alone solves, since the bootstrap is blind
    where few problems tell two runs apart: none in ten is no proof that they are equal.
    Source: Bonett and Price, "Adjusted Wald Confidence Interval for a Difference of Binomial
    Proportions Based on Paired Data", Journal of Educational and Behavioral Statistics 37
    (2012), 479-488.

    Args:
        comparisons: one family; each makes the others' p-values larger.
        margin: a difference in pass@1 that nobody would mind.
        confidence: of each finding.
    """
    z = _z(confidence)
    result = []
    corrected = holm([comparison.p_value for comparison in comparisons])
    for comparison, p_value in zip(comparisons, corrected, strict=True):
        needed = None
        if p_value < 1 - confidence:
            finding = Finding.BETTER if comparison.difference > 0 else Finding.WORSE
        elif _reach(comparison, z, comparison.problems) < margin:
            finding = Finding.EQUAL
        else:
            finding = Finding.UNKNOWN
            needed = _needed_to_know(comparison, margin, confidence)
        result.append(Answer(comparison, p_value, finding, needed))
    return result


def problems_needed(
    only_first: float, only_second: float, power: float = 0.8, confidence: float = CONFIDENCE
) -> int | None:
    """Return how many problems McNemar's test needs to see a difference.

    Source: Connor, "Sample Size for Testing Differences in Proportions for the
    Paired-Sample Design", Biometrics 43 (1987), 207-211.

    Args:
        only_first: share of problems that the first run alone solves.
        only_second: share of problems that the second run alone solves.
        power: probability to see the difference if it is there.
        confidence: 1 - the probability to see one that is not there.

    Returns:
        The number; None if the shares are equal, so that no number would do.
    """
    discordant, difference = only_first + only_second, abs(only_first - only_second)
    if min(only_first, only_second) < 0 or discordant > 1:
        raise ValueError("shares of problems lie between 0 and 1, and so does their sum")
    if difference == 0:
        return None
    spread = math.sqrt(discordant - difference * difference)
    root = _z(confidence) * math.sqrt(discordant) + NormalDist().inv_cdf(power) * spread
    return math.ceil((root / difference) ** 2)


def pass_rates(verdicts: Iterable[Verdict], tests: str = "plus") -> dict[str, float]:
    """Return, for each problem, the share of its samples that pass.

    Args:
        verdicts: of one run.
        tests: `base`, or `plus` for base and extra tests.
    """
    passed: dict[str, list[bool]] = defaultdict(list)
    for verdict in verdicts:
        passed[verdict.problem_id].append(_outcome(verdict, tests) is Outcome.PASSED)
    return {problem: fmean(results) for problem, results in passed.items()}


def summarise(
    verdicts: Sequence[Verdict],
    solutions: Sequence[Solution],
    generations: Sequence[Generation],
    problems: Sequence[Problem],
    *,
    generating_seconds: float | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Return the numbers of one run by name; the module's docstring explains each.

    Args:
        verdicts: of one run, in any order.
        solutions: of the same run.
        generations: of the same run.
        problems: that the run was asked, solved or not.
        generating_seconds: wall clock of the generations that were made in this run. Without
            it, the times of single generations are added up, which is too much where
            several are decoded together.
        seed: of the bootstrap.
    """
    result: dict[str, float] = {}
    result |= _pass_metrics(verdicts, problems, seed)
    result |= _test_metrics(verdicts, seed)
    result |= _format_metrics(solutions, seed)
    for tests, section in (("plus", "outcomes"), ("base", "outcomes_base")):
        outcomes = Counter(_outcome(verdict, tests) for verdict in verdicts)
        result |= {f"{section}/{outcome}": float(outcomes[outcome]) for outcome in Outcome}
    reasons = Counter(generation.finish_reason for generation in generations)
    result |= {f"finish/{reason}": float(reasons[reason]) for reason in FinishReason}
    result |= _token_metrics(generations)
    result |= _cost_metrics(generations, verdicts, generating_seconds)
    result["cost/judging_cpu_seconds"] = math.fsum(verdict.cpu_seconds for verdict in verdicts)
    rates = pass_rates(verdicts)
    result["count/problems"] = float(len(problems))
    result["count/judged"] = float(len(rates))
    result["count/solved"] = float(sum(rate > 0 for rate in rates.values()))
    result["count/generations"] = float(len(generations))
    result["count/cached"] = float(sum(generation.cached for generation in generations))
    return result


def _z(confidence: float) -> float:
    """Return the normal quantile of a two-sided interval."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _needed_to_know(comparison: Comparison, margin: float, confidence: float) -> int | None:
    """Return the problems needed to see the difference, or to see that it is small.

    The second number is that of an equivalence test: the reach of the interval in `answers`,
    with z + z_power for z, has to stay within the margin. Source: Chow, Shao and Wang, "Sample
    Size Calculations in Clinical Research", 2nd edition, section 3.1.
    """
    size = comparison.problems
    numbers = [problems_needed(comparison.only_first / size, comparison.only_second / size)]
    z = _z(confidence) + NormalDist().inv_cdf(0.8)
    if abs(comparison.difference) < margin:
        low, high = 0, size
        while _reach(comparison, z, high) >= margin:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            if _reach(comparison, z, middle) < margin:
                high = middle
            else:
                low = middle
        numbers.append(high)
    known = [number for number in numbers if number is not None]
    # The approximation may promise an answer with no more problems than there were.
    return max(min(known), size + 1) if known else None


def _adjusted(difference: float, square: float, problems: int) -> tuple[float, float]:
    """Return a mean difference and its standard error, with one made-up problem for either run.

    Args:
        difference: mean over problems.
        square: mean over problems of the difference squared.
        problems: how many.
    """
    size = problems + 2
    middle = difference * problems / size
    return middle, math.sqrt(((square * problems + 2) / size - middle * middle) / size)


def _reach(comparison: Comparison, z: float, problems: int) -> float:
    """Return how far from 0 the interval of a difference reaches, with so many problems."""
    middle, error = _adjusted(comparison.difference, comparison.square, problems)
    return abs(middle) + z * error


def _outcome(verdict: Verdict, tests: str) -> Outcome:
    """Return the outcome on one set of tests."""
    return verdict.base if tests == "base" else verdict.plus


def _share(name: str, values: Sequence[float], single: bool, seed: int) -> dict[str, float]:
    """Return a mean over problems with its interval.

    Args:
        name: of the metric.
        values: one per problem.
        single: each value is 0 or 1, of one sample.
        seed: of the bootstrap.
    """
    if not values:
        return {}
    if single or min(values) == max(values) in (0.0, 1.0):
        # The bootstrap of equal values has no width, which would claim certainty.
        low, high = wilson_interval(math.fsum(values), len(values))
    else:
        low, high = bootstrap_interval(values, seed=seed)
    return {name: fmean(values), f"{name}_low": low, f"{name}_high": high}


def _pass_metrics(
    verdicts: Sequence[Verdict], problems: Sequence[Problem], seed: int
) -> dict[str, float]:
    """Return pass@k for all k and by difficulty, on base tests and on all tests."""
    levels: dict[str, set[str]] = defaultdict(set)
    for problem in problems:
        if problem.difficulty:
            levels[re.sub(r"\W", "_", problem.difficulty, flags=re.ASCII)].add(problem.id)
    result: dict[str, float] = {}
    for tests in ("plus", "base"):
        outcomes: dict[str, list[bool]] = defaultdict(list)
        for verdict in verdicts:
            outcomes[verdict.problem_id].append(_outcome(verdict, tests) is Outcome.PASSED)
        fewest = min((len(results) for results in outcomes.values()), default=0)
        single = max((len(results) for results in outcomes.values()), default=0) == 1
        for k in _ks(fewest):
            values = [pass_at_k(len(each), sum(each), k) for each in outcomes.values()]
            result |= _share(f"pass_at_{k}/{tests}", values, single, seed)
        for level, members in levels.items():
            values = [fmean(each) for problem, each in outcomes.items() if problem in members]
            result |= _share(f"pass_at_1_{level}/{tests}", values, single, seed)
    return result


def _ks(samples: int) -> list[int]:
    """Return the k to report: all up to 10, then 20, 50, 100, 200, ..."""
    steps = (digit * 10**power for power in range(1, 6) for digit in (2, 5, 10))
    return [*range(1, min(samples, 10) + 1), *(k for k in steps if k <= samples)]


def _test_metrics(verdicts: Sequence[Verdict], seed: int) -> dict[str, float]:
    """Return the share of tests passed: each problem counts the same, however many it has."""
    counts: dict[str, Callable[[Verdict], tuple[int, int]]] = {
        "base": lambda verdict: (verdict.base_passed, verdict.base_total),
        "extra": lambda verdict: (verdict.extra_passed, verdict.extra_total),
        "all": lambda verdict: (verdict.tests_passed, verdict.tests_total),
    }
    result: dict[str, float] = {}
    for tests, count in counts.items():
        shares: dict[str, list[float]] = defaultdict(list)
        for verdict in verdicts:
            passed, total = count(verdict)
            if total:
                shares[verdict.problem_id].append(passed / total)
        values = [fmean(each) for each in shares.values()]
        result |= _share(f"tests_passed/{tests}", values, single=False, seed=seed)
    return result


def _format_metrics(solutions: Sequence[Solution], seed: int) -> dict[str, float]:
    """Return how many answers kept the format, and how many hold a program."""
    kept: dict[str, list[bool]] = defaultdict(list)
    valid: dict[str, list[bool]] = defaultdict(list)
    for solution in solutions:
        kept[solution.problem_id].append(solution.format_kept)
        valid[solution.problem_id].append(solution.syntax_valid)
    single = all(len(each) == 1 for each in kept.values())
    result = _share("format/kept", [fmean(each) for each in kept.values()], single, seed)
    return result | _share(
        "format/syntax_valid", [fmean(each) for each in valid.values()], single, seed
    )


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
    return result


def _cost_metrics(
    generations: Sequence[Generation], verdicts: Sequence[Verdict], seconds: float | None
) -> dict[str, float]:
    """Return speed and cost of the generations that were made in this run."""
    made = [generation for generation in generations if not generation.cached]
    result: dict[str, float] = {}
    reading = [each for each in made if each.seconds_reading > 0]
    decoding = [each for each in made if each.seconds_decoding > 0 and each.new_tokens > 1]
    if reading:
        tokens = sum(each.prompt_tokens - each.shared_tokens for each in reading)
        time = math.fsum(each.seconds_reading for each in reading)
        result["speed/reading_tokens_per_second"] = tokens / time
    if decoding:
        # The clock starts when the first new token is there.
        tokens = sum(each.new_tokens - 1 for each in decoding)
        time = math.fsum(each.seconds_decoding for each in decoding)
        result["speed/decoding_tokens_per_second"] = tokens / time
    if seconds is None:
        seconds = math.fsum(each.seconds_reading + each.seconds_decoding for each in made)
    if not made or seconds <= 0:
        return result
    result["speed/tokens_per_second"] = sum(each.new_tokens for each in made) / seconds
    asked = {each.problem_id for each in made}
    result["cost/seconds_per_problem"] = seconds / len(asked)
    rates = pass_rates(verdicts)
    solved = math.fsum(rates.get(problem, 0.0) for problem in asked)
    if solved:
        result["cost/seconds_per_solved_problem"] = seconds / solved
    return result
