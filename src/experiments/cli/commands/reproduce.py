"""Make a run again, and say whether the same came out."""

from __future__ import annotations

import argparse
from typing import Any

from experiments.cli.common import CONF, OUTPUTS, add_command, add_uri, count, run_folder


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "reproduce",
        "make a run again, and say whether the same came out",
        "experiments reproduce outputs/2026-01-31/12-00-00",
        "experiments reproduce out.zip --sample 20",
    )
    parser.add_argument(
        "run", metavar="RUN", help="folder of a run or a sweep, MLflow run id, or archive"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="OVERRIDE", help="setting as for run.py: model.file=PATH"
    )
    parser.add_argument("--sample", type=count, metavar="N", help="N problems, drawn at random")
    add_uri(parser)
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code: 1 if something came out otherwise."""
    from experiments.cli.reproduce import reproduce

    source = run_folder(chosen.run, chosen.uri)
    return 0 if reproduce(source, chosen.overrides, chosen.sample, CONF, OUTPUTS) else 1
