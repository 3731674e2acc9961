"""Evidence from paired outcomes that may be looked at after every problem, for many races at once.

Candidates answer the same problems in a random order. What is asked is by how much one is ahead
of another: on problems like these, of which the N here are a sample (the population), or on
these N once all are answered (the set).

**A bet.** Let d be the difference of two outcomes on a problem, and suppose that the second
candidate is ahead of the first by no more than a share z. Then the next d is expected to be at
most m = z for a population, and m = (z N - S) / (N - t) for a set, where S is the sum of the t
differences so far: what is left has to make up for it. A capital that is multiplied by
1 + stake * (d - m) for each problem does not grow on average then, as long as the stake is not
negative and chosen before d is seen. By Ville's inequality it ever reaches 1/alpha with a
probability of at most alpha. So one that does is evidence against z, however often one looks and
whenever one stops.

**The stake** is Kelly's, up to the second moment, for an assumed mean of the differences to come.
An average over a few assumed means stands for not knowing it.

**Against the leader only.** "No other candidate is ahead of this one" is refuted by a single
other. So the bet on each problem is on whoever leads as the problem comes up, and one capital
per candidate is enough, with nothing paid for choosing the leader by the data.

**Many claims.** Several such statements may be true at once (all candidates that tie for the
best). The average of their capitals is a capital, so a set of statements can be refuted as a
whole; one statement is refuted when every set is that contains it and no other that was refuted
before. This closed test holds the chance of any wrong claim, not of each.

Sources: bets, for populations and for sampling without replacement: Waudby-Smith and Ramdas,
"Estimating means of bounded random variables by betting", Journal of the Royal Statistical
Society B 86 (2024), 1-27. Ville, "Étude critique de la notion de collectif", 1939. Kelly, "A New
Interpretation of Information Rate", Bell System Technical Journal 35 (1956), 917-926. Averages
and closed tests: Vovk and Wang, "E-values: calibration, combination and applications", Annals of
Statistics 49 (2021), 1736-1754.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]
Indices = NDArray[np.intp]

ASSUMED = (1.5, 3.0, 6.0)
"""Differences that bets on "worse" are made for, over the square root of N: from about the
smallest that N problems can show. Each takes a third of the capital."""

LARGEST = 0.9
"""No larger difference is assumed."""

BOLDEST = 0.7
"""No bet risks more than this share of its capital."""

FIRST_SQUARE = 0.3
"""The mean square of a difference before anything was seen; weighs as much as one problem."""

HOPE = 1.28
"""Standard deviations of luck: what comes with a chance of one in ten."""


class Evidence:
    """Capitals of all bets in races that go on side by side.

    Args:
        races: how many races.
        candidates: in each.
        problems: that there are, N.
        population: what is asked is about problems like these, not about these alone.
        ahead: shares z; refuted is "no other is ahead by more than z".
        within: shares y; refuted is "the other is ahead by y or more".
        pairs: also find who is ahead for each pair.

    Attributes:
        seen: problems so far.
        solved: by candidate, shape (races, candidates).
    """

    def __init__(
        self,
        races: int,
        candidates: int,
        problems: int,
        *,
        population: bool,
        ahead: tuple[float, ...],
        within: tuple[float, ...],
        pairs: bool = False,
    ) -> None:
        self.seen = 0
        self.problems = problems
        self.solved = np.zeros((races, candidates))
        self._population = population
        self._ahead, self._within = np.array(ahead), np.array(within)
        self._assumed = np.minimum(np.array(ASSUMED) / np.sqrt(problems), LARGEST)
        each, both = (races, candidates), (races, candidates, candidates)
        self._squares = np.zeros(both)
        self._behind = np.zeros((*each, len(ahead), len(ASSUMED)))
        self._near = np.zeros((*both, len(within)))
        self._worse = np.zeros((*both, len(ASSUMED))) if pairs else None

    @property
    def left(self) -> int:
        """Problems that are still to come."""
        return self.problems - self.seen

    @property
    def lead(self) -> Array:
        """By how many problems so far the second is ahead of the first, for all pairs."""
        lead: Array = self.solved[:, None, :] - self.solved[:, :, None]
        return lead

    @property
    def square(self) -> Array:
        """The mean square of the difference on a problem, for all pairs."""
        square: Array = (self._squares + FIRST_SQUARE) / (self.seen + 1)
        return square

    def behind(self, running: Marks) -> Array:
        """Return the capital against "no other is ahead by more than z", per candidate and z."""
        rivals = running[:, None, :] & ~np.eye(running.shape[1], dtype=np.bool_)
        lead = np.where(rivals, self.lead, -np.inf).max(axis=2)[..., None]
        return self._or_certain(
            _average(self._behind), lead - self.left > self._totals(self._ahead)
        )

    def near(self, running: Marks) -> Array:
        """Return the capital against "the second is ahead of the first by y or more"."""
        most = (self.lead + self.left)[..., None]
        certain = (most < self._totals(self._within)) & _both(running)[..., None]
        return self._or_certain(_exp(self._near), certain)

    def worse(self, running: Marks) -> Array:
        """Return the capital against "the second is not ahead of the first"."""
        assert self._worse is not None
        certain = (self.lead > self.left) & _both(running)
        return self._or_certain(_average(self._worse), certain)

    def add(self, outcomes: Array, running: Marks) -> None:
        """Take in the outcomes on the next problem.

        Args:
            outcomes: 1 for solved and 0 for not, shape (races, candidates).
            running: which candidates answered it; nobody comes back. Capitals of the others
                stay as they are.
        """
        lead, square = self.lead, self.square
        outcomes = np.where(running, outcomes, 0)
        gain = outcomes[:, None, :] - outcomes[:, :, None]
        both = _both(running)

        rival = self._rivals(running)
        taken = [np.take_along_axis(each, rival, 2) for each in (lead, gain, square)]
        mean = self._mean(self._ahead, taken[0])[..., None]
        growth = _growth(self._assumed, mean, taken[1][..., None], taken[2][..., None])
        self._behind += np.where(running[..., None, None], growth, 0)

        # Against a lead of the second of y or more, on the assumption that there is none.
        mean = -self._mean(self._within, lead[..., None])
        growth = _growth(0.0, mean, -gain[..., None], square[..., None])
        self._near += np.where(both[..., None], growth, 0)

        if self._worse is not None:
            mean = self._mean(np.zeros(1), lead[..., None])
            growth = _growth(self._assumed, mean, gain[..., None], square[..., None])
            self._worse += np.where(both[..., None], growth, 0)

        self.solved += outcomes
        self._squares += np.where(both, gain * gain, 0)
        self.seen += 1

    def leader(self, running: Marks) -> Indices:
        """Return who solved the most of those that run, the first named if several did."""
        first: Indices = np.where(running, self.solved, -1).argmax(axis=1)
        return first

    def could_be_worse(self, least: float) -> Marks:
        """Return for which pairs the capital of "worse" may reach a number by the end.

        It does not if even a lead that grows as well as it does in one case of ten is too
        small. This claims nothing; it saves problems that would not tell.
        """
        assumed, square = self._assumed, self.square
        lead = self._by_the_end(HOPE)
        grown = (assumed * lead[..., None] - assumed**2 * self.problems / 2) / square[..., None]
        may: Marks = _average(grown) >= least
        return may

    def could_be_near(self, share: float, least: float) -> Marks:
        """Return for which pairs the capital against a lead of a share may reach a number."""
        total = share * self.problems
        grown = share * (total / 2 - self._by_the_end(-HOPE)) / self.square
        may: Marks = _exp(grown) >= least
        return may

    def _by_the_end(self, luck: float) -> Array:
        """Return what the leads may be when all problems are answered.

        Both what is left and what is known of the mean of it are uncertain.
        """
        spread = np.sqrt(self.square * self.left * (1 + self.left / self.seen))
        lead: Array = self.lead * self.problems / self.seen + luck * spread
        return lead

    def _rivals(self, running: Marks) -> Indices:
        """Return whom each candidate is compared with: the leader, or the second if it leads."""
        solved = np.where(running, self.solved, -1)
        first = solved.argmax(axis=1)[:, None]
        np.put_along_axis(solved, first, -2, axis=1)
        second = solved.argmax(axis=1)[:, None]
        own = np.arange(solved.shape[1])[None, :]
        rivals: Indices = np.where(own == first, second, first)[:, :, None]
        return rivals

    def _mean(self, shares: Array, lead: Array) -> Array:
        """Return the expected difference on the next problem if these are the shares."""
        if self._population:
            return shares + 0 * lead
        return np.clip((shares * self.problems - lead) / self.left, -1, 1)

    def _totals(self, shares: Array) -> Array:
        return np.round(shares * self.problems, 6)

    def _or_certain(self, capital: Array, certain: Marks) -> Array:
        """Return capitals, without bound where counting shows what all problems will."""
        return capital if self._population else np.where(certain, np.inf, capital)


def required(capitals: Array, least: float, possible: Marks) -> Array:
    """Return what each capital has to reach for its statement to be refuted, along the last axis.

    A statement is refuted if the average capital of every set of possible statements that
    contains it is enough. The set that is hardest to refute adds all whose capital is not enough
    by itself.

    Args:
        capitals: one per statement.
        least: what one alone would have to reach, 1/alpha.
        possible: statements that were not refuted before.
    """
    small = possible & (capitals < least)
    missing = np.where(small, least - np.where(small, capitals, 0), 0)
    others: Array = missing.sum(axis=-1, keepdims=True) - missing
    return least + others


def _both(running: Marks) -> Marks:
    """Return the pairs that both run."""
    return running[:, :, None] & running[:, None, :]


def _growth(assumed: Array | float, mean: Array, difference: Array, square: Array) -> Array:
    """Return the logarithm of what a bet multiplies its capital by.

    Args:
        assumed: means of the difference that the bet is made for, along the last axis.
        mean: the most that the difference is expected to be under what the bet is against.
        difference: the one seen.
        square: the mean square of the difference, from the problems before.
    """
    spread = np.maximum(square, assumed * assumed) - 2 * mean * assumed + mean * mean
    most = BOLDEST / np.maximum(1 + mean, 1e-6)
    stake = np.clip((assumed - mean) / np.maximum(spread, 1e-9), 0, most)
    growth: Array = np.log1p(stake * (difference - mean))
    return growth


def _average(logarithms: Array) -> Array:
    """Return the capital of bets that share it in equal parts, along the last axis."""
    average: Array = _exp(logarithms).mean(axis=-1)
    return average


def _exp(logarithms: Array) -> Array:
    capital: Array = np.exp(np.minimum(logarithms, 300))
    return capital
