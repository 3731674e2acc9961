"""What a run or a sweep will take, before it begins."""

from __future__ import annotations

import argparse
from typing import Any

from experiments.cli.common import CONF


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = commands.add_parser("plan", help="what a run or a sweep will take, before it begins")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="as for run.py: model=mistral,dolphin quantization=q4_k_m prompt=plain,cot",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="measure this machine, some seconds per type, where no earlier run tells; kept",
    )
    parser.add_argument("-m", "--multirun", action="store_true", help="makes no difference here")
    parser.set_defaults(do=run)


def run(chosen: argparse.Namespace) -> int:
    """Do what was chosen, and return the exit code."""
    from experiments.cli import plan

    return plan.show(chosen.overrides, CONF, chosen.measure)
