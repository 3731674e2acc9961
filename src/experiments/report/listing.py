"""Which runs there are, how each stands, and those that nobody needs any more."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rich.table import Table
from rich.text import Text

from experiments.environment.terminal import counted, results
from experiments.errors import StoreError, printable
from experiments.records import run_name
from experiments.report.collect import noted
from experiments.store import claims, runs
from experiments.store.reviews import REVIEWS

BESIDE = {"store", "cache", "fetched", "fidelity"}
"""Folders in `outputs` that hold no runs of their own."""

OF_A_SWEEP = (
    claims.CLAIM,
    runs.SWEEP,
    runs.TRACKED,
    runs.RACE,
    "multirun.yaml",
    "report.html",
    "report.md",
    "figures",
)
"""What a sweep leaves beside its jobs, which says nothing without them."""


class State(StrEnum):
    """How a run stands."""

    FINISHED = "finished"
    DAMAGED = "unreadable"
    FAILED = "failed"
    STOPPED = "stopped"
    GOES_ON = "goes on"


_STYLES = {
    State.FINISHED: "green",
    State.DAMAGED: "red",
    State.FAILED: "red",
    State.STOPPED: "yellow",
}


@dataclass(frozen=True)
class Listed:
    """A run, as far as a list shows it.

    Attributes:
        folder: of the run.
        state: how it stands.
        what: its choices, or what was typed.
        missing: what it lacks, or why it has no result.
        score: pass@1, of a finished run.
    """

    folder: Path
    state: State
    what: str
    missing: str = ""
    score: float | None = None


def listed(outputs: Path) -> list[Listed]:
    """Return the runs below a folder, the newest last.

    Raises:
        StoreError: there is no such folder.
    """
    if not outputs.is_dir():
        raise StoreError(f"There is no folder {outputs}", "Make a run: python run.py")
    names = (runs.METRICS, runs.FAILURE)
    found = {path.parent for name in names for path in runs.files_below(outputs, name)}
    found |= {path.parent.parent for path in runs.files_below(outputs, runs.CONFIGURATION)}
    beside = [each for each in found if {*each.relative_to(outputs).parts[:1]} & BESIDE]
    ours = filter(_is_ours, found.difference(beside))
    return [_listed(folder) for folder in sorted(ours, key=_age)]


def show(found: Sequence[Listed], outputs: Path) -> None:
    """Print runs, one row each, and how many there are of each state."""
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("run", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("pass@1 %", justify="right", no_wrap=True)
    table.add_column("what", overflow="fold", ratio=2)
    table.add_column("missing", overflow="fold", ratio=3)
    for each in found:
        table.add_row(
            Text(str(each.folder.relative_to(outputs))),
            Text(each.state, style=_STYLES.get(each.state, "")),
            "" if each.score is None else f"{100 * each.score:.1f}",
            Text(each.what),
            Text(each.missing),
        )
    if found:
        results.print(table)
    counts = [(state, sum(each.state is state for each in found)) for state in State]
    told = ", ".join(f"{count} {state}" for state, count in counts if count)
    results.print(f"\n{told}." if told else "There is no run.", soft_wrap=True)
    if any(state in _REMOVABLE for state, count in counts if count):
        results.print("Remove what failed or was stopped: experiments clean", soft_wrap=True)


def removable(found: Iterable[Listed]) -> list[Listed]:
    """Return the runs that failed or were stopped, but for those of a sweep that goes on.

    One with a person's grades is kept: they cannot be made again.
    """
    found = list(found)
    busy = {each.folder.parent for each in found if each.state is State.GOES_ON}
    busy |= {folder for folder in {e.folder.parent for e in found} if claims.is_claimed(folder)}
    return [
        each
        for each in found
        if each.state in _REMOVABLE
        and not busy & {*each.folder.parents}
        and not (each.folder / REVIEWS).exists()
    ]


def remove(found: Iterable[Listed], outputs: Path) -> int:
    """Remove the folders of runs, and those above that hold nothing else; return how many.

    A run that began meanwhile is left alone.

    Raises:
        StoreError: a folder cannot be removed.
    """
    removed = 0
    for each in found:
        if each.folder.is_symlink() or claims.is_claimed(each.folder):
            continue
        try:
            shutil.rmtree(each.folder)
        except OSError as error:
            raise StoreError(
                f"{each.folder} cannot be removed: {error.strerror}: {error.filename}",
                "Check its permissions.",
            ) from error
        removed += 1
        for above in each.folder.parents:
            if above == outputs or outputs not in above.parents:
                break
            _remove_if_empty(above)
    return removed


def bytes_of(found: Iterable[Listed]) -> int:
    """Return the size of the folders of some runs."""
    files = (path for each in found for path in each.folder.rglob("*"))
    return sum(path.lstat().st_size for path in files if path.is_file())


_REMOVABLE = (State.FAILED, State.STOPPED)


def _is_ours(folder: Path) -> bool:
    """Tell a run from what another program keeps in files of the same names."""
    return (folder / claims.CLAIM).exists() or (folder / runs.MANIFEST).exists()


def _listed(folder: Path) -> Listed:
    if claims.is_claimed(folder):
        return Listed(folder, State.GOES_ON, _typed(folder), _so_far(folder))
    if (folder / runs.FAILURE).exists():
        return Listed(folder, State.FAILED, _typed(folder), printable(runs.read_failure(folder)))
    if not runs.is_finished(folder):
        return Listed(folder, State.STOPPED, _typed(folder), _so_far(folder))
    try:
        report = runs.read_report(folder)
    except StoreError as error:
        return Listed(folder, State.DAMAGED, _typed(folder), str(error))
    name, score = run_name(report.labels), report.metrics.get("pass_at_1/plus")
    return Listed(folder, State.FINISHED, name, ", ".join(_lacking(folder)), score)


def _typed(folder: Path) -> str:
    """Return what was typed for a run that has no labels yet."""
    typed = noted(folder / runs.HYDRA / "overrides.yaml")
    return printable(" ".join(map(str, typed))) if isinstance(typed, list) else ""


def _so_far(folder: Path) -> str:
    """Return how far a run came that has no result."""
    made, judged = (_lines(folder / name) for name in (runs.GENERATIONS, runs.VERDICTS))
    if judged:
        return f"its numbers; {counted(judged, 'verdict is', 'verdicts are')} there"
    generations = counted(made, "generation is", "generations are")
    return f"verdicts; {generations} there" if made else "everything"


def _lacking(folder: Path) -> Iterator[str]:
    """Yield what a finished run lacks."""
    for name in (runs.VERDICTS, runs.SAMPLES, runs.MANIFEST):
        if not (folder / name).exists():
            yield name
    if (folder / runs.CONFIGURATION).exists() and not (folder / runs.TRACKED).exists():
        yield "not in MLflow"


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def _age(folder: Path) -> tuple[float, str]:
    """Return when a run was last written to; runs of the same moment are in the order of names."""
    newest = 0.0
    for name in (runs.METRICS, runs.FAILURE, runs.GENERATIONS, runs.CONFIGURATION):
        with suppress(OSError):
            newest = max(newest, (folder / name).stat().st_mtime)
    return newest, str(folder)


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder that holds nothing, or only what a sweep leaves beside its jobs."""
    if any(path.name not in OF_A_SWEEP for path in folder.iterdir()):
        return
    with suppress(OSError):
        shutil.rmtree(folder)
