"""How far a rate can be trusted: confidence intervals."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95
RESAMPLES = 10_000


class Interval(NamedTuple):
    """Bounds of a confidence interval."""

    low: float
    high: float


def normal_quantile(confidence: float) -> float:
    """Return the normal quantile of a two-sided interval."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson_interval(passed: float, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's score interval of a share; all of [0, 1] if there is nothing to go by.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    Journal of the American Statistical Association 22 (1927), 209-212.
    """
    if not 0 <= passed <= total:
        raise ValueError(f"{passed} of {total} is not a share")
    if total == 0:
        return Interval(0.0, 1.0)
    z = normal_quantile(confidence)
    share = passed / total
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low = 0.0 if passed == 0 else max(0.0, (middle - spread) / scale)
    high = 1.0 if passed == total else min(1.0, (middle + spread) / scale)
    return Interval(low, high)


def bootstrap_interval(values: Sequence[float], seed: int = 0) -> Interval:
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
    rows = max(1, min(RESAMPLES, 2_000_000 // len(data)))  # drawn at once: 16 MB
    means: list[float] = []
    while len(means) < RESAMPLES:
        drawn = random.integers(0, len(data), size=(min(rows, RESAMPLES - len(means)), len(data)))
        means.extend(data[drawn].mean(axis=1))
    tail = (1 - CONFIDENCE) / 2
    low, high = numpy.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))
