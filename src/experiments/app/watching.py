"""One progress for all jobs of a sweep, wherever they run, by what stands in their folders."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from experiments.environment.terminal import Bar, bar, console
from experiments.errors import StoreError
from experiments.store import claims, runs, write_text

SECONDS_BETWEEN = 1.0

ALMOST = 0.99
"""Of a job that has made all its generations and has not ended."""


@dataclass(frozen=True)
class Job:
    """A job of a sweep, and what its plan says.

    Attributes:
        overrides: of the configuration.
        name: of its folder.
        folder: that it writes to.
        title: what tells it from the others.
        new: generations that it has to make.
        memory: bytes that it takes, its processes beside the model included.
        seconds: of generating, if it takes long.
        parallel: sequences that are decoded at once; None: not known.
    """

    overrides: tuple[str, ...]
    name: str
    folder: Path
    title: str
    new: int
    memory: float
    seconds: float
    parallel: int | None = None


@dataclass
class _Seen:
    """How far a job's files were read, and what they were before it began."""

    before: tuple[int, int, int]
    made: int = 0
    generations: int = 0
    said: int = 0
    has_ended: bool = False
    lines: list[str] = field(default_factory=list)


class Watch:
    """Follows jobs by their folders."""

    def __init__(self, jobs: Sequence[Job], progress: Bar) -> None:
        self._jobs = jobs
        self._progress = progress
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._seen = {
            job: _Seen(
                _signs(job.folder),
                generations=_size(job.folder / runs.GENERATIONS),
                said=_size(job.folder / "run.log"),
            )
            for job in jobs
        }

    def look(self) -> None:
        """Show what has come since the last time."""
        with self._lock:
            for job, seen in self._seen.items():
                if not seen.has_ended:
                    self._look_at(job, seen)
            ended = sum(seen.has_ended for seen in self._seen.values())
            going = [s.made / max(1, j.new) for j, s in self._seen.items() if not s.has_ended]
            made, new = sum(s.made for s in self._seen.values()), sum(j.new for j in self._jobs)
            remark = f"{made} of {new} generations" if new else ""
            self._progress.reach(ended + sum(min(ALMOST, share) for share in going), remark)

    def has_ended(self, job: Job) -> bool:
        """Return whether a job has come to an end, good or bad."""
        self.look()
        return self._seen[job].has_ended

    def give_up(self, job: Job, reason: str) -> None:
        """Leave in a job's folder that it was cut off again and again.

        Raises:
            StoreError: the folder cannot be written.
        """
        text = f"The job was cut off each time that it was started: {reason}. Is memory short?\n"
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{job.folder} cannot be made: {error.strerror}") from error
        write_text(job.folder / runs.FAILURE, text)
        self.look()

    def _look_at(self, job: Job, seen: _Seen) -> None:
        seen.has_ended = _has_ended(job.folder, seen.before)
        path = job.folder / runs.GENERATIONS
        if seen.has_ended:
            seen.made = job.new
        elif (size := _size(path)) > seen.generations:
            with path.open("rb") as file:
                file.seek(seen.generations)
                seen.made = min(job.new, seen.made + file.read().count(b"\n"))
            seen.generations = size
        self._show_log(job, seen)
        if seen.has_ended and not console.is_terminal:
            console.print(_result(job), markup=False, soft_wrap=True)

    def _show_log(self, job: Job, seen: _Seen) -> None:
        """Show what a job said, each line once for all jobs."""
        path = job.folder / "run.log"
        if (size := _size(path)) <= seen.said:
            return
        with path.open(encoding="utf-8", errors="replace") as file:
            file.seek(seen.said)
            lines = file.read().splitlines()
        seen.said = size
        for line in lines:
            if line.strip() and line not in self._told:
                self._told.add(line)
                console.print(f"{job.title}: {line}", markup=False, soft_wrap=True)


@contextmanager
def watched(jobs: Sequence[Job]) -> Iterator[Watch]:
    """Show the progress of jobs while this context goes on."""
    with bar("Jobs", len(jobs)) as progress:
        watch, is_over = Watch(jobs, progress), threading.Event()

        def follow() -> None:
            while not is_over.wait(SECONDS_BETWEEN):
                watch.look()

        thread = threading.Thread(target=follow, name="progress", daemon=True)
        thread.start()
        try:
            yield watch
        finally:
            is_over.set()
            thread.join()
            watch.look()


def _result(job: Job) -> str:
    """Return how a job ended, in a line."""
    if (job.folder / runs.FAILURE).exists():
        return f"{job.title}: failed"
    rate = runs.read_report(job.folder).metrics.get("pass_at_1/plus")
    return f"{job.title}: done" + (f", pass@1 {100 * rate:.1f} %" if rate is not None else "")


def _signs(folder: Path) -> tuple[int, int, int]:
    """Return when result, failure and claim were written, by which a job shows; 0 without."""
    metrics, failure, claim = (folder / name for name in (runs.METRICS, runs.FAILURE, claims.CLAIM))
    return _written(metrics), _written(failure), _written(claim)


def _has_ended(folder: Path, before: tuple[int, int, int]) -> bool:
    """Return whether a job ended anew, or came, found its result complete and left it."""
    metrics, failure, claim = _signs(folder)
    if metrics not in (0, before[0]) or failure not in (0, before[1]):
        return True
    is_complete = metrics > 0 and failure == 0
    return is_complete and claim != before[2] and not claims.is_claimed(folder)


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
