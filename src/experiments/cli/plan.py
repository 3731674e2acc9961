"""What a run or a sweep will take, as a table: `experiments plan`."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from hydra import initialize_config_dir
from rich.table import Table
from rich.text import Text

from experiments.app import readable_config_errors, register_launchers, sent
from experiments.app.plan import SweepPlan, plan
from experiments.environment.terminal import duration, results, size, spread
from experiments.errors import printable
from experiments.experiment.forecast import Forecast
from experiments.weights import Fetch, Here, Make

UNTIL_MEASURED = (
    "How fast this machine is was guessed. experiments plan --measure … finds out in half a minute."
)


NARROW = 60
"""Columns of a terminal below which a table has room for the most important alone."""


def show(overrides: Sequence[str], conf: Path, measures: bool) -> int:
    """Print what the jobs of some overrides will take, and return the exit code.

    Args:
        overrides: as on the command line of a run.
        conf: the configuration.
        measures: measure this machine where no earlier run tells.

    Raises:
        UserError: there is no such run.
    """
    register_launchers()
    with readable_config_errors(), initialize_config_dir(str(conf), version_base="1.3"):
        name, rest = sent.take(overrides)
        found = plan(rest, measures, name)
    if len(found.jobs) > 1:
        results.print(_table(found))
        results.print()
    for line in found.lines():
        results.print(line, markup=False)
    if any(job.is_guessed for job in found.jobs):
        results.print(UNTIL_MEASURED, markup=False)
    for warning in found.warnings:
        print(f"warning: {printable(str(warning))}", file=sys.stderr)
    for refusal in found.refusals:
        print(f"error: {refusal}", file=sys.stderr)
    return 1 if found.refusals else 0


def _table(found: SweepPlan) -> Table:
    """Return a row for each job; what a narrow terminal has no room for is left out."""
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("job", overflow="fold")
    titles = ["to do", "weights", "memory", "time", "likely"]
    if results.width < NARROW:
        titles = ["to do", "memory", "time"]
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    has_prices = any(job.usd for job in found.jobs)
    if has_prices:
        table.add_column("USD", justify="right")
    for name, job in zip(found.names, found.jobs, strict=True):
        price = f"{job.usd.value:.2f}" if job.usd else ""
        cells = _cells(job)
        table.add_row(name, *(cells[title] for title in titles), *([price] if has_prices else []))
    return table


def _cells(job: Forecast) -> dict[str, str | Text]:
    """Return what a table shows of a job beside its name, by the title of its column."""
    cells: dict[str, str | Text] = defaultdict(str)
    if not job.keys:
        cells["to do"] = Text("refused", style="red")
        return cells
    cells["to do"] = f"{job.new} of {len(job.keys)}"
    match job.decision:
        case Here():
            cells["weights"] = Text("here", style="green")
        case Fetch():
            cells["weights"] = f"fetch {_size(job)}"
        case Make():
            cells["weights"] = f"make {_size(job)}"
    if job.memory is not None:
        cells["memory"] = size(job.memory.needed)
        if job.memory.refusal is not None:
            cells["memory"] = Text(f"{cells['memory']} ✗", style="red")
    if job.seconds is not None and job.seconds.value:
        cells["time"] = duration(job.seconds.value)
        cells["likely"] = spread(job.seconds.low, job.seconds.high)
    return cells


def _size(job: Forecast) -> str:
    return f"≈{size(job.weights.bytes)}" if job.weights and job.weights.bytes else ""
