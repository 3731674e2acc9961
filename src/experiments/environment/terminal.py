"""What a person sees while a run goes on: one console and its progress bars."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.segment import Segment
from rich.table import Column
from rich.text import Text

from experiments.errors import printable


class SafeConsole(Console):
    """A console that nothing which is printed can steer, whoever wrote it."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield what rich makes of something, its texts with control characters escaped."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


console = SafeConsole(stderr=True, highlight=False)
"""Progress and messages; standard output is for results."""

WIDTH_OF_FILES = 120

results = SafeConsole(highlight=False)
"""Tables and paths; goes to standard output."""
if not results.is_terminal and "COLUMNS" not in os.environ:
    results.width = WIDTH_OF_FILES
if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="replace")  # where a terminal is not in UTF-8


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return how many there are of something: `1 problem`, `1,640 problems`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def duration(seconds: float) -> str:
    """Return a time for a person: `6 s`, `25 min`, `4.5 h`, `3.2 days`."""
    return "{} {}".format(*_in_unit(seconds))


def spread(low: float, high: float) -> str:
    """Return from when to when, the unit once where it is the same."""
    (least, unit), (most, larger) = _in_unit(low), _in_unit(high)
    return f"{least} to {most} {larger}" if unit == larger else f"{least} {unit} to {most} {larger}"


def _in_unit(seconds: float) -> tuple[str, str]:
    """Return a number with a digit behind the point where it is small, and its unit."""
    for unit, scale, least in (("days", 86400, 172800), ("h", 3600, 3600), ("min", 60, 60)):
        if seconds >= least:
            return f"{seconds / scale:.{int(seconds < 10 * scale)}f}", unit
    return f"{max(1.0, seconds):.0f}", "s"


def size(count: float) -> str:
    """Return bytes for a person: `26.3 MB`, `4.4 GB`, `217 GB`."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if count < 1e11 else f"{count / scale:.0f} {unit}"
    return f"{count / 1e3:.1f} kB"


def when(moment: float) -> str:
    """Return a time of the clock, with its day where it is not today's."""
    then = time.localtime(moment)
    is_today = then[:3] == time.localtime()[:3]
    return time.strftime("at %H:%M" if is_today else "on %a %d %b at %H:%M", then)


T = TypeVar("T")


class TimeColumn(ProgressColumn):
    """How long it will go on, and when it will be over, at the pace since it began.

    Completions come in bursts when many are decoded at once, minutes apart for a large model: the
    pace of the last seconds, which rich would take, says nothing then.
    """

    def render(self, task: Task) -> Text:
        """Return the text; until there is a pace and at the end, the time that went by."""
        done, elapsed = task.completed - task.fields["before"], task.elapsed or 0.0
        if not done or task.finished:
            return Text(duration(task.finished_time or elapsed))
        seconds = ((task.total or 0.0) - task.completed) * elapsed / done
        return Text(f"{duration(seconds)} left, over {when(time.time() + seconds)}")


SECONDS_BETWEEN_LINES = 30.0
"""Where standard error is no terminal, progress is a line now and then."""


class Bar:
    """One line of progress: a title, a bar, a count, when it will be over, a remark."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, remark: str | None = None) -> None:
        """Count one more as done."""
        self._progress.advance(self._task)
        if remark is not None:
            self.remark(remark)

    def reach(self, done: float, remark: str = "") -> None:
        """Count so many as done, parts of one included."""
        self._progress.update(self._task, completed=done, remark=remark)

    def each(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items and count each as done when the next is asked for."""
        for item in items:
            yield item
            self.advance()

    def remark(self, text: str) -> None:
        """Show a short text behind the bar."""
        self._progress.update(self._task, remark=text)


@contextmanager
def bar(title: str, total: int, done: int = 0) -> Iterator[Bar]:
    """Show progress over `total` steps, of which some are done already.

    Count and remaining time are there at any width; the remark has what room is left. Where
    standard error is no terminal, nothing moves: a line is written every half minute, and one
    at the end.
    """
    moving = console.is_terminal
    is_narrow = console.width < WIDTH_OF_BAR
    with Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=10)),
        *([] if is_narrow else [BarColumn(bar_width=12)]),
        MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=7)),
        TimeColumn(table_column=Column(no_wrap=True)),
        TextColumn(
            "[dim]{task.fields[remark]}[/]",
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
        console=console,
        disable=not moving,
        expand=True,
        refresh_per_second=5,
    ) as progress:
        task = progress.add_task(title, total=total, completed=done, before=done, remark="")
        if moving:
            yield Bar(progress, task)
            return
        with _lines(progress.tasks[0]):
            yield Bar(progress, task)
        finished = progress.tasks[0]
        remark = finished.fields["remark"]
        seconds = finished.elapsed or 0.0
        console.print(f"{title} {total}/{total} in {seconds:.1f} s {remark}".rstrip())


WIDTH_OF_BAR = 100
"""Columns of a terminal that has room for a bar beside the numbers."""


@contextmanager
def _lines(task: Task) -> Iterator[None]:
    """Write how far a task is, every half minute until this context ends."""
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(SECONDS_BETWEEN_LINES):
            console.print(_so_far(task), markup=False, soft_wrap=True)

    writer = threading.Thread(target=write, name="progress", daemon=True)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def _so_far(task: Task) -> str:
    """Return count, rate and remaining time in a line."""
    done, elapsed = task.completed - task.fields["before"], task.elapsed or 0.0
    line = f"{task.description} {task.completed:.0f}/{task.total or 0:.0f}"
    if not done or not elapsed:
        return f"{line}, none done in {duration(elapsed)}"
    rate = done / elapsed
    pace = f"{rate:.1f} per second" if rate >= 1 else f"{60 * rate:.1f} per minute"
    return f"{line}, {pace}, {TimeColumn().render(task)}"
