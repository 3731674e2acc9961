"""Judge programs from elsewhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from experiments.cli.common import CACHE, add_command, complete, count, load_dataset
from experiments.environment.terminal import results


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "judge",
        "judge programs from elsewhere",
        "experiments judge humaneval_plus samples.jsonl --out verdicts.jsonl",
        "experiments judge mine.jsonl samples.jsonl --out verdicts.jsonl",
    )
    dataset = parser.add_argument(
        "dataset", metavar="DATASET", help="name of a file in conf/dataset/, or FILE.jsonl"
    )
    complete(dataset, "dataset")
    parser.add_argument(
        "samples", metavar="SAMPLES.jsonl", type=Path, help="file of programs; .gz is read, too"
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="VERDICTS.jsonl", help="file to write"
    )
    parser.add_argument(
        "--workers", type=count, metavar="N", help="programs judged at once; default: one per core"
    )
    parser.add_argument(
        "--stop-at-first-failure",
        action="store_true",
        help="run no test after it: faster, but the share of passed tests is unknown",
    )
    parser.add_argument(
        "--rejudge", action="store_true", help="judge anew what was judged in an earlier call"
    )
    parser.add_argument(
        "--isolation",
        choices=("auto", "bubblewrap", "process"),
        default="auto",
        help="how programs are kept apart from this machine; auto: bubblewrap where it works",
    )
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments.judge.samples import judge_samples
    from experiments.sandbox import choose, missing
    from experiments.schema import Isolation, SandboxConfig

    settings = SandboxConfig(
        workers=chosen.workers,
        isolation=Isolation(chosen.isolation),
        stop_at_first_failure=chosen.stop_at_first_failure,
        rejudge=chosen.rejudge,
    )
    dataset = load_dataset(chosen.dataset)
    if gaps := missing(choose(chosen.isolation)):
        print(f"warning: {gaps}", file=sys.stderr)
    summary = judge_samples(dataset, chosen.samples, chosen.out, settings, CACHE)
    for line in summary.lines():
        results.print(line, soft_wrap=True)
    return 0
