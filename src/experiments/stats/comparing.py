"""Two runs on the same problems: is one better, by how much, and is that luck?

Test and interval are one method, so that they never disagree: the interval excludes 0 exactly
where the test finds a difference, and both allow for all comparisons that are made together.
"""

import math
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import partial
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Literal

from experiments.stats.intervals import CONFIDENCE, Interval, normal_quantile, wilson_interval

if TYPE_CHECKING:
    import numpy

MARGIN = 0.05
"""A difference in pass@1 that nobody would mind: 5 points."""

FINEST = 1000
"""Differences are multiples of no less than 1 over this."""

LARGEST_SUM = 1 << 14
"""Steps that all differences add up to at most; finer ones are rounded."""

POWER = 0.8
"""Probability to see what is there, for numbers of problems that are needed."""

ROUNDING = 1e-9

Rates = Mapping[str, float]
"""Problem id to the share of its samples that pass; see `metrics.pass_rates`."""


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


def sign_flip_p_value(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of the exact sign-flip test for a mean difference of 0.

    Under the null hypothesis each difference may as well have the other sign: the share of
    all assignments of signs whose sum is as far from 0 as the one seen. Where all that are
    not 0 have the same size (one sample per problem) it is McNemar's exact test.
    Source: Pitman, "Significance Tests Which May Be Applied to Samples from any Populations",
    Supplement to the Journal of the Royal Statistical Society 4 (1937), 119-130.

    Args:
        differences: one per problem, between -1 and 1; taken as multiples of their common
            denominator, or rounded where that is too fine.
    """
    whole = _whole(differences)
    if len({abs(number) for number in whole}) < 2:
        return mcnemar_p_value(sum(n < 0 for n in whole), sum(n > 0 for n in whole))
    above, below = _tails(whole, [0.0])
    return float(min(1.0, 2 * above[0], 2 * below[0]))


def difference_interval(differences: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the confidence interval of a mean difference that goes with the sign-flip test.

    The mean difference is how much problems tell the runs apart (the mean size of the
    differences) times the balance: the share of that which favours the second run, minus the
    share that favours the first. The balance has the exact interval that inverts the sign-flip
    test, with signs that are not even (for one sample per problem that of Clopper and
    Pearson). The mean size has Wilson's score interval. The two are put together by their
    profile: a difference lies in the interval if some mean size and balance make it whose
    normal deviates, squared and added, do not exceed that of the confidence. A balance of 0 is
    a difference of 0 at any mean size, so the interval excludes 0 exactly where the test does.
    Sources: Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the
    Case of the Binomial", Biometrika 26 (1934), 404-413; Wilson: see `wilson_interval`;
    profiles: Venzon and Moolgavkar, "A Method for Computing Profile-Likelihood-Based
    Confidence Intervals", Applied Statistics 37 (1988), 87-94.

    Args:
        differences: one per problem, between -1 and 1.
        confidence: of the interval.
    """
    whole = _whole(differences)
    size = min(math.fsum(map(abs, differences)), float(len(differences)))
    if not whole:
        reach = wilson_interval(size, len(differences), confidence).high
        return Interval(-reach, reach)
    differ = sign_flip_p_value(differences) < 1 - confidence
    positive = sum(whole) > 0
    high = _upper(whole, size, len(differences), confidence, beyond=differ and not positive)
    turned = [-number for number in whole]
    low = -_upper(turned, size, len(differences), confidence, beyond=differ and positive)
    return Interval(low, high)


class Finding(StrEnum):
    """What a comparison says of the second run."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"  # within the margin
    SAME = "same"  # the same programs
    UNKNOWN = "unknown"  # too few problems to know


@dataclass(frozen=True)
class Needed:
    """How many problems would settle a comparison, if the difference seen is the true one.

    Attributes:
        problems: for a power of 80 %.
        shows: what they would show: a difference, or that it is within the margin.
    """

    problems: int
    shows: Literal["difference", "equality"]


@dataclass(frozen=True)
class Comparison:
    """Two runs on the same problems. Differences are second minus first.

    Attributes:
        problems: that both runs have.
        first, second: pass@1 on them.
        difference: second - first.
        low, high: its interval, which holds for all comparisons made together.
        only_first, only_second: problems on which one run is better (with one sample:
            that it alone solves).
        p_value: exact McNemar, or the sign-flip test where problems differ by parts; times
            the number of comparisons made together.
        finding: of the second run against the first.
        needed: what would settle it; None if it is known.
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
    finding: Finding
    needed: Needed | None = None


def compare(
    pairs: Sequence[tuple[Rates, Rates]],
    *,
    together: int | None = None,
    margin: float = MARGIN,
) -> list[Comparison]:
    """Compare pairs of runs, each on the problems that both have.

    The second run is better or worse if its interval excludes 0, and equal if it lies within
    the margin. The chance of any wrong finding is at most 1 - `CONFIDENCE`: p-values are
    multiplied by the number of comparisons, and intervals have that much more confidence.
    Source: Bonferroni's inequality; Miller, "Simultaneous Statistical Inference", 2nd edition
    (1981), section 2.2.

    Args:
        pairs: first and second run of each.
        together: how many comparisons there were to choose from, where these were chosen by
            their results: all pairs, for the best with the others. Default: these.
        margin: a difference in pass@1 that nobody would mind.
    """
    number = max(1, together or len(pairs))
    return [_compared(first, second, number, margin) for first, second in pairs]


def same_programs(rates: Rates) -> Comparison:
    """Return the comparison of runs with the same programs: nothing is left to chance."""
    share = fmean(rates.values())
    return Comparison(len(rates), share, share, 0.0, 0.0, 0.0, 0, 0, 1.0, Finding.SAME)


def problems_needed(
    difference: float, mean_square: float, confidence: float = CONFIDENCE
) -> int | None:
    """Return how many problems a paired test needs to see a difference, if it is there.

    It sees one with a probability of `POWER`.

    Source: Connor, "Sample Size for Testing Differences in Proportions for the
    Paired-Sample Design", Biometrics 43 (1987), 207-211, whose share of problems that tell
    the runs apart is the mean square of differences that are -1, 0 or 1.

    Args:
        difference: mean over problems.
        mean_square: of the difference on one problem.
        confidence: 1 - the probability to see one that is not there.

    Returns:
        The number; None if there is no difference, so that no number would do.
    """
    variance = mean_square - difference * difference
    if variance < -ROUNDING or mean_square > 1:
        raise ValueError(f"differences of mean {difference} have no mean square of {mean_square}")
    if difference == 0:
        return None
    spread = math.sqrt(max(0.0, variance))
    seen = NormalDist().inv_cdf(POWER)
    root = normal_quantile(confidence) * math.sqrt(mean_square) + seen * spread
    return math.ceil((root / difference) ** 2)


def _compared(first: Rates, second: Rates, together: int, margin: float) -> Comparison:
    common = sorted(first.keys() & second.keys())
    if not common:
        raise ValueError("the two runs have no problem in common")
    differences = [second[problem] - first[problem] for problem in common]
    difference = fmean(differences)
    each = 1 - (1 - CONFIDENCE) / together
    low, high = difference_interval(differences, each)
    p_value = sign_flip_p_value(differences)
    needed = None
    if p_value < 1 - each:
        finding = Finding.BETTER if difference > 0 else Finding.WORSE
    elif -margin < low and high < margin:
        finding = Finding.EQUAL
    else:
        finding = Finding.UNKNOWN
        needed = _needed(differences, margin, each)
    return Comparison(
        problems=len(common),
        first=fmean(first[problem] for problem in common),
        second=fmean(second[problem] for problem in common),
        difference=difference,
        low=low,
        high=high,
        only_first=sum(each < 0 for each in differences),
        only_second=sum(each > 0 for each in differences),
        p_value=min(1.0, together * p_value),
        finding=finding,
        needed=needed,
    )


def _whole(differences: Sequence[float]) -> list[int]:
    """Return the differences that are not 0 as multiples of a common step."""
    parts = [Fraction(each).limit_denominator(FINEST) for each in differences if each]
    if not parts:
        return []
    most = max(1, int(LARGEST_SUM / math.fsum(map(abs, differences))))
    scale = min(FINEST, most, math.lcm(*(part.denominator for part in parts)))
    return [number for part in parts if (number := round(part * scale))]


def _tails(
    whole: Sequence[int], balances: "Sequence[float] | numpy.ndarray"
) -> "tuple[numpy.ndarray, numpy.ndarray]":
    """Return how probable sums at least and at most as large as the one seen are.

    Each size keeps its place and is positive with probability (1 + balance) / 2. The
    distribution of the sum of the positive ones is the product of the sizes' characteristic
    functions.

    Args:
        whole: differences that are not 0.
        balances: several, for each of which the two probabilities are returned.
    """
    import numpy

    sizes = Counter(map(abs, whole))
    step = math.gcd(*sizes)
    total = sum(size * count for size, count in sizes.items()) // step
    seen = sum(number for number in whole if number > 0) // step
    points = 1 << total.bit_length()
    turns = numpy.exp(-2j * math.pi * numpy.arange(points // 2 + 1) / points)
    share = (1 + numpy.asarray(balances, dtype=float)[:, None]) / 2
    transform = numpy.ones((len(share), len(turns)), dtype=complex)
    for size, count in sizes.items():
        transform *= (1 - share + share * turns ** (size // step)) ** count
    chances = numpy.fft.irfft(transform, points, axis=1)[:, : total + 1].clip(0)
    return chances[:, seen:].sum(axis=1), chances[:, : seen + 1].sum(axis=1)


def _upper(
    whole: Sequence[int], size: float, problems: int, confidence: float, *, beyond: bool
) -> float:
    """Return the upper end of a mean difference's interval.

    Args:
        whole: the differences that are not 0, as multiples of a step.
        size: sum of the sizes of the differences.
        problems: how many.
        confidence: of the interval.
        beyond: whether the end is below 0, as the test has found.
    """
    import numpy

    total = sum(map(abs, whole))
    middle = sum(whole) / total
    tail = (1 - confidence) / 2
    low, high = (middle, 0.0) if beyond else (max(0.0, middle), 1.0)
    for _ in range(4):  # the largest balance that the sign-flip test does not refuse
        grid = numpy.linspace(low, high, 33)
        kept = _tails(whole, grid)[1] >= tail
        last = min(int(numpy.flatnonzero(kept)[-1]) if kept.any() else 0, 31)
        low, high = float(grid[last]), float(grid[last + 1])
    normal = NormalDist()
    limit = normal.inv_cdf(1 - tail)
    grid = numpy.linspace(middle, low, 33)
    deviates = [
        max(0.0, -normal.inv_cdf(min(max(chance, 1e-300), 1 - ROUNDING)))
        for chance in _tails(whole, grid)[1]
    ]
    ends = []
    for balance, deviate in zip(grid, deviates, strict=True):
        left = math.sqrt(max(0.0, limit * limit - deviate * deviate))
        sizes = wilson_interval(size, problems, 2 * normal.cdf(left) - 1)
        ends.append(float(balance) * (sizes.high if balance > 0 else sizes.low))
    return max(ends)


def _needed(differences: Sequence[float], margin: float, confidence: float) -> Needed | None:
    """Return what would show a difference, or that it is within the margin: the fewer problems.

    The second number is that of an equivalence test. Source: Chow, Shao and Wang, "Sample
    Size Calculations in Clinical Research", 2nd edition, section 3.1.
    """
    size, difference = len(differences), fmean(differences)
    mean_square = fmean(each * each for each in differences)
    found = []
    if seen := problems_needed(difference, mean_square, confidence):
        found.append(Needed(seen, "difference"))
    if abs(difference) < margin:
        power: Callable[[int], float] = partial(
            _power_to_equal, difference, mean_square, size, margin, confidence
        )
        number = bisect_left(range(sys.maxsize), POWER, lo=1, key=power)
        found.append(Needed(number, "equality"))
    if not found:
        return None
    fewest = min(found, key=lambda needed: needed.problems)
    # The approximation may promise an answer with no more problems than there were.
    return Needed(max(fewest.problems, size + 1), fewest.shows)


def _power_to_equal(
    difference: float,
    mean_square: float,
    seen: int,
    margin: float,
    confidence: float,
    problems: int,
) -> float:
    """Return how probable it is that so many problems show two runs to be equal.

    Where none of the problems seen tells the runs apart, one more might have: it is counted
    as if either run had won one.
    """
    square = (mean_square * seen + 2) / (seen + 2)
    error = math.sqrt(max(ROUNDING, square - difference * difference) / problems)
    z = normal_quantile(confidence)
    below, above = ((margin + sign * difference) / error - z for sign in (-1, 1))
    return max(0.0, NormalDist().cdf(below) + NormalDist().cdf(above) - 1)
