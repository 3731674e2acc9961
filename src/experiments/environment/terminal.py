"""What a person sees while a run goes on: one console and its progress bars."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True, highlight=False)
"""Progress and messages; standard output is for results."""

WIDTH_OF_FILES = 120

results = Console(highlight=False)
"""Tables and paths; goes to standard output."""
if not results.is_terminal and "COLUMNS" not in os.environ:
    results.width = WIDTH_OF_FILES


T = TypeVar("T")


class Bar:
    """One line of progress: a title, a bar, a count, the time left, and a remark."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, remark: str | None = None) -> None:
        """Count one more as done."""
        self._progress.advance(self._task)
        if remark is not None:
            self.remark(remark)

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

    Where standard error is no terminal, nothing moves: one line is written at the end.
    """
    moving = console.is_terminal
    with Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<11}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        TextColumn("[dim]{task.fields[remark]}[/]"),
        console=console,
        disable=not moving,
        refresh_per_second=5,
    ) as progress:
        task = progress.add_task(title, total=total, completed=done, remark="")
        yield Bar(progress, task)
        if not moving:
            finished = progress.tasks[0]
            remark = finished.fields["remark"]
            seconds = finished.elapsed or 0.0
            console.print(f"{title} {total}/{total} in {seconds:.1f} s {remark}".rstrip())
