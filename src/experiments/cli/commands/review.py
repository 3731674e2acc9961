"""Grade programs by hand, blind."""

from __future__ import annotations

import argparse
from typing import Any

from experiments.cli.common import CONF, add_command, add_uri, complete, count, run_folder
from experiments.errors import StoreError


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "review",
        "grade programs by hand, blind",
        "experiments review outputs/2026-01-31/12-00-00 --reviewers alice,bob",
        "experiments review outputs/2026-01-31/12-00-00 --text --budget 20",
        "experiments review outputs/2026-01-31/12-00-00 --collect",
    )
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="folder of a run or a sweep, or an MLflow run id"
    )
    parser.add_argument(
        "--budget", type=count, default=60, metavar="N", help="programs to read; default: 60"
    )
    parser.add_argument("--reviewers", metavar="NAMES", help="who grades: alice,bob; default: you")
    rubric = parser.add_argument(
        "--rubric", default="default", metavar="NAME", help="name of a file in conf/review/"
    )
    complete(rubric, "review")
    parser.add_argument("--seed", type=int, default=0, help="seed of choice and order; default: 0")
    parser.add_argument("--name", help="name of the review in MLflow; default: the date")
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--text", action="store_true", help="grade here, in the terminal")
    doing.add_argument("--status", action="store_true", help="say how far the queues are")
    doing.add_argument("--collect", action="store_true", help="bring the grades home")
    add_uri(parser)
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments import report
    from experiments.cli import review

    folders, _ = report.find_runs(run_folder(name, chosen.uri) for name in chosen.runs)
    if not folders:
        raise StoreError(
            f"No run in {', '.join(chosen.runs)}",
            "Name the folder of a run or of a sweep, such as outputs/2026-01-31/12-00-00",
        )
    return review.run(chosen, folders, CONF)
