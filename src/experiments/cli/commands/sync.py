"""Bring to MLflow what it lacks of runs, and end what it takes for running."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from experiments.cli.common import OUTPUTS, add_command
from experiments.errors import StoreError


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "sync",
        "bring to MLflow what it lacks of runs, once, however often it is called",
        "experiments sync",
        "experiments sync outputs/2026-01-31/12-00-00",
        "experiments sync outputs/2026-01-31 --uri http://mlflow.example.org",
    )
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="*",
        type=Path,
        help="folder of a run, a sweep or many; default: all in outputs/",
    )
    parser.add_argument(
        "--uri", help="address of MLflow; default: where each run was to be tracked"
    )
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments.environment.terminal import results
    from experiments.errors import TrackingError, UserError
    from experiments.tracking import notes, syncing, worker
    from experiments.tracking.syncing import Synced

    worker.prepare()
    counts: dict[Synced, int] = {}
    code = 0
    for given in chosen.runs or [OUTPUTS]:
        if not given.is_dir():
            raise StoreError(f"There is no folder {given}", "Name the folder of a run or a sweep.")
        for folder in notes.tracked(given):
            try:
                became = syncing.sync(folder, chosen.uri)
            except UserError as error:
                print(f"error: {folder}: {error}", file=sys.stderr)
                code = 1
                if isinstance(error, TrackingError) and chosen.uri:
                    return code  # it is the same for all
                continue
            counts[became] = counts.get(became, 0) + 1
            if became not in (Synced.THERE, Synced.UNTRACKED):
                results.print(f"{folder}: {became.value}", markup=False, soft_wrap=True)
    total = ", ".join(f"{number} {became.value}" for became, number in counts.items())
    results.print(total or "There is nothing that MLflow was to have.")
    return code
