"""How far a quantized model's distribution over tokens is from its reference's.

Both read the same texts, and for each token of an answer both say how likely every token was in
its place. What is told of a level, each with an interval by bootstrap over problems (tokens of
one answer are not independent of each other):

| name | what it is |
|---|---|
| `divergence` | mean Kullback-Leibler divergence per token from the reference, in nats |
| `divergence_p99` | 99th percentile of the same over all tokens |
| `same_token` | share of tokens at which both find the same token the most likely |
| `perplexity`, `perplexity_reference` | of the level and of the reference on these texts |
| `parts_at` | the token, counted from 1, at which greedy texts part: the first for which another |
| | one is the most likely; the median over problems, infinite where most do not part |
| `same_text` | share of problems whose greedy text does not part |

Sources: Kullback and Leibler, "On Information and Sufficiency", Annals of Mathematical Statistics
22 (1951), 79-86; perplexity as in Jelinek et al., "Perplexity, a measure of the difficulty of
speech recognition tasks", 1977; the bootstrap of a ratio over clusters as in Efron and Tibshirani,
"An Introduction to the Bootstrap", 1993, chapters 8 and 13.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.stats.intervals import CONFIDENCE

Array = NDArray[np.float64]

RESAMPLES = 2_000
ROWS_AT_ONCE = 16
"""Rows of a vocabulary that are worked on at once: 150,000 numbers each take 20 MB."""


@dataclass(frozen=True)
class Scores:
    """What a model says of the tokens of one answer, in their order.

    Attributes:
        tokens: the tokens.
        surprisals: minus the logarithm of the probability of each, in nats.
        tops: the token that was the most likely in each one's place.
        divergences: from the reference's distribution, in nats; empty: it is the reference.
    """

    tokens: Sequence[int]
    surprisals: Sequence[float]
    tops: Sequence[int]
    divergences: Sequence[float] = ()

    def parts_at(self, reference: Scores) -> float:
        """Return the first token, counted from 1, where another is the most likely."""
        pairs = zip(self.tops, reference.tops, strict=True)
        return next((n for n, (mine, its) in enumerate(pairs, 1) if mine != its), math.inf)


class Estimate(NamedTuple):
    """A number and the bounds of its 95 % interval; None where problems do not differ in it."""

    value: float
    low: float | None = None
    high: float | None = None


def log_softmax(logits: NDArray[np.floating]) -> Array:
    """Return the logarithms of the probabilities in each row: x - log Σ exp(x), in float64."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=-1, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def divergence(reference: Array, level: Array) -> Array:
    """Return the Kullback-Leibler divergence of each row: Σ p (log p - log q), in nats.

    Args:
        reference: log p, of the distribution that the other is to stand for.
        level: log q.
    """
    found: Array = np.einsum("ij,ij->i", np.exp(reference), reference - level)
    return np.maximum(found, 0.0)  # below 0 by rounding alone


def compare(reference: Mapping[str, Scores], level: Mapping[str, Scores]) -> dict[str, Estimate]:
    """Return the numbers of a level by name; the module's docstring explains each.

    Args:
        reference: what the reference says of the texts, by problem.
        level: the same of the level; of the same problems and tokens.
    """
    problems = list(level)
    sizes = np.array([len(level[each].tokens) for each in problems], dtype=float)
    drawn = _draws(len(problems))

    def mean(totals: Sequence[float]) -> Estimate:
        return _estimate(lambda counts: (counts @ np.array(totals)) / (counts @ sizes), drawn)

    def perplexity(scores: Mapping[str, Scores]) -> Estimate:
        found = mean([math.fsum(scores[each].surprisals) for each in problems])
        return Estimate(*(None if n is None else math.exp(n) for n in found))  # type: ignore[arg-type]

    parts = [level[each].parts_at(reference[each]) for each in problems]
    same = [
        sum(a == b for a, b in zip(level[each].tops, reference[each].tops, strict=True))
        for each in problems
    ]
    values = np.concatenate([np.asarray(level[each].divergences, float) for each in problems])
    owners = np.repeat(np.arange(len(problems)), sizes.astype(int))
    whole = np.array([math.isinf(each) for each in parts], dtype=float)
    return {
        "divergence": mean([math.fsum(level[each].divergences) for each in problems]),
        "divergence_p99": _estimate(_quantile(values, owners, 0.99), drawn),
        "same_token": mean(same),
        "perplexity": perplexity(level),
        "perplexity_reference": perplexity(reference),
        "parts_at": _estimate(_median(np.array(parts)), drawn),
        "same_text": _estimate(lambda counts: (counts @ whole) / len(problems), drawn),
    }


Statistic = Callable[[Array], Array]
"""Draws, one row each with how often every problem is in it → one number for each."""


def _draws(problems: int) -> Array:
    """Return how often each problem is in each sample with replacement."""
    random = np.random.default_rng(0)
    return random.multinomial(problems, [1 / problems] * problems, RESAMPLES).astype(float)


def _estimate(statistic: Statistic, drawn: Array) -> Estimate:
    """Return a statistic of all problems and the percentile interval over the draws."""
    value = float(statistic(np.ones((1, drawn.shape[1])))[0])
    tail = (1 - CONFIDENCE) / 2
    ordered = np.sort(statistic(drawn))  # no interpolation: some are infinite
    last = len(ordered) - 1
    low, high = (float(ordered[round(last * share)]) for share in (tail, 1 - tail))
    return Estimate(value) if low == high else Estimate(value, low, high)


def _quantile(values: Array, owners: NDArray[np.intp], share: float) -> Statistic:
    """Return a quantile of all tokens, with linear interpolation between neighbours.

    Args:
        values: one per token.
        owners: number of the problem of each.
        share: below it.
    """
    order = np.argsort(values)
    values, owners = values[order], owners[order]

    def one(counts: Array) -> float:
        upto = np.cumsum(counts[owners])
        place = share * (upto[-1] - 1)
        below, above = (
            values[np.searchsorted(upto, rank, side="right")]
            for rank in (math.floor(place), math.ceil(place))
        )
        return float(below + (above - below) * (place - math.floor(place)))

    return lambda drawn: np.array([one(counts) for counts in drawn])


def _median(values: Array) -> Statistic:
    """Return the lower median of one value per problem, some of them infinite."""
    order = np.argsort(values)

    def of_draws(drawn: Array) -> Array:
        upto = np.cumsum(drawn[:, order], axis=1)
        middle = (upto[:, -1:] + 1) // 2
        found: Array = values[order][(upto >= middle).argmax(axis=1)]
        return found

    return of_draws
