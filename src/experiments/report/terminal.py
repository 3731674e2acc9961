"""Runs side by side: the table that ends a run or a sweep, and what to type next."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from experiments.environment.terminal import console, results
from experiments.errors import StoreError
from experiments.records import RunReport
from experiments.schema import TrackingConfig

MLFLOW_ADDRESS = "http://127.0.0.1:5000"
"""Where `mlflow ui` answers unless it is told otherwise."""

CHOICES = ("model", "quantization", "prompt", "dataset")


@dataclass(frozen=True)
class Column:
    """A column of the table: its title, how a run fills it, and whether to show it if all agree."""

    title: str
    cell: Callable[[dict[str, float]], str]
    if_same: bool = True


def show(reports: Sequence[RunReport]) -> None:
    """Print one row per run: what tells it from the others, and its numbers.

    What all runs share stands above the table. Columns that no run fills are left out, and
    so are those of the weights where all runs have the same, and the last ones where the
    terminal is too narrow for all.
    """
    if not reports:
        return
    shared = [value for label in CHOICES if (value := _shared(reports, label))]
    labels = differing(reports)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for label in labels:
        table.add_column(label, no_wrap=True)
    rows = [[Text(report.labels.get(label, "")) for label in labels] for report in reports]
    room = results.width - sum(
        _width(label, [r[i] for r in rows]) for i, label in enumerate(labels)
    )
    for column in COLUMNS:
        cells = [Text.from_markup(column.cell(report.metrics)) for report in reports]
        if not any(cells) or not (column.if_same or len(set(map(str, cells))) > 1):
            continue
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


def _width(title: str, cells: Sequence[Text]) -> int:
    """Return the width of a column with the space behind it."""
    return max(len(title), *(cell.cell_len for cell in cells)) + 2


def _shared(reports: Sequence[RunReport], label: str) -> str:
    """Return a label's value if all runs have the same."""
    values = {report.labels.get(label, "") for report in reports}
    return values.pop() if len(values) == 1 else ""


def differing(reports: Sequence[RunReport]) -> list[str]:
    """Return the labels in which the runs differ, the four choices first."""
    names = dict.fromkeys([*CHOICES, *(label for report in reports for label in report.labels)])
    return [name for name in names if len({report.labels.get(name) for report in reports}) > 1]


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
        kept = json.loads(folder.joinpath("sweep.json").read_text(encoding="utf-8"))
        runs = f"/#/experiments/{kept['mlflow_experiment']}/runs"
        return f"{runs}?viewStateShareKey={kept['mlflow_run']}"
    except (OSError, ValueError, KeyError):
        return ""


def read_run(folder: Path) -> RunReport:
    """Return the numbers of a finished run from its folder.

    Raises:
        StoreError: there is no finished run, or its files are damaged.
    """
    try:
        metrics = json.loads(folder.joinpath("metrics.json").read_text(encoding="utf-8"))
        manifest = json.loads(folder.joinpath("manifest.json").read_text(encoding="utf-8"))
        metrics = {_FORMER_METRICS.get(name, name): value for name, value in metrics.items()}
        return RunReport(metrics, folder, manifest["labels"], manifest.get("note", ""))
    except FileNotFoundError as error:
        raise StoreError(
            f"{folder} holds no finished run: {Path(error.filename).name} is missing",
            "Name the folder of one run, such as outputs/2026-01-31/12-00-00",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"The results in {folder} cannot be read: {error}") from None


_FORMER_METRICS = {
    "speed/reading_tokens_per_second": "speed/prefill_tokens_per_second",
    "speed/decoding_tokens_per_second": "speed/decode_tokens_per_second",
    "engine/reading_tokens_per_second": "engine/prefill_tokens_per_second",
    "engine/decoding_tokens_per_second": "engine/decode_tokens_per_second",
    "engine/read_tokens": "engine/prefill_tokens",
    "engine/decoded_tokens": "engine/decode_tokens",
}
"""Names of metrics in run folders of earlier versions, which stay readable."""


def read_sweep(folder: Path) -> tuple[list[RunReport], list[tuple[Path, str]]]:
    """Return the finished runs of a sweep, and the folders of the others with the reason."""
    runs, failures = [], []
    for job in sorted((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name)):
        try:
            runs.append(read_run(job))
        except StoreError as error:
            reason = job / "failure.txt"
            lines = reason.read_text(encoding="utf-8").splitlines() if reason.exists() else []
            failures.append((job, lines[-1] if lines else str(error)))
    return runs, failures


def shown(folder: Path) -> Path:
    """Return the path as a person would type it here."""
    try:
        return folder.resolve().relative_to(Path.cwd())
    except ValueError:
        return folder


def _percent(name: str) -> Callable[[dict[str, float]], str]:
    return lambda metrics: f"{100 * metrics[name]:.1f}" if name in metrics else ""


def _number(name: str, digits: int = 0) -> Callable[[dict[str, float]], str]:
    return lambda metrics: f"{metrics[name]:,.{digits}f}" if name in metrics else ""


def _size(name: str) -> Callable[[dict[str, float]], str]:
    """Return megabytes, with a decimal where they are few."""
    return lambda metrics: _number(name, 1 if metrics.get(name, 0.0) < 100 else 0)(metrics)


def _with_interval(name: str) -> Callable[[dict[str, float]], str]:
    def cell(metrics: dict[str, float]) -> str:
        if name not in metrics:
            return ""
        low, high = (100 * metrics[f"{name}_{bound}"] for bound in ("low", "high"))
        return f"{100 * metrics[name]:.1f} [dim]{low:.0f}-{high:.0f}[/]"

    return cell


COLUMNS: tuple[Column, ...] = (
    Column("pass@1 %", _with_interval("pass_at_1/plus")),
    Column("file MB", _size("weights/megabytes"), if_same=False),
    Column("bits", _number("weights/bits_per_weight", 2), if_same=False),
    Column("tokens/s", _number("speed/tokens_per_second")),
    Column("RAM MB", _number("engine/peak_memory_megabytes")),
    Column("USD", _number("engine/cost_usd", 4)),
    Column("base %", _percent("pass_at_1/base")),
    Column("easy", _percent("pass_at_1_easy/plus")),
    Column("medium", _percent("pass_at_1_medium/plus")),
    Column("hard", _percent("pass_at_1_hard/plus")),
    Column("tests %", _percent("tests_passed/all")),
    Column("format %", _percent("format/kept")),
    Column("s/problem", _number("cost/seconds_per_problem", 2)),
)
"""What a run is judged by at a glance. pass@1 is on base and extra tests, with its 95 %
interval; bits are per weight; speed, memory and money are empty where every generation came
from the store."""
