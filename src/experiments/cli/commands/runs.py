"""List the runs that there are."""

from __future__ import annotations

import argparse
from typing import Any

from experiments.cli.common import add_command, add_folder


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "runs",
        "list runs: how each stands, and what it lacks",
        "experiments runs",
        "experiments runs outputs/2026-01-31",
    )
    add_folder(parser)
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments.report import listing

    listing.show(listing.listed(chosen.folder), chosen.folder)
    return 0
