"""Two runs on the same problems: is one better, by how much, and is that luck?"""

import math
import sys
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import partial
from statistics import NormalDist, fmean

from experiments.stats.intervals import CONFIDENCE, bootstrap_interval, normal_quantile

FINEST = 1000
"""Differences are multiples of no less than 1 over this."""

POWER = 0.8
"""Probability to see what is there, for numbers of problems that would tell."""

ROUNDING = 1e-9


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
            denominator, or of 1/1000 if that is larger.
    """
    parts = [Fraction(each).limit_denominator(FINEST) for each in differences if each]
    scale = min(FINEST, math.lcm(*(part.denominator for part in parts)))
    whole = [number for part in parts if (number := round(part * scale))]
    if len({abs(number) for number in whole}) < 2:
        return mcnemar_p_value(sum(n < 0 for n in whole), sum(n > 0 for n in whole))
    import numpy

    total = sum(map(abs, whole))
    share = numpy.zeros(total + 1)  # of assignments, by the sum of those that are positive
    share[0] = 1.0
    for size in map(abs, whole):
        share[size:] += share[:-size].copy()
        share /= 2
    as_far = (total + abs(sum(whole))) // 2
    return min(1.0, 2 * float(share[as_far:].sum()))


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
        p_value: exact McNemar, or the sign-flip test where problems differ by parts.
        mean_square: of the difference on one problem.
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
    mean_square: float


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
    mean_square = fmean(d * d for d in differences)
    if len(set(differences)) > 1:
        low, high = bootstrap_interval(differences, seed=seed)
    else:
        middle, error = _adjusted(difference, mean_square, len(common))
        reach = normal_quantile(CONFIDENCE) * error
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
        p_value=sign_flip_p_value(differences),
        mean_square=mean_square,
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
    z = normal_quantile(confidence)
    result = []
    corrected = holm([comparison.p_value for comparison in comparisons])
    for comparison, p_value in zip(comparisons, corrected, strict=True):
        middle, error = _adjusted(
            comparison.difference, comparison.mean_square, comparison.problems
        )
        needed = None
        if p_value < 1 - confidence:
            finding = Finding.BETTER if comparison.difference > 0 else Finding.WORSE
        elif abs(middle) + z * error < margin:
            finding = Finding.EQUAL
        else:
            finding = Finding.UNKNOWN
            needed = _needed_to_know(comparison, margin, confidence, len(comparisons))
        result.append(Answer(comparison, p_value, finding, needed))
    return result


def problems_needed(
    difference: float, mean_square: float, power: float = POWER, confidence: float = CONFIDENCE
) -> int | None:
    """Return how many problems a paired test needs to see a difference.

    Source: Connor, "Sample Size for Testing Differences in Proportions for the
    Paired-Sample Design", Biometrics 43 (1987), 207-211, whose share of problems that tell
    the runs apart is the mean square of differences that are -1, 0 or 1.

    Args:
        difference: mean over problems.
        mean_square: of the difference on one problem.
        power: probability to see the difference if it is there.
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
    root = (
        normal_quantile(confidence) * math.sqrt(mean_square) + NormalDist().inv_cdf(power) * spread
    )
    return math.ceil((root / difference) ** 2)


def _needed_to_know(
    comparison: Comparison, margin: float, confidence: float, comparisons: int
) -> int | None:
    """Return the problems needed to see the difference, or to see that it is small.

    The first number allows for the other comparisons by Bonferroni's correction, which is
    Holm's for the smallest p-value. The second is that of an equivalence test. Source: Chow,
    Shao and Wang, "Sample Size Calculations in Clinical Research", 2nd edition, section 3.1.
    """
    size = comparison.problems
    corrected = 1 - (1 - confidence) / comparisons
    numbers = [problems_needed(comparison.difference, comparison.mean_square, confidence=corrected)]
    if abs(comparison.difference) < margin:
        power = partial(_power_to_equal, comparison, margin, confidence)
        numbers.append(bisect_left(range(sys.maxsize), POWER, lo=1, key=power))
    known = [number for number in numbers if number is not None]
    # The approximation may promise an answer with no more problems than there were.
    return max(min(known), size + 1) if known else None


def _power_to_equal(
    comparison: Comparison, margin: float, confidence: float, problems: int
) -> float:
    """Return how probable it is that so many problems show two runs to be equal."""
    middle, error = _adjusted(comparison.difference, comparison.mean_square, problems)
    z = normal_quantile(confidence)
    below, above = ((margin + sign * middle) / error - z for sign in (-1, 1))
    return NormalDist().cdf(below) + NormalDist().cdf(above) - 1


def _adjusted(difference: float, mean_square: float, problems: int) -> tuple[float, float]:
    """Return a mean difference and its standard error, with one made-up problem for either run.

    Args:
        difference: mean over problems.
        mean_square: of the difference on one problem.
        problems: how many.
    """
    size = problems + 2
    middle = difference * problems / size
    return middle, math.sqrt(((mean_square * problems + 2) / size - middle * middle) / size)
