"""What a person's grades say of the runs of a report: the score, agreement, what tests missed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from experiments.errors import printable
from experiments.report.collect import Collection, Group, Run
from experiments.review import scoring
from experiments.review.scoring import Agreed, Graded
from experiments.review.works import Place
from experiments.stats.stratified import Estimate
from experiments.store.reviews import REVIEWS

MOST_PROGRAMS = 40
"""Programs of a list; more are counted only."""

LONGEST_PROGRAM = 6000
"""Characters of a program that are shown."""

COMPARED = ("model", "quantization", "prompt")
"""Labels whose values get a score each, where the runs of a report differ in them."""


@dataclass(frozen=True)
class Row:
    """Some samples: how many pass, and what a person thinks of them."""

    name: str
    passed: float
    score: Estimate


@dataclass(frozen=True)
class Shown:
    """A graded program, in a list of the page."""

    problem: str
    runs: str
    program: str
    tests: str
    said: tuple[str, ...]


def reviewed(group: Group) -> dict[str, Any]:
    """Return what the section of a data set's runs shows; nothing where no grade is."""
    graded = _graded(group)
    rows = list(_rows(group, graded))
    tables = [(title, rows) for title, rows in _tables(group, graded) if rows]
    down, up = scoring.missed(graded)
    return {
        "rows": rows,
        "tables": tables,
        "graded": sum(bool(each.reviews) for each in graded),
        "works": len(graded),
        "agreements": scoring.agreements(graded),
        "differing": [
            (_pair(each), [_shown(group, item) for item in each.differing[:MOST_PROGRAMS]])
            for each in scoring.agreements(graded)
            if each.differing and each.second != scoring.TESTS
        ],
        "down": [_shown(group, each) for each in down[:MOST_PROGRAMS]],
        "up": [_shown(group, each) for each in up[:MOST_PROGRAMS]],
        "more": max(0, len(down) - MOST_PROGRAMS) + max(0, len(up) - MOST_PROGRAMS),
    }


def lines(collection: Collection) -> Iterator[str]:
    """Yield the semi-manual scores for the terminal, one line per run that has grades."""
    for group in collection.groups:
        for row in _rows(group, _graded(group)):
            score = row.score
            bounds = f"{100 * score.interval.low:.0f} to {100 * score.interval.high:.0f}"
            halve = f"; {score.to_halve} more would halve that" if score.to_halve else ""
            yield (
                f"Semi-manual score of {row.name}: {100 * score.mean:.1f} ({bounds}), "
                f"{score.drawn} of {score.units} programs read{halve}"
            )


def _graded(group: Group) -> Sequence[Graded]:
    folders = [folder for run in group.runs for folder in run.folders]
    return _read(tuple(folder for folder in folders if (folder / REVIEWS).exists()))


@lru_cache(maxsize=4)  # asked by the terminal and by the page
def _read(folders: tuple[Path, ...]) -> Sequence[Graded]:
    return scoring.read(folders) if folders else []


def _rows(group: Group, graded: Sequence[Graded]) -> Iterator[Row]:
    """Yield one row per run that has grades."""
    for run in group.runs:
        yield from _row(run.name, graded, _of_runs([run]))


def _tables(group: Group, graded: Sequence[Graded]) -> Iterator[tuple[str, list[Row]]]:
    """Yield rows by difficulty, and by each label in which the runs differ."""
    levels = dict.fromkeys(problem.difficulty for problem in group.problems if problem.difficulty)
    if len(levels) > 1:
        members = {
            level: {problem.id for problem in group.problems if problem.difficulty == level}
            for level in levels
        }
        yield (
            "difficulty",
            [
                row
                for run in group.runs
                for level in levels
                for row in _row(
                    f"{run.name}: {level}" if len(group.runs) > 1 else level,
                    graded,
                    _of_runs([run], members[level]),
                )
            ],
        )
    for label in COMPARED:
        values = dict.fromkeys(run.labels.get(label, "") for run in group.runs)
        if len(values) > 1 and len(group.runs) > len(values):
            yield (
                label,
                [
                    row
                    for value in values
                    for row in _row(
                        value,
                        graded,
                        _of_runs([r for r in group.runs if r.labels.get(label, "") == value]),
                    )
                ],
            )


def _of_runs(runs: Iterable[Run], problems: set[str] | None = None) -> Callable[[Place], bool]:
    folders = {folder for run in runs for folder in run.folders}
    return lambda place: (
        place.folder in folders and (problems is None or place.problem_id in problems)
    )


def _row(name: str, graded: Sequence[Graded], counts: Callable[[Place], bool]) -> Iterator[Row]:
    """Yield a row for some samples, if there is an estimate for them."""
    score = scoring.score(graded, counts)
    if score is None:
        return
    weights = [(sum(map(counts, each.work.places)), each.work.passed) for each in graded]
    total = sum(weight for weight, _ in weights)
    yield Row(name, sum(weight for weight, passed in weights if passed) / total, score)


def _pair(agreed: Agreed) -> str:
    return f"{agreed.first} and {agreed.second}"


def _shown(group: Group, graded: Graded) -> Shown:
    work = graded.work
    folders = {place.folder for place in work.places}
    numbers = [
        f"#{number}" for number, run in enumerate(group.runs, start=1) if folders & set(run.folders)
    ]
    said = []
    for name, review in sorted(graded.reviews.items()):
        about = "; ".join(filter(None, [", ".join(review.reasons), review.comment]))
        said.append(printable(f"{name}: {review.grade}{f' ({about})' if about else ''}"))
    failure = work.verdict.failure
    told = [f"{work.verdict.plus}, {work.verdict.tests_text}".replace("_", " ")]
    if failure is not None:
        expected = f"expected {failure.expected}, " if failure.expected else ""
        told.append(printable(f"{failure.call}: {expected}got {failure.actual}"))
    return Shown(
        work.problem.title or work.problem.id,
        ", ".join(numbers),
        printable((work.program if work.program.strip() else work.text)[:LONGEST_PROGRAM]),
        "; ".join(told),
        tuple(said),
    )
