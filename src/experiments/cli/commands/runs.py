"""List the runs that there are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments.cli.common import OUTPUTS, add_command


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "runs",
        "list runs: how each stands, and what it lacks",
        "experiments runs",
        "experiments runs outputs/2026-01-31",
    )
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        default=OUTPUTS,
        help="folder of runs; default: outputs",
    )
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments.report import listing

    listing.show(listing.listed(chosen.folder), chosen.folder)
    return 0
