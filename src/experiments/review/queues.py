"""Grading in MLflow's review queues: one queue per reviewer, and its grades brought home.

`review-key.json` in the folder of each run tells which trace of a queue is which of its works. It
is written before the queue is filled, so that whatever is interrupted loses no grade.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from experiments.errors import StoreError, TrackingError, masked, printable
from experiments.review.choosing import Choice, keep
from experiments.review.grades import Given, Grades
from experiments.review.rubric import Grade, Rubric
from experiments.review.works import Work
from experiments.store import reviews, runs
from experiments.tracking import assessments, queues
from experiments.tracking.assessments import Said, TracedRun, find_run
from experiments.tracking.fetching import is_run_id
from experiments.tracking.opening import database_file
from experiments.tracking.traces import explanation, fenced

NOBODY = "default"
"""What an MLflow without logins calls everyone."""

FORMAT = 1
"""Version of the form of `review-key.json`."""


@dataclass(frozen=True)
class Queue:
    """A reviewer's queue, as the folders of the runs know it.

    Attributes:
        name: of the queue in MLflow.
        uri: of the MLflow that has it.
        experiment: of its traces.
        id: of the queue.
        reviewer: who answers.
        rubric: by which.
        traces: problem and digest of a work, by the trace that shows it.
    """

    name: str
    uri: str
    experiment: str
    id: str
    reviewer: str
    rubric: Rubric
    traces: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Collected:
    """What was brought home.

    Attributes:
        new: grades that were not known.
        written: grades that were written on the runs' own traces.
        unknown: what was said and is no grade of the rubric.
        without: why a queue or a run's traces could not be reached.
    """

    new: int
    written: int
    unknown: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def start(
    found: Sequence[Work],
    choice: Choice,
    folders: Sequence[Path],
    rubric: Rubric,
    reviewers: Sequence[str],
    name: str,
    uri: str,
    seed: int,
) -> list[Queue]:
    """Return new queues with the works that were chosen, one per reviewer.

    Args:
        found: all works of the runs.
        choice: of them.
        folders: of the runs, each of which has traces in MLflow.
        rubric: by which they are graded.
        reviewers: who grades.
        name: of the review.
        uri: of the tracking server or database.
        seed: that the choice was made with.

    Raises:
        TrackingError: a run is not in MLflow or has no traces, a queue exists, or MLflow cannot
            be used.
        StoreError: a file of a run cannot be written.
    """
    names = {_traced(uri, folder).experiment for folder in folders}
    asks = queues.Questions(
        [grade.name for grade in rubric.grades],
        "\n".join(f"{grade.name}: {grade.meaning}." for grade in rubric.grades)[:1000],
        rubric.reasons,
    )
    database = database_file(uri)
    artifacts = str(database.parent / "artifacts") if database is not None else None
    items = [item(work) for work in choice.works]
    keep(choice, found, folders, seed)
    opened = []
    for reviewer in reviewers:
        queue_name = f"{name} · {reviewer}"
        experiment, queue = queues.open_queue(
            uri, artifacts, f"{min(names)} · review {name}", queue_name, reviewer, asks
        )
        traces = queues.log_items(uri, experiment, items)
        keys = {
            trace: (work.problem.id, work.digest)
            for trace, work in zip(traces, choice.works, strict=True)
        }
        made = Queue(queue_name, uri, experiment, queue, reviewer, rubric, keys)
        for folder in folders:
            _keep_key(folder, made, choice.works)
        queues.fill(uri, queue, traces)
        opened.append(made)
    return opened


def item(work: Work) -> queues.Item:
    """Return what a reviewer sees of a work: nothing of model, level, prompt or run."""
    verdict = explanation(work.verdict)
    kept = "\nThe answer is not in the format that was asked for." if not work.format_kept else ""
    answered = {
        "tests": fenced(f"{verdict}{kept}"),
        "program": fenced(work.program, "python") or "none was found",
        "the whole answer": fenced(printable(work.text)),
    }
    return queues.Item({"statement": fenced(work.problem.prompt, "python")}, answered)


def known(folders: Iterable[Path], uri: str) -> list[Queue]:
    """Return the queues that the folders of some runs know, the oldest first.

    Args:
        folders: of the runs.
        uri: of the MLflow that has them. A folder that was sent cannot choose another, which
            would be told the user's own password.

    Raises:
        StoreError: a file cannot be read, or names another MLflow.
    """
    found: dict[str, Queue] = {}
    for folder in folders:
        for line in reviews.read_note(folder / reviews.KEY).get("queues", []):
            queue = _queue(line, folder)
            if queue.uri != masked(uri):
                raise StoreError(
                    f"The review queue '{queue.name}' is in MLflow at '{queue.uri}'",
                    "Name it, if it is yours: --uri URI",
                )
            before = found.get(queue.id)
            traces = {**(before.traces if before else {}), **queue.traces}
            found[queue.id] = replace(queue, uri=uri, traces=traces)
    return list(found.values())


def progress(queue: Queue) -> queues.Progress:
    """Return how far a queue is.

    Raises:
        TrackingError: MLflow cannot be used, or the queue is gone.
    """
    return queues.progress(queue.uri, queue.id)


def collect(
    found: Sequence[Work], folders: Sequence[Path], grades: Grades, rubric: Rubric, uri: str
) -> Collected:
    """Bring grades home: from the queues and the runs' own traces into the folders, and back.

    What was brought home before is left as it is, so that an interrupted call may be repeated.

    Args:
        found: the works of the runs.
        folders: of the runs.
        grades: that are known.
        rubric: for grades that were given on a run's own trace.
        uri: of the MLflow that has the runs.

    Raises:
        TrackingError: MLflow cannot be used.
        StoreError: a file cannot be read or written.
    """
    by_key = {(work.problem.id, work.digest): work for work in found}
    told: list[tuple[Work | None, Said, Rubric, str]] = []
    without = []
    for queue in known(folders, uri):
        try:
            answers = assessments.answers(queue.uri, queue.experiment, queue.traces)
        except TrackingError as error:
            without.append(f"'{queue.name}' cannot be read: {error}")
            continue
        for trace, given in answers.items():
            work = by_key.get(queue.traces[trace])
            for said in given:
                who = queue.reviewer if said.reviewer == NOBODY else said.reviewer
                named = replace(said, reviewer=who)
                told.append((work, named, queue.rubric, f"queue {queue.name}"))
    by_place = {
        (place.folder, place.problem_id, place.sample): work
        for work in found
        for place in work.places
    }
    traced: dict[Path, TracedRun] = {}
    for folder in folders:
        try:
            traced[folder] = _traced(uri, folder)
        except TrackingError as error:
            without.append(str(error))
            continue
        for sample, given_there in traced[folder].said.items():
            work = by_place.get((folder, *sample))
            told += [(work, said, rubric, "trace") for said in given_there]
    new, unknown = 0, set()
    for work, said, by, origin in told:
        grade = by.grade(said.grade)
        if grade is None or work is None:
            unknown.add(said.grade)
        else:
            what = Given(grade, said.reasons, said.comment)
            new += grades.add(work, what, said.reviewer, by, origin, said.time)
    written = sum(write(uri, folder, run) for folder, run in traced.items())
    return Collected(new, written, tuple(sorted(unknown)), tuple(without))


def onto_traces(uri: str, folders: Iterable[Path]) -> list[str]:
    """Write the grades of runs on their traces, and return why some could not be.

    Runs that were not tracked are left out: there is nothing to write on.

    Raises:
        StoreError: a file cannot be read.
    """
    reasons = []
    for folder in folders:
        if not (folder / runs.TRACKED).exists():
            continue
        try:
            write(uri, folder, _traced(uri, folder))
        except TrackingError as error:
            reasons.append(str(error))
    return reasons


def write(uri: str, folder: Path, run: TracedRun) -> int:
    """Write what counts of a run's grades on its traces; return how many were not there.

    Raises:
        TrackingError: MLflow cannot be used.
        StoreError: the file of grades cannot be read.
    """
    given: dict[tuple[str, int], list[Said]] = {}
    for (problem, sample, reviewer), review in reviews.counting(
        reviews.read_reviews(folder)
    ).items():
        said = Said(
            review.grade,
            review.reasons,
            review.comment,
            reviewer,
            review.time,
            f"{review.rubric} ({review.rubric_digest})",
        )
        given.setdefault((problem, sample), []).append(said)
    return assessments.write(uri, run, given)


def _traced(uri: str, folder: Path) -> TracedRun:
    noted = reviews.read_note(folder / runs.TRACKED).get("run_id")
    named = folder.name if is_run_id(folder.name) else None
    return find_run(uri, folder, noted or named)


def _keep_key(folder: Path, queue: Queue, works: Sequence[Work]) -> None:
    """Add a queue to a run's key, as far as its traces show works of the run."""
    own = {
        (work.problem.id, work.digest)
        for work in works
        if any(place.folder == folder for place in work.places)
    }
    lines = reviews.read_note(folder / reviews.KEY).get("queues", [])
    line = vars(queue) | {
        "uri": masked(queue.uri),
        "rubric": asdict(queue.rubric),
        "traces": {trace: list(key) for trace, key in queue.traces.items() if key in own},
    }
    reviews.write_note(
        folder / reviews.KEY,
        {"format": FORMAT, "queues": [*(x for x in lines if x["id"] != queue.id), line]},
    )


def _queue(line: Mapping[str, Any], folder: Path) -> Queue:
    try:
        rubric = line["rubric"]
        grades = tuple(Grade(**grade) for grade in rubric["grades"])
        made = Rubric(**{**rubric, "grades": grades, "reasons": tuple(rubric["reasons"])})
        traces = {trace: (key[0], key[1]) for trace, key in line["traces"].items()}
        return Queue(**{**line, "rubric": made, "traces": traces})
    except (KeyError, TypeError, IndexError, AttributeError):
        raise StoreError(
            f"{folder / reviews.KEY} is damaged", "Restore it from a copy of the run's folder."
        ) from None
