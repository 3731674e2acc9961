"""Grades in the folders of the runs: the same in each that has the work."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.review.rubric import Grade, Rubric
from experiments.review.works import Place, Work
from experiments.store.reviews import Review, append_reviews, counting, read_reviews


@dataclass(frozen=True)
class Given:
    """What a reviewer says of a work.

    Attributes:
        grade: None takes the former one back.
    """

    grade: Grade | None
    reasons: tuple[str, ...] = ()
    comment: str = ""


class Grades:
    """The grades of some works, kept in the folders of their runs as they are given.

    What stands in one folder only, since a program turned up in a further run or an earlier
    call was interrupted between two folders, is added to the others.

    Args:
        works: of the runs.
        folders: of the runs.

    Raises:
        StoreError: a file cannot be read or written.
    """

    def __init__(self, works: Sequence[Work], folders: Iterable[Path]) -> None:
        self._works = {(work.problem.id, work.digest): work for work in works}
        self._last: dict[tuple[str, str, str], Review] = {}
        held: dict[Place, dict[str, Review]] = {}
        for folder in folders:
            for (problem, sample, reviewer), review in counting(read_reviews(folder)).items():
                if (problem, review.work) not in self._works:
                    continue  # of another version of the run's files
                held.setdefault(Place(folder, problem, sample), {})[reviewer] = review
                key = problem, review.work, reviewer
                if key not in self._last or self._last[key].time < review.time:
                    self._last[key] = review
        missing: dict[Path, list[Review]] = {}
        for (problem, digest, reviewer), review in self._last.items():
            for place in self._works[problem, digest].places:
                own = held.get(place, {}).get(reviewer)
                if own is None or own.time < review.time:
                    line = replace(review, sample=place.sample)
                    missing.setdefault(place.folder, []).append(line)
        for folder, lines in missing.items():
            append_reviews(folder, lines)

    def last(self, work: Work, reviewer: str) -> Review | None:
        """Return what a reviewer said last of a work; None if nothing counts."""
        review = self._last.get((work.problem.id, work.digest, reviewer))
        return review if review is not None and review.grade else None

    def add(
        self,
        work: Work,
        given: Given,
        reviewer: str,
        rubric: Rubric,
        origin: str,
        when: float | None = None,
    ) -> bool:
        """Keep a grade in the folder of each run that has the work, unless it is known.

        Args:
            work: that is graded.
            given: what the reviewer says.
            reviewer: who says it.
            rubric: by which.
            origin: where it comes from (see `Review`).
            when: it was given, in seconds since 1970; None: now. One older than what is known
                of the reviewer is left out.

        Returns:
            Whether it was new.

        Raises:
            StoreError: a file cannot be written.
        """
        key = work.problem.id, work.digest, reviewer
        before = self._last.get(key)
        name = given.grade.name if given.grade else ""
        moment = time.time() if when is None else when
        if before is not None:
            said = before.grade, before.reasons, before.comment
            if said == (name, given.reasons, given.comment) or moment < before.time:
                return False
        review = Review(
            problem_id=work.problem.id,
            sample=0,
            work=work.digest,
            grade=name,
            points=given.grade.points if given.grade else 0.0,
            right=given.grade.right if given.grade else False,
            reasons=given.reasons,
            comment=given.comment,
            reviewer=reviewer,
            time=moment,
            rubric=f"{rubric.name} {rubric.version}",
            rubric_digest=rubric.digest,
            origin=origin,
        )
        by_folder: dict[Path, list[Review]] = {}
        for place in work.places:
            line = replace(review, sample=place.sample)
            by_folder.setdefault(place.folder, []).append(line)
        for folder, lines in by_folder.items():
            append_reviews(folder, lines)
        self._last[key] = review
        return True
