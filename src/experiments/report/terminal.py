"""Runs side by side: the table that ends a run or a sweep, and what to type next."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from experiments.environment.terminal import console, results
from experiments.errors import StoreError
from experiments.records import CHOICES, RunReport
from experiments.schema import TrackingConfig
from experiments.stats.columns import Column, columns
from experiments.store import runs

MLFLOW_ADDRESS = "http://127.0.0.1:5000"
"""Where `mlflow ui` answers unless it is told otherwise."""


def show(reports: Sequence[RunReport]) -> None:
    """Print one row per run: what tells it from the others, and its numbers.

    What all runs share stands above the table. Columns that no run fills are left out, and
    so are those of the weights where all runs have the same, and the last ones where the
    terminal is too narrow for all.
    """
    if not reports:
        return
    shared = [value for label in CHOICES if (value := _shared(reports, label))]
    labels = differing([report.labels for report in reports])
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for label in labels:
        table.add_column(label, no_wrap=True)
    rows = [[Text(report.labels.get(label, "")) for label in labels] for report in reports]
    room = results.width - sum(
        _width(label, [r[i] for r in rows]) for i, label in enumerate(labels)
    )
    for column in columns("terminal", [report.metrics for report in reports]):
        cells = [_cell(column, report.metrics) for report in reports]
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
    for note in sorted({n for report in reports if (n := report.note)}):
        results.print(Text(f"\n{note}", style="dim italic"), soft_wrap=True)


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


def differing(labels: Sequence[Mapping[str, str]]) -> list[str]:
    """Return the names of the labels in which runs differ, the four choices first."""
    names = dict.fromkeys([*CHOICES, *(name for each in labels for name in each)])
    return [name for name in names if len({each.get(name) for each in labels}) > 1]


def show_failures(failures: Sequence[tuple[Path, str]]) -> None:
    """Name the jobs that have no result, and why."""
    if not failures:
        return
    jobs = "1 job" if len(failures) == 1 else f"{len(failures)} jobs"
    console.print(f"\n{jobs} failed:", style="bold red")
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
    view = _view(folder)
    if tracking.uri.startswith(("http://", "https://")):
        address = tracking.uri.rstrip("/") + view
        results.print(f"Compare runs: {address}", soft_wrap=True)
        return
    command = "mlflow ui --backend-store-uri"
    results.print(f"Compare runs: .venv/bin/{command} {tracking.uri}", soft_wrap=True)
    if view:
        results.print(f"        then: {MLFLOW_ADDRESS}{view}", soft_wrap=True)


def _view(folder: Path) -> str:
    """Return where MLflow shows a sweep's jobs side by side; nothing for a single run."""
    try:
        kept = json.loads(folder.joinpath(runs.SWEEP).read_text(encoding="utf-8"))
        address = f"/#/experiments/{kept['mlflow_experiment']}/runs"
        return f"{address}?viewStateShareKey={kept['mlflow_run']}"
    except (OSError, ValueError, KeyError):
        return ""


def read_sweep(folder: Path) -> tuple[list[RunReport], list[tuple[Path, str]]]:
    """Return the finished runs of a sweep, and the folders of the others with the reason."""
    finished, failures = [], []
    for job in sorted((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name)):
        try:
            finished.append(runs.read_report(job))
        except StoreError as error:
            failures.append((job, runs.read_failure(job) or str(error)))
    return finished, failures


def shown(folder: Path) -> Path:
    """Return the path as a person would type it here."""
    try:
        return folder.resolve().relative_to(Path.cwd())
    except ValueError:
        return folder
