"""Check problems and the strength of their tests."""

from __future__ import annotations

import argparse
from typing import Any

from experiments.cli.common import CACHE, add_command, complete, count
from experiments.environment.terminal import results


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "validate",
        "check problems and the strength of their tests",
        "experiments validate problems --only easy/quiet_hours",
        "experiments validate humaneval_plus --sample 20 --summary",
        "experiments validate mine.jsonl",
    )
    dataset = parser.add_argument(
        "dataset",
        nargs="?",
        default="problems",
        help="folder of problems, FILE.jsonl, or humaneval, humaneval_plus, mbpp, mbpp_plus",
    )
    complete(dataset, "dataset")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="ID",
        help="problems to check: easy, easy/quiet_hours, ...",
    )
    parser.add_argument("--sample", type=count, metavar="N", help="N problems, drawn at random")
    parser.add_argument("--limit", type=count, metavar="N", help="the first N problems")
    parser.add_argument("--workers", type=count, metavar="N", help="programs judged at once")
    parser.add_argument(
        "--no-mutation", dest="mutation", action="store_false", help="leave the mutants out"
    )
    parser.add_argument(
        "--summary", action="store_true", help="sums alone, without problems and survivors"
    )
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Validate as chosen, print the report, and return the exit code."""
    from experiments.problems.validate.check import validate
    from experiments.problems.validate.report import show

    report = validate(
        chosen.dataset,
        only=chosen.only,
        sample=chosen.sample,
        limit=chosen.limit,
        workers=chosen.workers,
        mutation=chosen.mutation,
        cache_folder=CACHE,
    )
    show(report, results, details=not chosen.summary)
    return 0 if report.ok else 1
