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
from experiments.review.scoring import Graded
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
    rows = _rows(group, graded)
    tables = [(title, rows) for title, rows in _tables(group, graded) if rows]
    down, up = scoring.missed(graded)
    agreements = scoring.agreements(graded)

    def shown(some: Sequence[Graded]) -> list[Shown]:
        return [_shown(group, each) for each in some[:MOST_PROGRAMS]]

    return {
        "rows": rows,
        "tables": tables,
        "graded": sum(bool(each.reviews) for each in graded),
        "works": len(graded),
        "agreements": agreements,
        "differing": [
            (f"{each.first} and {each.second}", shown(each.differing))
            for each in agreements
            if each.differing and each.second != scoring.TESTS
        ],
        "down": shown(down),
        "up": shown(up),
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


def _rows(group: Group, graded: Sequence[Graded]) -> list[Row]:
    """Return a row for each run that has grades."""
    return _scored(graded, ((run.name, [run], None) for run in group.runs))


def _tables(group: Group, graded: Sequence[Graded]) -> Iterator[tuple[str, list[Row]]]:
    """Yield rows by difficulty, and by each label in which the runs differ."""
    levels: dict[str, set[str]] = {}
    for problem in group.problems:
        if problem.difficulty:
            levels.setdefault(problem.difficulty, set()).add(problem.id)
    if len(levels) > 1:
        several = len(group.runs) > 1
        by_level = (
            (f"{run.name}: {level}" if several else level, [run], problems)
            for run in group.runs
            for level, problems in levels.items()
        )
        yield "difficulty", _scored(graded, by_level)
    for label in COMPARED:
        of_value: dict[str, list[Run]] = {}
        for run in group.runs:
            of_value.setdefault(run.labels.get(label, ""), []).append(run)
        if 1 < len(of_value) < len(group.runs):
            yield label, _scored(graded, ((name, runs, None) for name, runs in of_value.items()))


def _scored(
    graded: Sequence[Graded], parts: Iterable[tuple[str, Sequence[Run], set[str] | None]]
) -> list[Row]:
    """Return a row for each part of the samples that there is an estimate for.

    Args:
        graded: what was graded.
        parts: a name, the runs, and the problems; None: all.
    """
    rows = []
    for name, chosen, problems in parts:
        counts = _of_runs(chosen, problems)
        if (score := scoring.score(graded, counts)) is not None:
            weights = [(sum(map(counts, each.work.places)), each.work.passed) for each in graded]
            passed = sum(weight for weight, passed in weights if passed)
            rows.append(Row(name, passed / sum(weight for weight, _ in weights), score))
    return rows


def _of_runs(runs: Iterable[Run], problems: set[str] | None) -> Callable[[Place], bool]:
    folders = {folder for run in runs for folder in run.folders}
    return lambda place: (
        place.folder in folders and (problems is None or place.problem_id in problems)
    )


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
