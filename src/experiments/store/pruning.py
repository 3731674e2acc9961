"""How large a shared store is, and what may leave it.

Files that a run appends to are counted and left alone: nothing that is being made is removed.
What a run has found in the store is in its own folder from then on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from experiments.errors import StoreError
from experiments.store.entries import read_label
from experiments.store.files import cannot_use
from experiments.store.runs import GENERATIONS
from experiments.store.segments import GONE, Found, Segments

Chooser = Callable[[str, float, str], bool]
"""Whether an entry may go, by its key, time and model."""

_KEY = re.compile(rb'"key":"([0-9a-f]{64})"')


@dataclass
class Count:
    """Some entries of a store: their number, their size, and when the first and last were kept."""

    entries: int = 0
    bytes: int = 0
    oldest: float = float("inf")
    newest: float = 0.0

    def add(self, size: int, time: float) -> None:
        """Count one more."""
        self.entries += 1
        self.bytes += size
        self.oldest, self.newest = min(self.oldest, time), max(self.newest, time)


@dataclass
class Survey:
    """What a store has.

    Attributes:
        files: their number.
        models: entries by model; under an empty name those that say none.
        chosen: entries that may go, by model.
    """

    files: int = 0
    models: dict[str, Count] = field(default_factory=dict)
    chosen: dict[str, Count] = field(default_factory=dict)


def survey(segments: Segments, is_chosen: Chooser) -> Survey:
    """Return what a store has, and what of it is chosen to go.

    Raises:
        StoreError: a file cannot be read.
    """
    found = Survey()
    for file in segments.files():
        found.files += 1
        for size, time, model, may_go in _entries(file, is_chosen):
            found.models.setdefault(model, Count()).add(size, time)
            if may_go:
                found.chosen.setdefault(model, Count()).add(size, time)
    return found


def prune(segments: Segments, is_chosen: Chooser) -> int:
    """Remove what is chosen, file by file; return how many entries went.

    Raises:
        StoreError: a file cannot be read or written, or another process merges files just now.
            What is not chosen is all there.
    """
    removed = 0
    try:
        with segments.alone() as is_alone:
            if not is_alone:
                raise StoreError(
                    f"Another process puts the files of {segments.folder} together just now",
                    "Type the same command again in a minute.",
                )
            for file in segments.files():
                if count := sum(may_go for *_, may_go in _entries(file, is_chosen)):
                    segments.rewrite(file, lambda *label: not is_chosen(*label))
                    removed += count
    except OSError as error:
        raise cannot_use(segments.folder, error) from error
    return removed


def keys_in_use(outputs: Path) -> set[bytes]:
    """Return the keys of the generations in all runs' folders, those of stopped runs as well.

    Raises:
        StoreError: a file cannot be read.
    """
    keys: set[bytes] = set()
    for path in outputs.rglob(GENERATIONS):
        try:
            with path.open("rb") as lines:
                found = (_KEY.search(line) for line in lines)
                keys.update(bytes.fromhex(match[1].decode()) for match in found if match)
        except OSError as error:
            raise cannot_use(path, error) from error
    return keys


def _entries(file: Found, is_chosen: Chooser) -> Iterator[tuple[int, float, str, bool]]:
    """Yield size, time and model of a file's entries, and whether each may go."""
    try:
        with file.path.open("rb") as lines:
            for line in lines:
                if label := read_label(line, file.written):
                    _, time, model = label
                    yield len(line), time, model, file.is_done and is_chosen(*label)
    except OSError as error:
        if error.errno in GONE:
            return
        raise cannot_use(file.path, error) from error
