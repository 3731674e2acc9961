"""What a run or a sweep will take, before it begins."""

from __future__ import annotations

import argparse
from typing import Any

from experiments.cli.common import CONF, add_command


def add(commands: Any) -> None:
    """Add the command and what it takes."""
    parser = add_command(
        commands,
        "plan",
        "say what a run or a sweep will take, before it begins",
        "experiments plan model=mistral,dolphin prompt=plain,cot",
        "experiments plan --measure model=qwen2_5_coder_0_5b quantization=q4_k_m",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="settings as for run.py: model=mistral,dolphin quantization=q4_k_m prompt=plain,cot",
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
