"""A person's grades in a run's folder: `reviews.jsonl`, one line each.

A line is appended at once. Of a reviewer's lines on a sample the last counts; one with an empty
grade takes back what stood before. `review.json` has the strata that the programs to read were
drawn from, `review-key.json` which trace in a review queue is which sample.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.errors import StoreError
from experiments.store.files import append_lines, cannot_use, known_fields, read_lines, write_text

REVIEWS = "reviews.jsonl"
PLAN = "review.json"
KEY = "review-key.json"


@dataclass(frozen=True)
class Review:
    """One grade that a person gave a sample.

    Attributes:
        work: digest of what was graded (see `review.works`): equal for equal programs.
        grade: by its name in the rubric; empty: the reviewer takes the former one back.
        points: what the grade is worth, from 0 to 1.
        right: whether the grade says that the program does what was asked.
        time: when it was given, in seconds since 1970.
        rubric, rubric_digest: by which it was given.
        origin: `terminal`, `queue NAME`, or `trace` for one given on a run's own trace.
    """

    problem_id: str
    sample: int
    work: str
    grade: str
    points: float
    right: bool
    reasons: tuple[str, ...]
    comment: str
    reviewer: str
    time: float
    rubric: str
    rubric_digest: str
    origin: str


def append_reviews(folder: Path, reviews: Iterable[Review]) -> None:
    """Append grades to a run's file.

    Raises:
        StoreError: the file cannot be written.
    """
    append_lines(folder / REVIEWS, [json.dumps(asdict(review)) for review in reviews])


def read_reviews(folder: Path) -> list[Review]:
    """Return all lines of a run's file, those that no longer count as well.

    Raises:
        StoreError: the file cannot be read.
    """
    return read_lines(folder / REVIEWS, _review)


def counting(reviews: Iterable[Review]) -> dict[tuple[str, int, str], Review]:
    """Return the last line by problem, sample and reviewer, those that take back as well."""
    last: dict[tuple[str, int, str], Review] = {}
    for review in sorted(reviews, key=lambda review: review.time):
        last[review.problem_id, review.sample, review.reviewer] = review
    return last


def write_note(path: Path, content: Mapping[str, Any]) -> None:
    """Write `review.json` or `review-key.json`.

    Raises:
        StoreError: the file cannot be written.
    """
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_note(path: Path) -> dict[str, Any]:
    """Return what one of these files holds; nothing if it is missing.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise cannot_use(path, error) from error
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise StoreError(f"{path} is damaged", "Restore it from a copy of the run's folder.")
    return content


def _review(line: dict[str, Any]) -> Review:
    return Review(**{**known_fields(Review, line), "reasons": tuple(line["reasons"])})
