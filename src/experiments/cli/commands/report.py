"""Compare runs: a table, a page, Markdown, plots."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from experiments.cli.common import (
    CACHE,
    OUTPUTS,
    add_command,
    add_uri,
    load_dataset,
    run_folder,
)
from experiments.environment.terminal import results


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "report",
        "compare runs: a table, a page, Markdown, plots",
        "experiments report",
        "experiments report outputs/2026-01-31/12-00-00 --out comparison",
        "experiments report outputs/2026-01-31 outputs/2026-02-01 --out comparison",
    )
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="*",
        help="folder of a run or a sweep, or an MLflow run id; default: the newest in outputs/",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the page; default: that of the runs"
    )
    parser.add_argument(
        "--sanitizer",
        action="store_true",
        help="also judge what EvalPlus's sanitizer finds in the answers; kept with each run",
    )
    add_uri(parser)
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments import report

    folders = [run_folder(name, chosen.uri) for name in chosen.runs] or [report.newest(OUTPUTS)]
    if chosen.sanitizer:
        for folder in report.find_runs(folders)[0]:
            report.judge_sanitized(folder, load_dataset, CACHE)
    collection = report.collect(folders)
    report.show_collection(collection)
    out = chosen.out or (folders[0] if len(folders) == 1 else Path("report"))
    written = report.write(collection, out)
    for path in (written.page, written.table):
        results.print(f"Report: {path}", soft_wrap=True)
    return 0
