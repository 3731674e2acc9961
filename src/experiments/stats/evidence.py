"""Evidence about paired outcomes that may be looked at after every problem, for many races at once.

A race compares candidates on one finite set of N problems that are answered in a random order.
What it asks is what the whole set would have shown: by how many problems one candidate is ahead
of another, once all N are answered. So nothing is assumed about where problems come from, the
only chance is the order, and the evidence grows without bound as the set is used up.

**A bet.** Let d be the difference of two outcomes on a problem and S its sum so far. If the sum
over all N were z, the problems that are left would have the mean m = (z - S) / (N - t): that is
the expected value of the next d, whatever came before. A capital that is multiplied by
1 + stake * (d - m) with each problem then never grows on average, as long as the stake is chosen
before d is seen. By Ville's inequality it ever reaches 1/alpha with a probability of at most
alpha, so a capital that does is evidence against z (and with a stake of no less than 0, against
all that is less than z), however often one looks and whenever one stops.

**The stake** is Kelly's, up to the second moment, for an assumed mean of the problems to come. An
average over a few assumed means stands for not knowing the difference.

**Against the leader only.** "No other candidate is ahead of this one" is refuted by a single
other one. So each problem's bet is on whoever leads as the problem comes up, and one capital per
candidate is enough, with nothing paid for the number of others. As only one candidate is the
best (of several that tie, the first named), this claim needs no correction either.

Sources: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
Journal of the Royal Statistical Society B 86 (2024), 1-27, section 5 on sampling without
replacement; Waudby-Smith and Ramdas, "Confidence sequences for sampling without replacement",
NeurIPS 2020; Ville, "Étude critique de la notion de collectif", 1939; Kelly, "A New
Interpretation of Information Rate", Bell System Technical Journal 35 (1956), 917-926; averages
of e-values: Vovk and Wang, "E-values: calibration, combination and applications", Annals of
Statistics 49 (2021), 1736-1754.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Marks = NDArray[np.bool_]

ASSUMED = (0.04, 0.12, 0.36)
"""Differences that bets on "worse" are made for; each takes a third of the capital."""

BOLDEST = 0.7
"""No bet risks more than this share of the capital."""

FIRST_SQUARE = 0.3
"""The mean square of a difference before anything was seen; weighs as much as one problem."""


class Evidence:
    """Capitals of all bets in races that go on side by side.

    Args:
        races: how many races.
        candidates: in each.
        problems: in the set, N.
        ahead: numbers of problems z; the claims are that another candidate is ahead by more.
        within: numbers of problems y; the claims are that another is ahead by fewer.
        pairs: also collect evidence of who is ahead, for each pair.

    Attributes:
        seen: problems so far.
        solved: by candidate, shape (races, candidates).
        behind: largest capital so far against "no other is ahead by more than z", shape
            (races, candidates, len(ahead)).
        near: largest capital so far against "the second is ahead of the first by y or more",
            shape (races, candidates, candidates, len(within)).
        worse: largest capital so far against "the second is not ahead of the first", shape
            (races, candidates, candidates); None without `pairs`.
    """

    def __init__(
        self,
        races: int,
        candidates: int,
        problems: int,
        ahead: tuple[int, ...],
        within: tuple[int, ...],
        *,
        pairs: bool = False,
    ) -> None:
        self.seen = 0
        self.problems = problems
        self.solved = np.zeros((races, candidates))
        self._ahead = np.array(ahead, dtype=float)
        self._within = np.array(within, dtype=float)
        self._squares = np.zeros((races, candidates, candidates))
        each, both = (races, candidates), (races, candidates, candidates)
        self.behind = np.ones((*each, len(ahead)))
        self._behind = np.zeros((*each, len(ahead), len(ASSUMED)))
        self.near = np.ones((*both, len(within)))
        self._near = np.zeros((*both, len(within)))
        self.worse = np.ones(both) if pairs else None
        self._worse = np.zeros((*both, len(ASSUMED) if pairs else 0))

    @property
    def left(self) -> int:
        """Problems that are still to come."""
        return self.problems - self.seen

    @property
    def lead(self) -> Array:
        """By how many problems so far the second is ahead of the first, for all pairs."""
        lead: Array = self.solved[:, None, :] - self.solved[:, :, None]
        return lead

    def add(self, outcomes: Array, running: Marks) -> None:
        """Take in the outcomes on the next problem.

        Args:
            outcomes: 1 for solved and 0 for not, shape (races, candidates). What stands for a
                candidate that is not running is of no account.
            running: which candidates answered it; nobody comes back.
        """
        lead = self.lead
        gain = outcomes[:, None, :] - outcomes[:, :, None]
        square = (self._squares + FIRST_SQUARE) / (self.seen + 1)

        rival = self._rivals(running)
        picked = tuple(np.take_along_axis(each, rival, 2) for each in (lead, gain, square))
        mean = self._mean(self._ahead - picked[0])[..., None]
        self._behind += _growth(ASSUMED, mean, picked[1][..., None], picked[2][..., None])
        np.maximum(self.behind, _average(self._behind), out=self.behind)

        # Against a lead of the second of y or more, on the assumption that there is none.
        mean = self._mean(lead[..., None] - self._within)
        self._near += _growth(0.0, mean, -gain[..., None], square[..., None])
        np.maximum(self.near, _exp(self._near), out=self.near)

        if self.worse is not None:
            mean = self._mean(-lead)[..., None]
            self._worse += _growth(ASSUMED, mean, gain[..., None], square[..., None])
            np.maximum(self.worse, _average(self._worse), out=self.worse)

        self.solved += outcomes
        self._squares += gain * gain
        self.seen += 1

    def leader(self, running: Marks) -> NDArray[np.intp]:
        """Return who solved the most of those that run, the first named if several did."""
        first: NDArray[np.intp] = np.where(running, self.solved, -1).argmax(axis=1)
        return first

    def _rivals(self, running: Marks) -> NDArray[np.intp]:
        """Return whom each candidate is compared with: the leader, or the second if it leads."""
        solved = np.where(running, self.solved, -1)
        first = solved.argmax(axis=1)[:, None]
        np.put_along_axis(solved, first, -2, axis=1)
        second = solved.argmax(axis=1)[:, None]
        own = np.arange(solved.shape[1])[None, :]
        rivals: NDArray[np.intp] = np.where(own == first, second, first)[:, :, None]
        return rivals

    def _mean(self, still: Array) -> Array:
        """Return the expected difference on the next problem if those left sum up to `still`."""
        return np.clip(still / self.left, -1, 1)


def _growth(assumed: Any, mean: Array, difference: Array, square: Array) -> Array:
    """Return the logarithm of what a bet multiplies its capital by.

    Args:
        assumed: means of the difference that the bet is made for, along the last axis.
        mean: the expected difference under what the bet is against.
        difference: the one seen.
        square: the mean square of the difference, from the problems before.
    """
    assumed = np.asarray(assumed)
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
    return np.exp(np.minimum(logarithms, 300))
