"""What a sample drawn from strata says of the whole: how many to draw, the mean, its interval.

The whole is finite: the programs of some runs, of which a person reads a part. Strata are made
of what is known of all programs beforehand; within a stratum chance decides which are read.

Sources: Cochran, "Sampling Techniques", 3rd edition, 1977, chapter 5: the mean (5.1), its
variance with the finite population correction (5.6) and the best allocation (5.5). Wright, "The
Equivalence of Neyman Optimum Allocation for Sampling and Equal Proportions for Apportioning the
U.S. House of Representatives", The American Statistician 66 (2012), 217-224: that allocation in
whole numbers. Price and Bonett, "An improved confidence interval for a linear function of
binomial proportions", Computational Statistics & Data Analysis 45 (2004), 449-456: the interval
that holds for strata of which few or equal values are known.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from experiments.stats.intervals import CONFIDENCE, Interval, normal_quantile

LEAST = 2
"""Units of a stratum that are drawn at least: fewer say nothing of how they differ."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Stratum:
    """What is known of one stratum.

    Attributes:
        units: in the stratum.
        weight: of all its units together; a unit that counts twice has twice the weight.
        values: of the units that were drawn, each between 0 and 1.
        weights: of the same units.
        expected: the mean to assume while nothing was drawn.
    """

    units: int
    weight: float
    values: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    expected: float = 0.5

    @property
    def is_open(self) -> bool:
        """Whether some of its units were not drawn."""
        return len(self.values) < self.units

    @property
    def mean(self) -> float:
        """The weighted mean of the units that were drawn."""
        return self.total / math.fsum(self.weights) if self.values else self.expected

    @property
    def total(self) -> float:
        """The weighted sum of the values of the units that were drawn."""
        return math.fsum(w * v for w, v in zip(self.weights, self.values, strict=True))


@dataclass(frozen=True)
class Estimate:
    """The mean of the whole as a sample tells it.

    Attributes:
        mean: weighted by the strata.
        interval: holds the mean of all units with 95 %.
        drawn, units: how many are known, and how many there are.
        to_halve: how many more would make the interval half as wide; 0 if it has no width.
    """

    mean: float
    interval: Interval
    drawn: int
    units: int
    to_halve: int


def allocate(units: Mapping[Key, int], spreads: Mapping[Key, float], budget: int) -> dict[Key, int]:
    """Return how many units to draw from each stratum; a larger budget takes away from none.

    Each gets `LEAST` or all that it has; the rest goes where it makes the interval narrowest.

    Args:
        units: how many each stratum has.
        spreads: the standard deviation that is expected within each.
        budget: how many in all.
    """
    drawn = dict.fromkeys(units, 0)

    def gain(key: Key) -> tuple[bool, float]:
        taken = drawn[key]
        expected = units[key] * spreads[key]
        return taken < LEAST, expected / math.sqrt(taken * (taken + 1)) if taken else expected

    for _ in range(min(budget, sum(units.values()))):
        best = max((key for key in units if drawn[key] < units[key]), key=gain)
        drawn[best] += 1
    return drawn


def estimate(strata: Sequence[Stratum]) -> Estimate | None:
    """Return the mean of the whole with its interval; None if nothing was drawn.

    An open stratum of which less than `LEAST` units were drawn is taken together with the next
    one that has the same expected mean (Cochran, section 5A.12), so the strata have to come in an
    order in which neighbours are alike. Of one that is left without values the mean is taken as
    expected, and may be anything between 0 and 1 in the interval.
    """
    if not any(stratum.values for stratum in strata):
        return None
    strata = _collapsed(strata)
    weight = math.fsum(stratum.weight for stratum in strata)
    mean = math.fsum(stratum.weight * stratum.mean for stratum in strata) / weight
    drawn = sum(len(stratum.values) for stratum in strata)
    units = sum(stratum.units for stratum in strata)
    unknown = [stratum for stratum in strata if stratum.is_open]
    if not unknown:
        return Estimate(mean, Interval(mean, mean), drawn, units, 0)
    pseudo = 4 / len(unknown)
    smoothed = [_smoothed(stratum, pseudo) for stratum in unknown]
    sure = math.fsum(stratum.total for stratum in strata) / weight
    left = [(s.weight - math.fsum(s.weights)) / weight for s in unknown]
    centre = sure + math.fsum(
        part * middle for part, (middle, _) in zip(left, smoothed, strict=True)
    )
    parts = [
        _Part(s.weight / weight, s.units, len(s.values), pseudo, variance)
        for s, (_, variance) in zip(unknown, smoothed, strict=True)
    ]
    half = normal_quantile(CONFIDENCE) * math.sqrt(math.fsum(part.variance() for part in parts))
    low = max(sure, min(mean, centre - half))
    high = min(sure + math.fsum(left), max(mean, centre + half))
    return Estimate(mean, Interval(low, high), drawn, units, _to_halve(parts))


def _collapsed(strata: Sequence[Stratum]) -> list[Stratum]:
    """Return strata of which enough is known, as far as there are others to merge with."""
    closed = [stratum for stratum in strata if not stratum.is_open]
    merged: list[Stratum] = []
    for stratum in strata:
        if not stratum.is_open:
            continue
        before = merged[-1] if merged else None
        if (
            before is not None
            and before.expected == stratum.expected
            and min(len(before.values), len(stratum.values)) < LEAST
        ):
            merged[-1] = _union(before, stratum)
        else:
            merged.append(stratum)
    return [*closed, *merged]


def _union(first: Stratum, second: Stratum) -> Stratum:
    return Stratum(
        first.units + second.units,
        first.weight + second.weight,
        first.values + second.values,
        first.weights + second.weights,
        first.expected,
    )


@dataclass
class _Part:
    """What a stratum adds to the variance of the mean, and would with more units drawn."""

    share: float
    units: int
    drawn: int
    pseudo: float
    spread: float

    def variance(self, more: int = 0) -> float:
        drawn = self.drawn + more
        of_mean = min(0.25, self.spread / (drawn + self.pseudo))  # all values are in [0, 1]
        return self.share**2 * (1 - drawn / self.units) * of_mean


def _smoothed(stratum: Stratum, pseudo: float) -> tuple[float, float]:
    """Return mean and variance of a stratum's values and of some zeros and ones added to them.

    Args:
        stratum: of which some units are known, or none.
        pseudo: how many are added, half of them 0 and half of them 1.
    """
    drawn = len(stratum.values)
    count = drawn + pseudo
    mean = ((stratum.mean * drawn if drawn else 0.0) + pseudo / 2) / count
    usual = math.fsum(stratum.weights) / drawn if drawn else 1.0
    squares = math.fsum(
        (weight / usual * (value - mean)) ** 2
        for weight, value in zip(stratum.weights, stratum.values, strict=True)
    )
    return mean, (squares + pseudo / 2 * (mean**2 + (1 - mean) ** 2)) / max(pseudo, count - 1)


def _to_halve(parts: Sequence[_Part]) -> int:
    """Return how many more units would halve the interval, each drawn where it helps most."""
    more = [0] * len(parts)
    aim = math.fsum(part.variance() for part in parts) / 4
    for count in range(1, sum(part.units - part.drawn for part in parts) + 1):
        gains = [
            part.variance(n) - part.variance(n + 1) if part.drawn + n < part.units else -1.0
            for part, n in zip(parts, more, strict=True)
        ]
        more[gains.index(max(gains))] += 1
        if math.fsum(p.variance(n) for p, n in zip(parts, more, strict=True)) <= aim:
            return count
    return 0
