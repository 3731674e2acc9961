"""Grades → the semi-manual score, how far reviewers agree, and what tests missed.

The score of some samples is the mean of the points that a person gave them, estimated from those
that were graded (see `stats.stratified`). It is the score on these problems: its interval says
what grading all would show, not what other problems would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean

from experiments.review import choosing
from experiments.review.works import Place, Work, works
from experiments.stats.agreement import Agreement, cohens_kappa
from experiments.stats.stratified import Estimate, Stratum, estimate
from experiments.store.reviews import Review, counting, read_reviews

TESTS = "the tests"
"""The other of two reviewers, where one is compared with the tests' verdicts."""


@dataclass(frozen=True)
class Graded:
    """A work with what was said of it.

    Attributes:
        reviews: that count, by reviewer.
        stratum: that it was drawn from; empty if nothing was drawn.
        chosen: by chance, to be read.
    """

    work: Work
    reviews: dict[str, Review]
    stratum: str = ""
    chosen: bool = False

    @property
    def points(self) -> float:
        """The mean of the reviewers' points; there is at least one."""
        return fmean(review.points for review in self.reviews.values())


@dataclass(frozen=True)
class Agreed:
    """How far two agree: two reviewers by their grades, or one with the tests by right and wrong.

    Attributes:
        differing: on what they do not.
    """

    first: str
    second: str
    agreement: Agreement
    differing: tuple[Graded, ...]


def read(folders: Sequence[Path]) -> list[Graded]:
    """Return the works of some runs with their grades.

    Raises:
        StoreError: a file cannot be read.
    """
    by_place: dict[Place, dict[str, Review]] = {}
    strata: dict[tuple[str, str], tuple[dict[str, None], bool]] = {}
    for folder in folders:
        for (problem, sample, reviewer), review in counting(read_reviews(folder)).items():
            by_place.setdefault(Place(folder, problem, sample), {})[reviewer] = review
        for key, (name, was_chosen) in choosing.plan(folder).items():
            names, chosen_elsewhere = strata.get(key, ({}, False))
            strata[key] = ({**names, name: None}, was_chosen or chosen_elsewhere)
    found = []
    for work in works(folders):
        last: dict[str, Review] = {}
        for place in work.places:
            for reviewer, review in by_place.get(place, {}).items():
                known = last.get(reviewer)
                if review.work == work.digest and (known is None or known.time < review.time):
                    last[reviewer] = review
        given = {reviewer: review for reviewer, review in last.items() if review.grade}
        names, was_chosen = strata.get((work.problem.id, work.digest), ({}, False))
        found.append(Graded(work, given, " & ".join(names), was_chosen))
    return found


def score(graded: Iterable[Graded], counts: Callable[[Place], bool]) -> Estimate | None:
    """Return the semi-manual score of some samples; None if none of them was graded.

    A work that a person graded without having been chosen by chance stands for itself alone. Where
    nothing at all was read, the tests are believed.

    Args:
        graded: works of the runs.
        counts: whether a sample is one of those that are asked for.
    """
    strata: dict[tuple[bool, str], list[tuple[float, float | None]]] = {}
    alone: list[tuple[float, float]] = []
    for each in graded:
        weight = float(sum(counts(place) for place in each.work.places))
        if not weight:
            continue
        if each.reviews and not each.chosen:
            alone.append((weight, each.points))
        else:
            points = each.points if each.reviews else None
            key = each.work.passed, each.stratum
            strata.setdefault(key, []).append((weight, points))
    found = [_stratum(strata[key], float(key[0])) for key in sorted(strata)]
    if not any(stratum.values for stratum in found) and any(s.units for s in found):
        return None  # nothing was chosen by chance that could stand for the rest
    if alone:
        found.append(_stratum(alone, 0.0))
    return estimate(found)


def _stratum(members: Sequence[tuple[float, float | None]], expected: float) -> Stratum:
    known = [(weight, points) for weight, points in members if points is not None]
    return Stratum(
        len(members),
        sum(weight for weight, _ in members),
        tuple(points for _, points in known),
        tuple(weight for weight, _ in known),
        expected,
    )


def agreements(graded: Sequence[Graded]) -> list[Agreed]:
    """Return how far each two reviewers agree, and each of them with the tests."""
    names = sorted({name for each in graded for name in each.reviews})
    found = []
    for first, second in combinations(names, 2):
        both = [each for each in graded if first in each.reviews and second in each.reviews]
        told = [(each.reviews[first].grade, each.reviews[second].grade) for each in both]
        found.append(_agreed(first, second, both, told))
    for name in names:
        own = [each for each in graded if name in each.reviews]
        told_too = [(each.reviews[name].right, each.work.passed) for each in own]
        found.append(_agreed(name, TESTS, own, told_too))
    return [each for each in found if each is not None]


def _agreed(
    first: str, second: str, items: Sequence[Graded], told: Sequence[tuple[object, object]]
) -> Agreed | None:
    agreement = cohens_kappa(told)
    if agreement is None:
        return None
    pairs = zip(items, told, strict=True)
    return Agreed(first, second, agreement, tuple(each for each, (a, b) in pairs if a != b))


def missed(graded: Sequence[Graded]) -> tuple[list[Graded], list[Graded]]:
    """Return what tests missed: passes that a person grades as not right, and failures with worth.

    A failure has worth if a person gives it any points.
    """
    read_ones = [each for each in graded if each.reviews]
    down = [
        each
        for each in read_ones
        if each.work.passed and not all(review.right for review in each.reviews.values())
    ]
    up = [each for each in read_ones if not each.work.passed and each.points > 0]
    return down, up
