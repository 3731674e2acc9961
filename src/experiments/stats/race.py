"""A race: candidates answer problems in blocks until it is known who is best, or cannot be.

`Races` decides, for many races at once, so that a simulation runs what a race runs. `Race` is
one of them, with names: it says which problems come next, takes what became of them, and tells
how things stand. How claims are tested is told in `evidence`.

The chance that any of a race's claims is wrong is at most alpha, however it ends. A claim is:

- a candidate is worse than the best. It is dropped;
- a candidate is equal to the best: behind it by less than the margin;
- asked for the order, the same of each pair.

They are about problems like these (a population), or about this set of problems alone, if all
candidates had answered all of it. The second takes fewer problems and says less: one set may
show by luck what another would not. A candidate about which the problems that are left would
hardly tell anything stops as well, and what was not found out is not known.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from experiments.stats.evidence import Array, Evidence, Indices, Marks, required

QUESTIONS = ("best", "order")

FOR_WORSE = 0.8
"""The share of alpha that is spent on "worse"; the rest is for "equal"."""

GRID = 100
"""Bounds of differences are told to one part of so many, or to a problem if they are fewer."""

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
        problems: that there are.
        alpha: the largest chance of any wrong claim in a race.
        margin: a difference in pass@1 that nobody would mind.
        question: `best` or `order`.
        population: claims are about problems like these, not about these alone.
        bounds: also find bounds of how far each candidate is behind.

    Attributes:
        running: which candidates go on, shape (races, candidates).
        leader: who leads each race, or led it at its end.
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
        population: bool = True,
        bounds: bool = False,
    ) -> None:
        if not population:  # differences are whole problems
            margin = max(1, math.ceil(margin * problems - 1e-9)) / problems
        steps = min(problems, GRID) if bounds else 0
        grid = {step / steps for step in range(-steps, steps + 1)} if bounds else set[float]()
        self.margin = margin
        self.ahead, self.within = sorted(grid | {0.0}), sorted(grid | {margin})
        self.evidence = Evidence(
            races,
            candidates,
            problems,
            population=population,
            ahead=tuple(self.ahead),
            within=tuple(self.within),
            pairs=question == "order",
        )
        self._by_pair = question == "order"
        self._population = population
        self._for_worse, self._for_equal = 1 / (alpha * FOR_WORSE), 1 / (alpha * (1 - FOR_WORSE))
        self._others = ~np.eye(candidates, dtype=bool)[None]
        self.running: Marks = np.ones((races, candidates), dtype=np.bool_)
        self.leader: Indices = np.zeros(races, dtype=np.intp)
        self.dropped_at: Times = np.zeros((races, candidates), dtype=np.int64)
        self.equal_at = self.dropped_at.copy()
        self.worse_at: Times = np.zeros((races, candidates, candidates), dtype=np.int64)
        self.alike_at = self.worse_at.copy()
        self._given_up: Marks = np.zeros((races, candidates, candidates), dtype=bool)

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
        goes_on = self.running.any(axis=1)
        if self._by_pair:
            self._settle_pairs()
        else:
            self._settle()
        self.leader = np.where(goes_on, self.evidence.leader(self._undefeated()), self.leader)
        if self.evidence.left == 0:
            self.running = np.zeros_like(self.running)

    def _settle(self) -> None:
        """Drop who is worse than the best, find who is equal to it, and end what is known."""
        evidence, before = self.evidence, self.running
        worse = self._worse_than_best(before)
        self.dropped_at[worse] = evidence.seen
        equal = self._near_the_best(before) & before & (self.equal_at == 0)
        self.equal_at[equal] = evidence.seen
        running = before & (self.dropped_at == 0)

        leads = np.arange(running.shape[1]) == evidence.leader(running)[:, None]
        unsettled = running & (self.equal_at == 0) & ~leads
        if self._population and evidence.left:
            may = evidence.could_be_worse(2 * self._for_worse)
            may |= evidence.could_be_near(self.margin, self._for_equal)
            unsettled &= np.take_along_axis(may, evidence.leader(running)[:, None, None], 2)[..., 0]
        goes_on = unsettled.any(axis=1, keepdims=True)
        self.running = goes_on & (unsettled | (running & (leads | (self.equal_at > 0))))

    def _worse_than_best(self, running: Marks) -> Marks:
        """Return who is found to be behind another, but never all."""
        evidence = self.evidence
        capital = evidence.behind(running)[:, :, self.ahead.index(0)]
        worse = running & (capital >= required(capital, self._for_worse, self._undefeated()))
        worse[np.arange(len(worse)), evidence.leader(running)] &= (running & ~worse).any(axis=1)
        return worse

    def _near_the_best(self, running: Marks) -> Marks:
        """Return who is behind none of those that may be the best by the margin or more."""
        capital = self.evidence.near(running)[..., self.within.index(self.margin)]
        capital = capital.transpose(0, 2, 1)
        needed = required(capital, self._for_equal, self._still_apart())
        rivals = self._undefeated()[:, :, None] & self._others
        near: Marks = np.all((capital >= needed) | ~rivals, axis=1) & np.any(rivals, axis=1)
        return near

    def _still_apart(self) -> Marks:
        """Return of which candidates it may be that they are behind each of the others."""
        apart: Marks = (self.equal_at == 0)[:, None, :] & self._others
        return apart

    def _undefeated(self) -> Marks:
        undefeated: Marks = (self.dropped_at == 0) & ~(self.worse_at > 0).any(axis=2)
        return undefeated

    def _settle_pairs(self) -> None:
        """Find for each pair who is worse, or that they are equal, and end what is known."""
        evidence = self.evidence
        races, candidates = self.running.shape
        flat = (races, candidates * candidates)
        capital = evidence.worse(self.running)
        possible = (self.worse_at == 0) & self._others
        needed = required(capital.reshape(flat), self._for_worse, possible.reshape(flat))
        worse = (capital >= needed.reshape(capital.shape)) & self._open()
        worse &= ~worse.transpose(0, 2, 1)

        capital = evidence.near(self.running)[..., self.within.index(self.margin)]
        capital = np.minimum(capital, capital.transpose(0, 2, 1))
        possible = np.triu(self.alike_at == 0, k=1)
        needed = required(capital.reshape(flat), self._for_equal, possible.reshape(flat))
        alike = np.triu(capital >= needed.reshape(capital.shape), k=1)
        alike = (alike | alike.transpose(0, 2, 1)) & self._open()

        self.worse_at[worse] = evidence.seen
        self.alike_at[alike] = evidence.seen
        for middle in range(candidates):  # worse than one that is worse
            known = self.worse_at > 0
            implied = known[:, :, middle, None] & known[:, None, middle, :] & self._open()
            self.worse_at[implied] = evidence.seen
        if self._population and evidence.left:
            may = evidence.could_be_worse(2 * self._for_worse)
            may |= may.transpose(0, 2, 1)
            near = evidence.could_be_near(self.margin, self._for_equal)
            self._given_up |= ~(may | (near & near.transpose(0, 2, 1)))
        self.running = np.any(self._open() & ~self._given_up, axis=2)

    def _open(self) -> Marks:
        """Return which pairs are not settled."""
        known: Marks = (self.worse_at > 0) | (self.alike_at > 0)
        return self._others & ~known & ~known.transpose(0, 2, 1)

    def behind(self, running: Marks) -> tuple[Array, Array, Array]:
        """Return by what share each is behind the best other, and bounds of what is true.

        The bounds hold for all looks at once, and are those at which the claims are made, with
        the same allowance for all other candidates: one is dropped when the lower one
        reaches 0, and equal when the upper one is below the margin.

        Args:
            running: who answered the last block.

        Returns:
            The lead of the best other so far, and its bounds.
        """
        evidence = self.evidence
        rivals = running[:, None, :] & self._others
        lead = np.where(rivals, evidence.lead, -np.inf).max(axis=2) / evidence.seen

        capital = evidence.behind(running)
        at_zero = capital[:, :, self.ahead.index(0)]
        needed = required(at_zero, self._for_worse, self._undefeated() | running)
        low = _furthest(capital >= needed[..., None], np.array(self.ahead), -1.0)

        capital = evidence.near(running)
        at_margin = capital[..., self.within.index(self.margin)].transpose(0, 2, 1)
        needed = required(at_margin, self._for_equal, self._still_apart()).transpose(0, 2, 1)
        refuted = (capital >= needed[..., None])[..., ::-1]
        high = _furthest(refuted, np.array(self.within)[::-1], 1.0)
        rivals = (self._undefeated() | running)[:, None, :] & self._others
        return lead, low, np.where(rivals, high, -np.inf).max(axis=2)


def _furthest(refuted: Marks, shares: Array, none: float) -> Array:
    """Return the last share up to which all are refuted, along the last axis."""
    steps = np.logical_and.accumulate(refuted, axis=-1).sum(axis=-1)
    furthest: Array = np.where(steps > 0, shares[steps - 1], none)
    return furthest


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
        candidates: their names.
        problems: their ids.
        seed: decides the order of the problems.
        alpha, margin, question, population: see `Races`.
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
        population: bool = True,
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
            population=population,
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
            leader=self.candidates[races.leader[0]],
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
        if equal := int(races.equal_at[0, index] or alike[races.leader[0]]):
            return Finding.EQUAL, equal
        if worse[index]:
            return Finding.WORSE, int(worse[index])
        rest = [other for other in np.flatnonzero(worse == 0) if other != index]
        if alike[rest].all():
            return Finding.EQUAL, int(alike[rest].max())
        return Finding.UNKNOWN, None

    def _worse_since(self) -> Times:
        """Return after how many problems each was found worse than another; 0: it was not."""
        pairs = self._races.worse_at[0]
        never = np.iinfo(pairs.dtype).max
        first = np.where(pairs > 0, pairs, never).min(axis=1)
        since: Times = np.where(first < never, first, self._races.dropped_at[0])
        return since

    def _draw(self, ran: Marks) -> None:
        """Add a point to the curve of each candidate that answered the last block."""
        races = self._races
        drawn = np.stack(races.behind(ran))[:, 0]
        for index in np.flatnonzero(ran[0]):
            behind, low, high = (float(each) for each in drawn[:, index])
            if races.dropped_at[0, index]:
                low = max(low, 0.0)
            if races.equal_at[0, index]:
                high = min(high, races.margin)
            name = self.candidates[index]
            self._curves[name].append(Point(races.evidence.seen, behind, low, high))
