"""Put runs into one file, for another machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments.cli.common import add_command, add_uri, run_folder
from experiments.environment.terminal import counted, results, size


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "export",
        "put runs into one file, for another machine",
        "experiments export outputs/2026-01-31/12-00-00 out.zip",
    )
    parser.add_argument("run", metavar="RUN", help="folder of a run or a sweep, or MLflow run id")
    parser.add_argument(
        "archive", metavar="OUT.zip", type=Path, help="archive to write; a former one is replaced"
    )
    add_uri(parser)
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments.cli.archive import export

    count = export(run_folder(chosen.run, chosen.uri), chosen.archive)
    written = size(chosen.archive.stat().st_size)
    results.print(f"{counted(count, 'run')}: {chosen.archive}, {written}", soft_wrap=True)
    return 0
