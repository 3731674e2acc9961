"""A race: candidates answer problems in blocks until it is known who is best.

`Races` decides, for many races at once, so that a simulation runs what a race runs. `Race` is
one of them, with names: it says which problems come next, takes what became of them, and tells
how things stand. Both are told about tests in `evidence`.

What a race claims is about the whole set of problems: what they would have shown if every
candidate had answered all of them. The chance that any of its claims is wrong is at most alpha,
however it ends:

- it drops the candidate that is best (of several that tie, the first named), or
- it calls a candidate equal to the best that is behind it by the margin or more;
- asked for the order, it puts a pair the wrong way round, or calls a pair equal that is not.

What was not asked is not known, and is not guessed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from experiments.stats.evidence import Array, Evidence, Marks

QUESTIONS = ("best", "order")

FOR_WORSE = 0.8
"""The share of alpha that is spent on "worse"; the rest is for "equal"."""

GRID = 100
"""Bounds of differences are known to one over this, or to a problem in a smaller set."""

Times = NDArray[np.int64]


def in_race_order(problems: Iterable[str], seed: int) -> list[str]:
    """Return problems in the random order that a seed decides, wherever it is asked for."""

    def place(problem: str) -> bytes:
        return hashlib.sha256(f"{seed}:{problem}".encode()).digest()

    return sorted(problems, key=place)


class Races:
    """Decides in races that go on side by side and look after the same problems.

    Args:
        races: how many.
        candidates: in each, two or more.
        problems: in the set.
        alpha: the largest chance of any wrong claim in a race.
        margin: a difference in pass@1 that nobody would mind.
        question: `best` or `order`.
        bounds: also find bounds of how far each candidate is behind.

    Attributes:
        running: which candidates go on, shape (races, candidates).
        dropped_at: after how many problems each was found worse than the best; 0: it was not.
        equal_at: after how many each was found equal to the best; 0: it was not.
        worse_at, alike_at: the same for pairs, asked for the order: the first is worse than the
            second, the two are equal; shape (races, candidates, candidates).
    """

    def __init__(
        self,
        races: int,
        candidates: int,
        problems: int,
        *,
        alpha: float = 0.05,
        margin: float = 0.05,
        question: str = "best",
        bounds: bool = False,
    ) -> None:
        step = max(1, problems // GRID) if bounds else 2 * problems
        self.margin = max(1, math.ceil(margin * problems - 1e-9))
        ahead = {0, *range(-problems, problems, step)} if bounds else {0}
        within = {self.margin, *range(problems, -problems, -step)} if bounds else {self.margin}
        self.ahead, self.within = tuple(sorted(ahead)), tuple(sorted(within))
        self.evidence = Evidence(
            races, candidates, problems, self.ahead, self.within, pairs=question == "order"
        )
        self._by_pair = question == "order"
        pairs = candidates * (candidates - 1) / 2
        self._for_dropped = 1 / (alpha * FOR_WORSE)
        self._for_equal = (candidates - 1) / (alpha * (1 - FOR_WORSE))
        self._for_worse = pairs / (alpha * FOR_WORSE)
        self._for_alike = pairs / (alpha * (1 - FOR_WORSE))
        self._others = ~np.eye(candidates, dtype=bool)[None]
        self.running: Marks = np.ones((races, candidates), dtype=bool)
        self.dropped_at: Times = np.zeros((races, candidates), dtype=np.int64)
        self.equal_at = self.dropped_at.copy()
        self.worse_at: Times = np.zeros((races, candidates, candidates), dtype=np.int64)
        self.alike_at = self.worse_at.copy()

    @property
    def over(self) -> Marks:
        """Whether each race is over."""
        over: Marks = np.logical_not(self.running.any(axis=1))
        return over

    def observe(self, block: Array) -> None:
        """Take in a block of problems, one after the other, and decide.

        Args:
            block: 1 for solved and 0 for not, shape (races, problems, candidates).
        """
        for outcomes in np.moveaxis(block, 1, 0):
            self.evidence.add(outcomes, self.running)
        if self._by_pair:
            self._settle_pairs()
        else:
            self._settle()

    def _settle(self) -> None:
        """Drop who is worse than the best, find who is equal to it, and end what is known."""
        evidence = self.evidence
        before = self.running
        rivals = before[:, None, :] & self._others
        worse = evidence.behind[:, :, self.ahead.index(0)] >= self._for_dropped
        worse |= ((evidence.lead > evidence.left) & rivals).any(axis=2)
        worse &= before
        worse[np.arange(len(worse)), evidence.leader(before)] &= ~(worse == before).all(axis=1)
        after = before & ~worse
        self.dropped_at[worse] = evidence.seen

        near = evidence.near[..., self.within.index(self.margin)] >= self._for_equal
        near |= evidence.lead + evidence.left < self.margin
        equal = (near | ~(after[:, None, :] & self._others)).all(axis=2) & before
        equal &= (after.sum(axis=1, keepdims=True) > 1) | worse
        self.equal_at[equal & (self.equal_at == 0)] = evidence.seen

        unsettled = after & (self.equal_at == 0)
        goes_on = (after.sum(axis=1) > 1) & unsettled.any(axis=1)
        self.running = after & goes_on[:, None]

    def _settle_pairs(self) -> None:
        """Find for each pair who is worse, or that they are equal, and end what is known."""
        evidence = self.evidence
        assert evidence.worse is not None
        open_pairs = self._open()
        worse = (evidence.worse >= self._for_worse) | (evidence.lead > evidence.left)
        worse &= open_pairs & ~(worse & worse.transpose(0, 2, 1))
        near = evidence.near[..., self.within.index(self.margin)] >= self._for_alike
        near |= evidence.lead + evidence.left < self.margin
        alike = near & near.transpose(0, 2, 1) & open_pairs
        self.worse_at[worse] = evidence.seen
        self.alike_at[alike] = evidence.seen
        for middle in range(self.running.shape[1]):  # worse than one that is worse
            known = self.worse_at > 0
            implied = known[:, :, middle, None] & known[:, None, middle, :] & self._open()
            self.worse_at[implied] = evidence.seen
        self.running = self._open().any(axis=2)

    def _open(self) -> Marks:
        """Return which pairs are not settled."""
        known: Marks = (self.worse_at > 0) | (self.alike_at > 0)
        return self._others & ~known & ~known.transpose(0, 2, 1)

    def behind(self, running: Marks) -> tuple[Array, Array, Array]:
        """Return how many problems each is behind the best other, and bounds for the whole set.

        The bounds hold for all looks at once: below with the chance that is spent on "worse",
        above with that on "equal". They are those at which the claims are made: a candidate is
        dropped when the lower one reaches 0.

        Args:
            running: who answered the last block.

        Returns:
            The lead of the best other so far, and the bounds of what it is on the whole set.
        """
        evidence = self.evidence
        others = running[:, None, :] & self._others
        leads = evidence.lead
        lead = np.where(others, leads, -np.inf).max(axis=2)
        ahead, within = np.array(self.ahead), np.array(self.within)[::-1]
        refuted = evidence.behind >= self._for_dropped
        refuted |= ahead < (lead - evidence.left)[..., None]
        steps = np.logical_and.accumulate(refuted, axis=2).sum(axis=2)
        low = np.where(steps > 0, ahead[steps - 1], -evidence.problems)
        refuted = evidence.near[..., ::-1] >= self._for_equal
        refuted |= within > (leads + evidence.left)[..., None]
        steps = np.logical_and.accumulate(refuted, axis=3).sum(axis=3)
        highs = np.where(steps > 0, within[steps - 1], evidence.problems)
        high = np.where(others, highs, -np.inf).max(axis=2)
        return lead, np.maximum(low, lead - evidence.left), np.minimum(high, lead + evidence.left)


class Finding(StrEnum):
    """What a race found of a candidate, or of the first of a pair."""

    BEST = "best"
    WORSE = "worse"
    EQUAL = "equal"  # within the margin
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Claim:
    """Something that a race found out; it is not taken back.

    Attributes:
        candidate: whom it is about.
        finding: of it.
        other: whom it was compared with; empty: with the best of all.
        problems: after how many.
    """

    candidate: str
    finding: Finding
    other: str
    problems: int


@dataclass(frozen=True)
class Point:
    """How far a candidate is behind the best of the others, in shares of the problems.

    Attributes:
        problems: after how many.
        behind: on these problems; below 0: ahead.
        low, high: bounds of what it is on all problems, which hold for all points at once.
    """

    problems: int
    behind: float
    low: float
    high: float


@dataclass(frozen=True)
class Runner:
    """How one candidate did.

    Attributes:
        candidate: its name.
        finding: against the best.
        problems: that it answered.
        solved: of these.
        settled_at: after how many problems its finding was known; None: it is not.
        curve: a point per block.
    """

    candidate: str
    finding: Finding
    problems: int
    solved: int
    settled_at: int | None
    curve: tuple[Point, ...]


@dataclass(frozen=True)
class Standing:
    """What a race knows.

    Attributes:
        over: the question is answered or the problems are used up.
        leader: who solved most of those that were not found worse.
        runners: in the order in which they were named.
        claims: in the order in which they were made.
        generations, of: answers that were asked for, and that the whole set would have taken.
    """

    over: bool
    leader: str
    runners: tuple[Runner, ...]
    claims: tuple[Claim, ...]
    generations: int
    of: int

    @property
    def saved(self) -> float:
        """The share of generations that nobody had to make."""
        return 1 - self.generations / self.of


class Race:
    """One race.

    Args:
        candidates: their names; of those that tie, the first named counts as the best.
        problems: their ids.
        seed: decides the order of the problems.
        alpha, margin, question: see `Races`.
        block: problems that are answered between two looks.

    Raises:
        ValueError: there are fewer than two candidates or no problems, or a name comes twice.
    """

    def __init__(
        self,
        candidates: Sequence[str],
        problems: Sequence[str],
        *,
        seed: int = 0,
        alpha: float = 0.05,
        margin: float = 0.05,
        block: int = 20,
        question: str = "best",
    ) -> None:
        if len(candidates) < 2 or not problems:
            raise ValueError("a race needs two candidates and a problem")
        if len({*candidates}) < len(candidates) or len({*problems}) < len(problems):
            raise ValueError("a name comes twice")
        if question not in QUESTIONS:
            raise ValueError(f"there is no question '{question}'")
        self.candidates = tuple(candidates)
        self.order = tuple(in_race_order(problems, seed))
        self._block = block
        self._races = Races(
            1,
            len(candidates),
            len(problems),
            alpha=alpha,
            margin=margin,
            question=question,
            bounds=True,
        )
        self._answered = dict.fromkeys(self.candidates, 0)
        self._curves: dict[str, list[Point]] = {name: [] for name in self.candidates}
        self._claims: list[Claim] = []

    @property
    def running(self) -> tuple[str, ...]:
        """The candidates that answer the next block; empty when the race is over."""
        going = self._races.running[0]
        return tuple(name for name, goes in zip(self.candidates, going, strict=True) if goes)

    def next_block(self) -> tuple[str, ...]:
        """Return the problems that come next; empty when the race is over."""
        if not self.running:
            return ()
        seen = self._races.evidence.seen
        return self.order[seen : seen + self._block]

    def observe(self, outcomes: Mapping[str, Mapping[str, bool]]) -> tuple[Claim, ...]:
        """Take in what became of the next block, and return what is known since.

        Args:
            outcomes: by running candidate, whether it solved each problem of the block.
        """
        problems = self.next_block()
        ran = self._races.running.copy()
        block = np.zeros((1, len(problems), len(self.candidates)))
        for name in self.running:
            solved = [float(outcomes[name][problem]) for problem in problems]
            block[0, :, self.candidates.index(name)] = solved
            self._answered[name] += len(problems)
        self._races.observe(block)
        claims = tuple(self._made())
        self._claims.extend(claims)
        self._draw(ran)
        return claims

    def standing(self) -> Standing:
        """Return what the race knows by now."""
        races = self._races
        standing = tuple(
            Runner(
                candidate=name,
                finding=finding,
                problems=self._answered[name],
                solved=int(races.evidence.solved[0, index]),
                settled_at=settled_at,
                curve=tuple(self._curves[name]),
            )
            for index, name in enumerate(self.candidates)
            for finding, settled_at in [self._finding(index)]
        )
        return Standing(
            over=not self.running,
            leader=self.candidates[self._leader()],
            runners=standing,
            claims=tuple(self._claims),
            generations=sum(self._answered.values()),
            of=len(self.candidates) * len(self.order),
        )

    def _made(self) -> Iterable[Claim]:
        """Yield the claims of the look that was just taken."""
        races, names = self._races, self.candidates
        seen = races.evidence.seen
        for index, name in enumerate(names):
            if races.dropped_at[0, index] == seen:
                yield Claim(name, Finding.WORSE, "", seen)
            if races.equal_at[0, index] == seen:
                yield Claim(name, Finding.EQUAL, "", seen)
            for other, opponent in enumerate(names):
                if races.worse_at[0, index, other] == seen:
                    yield Claim(name, Finding.WORSE, opponent, seen)
                if other > index and races.alike_at[0, index, other] == seen:
                    yield Claim(name, Finding.EQUAL, opponent, seen)

    def _finding(self, index: int) -> tuple[Finding, int | None]:
        """Return what is known of a candidate against the best, and since when."""
        races, worse = self._races, self._worse_since()
        if np.flatnonzero(worse == 0).tolist() == [index]:
            return Finding.BEST, int(worse.max())
        alike = (races.alike_at + races.alike_at.transpose(0, 2, 1))[0, index]
        if equal := int(races.equal_at[0, index] or alike[self._leader()]):
            return Finding.EQUAL, equal
        if worse[index]:
            return Finding.WORSE, int(worse[index])
        rest = [other for other in np.flatnonzero(worse == 0) if other != index]
        return (
            (Finding.EQUAL, int(alike[rest].max()))
            if alike[rest].all()
            else (Finding.UNKNOWN, None)
        )

    def _leader(self) -> int:
        """Return who solved most of those that were not found worse."""
        return int(self._races.evidence.leader(self._worse_since()[None] == 0)[0])

    def _worse_since(self) -> Times:
        """Return after how many problems each was found worse than another; 0: it was not."""
        pairs = self._races.worse_at[0]
        never = np.iinfo(pairs.dtype).max
        first = np.where(pairs > 0, pairs, never).min(axis=1)
        since: Times = np.where(first < never, first, self._races.dropped_at[0])
        return since

    def _draw(self, ran: Marks) -> None:
        """Add a point to the curve of each candidate that answered the last block."""
        evidence = self._races.evidence
        drawn = np.stack(self._races.behind(ran))[:, 0] / evidence.problems
        for index in np.flatnonzero(ran[0]):
            name = self.candidates[index]
            behind, low, high = (float(each) for each in drawn[:, index])
            if self._races.dropped_at[0, index] > 0:
                low = max(low, 0.0)
            behind *= evidence.problems / evidence.seen
            self._curves[name].append(Point(evidence.seen, behind, low, high))
