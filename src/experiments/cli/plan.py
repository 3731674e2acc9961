"""What a run or a sweep will take, as a table: `experiments plan`."""

from __future__ import annotations

import sys
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
    """Return a row for each job."""
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column("job", overflow="fold", min_width=12)
    for title in ("to do", "weights", "memory", "time", "likely"):
        table.add_column(title, justify="right", no_wrap=True)
    has_prices = any(job.usd for job in found.jobs)
    if has_prices:
        table.add_column("USD", justify="right")
    for name, job in zip(found.names, found.jobs, strict=True):
        price = f"{job.usd.value:.2f}" if job.usd else ""
        table.add_row(name, *_cells(job), *([price] if has_prices else []))
    return table


def _cells(job: Forecast) -> list[str | Text]:
    """Return what a table shows of a job, beside its name."""
    if not job.keys:
        return [Text("refused", style="red"), "", "", "", ""]
    weights: str | Text = ""
    match job.decision:
        case Here():
            weights = Text("here", style="green")
        case Fetch():
            weights = f"fetch {_size(job)}"
        case Make():
            weights = f"make {_size(job)}"
    memory: str | Text = ""
    if job.memory is not None:
        memory = size(job.memory.needed)
        if job.memory.refusal is not None:
            memory = Text(f"{memory} ✗", style="red")
    to_do = f"{job.new} of {len(job.keys)}"
    seconds = job.seconds
    if seconds is None or not seconds.value:
        return [to_do, weights, memory, "", ""]
    likely = spread(seconds.low, seconds.high)
    return [to_do, weights, memory, duration(seconds.value), likely]


def _size(job: Forecast) -> str:
    return f"≈{size(job.weights.bytes)}" if job.weights and job.weights.bytes else ""
