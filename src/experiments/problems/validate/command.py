"""The command `experiments validate DATASET`: its arguments and what it does."""

from __future__ import annotations

import argparse

from experiments.environment.terminal import results
from experiments.problems.validate.check import validate
from experiments.problems.validate.report import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "dataset",
        nargs="?",
        default="problems",
        help="folder of problems, FILE.jsonl, or humaneval, humaneval_plus, mbpp, mbpp_plus",
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="ID", help="easy, easy/quiet_hours, ..."
    )
    parser.add_argument("--sample", type=_positive, metavar="N", help="N problems, drawn at random")
    parser.add_argument("--limit", type=_positive, metavar="N", help="the first N problems")
    parser.add_argument("--workers", type=_positive, metavar="N", help="programs judged at once")
    parser.add_argument(
        "--no-mutation", dest="mutation", action="store_false", help="leave the mutants out"
    )
    parser.add_argument(
        "--summary", action="store_true", help="sums alone, without problems and survivors"
    )


def run(chosen: argparse.Namespace) -> int:
    """Validate as chosen, print the report, and return the exit code."""
    report = validate(
        chosen.dataset,
        only=chosen.only,
        sample=chosen.sample,
        limit=chosen.limit,
        workers=chosen.workers,
        mutation=chosen.mutation,
    )
    show(report, results, details=not chosen.summary)
    return 0 if report.ok else 1


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is too few; take 1 or more")
    return number
