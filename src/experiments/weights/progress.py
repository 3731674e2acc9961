"""What a person sees while a large file comes: how much, how fast, how long still."""

from __future__ import annotations

from typing import Any, Self

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from experiments.environment.terminal import console


class Transfer:
    """A progress bar with the few methods of tqdm that huggingface_hub calls."""

    def __init__(self, *, total: int | None = None, initial: int = 0, **_: Any) -> None:
        self._progress = Progress(
            TextColumn("Fetching   "),
            BarColumn(bar_width=32),
            DownloadColumn(),
            TransferSpeedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=console,
            disable=not console.is_terminal,
            refresh_per_second=5,
        )
        self._task = self._progress.add_task("", total=total, completed=initial)

    def update(self, count: float = 1) -> None:
        """Count so many bytes more."""
        self._progress.advance(self._task, count)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._progress.stop()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
