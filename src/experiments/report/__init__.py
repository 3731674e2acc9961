"""Runs side by side: the table that ends a run or a sweep, and the page that explains it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.environment.terminal import console, results
from experiments.errors import StoreError, UserError
from experiments.report.collect import Collection, collect, find_runs, newest
from experiments.report.comparisons import show_comparisons
from experiments.report.imported import import_evalplus
from experiments.report.sanitizer import judge_sanitized
from experiments.report.terminal import (
    read_sweep,
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
    "read_sweep",
    "show",
    "show_comparisons",
    "show_failures",
    "show_next_steps",
    "write",
    "write_sweep",
]


@dataclass(frozen=True)
class Written:
    """A report on disk.

    Attributes:
        page: HTML, all in one file.
        table: Markdown.
        figures: SVG, one file per plot.
        summary: the main result in a sentence or two, as plain text.
    """

    page: Path
    table: Path
    figures: tuple[Path, ...] = ()
    summary: str = ""

    @property
    def files(self) -> list[Path]:
        """Page and table, if they are there."""
        return [path for path in (self.page, self.table) if path.exists()]


def write_sweep(folder: Path) -> Written:
    """Write the report of a sweep into its folder; say what it found and where it is.

    A report that fails is a warning: the runs are done, and `experiments report` makes it
    again.
    """
    try:
        collection = collect([folder])
        written = write(collection, folder)
    except UserError as error:
        console.print(f"warning: there is no report: {error}", style="yellow", markup=False)
        return Written(folder / "report.html", folder / "report.md")
    show_comparisons(collection)
    results.print(f"\nReport: {shown(written.page)}", soft_wrap=True)
    return written


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
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror}", "Choose another one: --out FOLDER"
        ) from error
    written = Written(
        page=folder / "report.html",
        table=folder / "report.md",
        figures=tuple(folder / "figures" / f"{name}.svg" for name in drawn),
        summary=" ".join(headline(group) for group in collection.groups),
    )
    write_text(written.page, page(collection, drawn))
    write_text(written.table, markdown(collection))
    for path, svg in zip(written.figures, drawn.values(), strict=True):
        write_text(path, standalone(svg))
    return written
