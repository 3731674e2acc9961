"""What `experiments store` shows, and how it removes what is chosen."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table

from experiments.environment.terminal import counted, duration, results, size
from experiments.errors import ConfigError, did_you_mean
from experiments.store import pruning
from experiments.store.keyed import generations_in, verdicts_in
from experiments.store.pruning import Chooser, Count, Survey


def show(folder: Path) -> None:
    """Print the size of a store of generations and of the verdicts beside it."""
    found = pruning.survey(generations_in(folder), _nothing)
    results.print(_title(folder, found, "generation"))
    if found.models:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        table.add_column("model")
        for name in ("generations", "size", "oldest", "newest"):
            table.add_column(name, justify="right")
        for model, count in sorted(found.models.items(), key=lambda each: -each[1].bytes):
            table.add_row(model or "(not said)", *_row(count))
        results.print(table)
    verdicts = pruning.survey(verdicts_in(_verdicts(folder)), _nothing)
    results.print(_title(_verdicts(folder), verdicts, "verdict"))


def prune(
    folder: Path,
    *,
    models: Sequence[str] = (),
    older_than: float | None = None,
    unused_in: Path | None = None,
    ask: bool = True,
) -> int:
    """Remove what fits all that is said, and return the exit code; ask before.

    Args:
        folder: of the generations.
        models: generations of one of these.
        older_than: what was kept so many seconds ago; alone, it chooses verdicts, too.
        unused_in: generations that no run's folder below this one has.
        ask: a person, before anything is removed.

    Raises:
        ConfigError: nothing was said, no such model is there, or there is nobody to ask.
        StoreError: a file cannot be read or written.
    """
    if not models and older_than is None and unused_in is None:
        raise ConfigError(
            "--prune needs to know what to remove", "Add --model NAME, --older-than 90d or --unused"
        )
    generations, verdicts = generations_in(folder), verdicts_in(_verdicts(folder))
    used = pruning.keys_in_use(unused_in) if unused_in else set()
    before = float("inf") if older_than is None else time.time() - older_than

    def is_chosen(key: str, kept: float, model: str) -> bool:
        return (
            (not models or model in models)
            and kept <= before
            and not (unused_in and bytes.fromhex(key) in used)
        )

    found = pruning.survey(generations, is_chosen)
    for model in models:
        if model not in found.models:
            known = [name for name in found.models if name]
            raise ConfigError(
                f"{folder} has no generations of '{model}'", did_you_mean(model, known)
            )
    of_verdicts: Chooser = is_chosen if not models and unused_in is None else _nothing
    also = pruning.survey(verdicts, of_verdicts)
    if not found.chosen and not also.chosen:
        results.print("Nothing in the store fits that: nothing is removed.")
        return 0
    for name, each in (("generation", found), ("verdict", also)):
        for model, count in sorted(each.chosen.items()):
            of = f" of {model}" if model else ""
            freed = size(count.bytes)
            results.print(f"Would remove {counted(count.entries, name)}{of}, which frees {freed}.")
    if ask and not _agreed():
        results.print("Nothing was removed.")
        return 1
    removed = pruning.prune(generations, is_chosen) if found.chosen else 0
    removed += pruning.prune(verdicts, of_verdicts) if also.chosen else 0
    results.print(
        f"Removed {counted(removed, 'entry', 'entries')}. What a run asks for again is made again."
    )
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise ConfigError("Nothing was removed, since there is nobody to ask", "Add --yes")
    return results.input("Remove them? [y/N] ", markup=False).strip().lower() in ("y", "yes")


def _nothing(*_: object) -> bool:
    return False


def _verdicts(folder: Path) -> Path:
    """Return where runs with this store of generations keep their verdicts."""
    return folder.parent / "cache" / "verdicts"


def _title(folder: Path, found: Survey, name: str) -> str:
    sum_of = _sum(found.models.values())
    if not sum_of.entries:
        return f"{folder}: no {name}s"
    files = counted(found.files, "file")
    return f"{folder}: {counted(sum_of.entries, name)}, {size(sum_of.bytes)} in {files}"


def _sum(counts: Iterable[Count]) -> Count:
    found = list(counts)
    return Count(sum(each.entries for each in found), sum(each.bytes for each in found))


def _row(count: Count) -> list[str]:
    now = time.time()
    ages = [f"{duration(max(0.0, now - moment))} ago" for moment in (count.oldest, count.newest)]
    return [f"{count.entries:,}", size(count.bytes), *ages]
