"""Runs side by side: the table that ends a run or a sweep, and the page that explains it."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.environment.terminal import console, results
from experiments.errors import StoreError, UserError
from experiments.report.collect import Collection, collect, find_runs, newest
from experiments.report.comparisons import show_comparisons
from experiments.report.imported import import_evalplus
from experiments.report.reviewed import lines
from experiments.report.sanitizer import judge_sanitized
from experiments.report.terminal import (
    show,
    show_failures,
    show_next_steps,
    shown,
)
from experiments.store import write_text
from experiments.store.runs import read_report

__all__ = [
    "Collection",
    "Written",
    "collect",
    "find_runs",
    "import_evalplus",
    "judge_sanitized",
    "newest",
    "read_report",
    "show",
    "show_collection",
    "show_next_steps",
    "show_sweep",
    "shown",
    "write",
]


@dataclass(frozen=True)
class Written:
    """A report on disk.

    Attributes:
        page: HTML, all in one file.
        table: Markdown.
        figures: SVG, one file per plot.
        summary: the main result in a sentence or two, as plain text; empty: there is no report.
        failed: folders of jobs without a result.
    """

    page: Path
    table: Path
    figures: tuple[Path, ...] = ()
    summary: str = ""
    failed: tuple[Path, ...] = ()


def show_sweep(folder: Path) -> Written:
    """Show a sweep's runs and what they say, and write its report into its folder.

    A report that fails is a warning: the runs are done, and `experiments report` makes it
    again.
    """
    nothing = Written(folder / "report.html", folder / "report.md")
    try:
        collection = collect([folder])
        show_collection(collection)
    except UserError as error:
        _warn(error)
        return nothing
    failed = tuple(path for path, _ in collection.failures)
    try:
        written = write(collection, folder)
    except UserError as error:
        _warn(error)
        return replace(nothing, failed=failed)
    results.print(f"\nReport: {shown(written.page)}", soft_wrap=True)
    return written


def show_collection(collection: Collection) -> None:
    """Show runs in a table, name the jobs that failed, and say what is known of the rest."""
    show([run.report for run in collection.runs])
    for note in collection.notes:
        results.print(note, style="dim", soft_wrap=True, markup=False)
    show_failures(collection.failures)
    for line in lines(collection):
        results.print(line, soft_wrap=True, markup=False)
    show_comparisons(collection)


def _warn(error: UserError) -> None:
    console.print(f"warning: there is no report: {error}", style="yellow", markup=False)


def write(collection: Collection, folder: Path) -> Written:
    """Write page, Markdown table and figures of these runs into a folder.

    Raises:
        StoreError: the folder cannot be written.
    """
    from experiments.report.analysis import headline
    from experiments.report.markdown import markdown
    from experiments.report.page import page
    from experiments.report.plots import plots, standalone

    drawn = plots(collection)
    figures = folder / "figures"
    try:
        figures.mkdir(parents=True, exist_ok=True)
        if figures.resolve().parent != folder.resolve():
            raise OSError(errno.ELOOP, "its figures/ is a link")
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror}", "Choose another one: --out FOLDER"
        ) from error
    written = Written(
        page=folder / "report.html",
        table=folder / "report.md",
        figures=tuple(figures / f"{name}.svg" for name in file_names(drawn)),
        summary=" ".join(headline(group) for group in collection.groups),
        failed=tuple(path for path, _ in collection.failures),
    )
    write_text(written.page, page(collection, drawn))
    write_text(written.table, markdown(collection))
    for path, svg in zip(written.figures, drawn.values(), strict=True):
        write_text(path, standalone(svg))
    return written


def file_names(names: Iterable[str]) -> list[str]:
    """Return names that may be those of files, each once: a data set may be named as a path."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^\w.+-]+", "_", name).lstrip(".")[:100]
        number = sum(each == plain or each.startswith(f"{plain}~") for each in found)
        found.append(f"{plain}~{number + 1}" if number else plain)
    return found
