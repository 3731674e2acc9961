"""Runs side by side: the table that ends a run or a sweep, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from experiments.environment.terminal import console, counted, results
from experiments.records import CHOICES, RunReport
from experiments.report.labels import differing
from experiments.schema import TrackingConfig
from experiments.stats.columns import CUT, MIXED, Column, columns
from experiments.stats.costs import is_mixed
from experiments.tracking import notes
from experiments.tracking.opening import DEFAULT, address, is_server, without_password

MLFLOW_ADDRESS = "http://127.0.0.1:5000"
"""Where `mlflow ui` answers unless it is told otherwise."""

SHORTEST = 6
"""Letters of a name that is cut to make room for the scores."""


def show(reports: Sequence[RunReport]) -> None:
    """Print one row per run: what tells it from the others, and its numbers.

    What all runs share stands above the table. Columns that no run fills are left out, and
    so are those of the weights where all runs have the same, and the last ones where the
    terminal is too narrow for all. Long names are cut, and the last of many labels left out,
    before pass@1 is.
    """
    if not reports:
        return
    metrics = [report.metrics for report in reports]
    shared = [value for label in CHOICES if (value := _shared(reports, label))]
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    filled = [(c, [_cell(c, each) for each in metrics]) for c in columns("terminal", metrics)]
    room = results.width - sum(_width(c.title, cells) for c, cells in filled[:1])
    differ = differing([report.labels for report in reports])
    labels = differ[: max(1, room // (SHORTEST + 2))]
    named = [[report.labels.get(label, "") for report in reports] for label in labels]
    for label, width, values in zip(labels, _widths(labels, named, room), named, strict=True):
        table.add_column(_cut(label, width), no_wrap=True)
        named[labels.index(label)] = [_cut(value, width) for value in values]
        room -= width + 2
    rows = [[Text(values[number]) for values in named] for number in range(len(reports))]
    for index, (column, cells) in enumerate(filled):
        if index:
            room -= _width(column.title, cells)
        if room < 0:
            break
        table.add_column(column.title, justify="right", no_wrap=True)
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell)
    for row in rows:
        table.add_row(*row)
    results.print()
    results.print(Text(" · ".join(shared), style="bold"), soft_wrap=True)
    results.print(table)
    if more := differ[len(labels) :]:
        results.print(Text(f"No room for {', '.join(more)}.", style="dim"), soft_wrap=True)
    if any(map(is_mixed, metrics)):
        results.print(Text(f"* {MIXED}", style="dim"), soft_wrap=not results.is_terminal)
    for note in sorted({n for report in reports if (n := report.note)}):
        results.print(Text(f"\n{note}", style="dim italic"), soft_wrap=not results.is_terminal)
    _warn_of_cut(reports)


def _warn_of_cut(reports: Sequence[RunReport]) -> None:
    """Say how many completions ended at their largest length."""
    cut = sum(report.metrics.get(CUT.metric, 0.0) for report in reports)
    made = sum(report.metrics.get("count/generations", 0.0) for report in reports)
    if cut:
        console.print(
            f"warning: {cut:,.0f} of {made:,.0f} completions were cut by sampling.max_tokens; "
            "what they would have become is not known.",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def _widths(labels: Sequence[str], named: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the widths of the columns with names, the widest cut until all have room."""
    titled = zip(labels, named, strict=True)
    widths = [max(len(label), *map(len, values)) for label, values in titled]
    while widths and sum(widths) + 2 * len(widths) > room and max(widths) > SHORTEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _cell(column: Column, metrics: Mapping[str, float]) -> Text:
    bounds = column.bounds(metrics)
    return Text.assemble(column.number(metrics), (f" {bounds}" if bounds else "", "dim"))


def _width(title: str, cells: Sequence[Text]) -> int:
    """Return the width of a column with the space behind it."""
    return max(len(title), *(cell.cell_len for cell in cells)) + 2


def _shared(reports: Sequence[RunReport], label: str) -> str:
    """Return a label's value if all runs have the same."""
    values = {report.labels.get(label, "") for report in reports}
    return values.pop() if len(values) == 1 else ""


def show_failures(failures: Sequence[tuple[Path, str]]) -> None:
    """Name the jobs that have no result, and why."""
    if not failures:
        return
    console.print(f"\n{counted(len(failures), 'job')} failed:", style="bold red")
    by_reason: dict[str, list[Path]] = {}
    for folder, reason in failures:
        by_reason.setdefault(reason, []).append(folder)
    for reason, folders in by_reason.items():
        where = ", ".join(str(shown(folder)) for folder in folders)
        console.print(f"  {where}: {reason}", markup=False, soft_wrap=True)


def show_next_steps(folder: Path, tracking: TrackingConfig) -> None:
    """Say where the results are and how to open them in MLflow."""
    results.print(f"\nResults: {shown(folder)}", soft_wrap=True)
    if not tracking.enabled:
        return
    view, uri = _view(folder), without_password(address(tracking.uri))
    if lacking := notes.lacking(folder):
        some = "this" if lacking == 1 else f"{lacking} of these"
        command = f".venv/bin/experiments sync {shown(folder)}"
        results.print(
            f"MLflow lacks a part of {some}. To bring it there: {command}", soft_wrap=True
        )
    if is_server(uri):
        results.print(f"Compare runs: {uri.rstrip('/')}{view}", soft_wrap=True)
        return
    if tracking.uri is None and uri != DEFAULT:
        results.print(f"MLflow is where MLFLOW_TRACKING_URI has it: {uri}", soft_wrap=True)
    command = "mlflow ui --backend-store-uri"
    results.print(f"Compare runs: .venv/bin/{command} {shlex.quote(uri)}", soft_wrap=True)
    if view:
        results.print(f"        then: {MLFLOW_ADDRESS}{view}", soft_wrap=True)


def _view(folder: Path) -> str:
    """Return where MLflow shows a sweep's jobs side by side, or the only run; else nothing."""
    note = notes.read(folder)
    if note is None or not note.run_id:
        return ""
    runs = f"/#/experiments/{note.experiment_id}/runs"
    return f"{runs}?viewStateShareKey={note.run_id}" if note.is_sweep else f"{runs}/{note.run_id}"


def shown(folder: Path) -> Path:
    """Return the path as a person would type it here."""
    try:
        return folder.resolve().relative_to(Path.cwd())
    except ValueError:
        return folder
